//! The audit trail: what is recorded, and what neither a kill nor a full disk loses.

mod cost;
mod full_disk;
mod kill;
mod outcomes;
mod places;
mod seen;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weft_audit::{AuditRecord, Trail};

use crate::support::{MeshDir, TestServer, contract, parquet};

const GRANTS: &str = "
- name: own-region
  to: [group:analysts]
  on: orders
  columns: '*'
  rows: \"region = session.attr('region')\"
- name: shipping
  to: [group:analysts]
  on: addresses
  columns: '*'
  purposes: [fulfilment]
";

/// Ana and Bo are analysts, Cy sees nothing. The service `bi` may act for analysts.
fn mesh(audit: &str) -> MeshDir {
    mesh_of(audit, 3)
}

fn mesh_of(audit: &str, rows: i64) -> MeshDir {
    let columns = |name: &str| {
        format!(
            "- {{name: id, logicalType: integer, required: true}}\n- {{name: {name}, logicalType: string}}"
        )
    };
    let table = |name: &str, column: &str| {
        contract(
            name,
            "parquet",
            &format!("data/{name}/*.parquet"),
            &columns(column),
        )
    };
    let mesh = MeshDir::new("acme")
        .with_head("guardrails: guardrails.yaml")
        .with_head("secret: file:secrets/mesh")
        .with_head(audit)
        .user("ana", "pw-of-ana", &["analysts"], &[("region", "EU")])
        .user("bo", "pw-of-bo", &["analysts"], &[("region", "US")])
        .user("cy", "pw-of-cy", &[], &[])
        .service_for("bi", "token-of-bi", &[], &[], &["analysts"])
        .domain(
            "sales",
            GRANTS,
            &[&table("orders", "region"), &table("addresses", "street")],
        );
    mesh.write("secrets/mesh", "a secret for the tests of the audit trail");
    mesh.guardrails(
        "- name: veil\n  on: {tables: [sales.addresses], column: street}\n  mask: hash",
    );
    for (name, column) in [("orders", "region"), ("addresses", "street")] {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=rows));
        let texts = (1..=rows).map(|id| if id % 3 == 2 { "US" } else { "EU" });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("id", ids), (column, texts)]).unwrap();
        let path = mesh.data("sales").join(name).join("0.parquet");
        parquet(&path, &[batch], 10_000);
    }
    mesh
}

const HERE: &str = "audit: {url: ./audit/}";

/// What the trail of a running server says, running statements too.
async fn records(server: &TestServer) -> Vec<AuditRecord> {
    trail(server)
        .reader()
        .unwrap()
        .records()
        .try_concat()
        .await
        .unwrap()
}

fn trail(server: &TestServer) -> &Arc<Trail> {
    server.audit.as_ref().unwrap()
}

/// The records of this statement, once there are so many that have ended.
async fn ended(server: &TestServer, sql: &str, count: usize) -> Vec<AuditRecord> {
    for _ in 0..200 {
        let mut found = records(server).await;
        found.retain(|record| record.sql.as_deref() == Some(sql) && record.ended_at.is_some());
        if found.len() >= count {
            assert_eq!(found.len(), count, "{found:#?}");
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("`{sql}` is not recorded: {:#?}", records(server).await);
}

/// Every finished file in a folder is read whole: SQL and outcome of each record.
fn archived(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') || !name.ends_with(".parquet") {
            continue;
        }
        let bytes = Bytes::from(fs::read(&path).unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for batch in reader {
            let batch = batch.unwrap();
            let sql = batch.column_by_name("sql").unwrap().as_string::<i32>();
            let outcome = batch.column_by_name("outcome").unwrap().as_string::<i32>();
            for row in 0..batch.num_rows() {
                let sql = if sql.is_valid(row) {
                    sql.value(row)
                } else {
                    ""
                };
                all.push((sql.to_owned(), outcome.value(row).to_owned()));
            }
        }
    }
    all
}
