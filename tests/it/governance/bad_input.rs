//! Data that is not what its contract says, and data that goes away.

use std::fs;

use tonic::{Code, Status};

use super::{Stored, assert_alive, batch, floats, ints, texts};
use crate::support::{MeshDir, TestServer};

pub(super) const COLUMNS: &str = "
- {name: id, logicalType: integer}
- {name: region, logicalType: string}
- {name: x, logicalType: number, physicalType: DOUBLE}
";
pub(super) const EVERYTHING: &str = "- {name: it, to: [everyone], on: orders, columns: '*'}";
pub(super) const EUROPE: &str =
    "- {name: it, to: [everyone], on: orders, columns: '*', rows: \"region = 'EU'\"}";

pub(super) fn mesh(stored: Stored, grants: &str, columns: &str) -> MeshDir {
    MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
        "sales",
        grants,
        &[&stored.contract("orders", columns)],
    )
}

/// The client reads that a source failed and a reference, and nothing of the
/// cause or of the place.
#[track_caller]
pub(super) fn assert_reference(mesh: &MeshDir, status: &Status) {
    let message = status.message();
    let reference = message.split("ref ").nth(1).and_then(|rest| rest.get(..36));
    let is_uuid = |text: &str| {
        text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && text.matches('-').count() == 4
    };
    assert!(reference.is_some_and(is_uuid), "{status}");
    let folder = mesh
        .root()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    for part in [
        folder.as_str(),
        "/",
        ".parquet",
        ".csv",
        "all",
        "footer",
        "column",
        "Parquet",
        "Arrow",
    ] {
        assert!(!message.contains(part), "`{part}` in {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_parquet_file_is_a_reference_and_nothing_more() {
    let mesh = mesh(Stored::Parquet, EVERYTHING, COLUMNS);
    let rows = batch([
        ("id", ints([1, 2])),
        ("region", texts(["EU", "US"])),
        ("x", floats([1.0, 2.0])),
    ]);
    Stored::Parquet.write(&mesh, "sales", "orders", "all", &rows);
    let path = mesh.data("sales").join("orders/all.parquet");
    let good = fs::read(&path).unwrap();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.orders").await, "2");

    let end = good.len();
    let with = |from: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[from..from + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let cases = [
        (
            "no file of its kind",
            b"this is no Parquet at all, but long enough to be one".to_vec(),
        ),
        ("another end", with(end - 4, b"NOPE")),
        (
            "a footer that is longer than the file",
            with(end - 8, &u32::MAX.to_le_bytes()),
        ),
        ("a footer of no bytes", with(end - 8, &0_u32.to_le_bytes())),
        ("a footer of noise", with(end - 60, &[0xff; 40])),
        ("cut", good[..end / 2].to_vec()),
        ("nearly empty", b"PAR1".to_vec()),
        ("pages of noise", with(4, &[0xaa; 64])),
    ];
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        server.live.refresh().await;
        for sql in [
            "SELECT * FROM sales.orders",
            "SELECT id FROM sales.orders WHERE id > 1 ORDER BY x",
        ] {
            let status = ana.fails(sql).await;
            assert!(
                matches!(status.code(), Code::Internal | Code::FailedPrecondition),
                "{what}: {status}"
            );
            assert_reference(&mesh, &status);
        }
        assert_alive(&ana).await;
    }
    fs::write(&path, &good).unwrap();
    server.live.refresh().await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.orders").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_does_not_fit_its_contract_is_a_reference() {
    for (stored, text) in [
        (Stored::Csv, "id,region,x\n1,EU,1.5\nsecret-value,EU,2.5\n"),
        (Stored::Csv, "id,region,x\n1,EU,1.5\n2,EU,2.5,and,more\n"),
        (
            Stored::Json,
            "{\"id\": 1, \"region\": \"EU\", \"x\": 1.5}\n{\"id\": \"secret-value\"}\n",
        ),
        (
            Stored::Json,
            "{\"id\": 1, \"region\": \"EU\", \n}}}secret-value",
        ),
    ] {
        let mesh = mesh(stored, EVERYTHING, COLUMNS);
        let name = format!(
            "orders/all.{}",
            if stored == Stored::Csv {
                "csv"
            } else {
                "ndjson"
            }
        );
        fs::create_dir_all(mesh.data("sales").join("orders")).unwrap();
        fs::write(mesh.data("sales").join(name), text).unwrap();
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let status = ana.fails("SELECT * FROM sales.orders").await;
        assert!(
            matches!(status.code(), Code::Internal | Code::FailedPrecondition),
            "{text}: {status}"
        );
        assert_reference(&mesh, &status);
        assert!(!status.message().contains("secret"), "{status}");
        assert_alive(&ana).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_away_is_a_changed_source_until_it_is_noticed() {
    for stored in [Stored::Parquet, Stored::Csv] {
        let mesh = mesh(stored, EVERYTHING, COLUMNS);
        for (file, id) in [("a", 1), ("b", 2)] {
            let rows = batch([
                ("id", ints([id])),
                ("region", texts(["EU"])),
                ("x", floats([1.0])),
            ]);
            Stored::write(stored, &mesh, "sales", "orders", file, &rows);
        }
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let sql = "SELECT id FROM sales.orders ORDER BY 1";
        assert_eq!(ana.rows(sql).await, ["1", "2"]);
        let extension = if stored == Stored::Csv {
            "csv"
        } else {
            "parquet"
        };
        fs::remove_file(mesh.data("sales").join(format!("orders/a.{extension}"))).unwrap();
        let status = ana.fails(sql).await;
        assert_eq!(
            status.code(),
            Code::FailedPrecondition,
            "{stored:?}: {status}"
        );
        assert!(
            status
                .message()
                .starts_with("data source of `sales.orders` failed, ref "),
            "{status}"
        );
        assert_reference(&mesh, &status);
        assert_alive(&ana).await;
        server.live.refresh().await;
        assert_eq!(ana.rows(sql).await, ["2"], "{stored:?}");
        fs::remove_file(mesh.data("sales").join(format!("orders/b.{extension}"))).unwrap();
        server.live.refresh().await;
        assert_eq!(ana.rows(sql).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_files_is_empty_until_they_come() {
    for stored in [Stored::Parquet, Stored::Csv, Stored::Json] {
        let mesh = mesh(stored, EVERYTHING, COLUMNS);
        fs::create_dir_all(mesh.data("sales").join("orders")).unwrap();
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let sql = "SELECT count(*) FROM sales.orders";
        assert_eq!(ana.value(sql).await, "0", "{stored:?}");
        let rows = batch([
            ("id", ints([1])),
            ("region", texts(["EU"])),
            ("x", floats([1.0])),
        ]);
        stored.write(&mesh, "sales", "orders", "first", &rows);
        server.live.refresh().await;
        assert_eq!(ana.value(sql).await, "1", "{stored:?}");
    }
}
