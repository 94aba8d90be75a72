//! Meshes over a test's own S3, and what no client may read of it.

use std::fs;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tonic::Status;

use crate::support::{Key, MeshDir, TestClient, TestS3, contract};

pub(super) const PASSWORD: &str = "pw";

/// What opens the lake of `sales`.
pub(super) const KEY: Key = Key {
    id: "SALESKEYID",
    secret: "secret-of-sales",
    places: &["acme-sales/lake/"],
};

/// Where that lies, and the one file of those who need no more.
pub(super) const BUCKET: &str = "acme-sales";
pub(super) const FILE: &str = "lake/readings/a.parquet";

pub(super) const ALL_TO_ANA: &str = "- {name: all, to: [user:ana], on: \"*\", columns: \"*\"}";

/// The columns of [`readings`].
pub(super) const READINGS: &str = "\
- {name: id, logicalType: integer, physicalType: BIGINT}
- {name: value, logicalType: integer, physicalType: BIGINT}";

/// The rows `id` of `ids`, each with `value`, as Parquet in groups of `row_group` rows. Equal
/// numbers of rows and groups give files of equal size.
pub(super) fn readings(ids: std::ops::Range<i64>, value: i64, row_group: usize) -> Bytes {
    let values = Int64Array::from_iter_values(ids.clone().map(|_| value));
    let field = |name| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![field("id"), field("value")]));
    let ids = Int64Array::from_iter_values(ids);
    let rows =
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids), Arc::new(values)]).unwrap();
    parquet_bytes(&rows, row_group)
}

pub(super) fn parquet_bytes(rows: &RecordBatch, row_group: usize) -> Bytes {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(row_group))
        .build();
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    body.into()
}

/// A mesh with the user `ana` alone.
pub(super) fn mesh() -> MeshDir {
    MeshDir::new("acme").user("ana", PASSWORD, &[], &[])
}

/// Where the mesh keeps the secret of `key`.
pub(super) fn secret_file(key: &Key) -> String {
    format!("secrets/{}.secret", key.id)
}

/// A storage `lake` at `url`, opened with `key`, for [`MeshDir::domain_on`].
pub(super) fn lake(mesh: &MeshDir, s3: &TestS3, url: &str, key: &Key) -> String {
    let id_file = format!("secrets/{}.id", key.id);
    mesh.write(&id_file, key.id);
    mesh.write(&secret_file(key), key.secret);
    let endpoint = s3.endpoint();
    let (id, secret) = (mesh.path(&id_file), mesh.path(&secret_file(key)));
    format!(
        "- name: lake\n  url: {url}\n  \
         options: {{region: eu-west-1, endpoint: \"{endpoint}\", allow_http: \"true\"}}\n  \
         secrets: {{access_key_id: \"file:{}\", secret_access_key: \"file:{}\"}}",
        id.display(),
        secret.display()
    )
}

/// A domain of one table `readings` at `location`, all of it granted to `ana`.
pub(super) fn with_readings(
    mesh: MeshDir,
    s3: &TestS3,
    domain: &str,
    url: &str,
    location: &str,
    key: &Key,
) -> MeshDir {
    let lake = lake(&mesh, s3, url, key);
    let contract = contract("readings", "parquet", location, READINGS);
    mesh.domain_on(domain, &lake, ALL_TO_ANA, &[&contract])
}

/// A domain `shop` of one local table `readings` with three rows, the neighbour of broken ones.
pub(super) fn with_neighbour(mesh: MeshDir) -> MeshDir {
    let contract = contract("readings", "csv", "data/readings.csv", READINGS);
    let mesh = mesh.domain("shop", ALL_TO_ANA, &[&contract]);
    fs::write(
        mesh.data("shop").join("readings.csv"),
        "id,value\n1,1\n2,1\n3,1\n",
    )
    .unwrap();
    mesh
}

/// The neighbour answers as ever.
pub(super) async fn assert_neighbour_lives(client: &TestClient) {
    assert_eq!(
        client.value("SELECT count(*) FROM shop.readings").await,
        "3"
    );
}

/// What an error may not tell: where data lies, and how it is reached.
pub(super) fn secrets_of(mesh: &MeshDir, s3: &TestS3, keys: &[&Key]) -> Vec<String> {
    let mut words: Vec<String> = ["s3:", "http", "mesh:", "127.0.0.1", "lake", ".parquet"]
        .map(str::to_owned)
        .to_vec();
    words.push(format!(":{}", s3.port()));
    words.push(mesh.root().display().to_string());
    words.extend(s3.buckets().iter().cloned());
    for key in keys {
        words.extend([key.id.to_owned(), key.secret.to_owned()]);
    }
    words
}

/// Every part of a status is looked at, its details and trailers too.
pub(super) fn assert_tells_nothing(status: &Status, secrets: &[String]) {
    let details = String::from_utf8_lossy(status.details());
    let text = format!("{} {details} {:?}", status.message(), status.metadata());
    for secret in secrets {
        assert!(!text.contains(secret), "`{secret}` in {text}");
    }
}

/// The table is named, and a reference to the log is given.
pub(super) fn assert_names_the_table(status: &Status, table: &str) {
    let message = status.message();
    assert!(
        message.starts_with(&format!("data source of `{table}` failed, ref ")),
        "{message}"
    );
}
