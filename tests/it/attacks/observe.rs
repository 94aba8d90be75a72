//! All that a client can tell of a statement.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use weft_engine::{Error, SessionOptions};

use super::fixture::World;
use crate::support::cells;

/// Schema and rows, or a failure.
pub(super) type Answer = Result<(String, Vec<String>), Failure>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// The classes that travel as status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invalid,
    NotFound,
    Denied,
    Unimplemented,
    Exhausted,
    Internal,
    Other,
}

/// What `eu` sees of `sql`.
pub(super) async fn observe(world: &World, sql: &str, parameters: &[ScalarValue]) -> Answer {
    ask(world, sql, parameters).await.map_err(|error| Failure {
        kind: kind(&error),
        text: match &error {
            Error::Internal { reference } => error.to_string().replace(&reference.to_string(), "*"),
            error => error.to_string(),
        },
    })
}

async fn ask(
    world: &World,
    sql: &str,
    parameters: &[ScalarValue],
) -> Result<(String, Vec<String>), Error> {
    let options = SessionOptions {
        schema: Some("sales".to_owned()),
        ..SessionOptions::default()
    };
    let principal = std::sync::Arc::clone(&world.principal);
    let session = world.engine.session(principal, options)?;
    let mut planned = session.plan(sql).await?;
    if !planned.parameters()?.fields().is_empty() {
        planned = planned.bind(parameters).await?;
    }
    let schema = schema_line(&planned.schema());
    let batches: Vec<_> = planned.execute().await?.try_collect().await?;
    Ok((schema, lines(&batches)))
}

fn kind(error: &Error) -> Kind {
    match error {
        Error::InvalidArgument { .. } => Kind::Invalid,
        Error::NotFound(_) => Kind::NotFound,
        Error::PermissionDenied(_) | Error::ReadOnly => Kind::Denied,
        Error::Unimplemented(_) => Kind::Unimplemented,
        Error::ResourceExhausted(_) => Kind::Exhausted,
        Error::Internal { .. } => Kind::Internal,
        _ => Kind::Other,
    }
}

/// Rows as text, in the order that they came.
pub(super) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    cells(batches)
}

/// Names, types and nullability; how a text lies in memory is nobody's affair.
pub(super) fn schema_line(schema: &Schema) -> String {
    let fields = schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "?" } else { "" };
        format!("{} {}{null}", field.name(), plain(field.data_type()))
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn plain(data_type: &DataType) -> String {
    data_type
        .to_string()
        .replace("Utf8View", "Utf8")
        .replace("LargeUtf8", "Utf8")
        .replace("BinaryView", "Binary")
}
