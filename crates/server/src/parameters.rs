//! Parameters of prepared statements: rows that a client binds.
//!
//! They come as a Flight stream, are brought to wire types, which are types that
//! the engine knows as scalars, and travel inside the bound handle as an Arrow
//! IPC stream.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use bytes::Bytes;
use datafusion_common::ScalarValue;
use futures::{Stream, TryStreamExt};
use tonic::Status;

use crate::status;
use crate::wire::{wire_batch, wire_schema};

/// One statement is run for each row: more is a bulk load, not a query.
const ROW_LIMIT: usize = 1024;

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
    let mut batches = FlightRecordBatchStream::new_from_flight_data(stream);
    let mut rows = 0;
    let mut kept = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(of_client)? {
        rows += batch.num_rows();
        if rows > ROW_LIMIT {
            return Err(Status::invalid_argument(format!(
                "more than {ROW_LIMIT} rows of parameters: a statement runs once a row"
            )));
        }
        let schema = wire_schema(&batch.schema());
        let batch = wire_batch(&batch, &schema).map_err(|error| {
            Status::invalid_argument(format!(
                "parameters of a type that weft does not take: {error}"
            ))
        })?;
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
                .map_err(|error| {
                    Status::invalid_argument(format!(
                        "parameters of a type that weft does not take: {}",
                        error.strip_backtrace()
                    ))
                })?;
            rows.push(values);
        }
    }
    Ok(rows)
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
        | FlightError::ExternalError(_) => {
            Status::invalid_argument("the parameters are not an Arrow stream")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, LargeStringArray, StringViewArray};
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
}
