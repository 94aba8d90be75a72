//! Record batches as Flight messages.

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};
use tonic::Status;

use super::cut::{ROW_LIMIT_BYTES, RowTooLarge, TARGET_BYTES, cut};
use crate::status;
use crate::wire::{wire_batch, wire_schema};

/// Encodes the batches of one result under its wire schema.
pub(crate) struct Encoder {
    schema: SchemaRef,
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    context: IpcWriteContext,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    pub(crate) fn new(
        schema: SchemaRef,
        compression: Option<CompressionType>,
    ) -> Result<Self, Status> {
        let options = IpcWriteOptions::default()
            .try_with_compression(compression)
            .map_err(|error| status::of_arrow(&error))?;
        Ok(Self {
            schema,
            options,
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(true),
            context: reserving(),
        })
    }

    /// The first message of every stream.
    pub(crate) fn schema(&self) -> FlightData {
        SchemaAsIpc::new(&self.schema, &self.options).into()
    }

    /// A message of no rows, for a connection on which nothing else flows.
    pub(crate) fn empty(&mut self) -> Result<FlightData, Status> {
        let empty = RecordBatch::new_empty(SchemaRef::clone(&self.schema));
        self.encode(&empty)
    }

    /// How `batch` is cut into messages; none for no rows.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` for a row that no message can carry.
    pub(crate) fn cut(batch: &RecordBatch) -> Result<Vec<Range<usize>>, Status> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        cut(batch, TARGET_BYTES).map_err(|RowTooLarge { bytes }| {
            Status::resource_exhausted(format!(
                "a row of the result takes {bytes} bytes, more than the {ROW_LIMIT_BYTES} that one message carries"
            ))
        })
    }

    /// The message of the rows `range` of `batch`.
    pub(crate) fn slice(
        &mut self,
        batch: &RecordBatch,
        range: &Range<usize>,
    ) -> Result<FlightData, Status> {
        let rows = batch.slice(range.start, range.len());
        let wire = wire_batch(&rows, &self.schema).map_err(|error| status::of_arrow(&error))?;
        self.encode(&wire)
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<FlightData, Status> {
        // Wire types hold no dictionaries, so there is one message.
        let (_, message) = self
            .generator
            .encode(
                batch,
                &mut self.dictionaries,
                &self.options,
                &mut self.context,
            )
            .map_err(|error| status::of_arrow(&error))?;
        if message.arrow_data.capacity() > LARGE {
            self.context = reserving();
        }
        Ok(message.into())
    }
}

/// The messages of a result that is `batch` alone, in the types that clients read. The schema's is
/// the first.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` for a row that no message can carry.
pub fn messages(batch: &RecordBatch) -> Result<Vec<FlightData>, Status> {
    let mut encoder = Encoder::new(wire_schema(&batch.schema()), None)?;
    let mut messages = vec![encoder.schema()];
    for range in Encoder::cut(batch)? {
        messages.push(encoder.slice(batch, &range)?);
    }
    Ok(messages)
}

/// Beyond this a message is no measure for the next.
const LARGE: usize = 4 << 20;

/// Makes room for a message that is as large as the one before.
fn reserving() -> IpcWriteContext {
    let mut context = IpcWriteContext::default();
    context.set_reserve_scratch(true);
    context
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
    use arrow_flight::utils::flight_data_to_batches;

    use super::*;

    #[test]
    fn a_few_rows_of_large_view_buffers_make_a_small_message() {
        let mut views = StringViewBuilder::new().with_fixed_block_size(8 * 1024 * 1024);
        for row in 0..40_000 {
            views.append_value(format!("{row:>500}"));
        }
        let array: ArrayRef = Arc::new(views.finish());
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let few = batch.slice(30_000, 20);
        let encoded = messages(&few).unwrap();
        assert_eq!(encoded.len(), 2);
        assert!(encoded[1].data_body.len() < 20 * 600);

        let all = messages(&batch).unwrap();
        assert!(all.len() > 15, "{} messages", all.len());
        assert!(
            all.iter()
                .all(|message| message.data_body.len() < 2 * 1024 * 1024)
        );
        let decoded = flight_data_to_batches(&all).unwrap();
        let rows: usize = decoded.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 40_000);
        let last = decoded.last().unwrap().column(0).as_string::<i32>().clone();
        assert_eq!(last.value(last.len() - 1).trim(), "39999");
    }

    #[test]
    fn an_empty_message_has_the_schema_of_the_stream() {
        let array: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let mut encoder = Encoder::new(wire_schema(&batch.schema()), None).unwrap();
        let stream = [encoder.schema(), encoder.empty().unwrap()];
        let decoded = flight_data_to_batches(&stream).unwrap();
        assert_eq!(decoded[0].num_rows(), 0);
        assert_eq!(decoded[0].schema(), batch.schema());
        assert!(Encoder::cut(&batch.slice(0, 0)).unwrap().is_empty());
    }
}
