//! `system.audit`: what was done, for those who answer for it, and for
//! everybody what they did themselves.

use std::sync::Arc;

use datafusion::arrow::{datatypes::DataType, record_batch::RecordBatch};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use weft_audit::{AuditRecord, Sight, Trail};

use super::{Look, SystemColumn, SystemTable, consumers::Consumers, lineage::Lineage};
use crate::error::{Error, Result};

/// The tables of the schema `system` that tell of a trail.
pub fn audit_tables(trail: &Arc<Trail>) -> Vec<Arc<dyn SystemTable>> {
    vec![
        Arc::new(Audit(Arc::clone(trail))),
        Arc::new(Consumers(Arc::clone(trail))),
        Arc::new(Lineage(Arc::clone(trail))),
    ]
}

#[derive(Debug)]
struct Audit(Arc<Trail>);

/// What each column of the trail is.
const COLUMNS: [(&str, &str); 24] = [
    (
        "query_id",
        "what the client was told; NULL for what never became a query",
    ),
    (
        "server",
        "the run of the server: epochs are counted anew in each",
    ),
    ("started_at", "when it was asked for"),
    (
        "ended_at",
        "when it ended; NULL while it runs, and where the server ended first",
    ),
    ("duration_us", "microseconds from start to end"),
    (
        "kind",
        "statement, plan, prepare, metadata, login, call or trail",
    ),
    (
        "principal",
        "whose rights counted; NULL where nobody was let in",
    ),
    ("acting", "the service that acted for the principal"),
    ("claimed", "who a refused caller said to be"),
    ("peer", "the address at the other end of the connection"),
    ("client", "what the client says that it is"),
    ("purpose", "what the data was for"),
    (
        "sql",
        "the statement; for a steward where it is about own domains alone",
    ),
    (
        "parameters",
        "the values that were bound, as JSON; likewise",
    ),
    (
        "tables",
        "what was read and by which grants and guardrails; or what a refused statement named",
    ),
    ("domains", "the domains of these tables"),
    ("epoch", "which reading of the manifests decided"),
    ("rows", "rows that were handed to the connection"),
    ("bytes", "bytes of encoded data, likewise"),
    (
        "outcome",
        "running, ok, error, refused, cancelled, timed_out, revoked or interrupted",
    ),
    ("code", "the gRPC code of an error"),
    (
        "error",
        "what the client read of it; for a steward as the statement",
    ),
    ("left_out", "how many like it were not recorded one by one"),
    (
        "lineage",
        "which columns fed which, as JSON; for a steward as the statement",
    ),
];

impl SystemTable for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn description(&self) -> &'static str {
        "What you did; what was done in the domains that you answer for"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let schema = weft_audit::schema();
        let column = |(name, description): (&'static str, &'static str)| {
            let field = schema.field_with_name(name).ok();
            let data_type = field.map_or(DataType::Utf8, |field| field.data_type().clone());
            let column = SystemColumn::new(name, data_type, description);
            if field.is_none_or(|field| field.is_nullable()) {
                column.nullable()
            } else {
                column
            }
        };
        COLUMNS.into_iter().map(column).collect()
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let seen = seen(&self.0, &look);
        let batches = seen.and_then(|records| async move {
            weft_audit::to_batch(&records).map_err(|error| Error::internal(&error))
        });
        batches.boxed()
    }
}

/// The records of a trail that the viewer of `look` may see, as they see them.
pub(super) fn seen(
    trail: &Arc<Trail>,
    look: &Look,
) -> BoxStream<'static, Result<Vec<AuditRecord>>> {
    let trail = Arc::clone(trail);
    let sight = Sight::of(look.snapshot.policy(), &look.viewer.principal);
    let some = look.batch_size.max(1);
    // Nothing is opened before the stream is polled.
    let reader = async move { trail.reader().map_err(|error| unreadable(&error)) };
    stream::once(reader)
        .map_ok(|reader| reader.records().map_err(|error| unreadable(&error)))
        .try_flatten()
        .map_ok(move |records| {
            let seen = records.into_iter().filter_map(|record| sight.see(record));
            let seen: Vec<AuditRecord> = seen.collect();
            let chunks: Vec<_> = seen.chunks(some).map(|it| Ok(it.to_vec())).collect();
            stream::iter(chunks)
        })
        .try_flatten()
        .boxed()
}

/// The cause may name places: it is for the log.
fn unreadable(error: &weft_audit::Error) -> Error {
    tracing::error!(%error, "the audit trail cannot be read");
    Error::Unavailable("the audit trail cannot be read now".to_owned())
}
