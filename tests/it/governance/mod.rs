//! Who sees what, over the wire: cells, names, changes, and bad input.

mod bad_input;
mod bad_manifest;
mod bad_sql;
mod cells;
mod drift;
mod explain;
mod identity;
mod masks;
mod names;
mod odd_values;
mod reload;
mod tables;
mod until;
mod whole_model;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use tonic::{Code, Status};

use crate::support::{MeshDir, TestClient, TestServer, contract, csv, json_lines, parquet};

/// How a fixture's table is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Parquet,
    Csv,
    Json,
}

impl Stored {
    /// The contract of `table` in files of this format below `data/<table>`.
    fn contract(self, table: &str, columns: &str) -> String {
        let (format, extension) = self.names();
        contract(
            table,
            format,
            &format!("data/{table}/*.{extension}"),
            columns,
        )
    }

    /// Writes one file of `table`; Parquet in row groups of two rows.
    fn write(self, mesh: &MeshDir, domain: &str, table: &str, file: &str, batch: &RecordBatch) {
        let name = format!("{table}/{file}.{}", self.names().1);
        let path = mesh.data(domain).join(name);
        let batches = std::slice::from_ref(batch);
        match self {
            Self::Parquet => parquet(&path, batches, 2),
            Self::Csv => csv(&path, batches),
            Self::Json => json_lines(&path, batches),
        }
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Parquet => ("parquet", "parquet"),
            Self::Csv => ("csv", "csv"),
            Self::Json => ("json", "ndjson"),
        }
    }
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn ints<const N: usize>(values: [i64; N]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn floats<const N: usize>(values: [f64; N]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Texts, where `∅` is NULL.
fn texts<const N: usize>(values: [&str; N]) -> ArrayRef {
    let values = values.iter().map(|text| (*text != "∅").then_some(*text));
    Arc::new(values.collect::<StringArray>())
}

/// A client in a session of its own: the bearer that a handshake gave it.
async fn login(server: &TestServer, user: &str, password: &str) -> TestClient {
    let mut client = TestClient::anonymous(server.channel().await);
    client.flight.handshake(user, password).await.unwrap();
    client
}

/// The status of a table that is missing or hidden.
#[track_caller]
fn assert_missing(status: &Status, table: &str) {
    let message = format!("table `{table}` does not exist or is not granted to you");
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, message.as_str())
    );
}

/// What went wrong left a server that answers.
async fn assert_alive(client: &TestClient) {
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}
