//! What is planned for one call and run by the next: what a client sees is what it would see if
//! it were planned again.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::FlightInfo;
use arrow_flight::sql::CommandPreparedStatementQuery;
use tonic::Code;

use super::start;
use crate::support::{TestClient, TestServer, cells};

const COUNT: &str = "SELECT count(*) FROM sales.orders";

/// The `FlightInfo` of a statement that was just prepared.
async fn prepared_info(client: &TestClient, sql: &str) -> (bytes::Bytes, FlightInfo) {
    let handle = client.prepared_handle(sql).await.unwrap();
    let info = executed(client, &handle).await.unwrap();
    (handle, info)
}

async fn executed(client: &TestClient, handle: &bytes::Bytes) -> Result<FlightInfo, tonic::Status> {
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    };
    client.command(&command).await
}

async fn count(client: &TestClient, info: &FlightInfo) -> String {
    cells(&client.fetch(info).await.unwrap()).join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_run_once_and_its_ticket_and_handle_go_on() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let (handle, info) = prepared_info(&ana, COUNT).await;
    let first = count(&ana, &info).await;
    assert_eq!(count(&ana, &info).await, first);
    let again = executed(&ana, &handle).await.unwrap();
    assert_eq!(count(&ana, &again).await, first);
    // Each run is a statement of its own.
    assert_ne!(again.app_metadata, info.app_metadata);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_taken_back_in_between_is_not_there() {
    let (mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let (handle, info) = prepared_info(&ana, COUNT).await;
    let plain = ana.info(COUNT).await.unwrap();
    let other = ana.prepared_handle(COUNT).await.unwrap();
    mesh.grants("sales", "");
    server.live.reload().await;
    let missing = ana.fails(COUNT).await;
    for (what, failed) in [
        ("ticket of prepared", ana.fetch(&info).await.unwrap_err()),
        ("ticket", ana.fetch(&plain).await.unwrap_err()),
        ("handle", executed(&ana, &handle).await.unwrap_err()),
        ("new handle", executed(&ana, &other).await.unwrap_err()),
    ] {
        assert_eq!(failed.code(), missing.code(), "{what}");
        assert_eq!(failed.message(), missing.message(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_filter_changed_in_between_counts() {
    let (mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let (_, info) = prepared_info(&ana, COUNT).await;
    let plain = ana.info(COUNT).await.unwrap();
    mesh.grants(
        "sales",
        "\n- name: few\n  to: [group:analysts]\n  on: orders\n  columns: '*'\n  rows: \"id < 7\"\n",
    );
    server.live.reload().await;
    assert_eq!(count(&ana, &info).await, "7");
    assert_eq!(count(&ana, &plain).await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_for_one_is_nobody_elses() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let bo = server.client("bo", "pw-bo").await;
    let (handle, info) = prepared_info(&bo, COUNT).await;
    ana.fetch(&info).await.unwrap_err();
    executed(&ana, &handle).await.unwrap_err();
    // An attempt takes nothing away from its owner.
    assert_eq!(count(&bo, &info).await, super::ROWS.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_call_that_runs_count() {
    let (_mesh, server) = start().await;
    let zone = "SELECT CAST(TIMESTAMPTZ '2026-01-01T00:00:00Z' AS VARCHAR)";
    let (utc, east) = (
        client(&server, "UTC").await,
        client(&server, "+05:00").await,
    );
    let there = utc.value(zone).await;
    assert_ne!(east.value(zone).await, there);
    // A statement keeps the options that it was prepared with, whoever runs it.
    let (_, info) = prepared_info(&utc, zone).await;
    assert_eq!(count(&east, &info).await, there);
}

async fn client(server: &TestServer, zone: &str) -> TestClient {
    let client = server.client("ana", "pw-ana").await;
    client.with_header("x-weft-timezone", zone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_prepared_long_ago_has_the_time_of_its_run() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let now = "SELECT CAST(EXTRACT(EPOCH FROM now()) * 1000 AS BIGINT)";
    let handle = ana.prepared_handle(now).await.unwrap();
    let before: i64 = ana.value(now).await.parse().unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let info = executed(&ana, &handle).await.unwrap();
    let after: i64 = count(&ana, &info).await.parse().unwrap();
    assert!(after - before >= 1400, "{before} {after}");
}

/// Asked so often that the server knows the statement.
async fn known(client: &TestClient, sql: &str) -> Vec<String> {
    let first = client.rows(sql).await;
    assert_eq!(client.rows(sql).await, first);
    first
}

const IDS: &str = "SELECT count(*), min(id), max(amount) FROM sales.orders";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_asked_again_is_answered_by_what_is_granted_now() {
    let (mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(known(&ana, IDS).await, ["500|0|998.00"]);
    // Each has an answer of their own, whoever asked first.
    assert_eq!(known(&bo, IDS).await, ["1000|0|999.00"]);
    assert_eq!(known(&ana, IDS).await, ["500|0|998.00"]);
    let grant = |columns: &str, rows: &str| {
        format!(
            "\n- name: it\n  to: [group:analysts]\n  on: orders\n  columns: {columns}\n  rows: \"{rows}\"\n"
        )
    };
    mesh.grants("sales", &grant("'*'", "id >= 10 AND id < 17"));
    server.live.reload().await;
    assert_eq!(known(&ana, IDS).await, ["7|10|16.00"]);
    assert_eq!(bo.fails(IDS).await.code(), Code::NotFound);
    let masked = grant("'*'", "id < 2") + "  masks: {amount: nullify}\n";
    mesh.grants("sales", &masked);
    server.live.reload().await;
    assert_eq!(known(&ana, IDS).await, ["2|0|∅"]);
    mesh.grants("sales", &grant("[id, region]", "id < 2"));
    server.live.reload().await;
    assert!(ana.fails(IDS).await.message().contains("amount"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_asked_again_reads_the_files_of_now() {
    let (mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(known(&bo, COUNT).await, ["1000"]);
    std::fs::remove_file(mesh.data("sales").join("orders/1.parquet")).unwrap();
    server.live.refresh().await;
    assert_eq!(known(&bo, COUNT).await, ["500"]);
    std::fs::remove_file(mesh.data("sales").join("orders/0.parquet")).unwrap();
    server.live.refresh().await;
    assert_eq!(known(&bo, COUNT).await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_prepared_again_takes_the_values_of_each_run() {
    let (_mesh, server) = start().await;
    let mut ana = server.client("ana", "pw-ana").await;
    for (least, expected) in [(990, "5"), (0, "500"), (990, "5")] {
        let sql = "SELECT count(*) FROM sales.orders WHERE id >= $1";
        let mut statement = ana.flight.prepare(sql.to_owned(), None).await.unwrap();
        let values: ArrayRef = Arc::new(Int64Array::from(vec![least]));
        let values = RecordBatch::try_from_iter([("$1", values)]).unwrap();
        statement.set_parameters(values).unwrap();
        let info = statement.execute().await.unwrap();
        assert_eq!(count(&ana, &info).await, expected);
    }
}
