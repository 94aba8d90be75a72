//! Parameters of prepared statements: rows that a client binds.
//!
//! They come as a Flight stream, are brought to wire types, which are types that
//! the engine knows as scalars, and travel inside the bound handle as an Arrow
//! IPC stream.

mod measure;

use std::fmt::Display;
use std::future::ready;
use std::io::Cursor;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::ipc::{Buffer, root_as_message};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use bytes::Bytes;
use datafusion_common::ScalarValue;
use futures::{FutureExt, Stream, TryStreamExt};
use tonic::Status;

use self::measure::expanded;
use crate::status;
use crate::wire::{wire_batch, wire_schema};

/// One statement is run for each row: more is a bulk load, not a query.
const ROW_LIMIT: usize = 1024;
/// More than a handle carries, so that nobody collects what could not be kept.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// The schema of parameters that clients are told. Times are announced in milliseconds:
/// JDBC up to 18.3 writes those, whatever the unit that it was told. What is bound is
/// taken in the unit that it comes in.
pub(crate) fn announced(parameters: &Schema) -> SchemaRef {
    let wire = wire_schema(parameters);
    let fields = wire.fields().iter().map(|field| {
        let data_type = if let DataType::Timestamp(_, zone) = field.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        } else if let DataType::Time32(_) | DataType::Time64(_) = field.data_type() {
            DataType::Time32(TimeUnit::Millisecond)
        } else {
            return Arc::clone(field);
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// Reads the rows that a client sends; an empty answer for no rows or columns.
pub(crate) async fn read<S>(stream: S) -> Result<Bytes, Status>
where
    S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
{
    // What checks of the message itself cannot see, the decoder may panic at.
    let read = AssertUnwindSafe(read_sound(stream)).catch_unwind().await;
    read.unwrap_or_else(|_| Err(no_stream()))
}

async fn read_sound<S>(stream: S) -> Result<Bytes, Status>
where
    S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
{
    let mut sent = 0_usize;
    let sound = stream.and_then(move |message| {
        sent = sent.saturating_add(message.data_header.len() + message.data_body.len());
        let checked = if sent > LIMIT_BYTES {
            Err(too_large())
        } else {
            check(&message)
        };
        let checked = checked.map_err(|status| FlightError::Tonic(Box::new(status)));
        ready(checked.map(|()| message))
    });
    let mut batches = FlightRecordBatchStream::new_from_flight_data(sound);
    let (mut rows, mut bytes) = (0, 0_usize);
    let mut kept = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(of_client)? {
        if batch.num_rows() == 0 {
            continue;
        }
        rows += batch.num_rows();
        if rows > ROW_LIMIT {
            return Err(Status::invalid_argument(format!(
                "more than {ROW_LIMIT} rows of parameters: a statement runs once a row"
            )));
        }
        // A few bytes can say a value many times over: what it comes to is known before
        // anything is made of it.
        for column in batch.columns() {
            let said = expanded(column).map_err(|data_type| not_taken(&data_type))?;
            bytes = bytes.saturating_add(said);
        }
        if bytes > LIMIT_BYTES {
            return Err(too_large());
        }
        let schema = wire_schema(&batch.schema());
        let batch = wire_batch(&batch, &schema).map_err(|error| not_taken(&error))?;
        kept.push(batch);
    }
    if rows == 0 || kept.iter().all(|batch| batch.num_columns() == 0) {
        return Ok(Bytes::new());
    }
    write(&kept).map_err(|error| status::of_arrow(&error))
}

/// The rows behind `parameters`, each a value a parameter; none for none bound.
pub(crate) fn rows(parameters: &Bytes) -> Result<Vec<Vec<ScalarValue>>, Status> {
    if parameters.is_empty() {
        return Ok(Vec::new());
    }
    let reader = StreamReader::try_new(Cursor::new(parameters), None)
        .map_err(|error| status::of_arrow(&error))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| status::of_arrow(&error))?;
        for row in 0..batch.num_rows() {
            let values = batch
                .columns()
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| not_taken(&error.strip_backtrace()))?;
            rows.push(values);
        }
    }
    Ok(rows)
}

/// Whether a message can be decoded: the decoder takes the offsets and lengths that it
/// names as they are, and what compressed buffers say of their size.
fn check(message: &FlightData) -> Result<(), Status> {
    if message.data_header.is_empty() {
        return Ok(());
    }
    let header = root_as_message(&message.data_header).map_err(|_| no_stream())?;
    let dictionary = header.header_as_dictionary_batch();
    let batch = match dictionary {
        Some(dictionary) => dictionary.data(),
        None => header.header_as_record_batch(),
    };
    let Some(batch) = batch else {
        return Ok(());
    };
    if batch.compression().is_some() {
        return Err(Status::invalid_argument(
            "compressed parameters are not taken: send them without IPC compression",
        ));
    }
    let within = |buffer: &Buffer| {
        let end = buffer.offset().checked_add(buffer.length());
        let end = end.and_then(|end| usize::try_from(end).ok());
        buffer.offset() >= 0
            && buffer.length() >= 0
            && end.is_some_and(|end| end <= message.data_body.len())
    };
    if batch.buffers().into_iter().flatten().all(within) {
        Ok(())
    } else {
        Err(no_stream())
    }
}

