//! Limits of the mesh: what statements of the members of a group may take, and what those are
//! told who reach one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::CommandGetCatalogs;
use futures::TryStreamExt;
use tonic::{Code, Status};
use weft_engine::EngineConfig;

use crate::protocol::mesh;
use crate::support::{MeshDir, TestClient, TestServer, TestServerConfig, status};

/// Computes for longer than any test, without a row.
const HEAVY: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, \
    generate_series(1, 1000000) b";
/// Ana sees 500 of the rows, Bo all of the 1,000.
const ORDERS: &str = "SELECT id FROM sales.orders ORDER BY id";

/// The mesh with these items of `limits`; Ana is an analyst, Bo is not.
async fn start(limits: &str, engine: EngineConfig) -> (MeshDir, TestServer) {
    let mesh = mesh().with_head(&format!("limits:\n{limits}"));
    let config = TestServerConfig {
        engine,
        ..TestServerConfig::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    (mesh, server)
}

/// How many rows come, and how the result ends.
async fn read(client: &TestClient, sql: &str) -> (usize, Result<(), Status>) {
    let info = client.info(sql).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = client.flight.clone();
    let mut stream = flight.do_get(ticket).await.map_err(status).unwrap();
    let mut rows = 0;
    loop {
        match stream.try_next().await {
            Ok(Some(batch)) => rows += batch.num_rows(),
            Ok(None) => return (rows, Ok(())),
            Err(error) => return (rows, Err(status(error))),
        }
    }
}

async fn count(client: &TestClient, sql: &str) -> usize {
    match read(client, sql).await {
        (rows, Ok(())) => rows,
        (rows, Err(status)) => panic!("`{sql}` ends after {rows} rows: {status}"),
    }
}

#[track_caller]
fn assert_refused(refused: &Status, code: Code, beginning: &str) {
    assert_eq!(refused.code(), code, "{refused:?}");
    assert!(refused.message().starts_with(beginning), "{refused:?}");
}

#[tokio::test]
async fn a_result_has_so_many_rows_at_most() {
    let limits = "  - {name: analysts-rows, for: [group:analysts], rows: 500}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let ana = server.client("ana", "pw-ana").await;
    // The very number, of rows that she may see: what is hidden from her counts for nothing.
    assert_eq!(count(&ana, ORDERS).await, 500);
    let beyond = ana
        .fails("SELECT id FROM sales.orders UNION ALL SELECT 1")
        .await;
    assert_refused(
        &beyond,
        Code::ResourceExhausted,
        "limit `analysts-rows` (rows 500): the statement returns more; \
         filter or aggregate, or write `LIMIT 500` (query ",
    );
    // What is read is not what is returned.
    let pairs = "SELECT count(*) FROM sales.orders a, sales.orders b";
    assert_eq!(ana.value(pairs).await, "250000");
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(count(&bo, ORDERS).await, 1_000);
}

#[tokio::test]
async fn a_result_that_is_cut_off_ends_with_an_error() {
    let limits = "  - {name: analysts-rows, for: [group:analysts], rows: 100000}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let ana = server.client("ana", "pw-ana").await;
    let (rows, end) = read(&ana, "SELECT a.id FROM sales.orders a, sales.orders b").await;
    assert!(0 < rows && rows <= 100_000, "{rows} rows");
    assert_refused(
        &end.unwrap_err(),
        Code::ResourceExhausted,
        "limit `analysts-rows` (rows 100000): ",
    );
}

#[tokio::test]
async fn all_rows_of_parameters_are_one_statement() {
    let limits = "  - {name: analysts-rows, for: [group:analysts], rows: 500}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let ana = server.client("ana", "pw-ana").await;
    let sql = "SELECT id FROM sales.orders WHERE id >= ?";
    for (values, is_within) in [(vec![0], true), (vec![500, 500], true), (vec![0, 0], false)] {
        let case = format!("{values:?}");
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        let values = RecordBatch::try_from_iter_with_nullable([("0", column, true)]).unwrap();
        let mut prepared = ana.prepare(sql).await.unwrap();
        prepared.set_parameters(values).unwrap();
        let info = prepared.execute().await.unwrap();
        let answer = ana.fetch(&info).await;
        assert_eq!(answer.is_ok(), is_within, "{case}");
        if let Err(refused) = answer {
            assert_refused(&refused, Code::ResourceExhausted, "limit `analysts-rows`");
        }
    }
}

#[tokio::test]
async fn a_result_weighs_so_much_at_most() {
    let limits = "  - {name: analysts-bytes, for: [group:analysts], bytes: 1KiB}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let ana = server.client("ana", "pw-ana").await;
    // Eight bytes a number.
    assert_eq!(count(&ana, &format!("{ORDERS} LIMIT 128")).await, 128);
    let beyond = ana.fails(&format!("{ORDERS} LIMIT 129")).await;
    assert_refused(
        &beyond,
        Code::ResourceExhausted,
        "limit `analysts-bytes` (bytes 1KiB): the statement returns more; select fewer columns or rows (query ",
    );
    let long = ana.fails("SELECT repeat('x', 1100) AS t").await;
    assert_refused(&long, Code::ResourceExhausted, "limit `analysts-bytes`");
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(count(&bo, ORDERS).await, 1_000);
}

#[tokio::test]
async fn a_statement_has_so_much_memory_at_most() {
    let limits = "  - {name: analysts-memory, for: [group:analysts], memory: 8MiB}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let sql = "SELECT array_length(array_agg(value)) FROM generate_series(1, 1500000)";
    let ana = server.client("ana", "pw-ana").await;
    let beyond = ana.fails(sql).await;
    assert_refused(
        &beyond,
        Code::ResourceExhausted,
        "limit `analysts-memory` (memory 8MiB): the query needs more; \
         select less, or join and group less at a time (query ",
    );
    assert_eq!(count(&ana, ORDERS).await, 500);
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(bo.value(sql).await, "1500000");
}

#[tokio::test]
async fn a_statement_takes_so_long_at_most() {
    let limits = "  - {name: analysts-time, for: [group:analysts], time: 1s}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let bo = server.client("bo", "pw-bo").await;
    #[expect(clippy::disallowed_methods, reason = "the test ends it")]
    let others = tokio::spawn(async move { read(&bo, HEAVY).await.1 });
    let ana = server.client("ana", "pw-ana").await;
    let late = ana.fails(HEAVY).await;
    assert_refused(
        &late,
        Code::DeadlineExceeded,
        "limit `analysts-time` (time 1s): the statement was stopped after 1 s; ask for less at a time (query ",
    );
    // A session that asks for less has less.
    let hasty = ana.clone().with_header("x-weft-statement-timeout", "300ms");
    assert_refused(
        &hasty.fails(HEAVY).await,
        Code::DeadlineExceeded,
        "the statement was stopped after 0.3 s",
    );
    // One that asks for more has no more.
    let patient = ana.with_header("x-weft-statement-timeout", "60s");
    let late = patient.fails(HEAVY).await;
    assert_refused(&late, Code::DeadlineExceeded, "limit `analysts-time`");
    assert!(!others.is_finished());
    others.abort();
}

#[tokio::test]
async fn so_many_statements_run_at_a_time() {
    let limits = "  - {name: analysts-turns, for: [group:analysts], concurrency: 1}";
    let engine = EngineConfig {
        statements: 8,
        queue_timeout: Duration::from_secs(2),
        ..EngineConfig::default()
    };
    let (_mesh, server) = start(limits, engine).await;
    let ana = server.client("ana", "pw-ana").await;
    let running = ana.clone();
    #[expect(clippy::disallowed_methods, reason = "the test ends it")]
    let running = tokio::spawn(async move { read(&running, HEAVY).await.1 });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_refused(
        &ana.fails(ORDERS).await,
        Code::Unavailable,
        "limit `analysts-turns` (concurrency 1): so many of your statements run, \
         and this one waited 2 s for one of them to end; try again (query ",
    );
    // What asks for no data needs no turn, and others have theirs.
    assert!(ana.metadata(&CommandGetCatalogs {}).await.is_ok());
    assert!(ana.info(ORDERS).await.is_ok());
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(count(&bo, ORDERS).await, 1_000);
    running.abort();
    let begun = Instant::now();
    while ana.query(ORDERS).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn of_several_limits_the_smallest_counts() {
    let limits = "
  - {name: all, for: [everyone], rows: 600, time: 5m}
  - {name: analysts, for: [group:analysts], rows: 400}
  - {name: ana, for: [user:ana], rows: 450}";
    let (_mesh, server) = start(limits, EngineConfig::default()).await;
    let ana = server.client("ana", "pw-ana").await;
    assert_eq!(count(&ana, &format!("{ORDERS} LIMIT 400")).await, 400);
    let beyond = ana.fails(&format!("{ORDERS} LIMIT 401")).await;
    assert_refused(
        &beyond,
        Code::ResourceExhausted,
        "limit `analysts` (rows 400): ",
    );
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(count(&bo, &format!("{ORDERS} LIMIT 600")).await, 600);
    let beyond = bo.fails(ORDERS).await;
    assert_refused(&beyond, Code::ResourceExhausted, "limit `all` (rows 600): ");
}

#[tokio::test]
async fn the_next_statement_has_the_limits_of_the_moment() {
    let limits = "  - {name: analysts-rows, for: [group:analysts], rows: 500}";
    let (mesh, server) = start(limits, EngineConfig::default()).await;
    let ana = server.client("ana", "pw-ana").await;
    let mut prepared = ana.prepare(ORDERS).await.unwrap();
    assert_eq!(count(&ana, ORDERS).await, 500);
    let before = ana.info(ORDERS).await.unwrap();

    mesh.change("mesh.yaml", "rows: 500", "rows: 499");
    assert!(server.live.reload().await.applied);
    let lower = "limit `analysts-rows` (rows 499): ";
    let beyond = ana.fails(ORDERS).await;
    assert_refused(&beyond, Code::ResourceExhausted, lower);
    // Tickets and prepared statements carry no limits.
    let beyond = ana.fetch(&before).await.unwrap_err();
    assert_refused(&beyond, Code::ResourceExhausted, lower);
    let info = prepared.execute().await.unwrap();
    let beyond = ana.fetch(&info).await.unwrap_err();
    assert_refused(&beyond, Code::ResourceExhausted, lower);

    // Limits with a fault leave those that were.
    mesh.change("mesh.yaml", "rows: 499", "rows: 0");
    assert!(!server.live.reload().await.applied);
    let beyond = ana.fails(ORDERS).await;
    assert_refused(&beyond, Code::ResourceExhausted, lower);
    mesh.change("mesh.yaml", ", rows: 0}", ", time: 1h}");
    assert!(server.live.reload().await.applied);
    assert_eq!(count(&ana, ORDERS).await, 500);
}
