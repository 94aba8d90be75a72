//! Where the trail is kept: object storage, and never where a domain serves from.

use std::fs;

use arrow::array::AsArray;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{mesh, trail};
use crate::support::{OWNER, TestS3, TestServer};

fn audit(s3: &TestS3, mesh: &std::path::Path) -> String {
    format!(
        "audit:\n  url: s3://trail/weft/\n  spool: ./spool/\n  options: {{endpoint: \"{}\", region: eu-west-1, allow_http: \"true\"}}\n  \
         secrets: {{access_key_id: \"file:{}/id\", secret_access_key: \"file:{}/key\"}}",
        s3.endpoint(),
        mesh.display(),
        mesh.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_files_go_to_a_bucket_and_wait_for_it() {
    let mut s3 = TestS3::start(&["trail"], &[]);
    let secrets = tempfile::tempdir().unwrap();
    fs::write(secrets.path().join("id"), OWNER.id).unwrap();
    fs::write(secrets.path().join("key"), OWNER.secret).unwrap();
    let mesh = mesh(&audit(&s3, secrets.path()));
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    ana.query("SELECT 'in a bucket'").await.unwrap();
    trail(&server).rotate();
    let client = s3.client("trail", &OWNER);
    let listed = async || -> Vec<Path> {
        let objects = client.list(Some(&Path::from("weft")));
        objects
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .unwrap()
    };
    for _ in 0..200 {
        if !listed().await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let files = listed().await;
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = client.get(&files[0]).await.unwrap().bytes().await.unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .unwrap()
        .build()
        .unwrap();
    let batch = reader.next().unwrap().unwrap();
    let sql = batch.column_by_name("sql").unwrap().as_string::<i32>();
    assert_eq!(sql.value(0), "SELECT 'in a bucket'");

    // Without the bucket statements run on, and their records wait in the spool.
    s3.kill();
    ana.query("SELECT 'later'").await.unwrap();
    trail(&server).rotate();
    ana.query("SELECT 'later still'").await.unwrap();
    let journals = || fs::read_dir(mesh.path("spool")).unwrap().count();
    assert!(journals() >= 2, "{}", journals());
    s3.revive();
    let closing = std::sync::Arc::clone(trail(&server));
    tokio::task::spawn_blocking(move || closing.close())
        .await
        .unwrap();
    assert_eq!(listed().await.len(), 3);
    assert_eq!(journals(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_nobodys_data_product() {
    let mesh = mesh("audit: {url: ./domains/sales/data/audit/}");
    let report = weft_mesh::load(&mesh.mesh_file());
    // The domain is not served, and keeps nobody else from it.
    assert!(report.mesh.is_some() && report.domains[0].domain.is_none());
    let faults: Vec<_> = report
        .faults
        .iter()
        .filter(|fault| fault.is_error())
        .collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].rule, "audit-in-storage");
    assert!(
        faults[0]
            .message
            .contains("storage `files` of domain `sales`"),
        "{}",
        faults[0]
    );
}
