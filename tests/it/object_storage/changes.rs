//! Files that change while the server runs.

use std::time::{Duration, Instant};

use tonic::Code;

use super::fixture::{
    BUCKET, FILE, KEY, PASSWORD, assert_names_the_table, assert_tells_nothing, mesh, readings,
    secrets_of, with_readings,
};
use crate::support::{MeshDir, TestClient, TestS3, TestServer, TestServerConfig};

const SUM: &str = "SELECT sum(value) FROM sales.readings";

async fn lake_of_one_file() -> (TestS3, MeshDir) {
    let s3 = TestS3::start(&[BUCKET], &[KEY]);
    s3.put(BUCKET, FILE, readings(0..10, 1, 5)).await;
    let location = "s3://acme-sales/lake/readings/*.parquet";
    let mesh = with_readings(
        mesh(),
        &s3,
        "sales",
        "s3://acme-sales/lake/",
        location,
        &KEY,
    );
    (s3, mesh)
}

async fn becomes(client: &TestClient, statement: &str, wanted: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let found = match client.query(statement).await {
            Ok(_) => client.value(statement).await,
            Err(status) => status.to_string(),
        };
        if found == wanted {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_overwritten_between_plan_and_read_is_an_error_that_names_the_table() {
    let (s3, mesh) = lake_of_one_file().await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let secrets = secrets_of(&mesh, &s3, &[&KEY]);
    // Once with the footer unread, once with the old footer at hand; sizes stay the same.
    for (value, known) in [(2, false), (3, true)] {
        if known {
            assert_eq!(ana.value(SUM).await, "20");
        }
        let planned = ana.info("SELECT * FROM sales.readings").await.unwrap();
        s3.put(BUCKET, FILE, readings(0..10, value, 5)).await;
        let status = ana.fetch(&planned).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert_names_the_table(&status, "sales.readings");
        assert_tells_nothing(&status, &secrets);
        server.live.refresh().await;
        assert_eq!(ana.value(SUM).await, (10 * value).to_string());
        // The statistics are the new file's as well.
        let pruned = format!("SELECT count(*) FROM sales.readings WHERE value = {value}");
        assert_eq!(ana.value(&pruned).await, "10");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_is_an_error_that_names_the_table() {
    let (s3, mesh) = lake_of_one_file().await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    s3.delete(BUCKET, FILE).await;
    let status = ana.fails(SUM).await;
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_names_the_table(&status, "sales.readings");
    assert_tells_nothing(&status, &secrets_of(&mesh, &s3, &[&KEY]));
    server.live.refresh().await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.readings").await, "0");
}

/// The next turn of the poller is an hour away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_meets_a_changed_file_makes_the_next_ones_work() {
    let (s3, mesh) = lake_of_one_file().await;
    let config = TestServerConfig {
        refresh: Some(Duration::from_secs(3600)),
        ..TestServerConfig::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_eq!(ana.value(SUM).await, "10");
    s3.put(BUCKET, FILE, readings(0..10, 4, 5)).await;
    let took = becomes(&ana, SUM, "40").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_is_seen_after_the_refresh_interval() {
    let (s3, mesh) = lake_of_one_file().await;
    let config = TestServerConfig {
        refresh: Some(Duration::from_millis(300)),
        ..TestServerConfig::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_eq!(ana.value(SUM).await, "10");
    s3.put(BUCKET, "lake/readings/b.parquet", readings(10..20, 1, 5))
        .await;
    // Not a file of this table.
    s3.put(BUCKET, "lake/readings/c.csv", "id,value\n1,1\n")
        .await;
    let took = becomes(&ana, SUM, "20").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    s3.delete(BUCKET, FILE).await;
    becomes(&ana, "SELECT min(id) FROM sales.readings", "10").await;
}

/// What was planned before a refresh reads what the refresh found, or fails: never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_survives_a_refresh() {
    let (s3, mesh) = lake_of_one_file().await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let planned = ana.info(SUM).await.unwrap();
    s3.put(BUCKET, FILE, readings(0..10, 5, 5)).await;
    server.live.refresh().await;
    let rows = ana.fetch(&planned).await.unwrap();
    let sum = arrow::util::display::array_value_to_string(rows[0].column(0), 0).unwrap();
    assert_eq!(sum, "50");
}
