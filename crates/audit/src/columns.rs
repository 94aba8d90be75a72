//! Records as columns, and back.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayBuilder as _, ArrayRef, AsArray, Int64Array, Int64Builder, ListArray, RecordBatch,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, Fields, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::record::{AuditRecord, Kind, Outcome, TableUse};

/// The columns of a finished file.
///
/// | column | is |
/// |---|---|
/// | `query_id` | what the client was told; NULL for what never became a query |
/// | `server` | the run of the server that wrote it |
/// | `started_at`, `ended_at`, `duration_us` | NULL end: it runs, or the server ended first |
/// | `kind` | `statement`, `plan`, `prepare`, `metadata`, `login`, `call`, `trail` |
/// | `principal`, `acting`, `claimed` | whose rights; which service acted; who a refused caller said to be |
/// | `peer`, `client`, `purpose` | address, user agent, what the data is for |
/// | `sql`, `parameters` | the statement as sent; the bound rows as JSON |
/// | `tables` | a list: `domain`, `table_name`, `version`, `columns`, `grants`, `guardrails`, `snapshot` |
/// | `domains` | the domains of `tables` |
/// | `epoch` | which reading of the manifests decided, counted in each run |
/// | `rows`, `bytes` | handed to the connection |
/// | `outcome`, `code`, `error` | how it ended; the gRPC code and the text that the client read |
/// | `left_out` | how many like this were not recorded one by one |
/// | `lineage` | which columns fed which, as JSON |
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    let number = |name, nullable| Field::new(name, DataType::Int64, nullable);
    let time = |name, nullable| {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
        Field::new(name, utc, nullable)
    };
    Arc::new(Schema::new(vec![
        text("query_id", true),
        text("server", false),
        time("started_at", false),
        time("ended_at", true),
        number("duration_us", true),
        text("kind", false),
        text("principal", true),
        text("acting", true),
        text("claimed", true),
        text("peer", true),
        text("client", true),
        text("purpose", true),
        text("sql", true),
        text("parameters", true),
        Field::new("tables", DataType::List(table_item()), false),
        Field::new("domains", DataType::List(text_item()), false),
        number("epoch", true),
        number("rows", false),
        number("bytes", false),
        text("outcome", false),
        text("code", true),
        text("error", true),
        number("left_out", false),
        text("lineage", true),
    ]))
});

fn text_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Utf8, false))
}

fn table_fields() -> Fields {
    let names = |name: &str| Field::new(name, DataType::List(text_item()), false);
    Fields::from(vec![
        Field::new("domain", DataType::Utf8, false),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("version", DataType::Int64, true),
        names("columns"),
        names("grants"),
        names("guardrails"),
        Field::new("snapshot", DataType::Utf8, true),
    ])
}

fn table_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(table_fields()), false))
}

