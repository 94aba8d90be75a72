//! Blocks of files that are kept on a disk of the server.

use std::fs;

use tempfile::TempDir;
use tonic::Code;
use weft_catalog::BlockCacheConfig;

use super::fixture::{BUCKET, FILE, KEY, PASSWORD, READINGS, lake, mesh, readings};
use crate::support::{MeshDir, TestS3, TestServer, TestServerConfig, contract};

const ALL: &str = "SELECT id, value FROM sales.readings ORDER BY id";

/// `ana` sees all rows, `bo` those below 10 and no value.
const GRANTS: &str = "\
- {name: all, to: [user:ana], on: \"*\", columns: \"*\"}
- {name: some, to: [user:bo], on: \"*\", columns: [id], rows: id < 10}";

async fn fixture(more: &str) -> (TestS3, MeshDir) {
    let s3 = TestS3::start(&[BUCKET], &[KEY]);
    s3.put(BUCKET, FILE, readings(0..1000, 1, 100)).await;
    let mesh = mesh().with_head("auditors: [\"user:aud\"]");
    let mesh = mesh
        .user("bo", PASSWORD, &[], &[])
        .user("aud", PASSWORD, &[], &[]);
    let lake = lake(&mesh, &s3, "s3://acme-sales/lake/", &KEY) + more;
    let place = "s3://acme-sales/lake/readings/*.parquet";
    let contract = contract("readings", "parquet", place, READINGS);
    let mesh = mesh.domain_on("sales", &lake, GRANTS, &[&contract]);
    (s3, mesh)
}

async fn serve(mesh: &MeshDir, folder: &TempDir) -> TestServer {
    let config = TestServerConfig {
        block_cache: Some(BlockCacheConfig {
            folder: folder.path().to_owned(),
            size: BlockCacheConfig::LEAST,
        }),
        ..TestServerConfig::default()
    };
    TestServer::start_with(mesh, config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_is_not_asked_for_again_and_is_governed_for_each() {
    let (s3, mesh) = fixture("").await;
    let folder = TempDir::new().unwrap();
    let server = serve(&mesh, &folder).await;
    let (ana, bo) = (
        server.client("ana", PASSWORD).await,
        server.client("bo", PASSWORD).await,
    );
    let all = ana.rows(ALL).await;
    assert_eq!(all.len(), 1000);
    s3.forget_requests();
    assert_eq!(ana.rows(ALL).await, all);
    // What another has read is there, and not one row more of it.
    let ids: Vec<_> = (0..10).map(|id| id.to_string()).collect();
    assert_eq!(
        bo.rows("SELECT id FROM sales.readings ORDER BY id").await,
        ids
    );
    assert_eq!(
        bo.rows("SELECT * FROM sales.readings WHERE id > 500")
            .await
            .len(),
        0
    );
    let status = bo.fails("SELECT value FROM sales.readings").await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(s3.requests().is_empty(), "{:?}", s3.requests());

    let aud = server.client("aud", PASSWORD).await;
    let counts = "SELECT entries, bytes, most_bytes, hits > 1, misses > 0 FROM system.caches \
                  WHERE cache = 'blocks'";
    assert_eq!(aud.rows(counts).await, ["∅|∅|134217728|true|true"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    // Neither for whom the new version was granted nor for the others is the old one there.
    s3.put(BUCKET, FILE, readings(0..1000, 2, 100)).await;
    server.live.refresh().await;
    let sum = "SELECT sum(value) FROM sales.readings";
    assert_eq!(ana.value(sum).await, "2000");
    mesh.grants(
        "sales",
        "- {name: some, to: [user:bo], on: \"*\", columns: \"*\", rows: id < 3}",
    );
    server.live.reload().await;
    assert_eq!(bo.value(sum).await, "6");
    let status = ana.fails(sum).await;
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_domain_that_wants_it_so_nothing_is_kept() {
    let (s3, mesh) = fixture("\n  cache: false").await;
    let folder = TempDir::new().unwrap();
    let server = serve(&mesh, &folder).await;
    let ana = server.client("ana", PASSWORD).await;
    let all = ana.rows(ALL).await;
    s3.forget_requests();
    assert_eq!(ana.rows(ALL).await, all);
    assert!(s3.counts().get > 0);
}

/// A storage that is out of reach, or refuses the key, is so for what was read before as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_read_while_its_storage_can_be_listed() {
    let (mut s3, mesh) = fixture("").await;
    let folder = TempDir::new().unwrap();
    let server = serve(&mesh, &folder).await;
    let ana = server.client("ana", PASSWORD).await;
    let all = ana.rows(ALL).await;
    s3.kill();
    assert_eq!(ana.rows(ALL).await, all);
    server.live.refresh().await;
    let status = ana.fails(ALL).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    s3.revive();
    server.live.refresh().await;
    s3.forget_requests();
    assert_eq!(ana.rows(ALL).await, all);
    assert_eq!(s3.counts().get, 0);
}