fn too_large() -> Status {
    Status::invalid_argument(format!(
        "parameters of more than {LIMIT_BYTES} bytes: they travel with the statement"
    ))
}

fn not_taken(what: &impl Display) -> Status {
    Status::invalid_argument(status::shorten(&format!(
        "parameters of a type that weft does not take: {what}"
    )))
}

fn no_stream() -> Status {
    Status::invalid_argument("the parameters are not an Arrow stream")
}

fn write(batches: &[RecordBatch]) -> Result<Bytes, ArrowError> {
    let Some(first) = batches.first() else {
        return Ok(Bytes::new());
    };
    let mut writer = StreamWriter::try_new(Vec::new(), &first.schema())?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?.into())
}

fn of_client(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        FlightError::Arrow(_)
        | FlightError::NotYetImplemented(_)
        | FlightError::ProtocolError(_)
        | FlightError::DecodeError(_)
        | FlightError::ExternalError(_) => no_stream(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int8Array,
        Int32Array, Int64Array, LargeStringArray, ListArray, ListViewArray, NullArray, RunArray,
        StringArray, StringViewArray, StructArray, UnionArray,
    };
    use arrow::buffer::{Buffer, OffsetBuffer};
    use arrow::datatypes::Field;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::stream;

    use super::*;

    async fn bind(batches: Vec<RecordBatch>) -> Result<Bytes, Status> {
        read(FlightDataEncoderBuilder::new().build(stream::iter(batches.into_iter().map(Ok)))).await
    }

    #[tokio::test]
    async fn rows_survive_in_wire_types() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "0",
                Arc::new(LargeStringArray::from(vec![Some("a"), None])) as ArrayRef,
                true,
            ),
            (
                "1",
                Arc::new(StringViewArray::from(vec!["x", "y"])) as _,
                true,
            ),
            ("2", Arc::new(Int64Array::from(vec![1, 2])) as _, true),
        ])
        .unwrap();
        let parameters = bind(vec![batch]).await.unwrap();
        assert_eq!(
            rows(&parameters).unwrap(),
            vec![
                vec![
                    ScalarValue::from("a"),
                    ScalarValue::from("x"),
                    ScalarValue::from(1_i64)
                ],
                vec![
                    ScalarValue::Utf8(None),
                    ScalarValue::from("y"),
                    ScalarValue::from(2_i64)
                ],
            ]
        );
    }

    #[tokio::test]
    async fn no_rows_and_no_columns_bind_nothing() {
        assert!(bind(vec![]).await.unwrap().is_empty());
        let array: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
        let batch = RecordBatch::try_from_iter([("0", array)]).unwrap();
        assert!(bind(vec![batch]).await.unwrap().is_empty());
        assert!(rows(&Bytes::new()).unwrap().is_empty());
    }

    #[tokio::test]
    async fn too_many_rows_and_garbage_are_invalid() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![0; ROW_LIMIT + 1]));
        let batch = RecordBatch::try_from_iter([("0", array)]).unwrap();
        let status = bind(vec![batch]).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let garbage = FlightData {
            data_header: Bytes::from_static(b"garbage"),
            ..FlightData::default()
        };
        let status = read(stream::iter([Ok(garbage)])).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    fn encoded(batch: RecordBatch) -> Vec<FlightData> {
        let encoder = FlightDataEncoderBuilder::new().build(stream::iter([Ok(batch)]));
        futures::executor::block_on(encoder.try_collect()).unwrap()
    }

    #[tokio::test]
    async fn a_message_that_names_more_than_it_has_is_refused() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("n", array)]).unwrap();
        let messages = encoded(batch);
        for kept in 0..messages[1].data_body.len() {
            let mut cut = messages.clone();
            cut[1].data_body.truncate(kept);
            // Without its padding it is whole still.
            match read(stream::iter(cut.into_iter().map(Ok))).await {
                Ok(read) => assert_eq!(rows(&read).unwrap().len(), 3),
                Err(status) => assert_eq!(status.code(), tonic::Code::InvalidArgument),
            }
        }
    }

    #[tokio::test]
    async fn compressed_parameters_are_refused() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![1; 100]));
        let batch = RecordBatch::try_from_iter([("n", array)]).unwrap();
        let options = arrow::ipc::writer::IpcWriteOptions::default()
            .try_with_compression(Some(arrow::ipc::CompressionType::ZSTD))
            .unwrap();
        let messages = FlightDataEncoderBuilder::new()
            .with_options(options)
            .build(stream::iter([Ok(batch)]));
        let status = read(messages).await.unwrap_err();
        assert!(status.message().contains("compress"), "{status:?}");
    }

    /// What a client would send that means to take the server's memory.
    #[tokio::test]
    async fn few_bytes_that_say_much_are_refused() {
        const MEGABYTE: usize = 1 << 20;
        let long = "x".repeat(4 * MEGABYTE);
        let fields = |item: DataType| Arc::new(Field::new("item", item, true));

        let dictionary = StringArray::from(vec![long.as_str()]);
        let keys = Int8Array::from(vec![0; ROW_LIMIT]);
        let dictionary = DictionaryArray::new(keys, Arc::new(dictionary));
        let one_row = DictionaryArray::new(
            Int8Array::from(vec![0]),
            Arc::new(StringArray::from(vec![long.as_str()])),
        );
        let mut views = arrow::array::StringViewBuilder::new();
        let block = views.append_block(long.as_bytes().to_vec().into());
        for _ in 0..ROW_LIMIT {
            views
                .try_append_view(block, 0, u32::try_from(long.len()).unwrap())
                .unwrap();
        }
        let nothing = 1 << 30;
        let nothings: ArrayRef = Arc::new(ListArray::new(
            fields(DataType::Null),
            OffsetBuffer::from_lengths([nothing]),
            Arc::new(NullArray::new(nothing)),
            None,
        ));
        let empty: ArrayRef = Arc::new(ListArray::new(
            fields(DataType::Struct(Fields::empty())),
            OffsetBuffer::from_lengths([nothing]),
            Arc::new(StructArray::new_empty_fields(nothing, None)),
            None,
        ));
        let small: ArrayRef = Arc::new(StringArray::from(vec!["x"; 1 << 10]));
        let view: ArrayRef = Arc::new(ListViewArray::new(
            fields(DataType::Utf8),
            vec![0; ROW_LIMIT].into(),
            vec![1 << 10; ROW_LIMIT].into(),
            small,
            None,
        ));
        let runs = RunArray::try_new(
            &Int32Array::from(vec![1024]),
            &StringArray::from(vec![long.as_str()]),
        )
        .unwrap();
        let nested: ArrayRef = Arc::new(ListArray::new(
            fields(dictionary.data_type().clone()),
            OffsetBuffer::from_lengths([ROW_LIMIT]),
            Arc::new(dictionary.clone()),
            None,
        ));
        let bits = BooleanArray::from(vec![true; 64 * MEGABYTE]);
        let bits = DictionaryArray::new(Int32Array::from(vec![0; 1 << 23]), Arc::new(bits));
        let bits: ArrayRef = Arc::new(ListArray::new(
            fields(bits.data_type().clone()),
            OffsetBuffer::from_lengths([1 << 23]),
            Arc::new(bits),
            None,
        ));
        let empty_values =
            FixedSizeBinaryArray::try_new_with_len(0, Buffer::default(), None, nothing);
        let empty_values =
            DictionaryArray::new(Int8Array::from(vec![0]), Arc::new(empty_values.unwrap()));
        let union = |rows: usize, value: &str| -> ArrayRef {
            let field = Field::new("a", DataType::Utf8, true);
            let union = UnionArray::try_new(
                [(0, Arc::new(field))].into_iter().collect(),
                vec![0_i8; rows].into(),
                Some(vec![0_i32; rows].into()),
                vec![Arc::new(StringArray::from(vec![value]))],
            );
            Arc::new(union.unwrap())
        };
        for array in [
            Arc::new(dictionary) as ArrayRef,
            union(ROW_LIMIT, &long),
            bits,
            Arc::new(empty_values),
            nested,
            Arc::new(views.finish()),
            nothings,
            empty,
            view,
            Arc::new(runs),
        ] {
            let data_type = array.data_type().clone();
            let batch = RecordBatch::try_from_iter_with_nullable([("0", array, true)]).unwrap();
            let options = FlightDataEncoderBuilder::new()
                .with_dictionary_handling(arrow_flight::encode::DictionaryHandling::Resend)
                .with_max_flight_data_size(usize::MAX);
            let messages: Vec<_> = options
                .build(stream::iter([Ok(batch)]))
                .try_collect()
                .await
                .unwrap();
            let status = read(stream::iter(messages.into_iter().map(Ok)))
                .await
                .unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument, "{data_type}");
            assert!(status.message().starts_with("parameters of"), "{status:?}");
        }

        let nulls = (0..20_000).map(|at| {
            (
                at.to_string(),
                Arc::new(NullArray::new(ROW_LIMIT)) as ArrayRef,
            )
        });
        let batch = RecordBatch::try_from_iter(nulls).unwrap();
        assert!(bind(vec![batch]).await.is_err());

        let few = RecordBatch::try_from_iter([("0", union(1, "x"))]).unwrap();
        assert!(!bind(vec![few]).await.unwrap().is_empty());

        // The same value once is a value.
        let batch = RecordBatch::try_from_iter([("0", Arc::new(one_row) as ArrayRef)]).unwrap();
        assert!(!bind(vec![batch]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn messages_are_counted_together() {
        let value = "x".repeat(LIMIT_BYTES / 3);
        let batch = || {
            let array: ArrayRef = Arc::new(StringArray::from(vec![value.as_str()]));
            RecordBatch::try_from_iter([("0", array)])
        };
        let batches: Vec<_> = (0..4).map(|_| batch().unwrap()).collect();
        let status = bind(batches).await.unwrap_err();
        assert!(status.message().contains("bytes"), "{status:?}");
    }
}