/// The records as one batch of [`schema`].
pub fn to_batch(records: &[AuditRecord]) -> Result<RecordBatch, ArrowError> {
    let all = || records.iter();
    let text = |of: fn(&AuditRecord) -> Option<&str>| -> ArrayRef {
        Arc::new(all().map(of).collect::<StringArray>())
    };
    let number = |of: fn(&AuditRecord) -> Option<i64>| -> ArrayRef {
        Arc::new(all().map(of).collect::<Int64Array>())
    };
    let time = |of: fn(&AuditRecord) -> Option<DateTime<Utc>>| -> ArrayRef {
        let times = all().map(|record| of(record).map(|time| time.timestamp_micros()));
        Arc::new(
            times
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        )
    };
    let owned = |of: fn(&AuditRecord) -> Option<String>| -> ArrayRef {
        Arc::new(all().map(of).collect::<StringArray>())
    };
    RecordBatch::try_new(
        schema(),
        vec![
            owned(|record| record.query_id.map(|id| id.to_string())),
            owned(|record| Some(record.server.to_string())),
            time(|record| Some(record.started_at)),
            time(|record| record.ended_at),
            number(|record| {
                let taken = record.duration()?.as_micros();
                Some(i64::try_from(taken).unwrap_or(i64::MAX))
            }),
            text(|record| Some(record.kind.as_str())),
            text(|record| record.principal.as_deref()),
            text(|record| record.acting.as_deref()),
            text(|record| record.claimed.as_deref()),
            text(|record| record.peer.as_deref()),
            text(|record| record.client.as_deref()),
            text(|record| record.purpose.as_deref()),
            text(|record| record.sql.as_deref()),
            text(|record| record.parameters.as_deref()),
            tables(records)?,
            texts(all().map(AuditRecord::domains))?,
            number(|record| record.epoch.map(signed)),
            number(|record| Some(signed(record.rows))),
            number(|record| Some(signed(record.bytes))),
            text(|record| Some(record.outcome.as_str())),
            text(|record| record.code.as_deref()),
            text(|record| record.error.as_deref()),
            number(|record| Some(signed(record.left_out))),
            text(|record| record.lineage.as_deref()),
        ],
    )
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn tables(records: &[AuditRecord]) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(records.iter().map(|record| record.tables.len()));
    let all = || records.iter().flat_map(|record| &record.tables);
    let mut version = Int64Builder::new();
    all().for_each(|table| version.append_option(table.version.map(signed)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            all()
                .map(|table| Some(&table.domain))
                .collect::<StringArray>(),
        ),
        Arc::new(
            all()
                .map(|table| Some(&table.table))
                .collect::<StringArray>(),
        ),
        Arc::new(version.finish()),
        texts(all().map(|table| &table.columns))?,
        texts(all().map(|table| &table.grants))?,
        texts(all().map(|table| &table.guardrails))?,
        Arc::new(
            all()
                .map(|table| table.snapshot.as_deref())
                .collect::<StringArray>(),
        ),
    ];
    let items = StructArray::try_new(table_fields(), columns, None)?;
    let list = ListArray::try_new(table_item(), offsets, Arc::new(items), None)?;
    Ok(Arc::new(list))
}

fn texts<L>(lists: impl Iterator<Item = L>) -> Result<ArrayRef, ArrowError>
where
    L: IntoIterator<Item: AsRef<str>>,
{
    let mut values = StringBuilder::new();
    let mut lengths = Vec::new();
    for list in lists {
        let before = values.len();
        list.into_iter().for_each(|text| values.append_value(text));
        lengths.push(values.len() - before);
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(text_item(), offsets, Arc::new(values.finish()), None)?;
    Ok(Arc::new(list))
}

/// The records of a batch. Columns of a later version are not looked at, and those that it
/// does not have yet are empty.
pub(crate) fn from_batch(batch: &RecordBatch) -> Result<Vec<AuditRecord>, ArrowError> {
    let rows = Rows(batch);
    (0..batch.num_rows()).map(|row| rows.record(row)).collect()
}

struct Rows<'a>(&'a RecordBatch);

