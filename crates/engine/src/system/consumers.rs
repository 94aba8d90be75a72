//! `system.consumers`: who reads which table, and how often.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use datafusion::arrow::{
    array::{ArrayRef, Int64Array},
    datatypes::DataType,
    record_batch::RecordBatch,
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use weft_audit::{AuditRecord, Kind, Trail};

use super::{
    Look, SystemColumn, SystemTable,
    arrays::{moment, moments, text, text_or_null},
    audit::seen,
    table::batch_of,
};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Consumers(pub(super) Arc<Trail>);

/// Who reads what for what.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    domain: String,
    table: String,
    version: u64,
    principal: String,
    acting: Option<String>,
    purpose: Option<String>,
}

#[derive(Debug)]
struct Reads {
    count: u64,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl SystemTable for Consumers {
    fn name(&self) -> &'static str {
        "consumers"
    }

    fn description(&self) -> &'static str {
        "Who read which table how often, as far as the audit trail goes back; unless you answer for the domain, only you"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let text = |name, description| SystemColumn::new(name, DataType::Utf8, description);
        let number = |name, description| SystemColumn::new(name, DataType::Int64, description);
        let moment = |name, description| SystemColumn::new(name, moment(), description).nullable();
        vec![
            text("domain", "the SQL schema"),
            text("table_name", "the name of the table"),
            number("version", "its major version"),
            text("principal", "whose rights counted"),
            text("acting", "the service that acted for the principal").nullable(),
            text("purpose", "what the data was for").nullable(),
            number(
                "statements",
                "how many statements read it, those that failed too",
            ),
            moment("first_at", "when the first began"),
            moment("last_at", "when the last began"),
        ]
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let schema = SystemColumn::schema(&self.columns());
        let some = look.batch_size.max(1);
        let counted =
            seen(&self.0, &look).try_fold(BTreeMap::new(), |mut counted, records| async move {
                records
                    .into_iter()
                    .for_each(|record| count(&mut counted, record));
                Ok(counted)
            });
        let batches = stream::once(counted).map_ok(move |counted| {
            let rows: Vec<(Key, Reads)> = counted.into_iter().collect();
            let batch = |rows: &[(Key, Reads)]| {
                let columns = vec![
                    text(rows.iter().map(|(key, _)| &key.domain)),
                    text(rows.iter().map(|(key, _)| &key.table)),
                    numbers(rows.iter().map(|(key, _)| key.version)),
                    text(rows.iter().map(|(key, _)| &key.principal)),
                    text_or_null(rows.iter().map(|(key, _)| key.acting.as_deref())),
                    text_or_null(rows.iter().map(|(key, _)| key.purpose.as_deref())),
                    numbers(rows.iter().map(|(_, reads)| reads.count)),
                    moments(rows.iter().map(|(_, reads)| Some(reads.first))),
                    moments(rows.iter().map(|(_, reads)| Some(reads.last))),
                ];
                batch_of(&schema, columns)
            };
            let batches: Vec<Result<RecordBatch>> = rows.chunks(some).map(batch).collect();
            stream::iter(batches)
        });
        batches.try_flatten().boxed()
    }
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    let values = values.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    Arc::new(Int64Array::from_iter_values(values))
}

/// A statement that ran has read its tables; a refused one has only named them.
fn count(counted: &mut BTreeMap<Key, Reads>, record: AuditRecord) {
    let AuditRecord {
        kind,
        started_at,
        principal: Some(principal),
        acting,
        purpose,
        tables,
        ..
    } = record
    else {
        return;
    };
    if kind != Kind::Statement {
        return;
    }
    for table in tables {
        let Some(version) = table.version else {
            continue;
        };
        let key = Key {
            domain: table.domain,
            table: table.table,
            version,
            principal: principal.clone(),
            acting: acting.clone(),
            purpose: purpose.clone(),
        };
        let reads = counted.entry(key).or_insert(Reads {
            count: 0,
            first: started_at,
            last: started_at,
        });
        reads.count += 1;
        reads.first = reads.first.min(started_at);
        reads.last = reads.last.max(started_at);
    }
}
