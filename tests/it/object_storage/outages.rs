//! A store that fails, refuses, is away, and comes back.

use std::time::{Duration, Instant};

use tonic::{Code, Status};

use super::fixture::{
    BUCKET, FILE, KEY, PASSWORD, assert_names_the_table, assert_neighbour_lives,
    assert_tells_nothing, mesh, readings, secret_file, secrets_of, with_neighbour, with_readings,
};
use crate::support::{Fault, MeshDir, Operation, TestS3, TestServer};

const SUM: &str = "SELECT sum(value) FROM sales.readings";

async fn lake_and_neighbour() -> (TestS3, MeshDir) {
    let s3 = TestS3::start(&[BUCKET], &[KEY]);
    s3.put(BUCKET, FILE, readings(0..10, 1, 5)).await;
    let location = "s3://acme-sales/lake/readings/*.parquet";
    let mesh = with_neighbour(mesh());
    let mesh = with_readings(mesh, &s3, "sales", "s3://acme-sales/lake/", location, &KEY);
    (s3, mesh)
}

fn assert_unavailable(status: &Status, mesh: &MeshDir, s3: &TestS3) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_names_the_table(status, "sales.readings");
    assert_tells_nothing(status, &secrets_of(mesh, s3, &[&KEY]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_fails_once_is_sent_again() {
    let (s3, mesh) = lake_and_neighbour().await;
    s3.fail(Operation::List, Fault::Unavailable, 1);
    let server = TestServer::start(&mesh).await;
    assert_eq!(s3.counts().list, 2);
    let ana = server.client("ana", PASSWORD).await;
    for fault in [Fault::Unavailable, Fault::Dropped] {
        assert_eq!(ana.value(SUM).await, "10");
        s3.forget_requests();
        assert_eq!(ana.value(SUM).await, "10");
        let undisturbed = s3.counts().get;
        s3.forget_requests();
        s3.fail(Operation::Get, fault, 1);
        assert_eq!(ana.value(SUM).await, "10", "{fault:?}");
        // Its neighbours on a dropped connection are sent again as well.
        assert!(
            s3.counts().get > undisturbed,
            "{fault:?}: {:?}",
            s3.counts()
        );
        assert_eq!(s3.counts().list, 0);
    }
    s3.delay(Duration::from_millis(300));
    assert_eq!(ana.value(SUM).await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_on_and_on_is_unavailable() {
    let (s3, mesh) = lake_and_neighbour().await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    s3.fail(Operation::Get, Fault::Unavailable, 100);
    let begun = Instant::now();
    let status = ana.fails(SUM).await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_unavailable(&status, &mesh, &s3);
    assert_neighbour_lives(&ana).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_store_takes_its_own_tables_down_and_they_come_back() {
    let (mut s3, mesh) = lake_and_neighbour().await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_eq!(ana.value(SUM).await, "10");
    s3.kill();
    let begun = Instant::now();
    let (status, ()) = tokio::join!(ana.fails(SUM), assert_neighbour_lives(&ana));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_unavailable(&status, &mesh, &s3);
    // A refresh that fails forgets nothing.
    server.live.refresh().await;
    let stale: Vec<_> = server
        .live
        .snapshot()
        .stale_tables()
        .map(ToString::to_string)
        .collect();
    assert_eq!(stale, ["sales.readings"]);
    assert_neighbour_lives(&ana).await;
    s3.revive();
    server.live.refresh().await;
    assert_eq!(server.live.snapshot().stale_tables().count(), 0);
    assert_eq!(ana.value(SUM).await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_beside_a_dead_store() {
    let (mut s3, mesh) = lake_and_neighbour().await;
    s3.kill();
    let begun = Instant::now();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_neighbour_lives(&ana).await;
    assert_unavailable(&ana.fails(SUM).await, &mesh, &s3);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    // What the table looks like does not depend on its store.
    assert_eq!(
        ana.query("DESCRIBE sales.readings").await.unwrap()[0].num_rows(),
        2
    );
    s3.revive();
    server.live.refresh().await;
    assert_eq!(ana.value(SUM).await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_closes_its_own_tables_until_it_is_right() {
    let (s3, mesh) = lake_and_neighbour().await;
    mesh.write(&secret_file(&KEY), "not-the-secret");
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let status = ana.fails(SUM).await;
    assert_unavailable(&status, &mesh, &s3);
    assert_tells_nothing(&status, &["not-the-secret".to_owned()]);
    assert_neighbour_lives(&ana).await;

    mesh.write(&secret_file(&KEY), KEY.secret);
    server.live.reload().await;
    assert_eq!(ana.value(SUM).await, "10");

    // Rotated away under a running server: the files are known, and out of reach.
    mesh.write(&secret_file(&KEY), "not-the-secret");
    server.live.reload().await;
    assert_unavailable(&ana.fails(SUM).await, &mesh, &s3);
    std::fs::remove_file(mesh.path(&secret_file(&KEY))).unwrap();
    server.live.reload().await;
    assert_unavailable(&ana.fails(SUM).await, &mesh, &s3);
    assert_neighbour_lives(&ana).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_parquet_is_a_reference_and_nothing_more() {
    let (s3, mesh) = lake_and_neighbour().await;
    s3.put(
        BUCKET,
        "lake/readings/b.parquet",
        "PAR1 secret-of-a-row PAR1",
    )
    .await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let status = ana.fails(SUM).await;
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.message().contains(", ref "), "{status:?}");
    assert_tells_nothing(&status, &secrets_of(&mesh, &s3, &[&KEY]));
    assert_tells_nothing(&status, &["secret-of-a-row".to_owned()]);
    assert_neighbour_lives(&ana).await;
    // Neither does a plan tell where the data lies.
    for verb in ["EXPLAIN", "EXPLAIN VERBOSE"] {
        let text = match ana.query(&format!("{verb} {SUM}")).await {
            Ok(rows) => crate::support::pretty(&rows),
            Err(status) => status.to_string(),
        };
        for secret in secrets_of(&mesh, &s3, &[&KEY]) {
            assert!(!text.contains(&secret), "`{secret}` in {text}");
        }
    }
}

/// Neither refused nor answered: what a store behind a broken network looks like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_accepts_and_stays_silent_is_unavailable_in_time() {
    let (s3, mesh) = lake_and_neighbour().await;
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    s3.delay(Duration::from_secs(300));
    let begun = Instant::now();
    let (status, ()) = tokio::join!(ana.fails(SUM), assert_neighbour_lives(&ana));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_unavailable(&status, &mesh, &s3);
}