impl Rows<'_> {
    fn record(&self, row: usize) -> Result<AuditRecord, ArrowError> {
        let wrong = |column: &str| {
            ArrowError::SchemaError(format!(
                "column `{column}` of the audit trail is not readable"
            ))
        };
        let text = |column| self.text(column, row);
        let owned = |column| text(column).map(str::to_owned);
        let number = |column| self.number(column, row);
        Ok(AuditRecord {
            query_id: text("query_id").and_then(|id| Uuid::parse_str(id).ok()),
            server: text("server")
                .and_then(|id| Uuid::parse_str(id).ok())
                .ok_or_else(|| wrong("server"))?,
            started_at: self
                .time("started_at", row)
                .ok_or_else(|| wrong("started_at"))?,
            ended_at: self.time("ended_at", row),
            kind: text("kind")
                .and_then(Kind::parse)
                .ok_or_else(|| wrong("kind"))?,
            principal: owned("principal"),
            acting: owned("acting"),
            claimed: owned("claimed"),
            peer: owned("peer"),
            client: owned("client"),
            purpose: owned("purpose"),
            sql: owned("sql"),
            parameters: owned("parameters"),
            tables: self.tables(row).ok_or_else(|| wrong("tables"))?,
            epoch: number("epoch"),
            rows: number("rows").unwrap_or_default(),
            bytes: number("bytes").unwrap_or_default(),
            outcome: text("outcome")
                .and_then(Outcome::parse)
                .ok_or_else(|| wrong("outcome"))?,
            code: owned("code"),
            error: owned("error"),
            left_out: number("left_out").unwrap_or_default(),
            lineage: owned("lineage"),
        })
    }

    fn text(&self, column: &str, row: usize) -> Option<&str> {
        let array = self.0.column_by_name(column)?.as_string_opt::<i32>()?;
        array.is_valid(row).then(|| array.value(row))
    }

    fn number(&self, column: &str, row: usize) -> Option<u64> {
        let array = self.0.column_by_name(column)?;
        let array = array.as_primitive_opt::<Int64Type>()?;
        let valid = array.is_valid(row).then(|| array.value(row))?;
        u64::try_from(valid).ok()
    }

    fn time(&self, column: &str, row: usize) -> Option<DateTime<Utc>> {
        let array = self.0.column_by_name(column)?;
        let array = array.as_primitive_opt::<TimestampMicrosecondType>()?;
        let valid = array.is_valid(row).then(|| array.value(row))?;
        DateTime::from_timestamp_micros(valid)
    }

    fn tables(&self, row: usize) -> Option<Vec<TableUse>> {
        let list = self
            .0
            .column_by_name("tables")?
            .as_list_opt::<i32>()?
            .value(row);
        let items = list.as_struct_opt()?;
        let text = |name: &str, at: usize| {
            let array = items.column_by_name(name)?.as_string_opt::<i32>()?;
            array.is_valid(at).then(|| array.value(at).to_owned())
        };
        let names = |name: &str, at: usize| {
            let list = items.column_by_name(name)?.as_list_opt::<i32>()?.value(at);
            let list = list.as_string_opt::<i32>()?;
            Some(list.iter().flatten().map(str::to_owned).collect())
        };
        let version = |at: usize| {
            let array = items.column_by_name("version")?;
            let array = array.as_primitive_opt::<Int64Type>()?;
            let valid = array.is_valid(at).then(|| array.value(at))?;
            u64::try_from(valid).ok()
        };
        let table = |at| {
            Some(TableUse {
                domain: text("domain", at)?,
                table: text("table_name", at)?,
                version: version(at),
                columns: names("columns", at)?,
                grants: names("grants", at)?,
                guardrails: names("guardrails", at)?,
                snapshot: text("snapshot", at),
            })
        };
        (0..items.len()).map(table).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record with everything, and one with as little as there may be.
    pub(crate) fn records() -> Vec<AuditRecord> {
        let text = |text: &str| Some(text.to_owned());
        let mut full = AuditRecord::new(Kind::Statement);
        full.started_at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        full.ended_at = Some(full.started_at + chrono::TimeDelta::milliseconds(5));
        full.query_id = Some(Uuid::new_v4());
        full.server = Uuid::new_v4();
        full.principal = text("user:ana");
        full.acting = text("service:bi");
        full.claimed = text("bo");
        full.peer = text("127.0.0.1:5");
        full.client = text("tonic");
        full.purpose = text("fulfilment");
        full.sql = text("SELECT 1");
        full.parameters = text("[[\"1\"]]");
        full.tables = vec![
            TableUse {
                domain: "sales".to_owned(),
                table: "orders".to_owned(),
                version: Some(2),
                columns: vec!["id".to_owned(), "amount".to_owned()],
                grants: vec!["analysts".to_owned()],
                guardrails: vec!["no-pii".to_owned()],
                snapshot: text("00ff"),
            },
            TableUse {
                domain: "crm".to_owned(),
                table: "x".to_owned(),
                ..TableUse::default()
            },
        ];
        full.epoch = Some(3);
        full.rows = 7;
        full.bytes = 800;
        full.outcome = Outcome::Ok;
        full.code = text("NotFound");
        full.error = text("no");
        full.left_out = 1;
        full.lineage = text("{}");
        let mut bare = AuditRecord::new(Kind::Login);
        bare.started_at = full.started_at;
        bare.outcome = Outcome::Refused;
        vec![full, bare]
    }

    #[test]
    fn records_survive_as_columns_and_as_lines() {
        let records = records();
        let batch = to_batch(&records).unwrap();
        assert_eq!(batch.schema(), schema());
        assert_eq!(from_batch(&batch).unwrap(), records);
        assert_eq!(from_batch(&batch.slice(1, 1)).unwrap(), records[1..]);
        assert_eq!(
            records[0].domains().into_iter().collect::<Vec<_>>(),
            ["crm", "sales"]
        );
        for record in &records {
            let json = serde_json::to_string(record).unwrap();
            assert_eq!(serde_json::from_str::<AuditRecord>(&json).unwrap(), *record);
        }
        assert_eq!(to_batch(&[]).unwrap().num_rows(), 0);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
