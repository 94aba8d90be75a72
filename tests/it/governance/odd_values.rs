//! Values that are missing or odd, in rows that are seen and in rows that are not.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array};
use tonic::Code;

use super::bad_input::{COLUMNS, EUROPE, EVERYTHING, assert_reference, mesh};
use super::{Stored, assert_alive, batch, floats, ints, texts};
use crate::support::{MeshDir, TestServer};

const REQUIRED: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: x, logicalType: number, physicalType: DOUBLE, required: true}
- {name: name, logicalType: string, required: true}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_required_column_that_a_file_lacks_is_a_source_error() {
    for stored in [Stored::Parquet, Stored::Csv, Stored::Json] {
        let mesh = mesh(stored, EVERYTHING, REQUIRED);
        let rows = batch([("region", texts(["EU"])), ("name", texts(["a"]))]);
        stored.write(&mesh, "sales", "orders", "all", &rows);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let status = ana.fails("SELECT * FROM sales.orders").await;
        assert_eq!(
            status.code(),
            Code::FailedPrecondition,
            "{stored:?}: {status}"
        );
        assert_reference(&mesh, &status);
        assert_alive(&ana).await;
    }
}

/// Row 2 lacks what is required.
fn incomplete(stored: Stored, grants: &str) -> MeshDir {
    let mesh = mesh(stored, grants, REQUIRED);
    let rows = batch([
        (
            "id",
            Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        ),
        ("region", texts(["EU", "US", "EU"])),
        (
            "x",
            Arc::new(Float64Array::from(vec![Some(1.5), None, Some(3.5)])),
        ),
        ("name", texts(["a", "∅", "c"])),
    ]);
    stored.write(&mesh, "sales", "orders", "all", &rows);
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_in_a_required_column_of_a_hidden_row_disturbs_nobody() {
    for stored in [Stored::Parquet, Stored::Csv, Stored::Json] {
        let mesh = incomplete(stored, EUROPE);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        for (sql, expected) in [
            (
                "SELECT * FROM sales.orders ORDER BY id",
                &["1|EU|1.5|a", "3|EU|3.5|c"] as &[&str],
            ),
            ("SELECT id FROM sales.orders WHERE id > 1", &["3"]),
            ("SELECT id FROM sales.orders WHERE id IS NULL", &[]),
            (
                "SELECT id FROM sales.orders WHERE x > 2 AND name = 'c'",
                &["3"],
            ),
            (
                "SELECT count(*), count(id), count(x), count(name), sum(id) FROM sales.orders",
                &["2|2|2|2|4"],
            ),
            (
                "SELECT a.id FROM sales.orders a JOIN sales.orders b USING (id) ORDER BY 1",
                &["1", "3"],
            ),
            (
                "SELECT id FROM sales.orders WHERE id NOT IN (SELECT id FROM sales.orders WHERE id = 1)",
                &["3"],
            ),
            (
                "SELECT name FROM sales.orders ORDER BY x DESC LIMIT 1",
                &["c"],
            ),
        ] {
            match ana.query(sql).await {
                Ok(batches) => assert_eq!(
                    crate::support::cells(&batches),
                    expected,
                    "{stored:?}: {sql}"
                ),
                Err(status) => panic!("{stored:?}: {sql}: {status}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_in_a_required_column_of_a_visible_row_is_a_source_error() {
    for stored in [Stored::Parquet, Stored::Csv, Stored::Json] {
        let mesh = incomplete(stored, EVERYTHING);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        for column in ["*", "id", "x", "name"] {
            let status = ana
                .fails(&format!("SELECT {column} FROM sales.orders"))
                .await;
            assert_eq!(
                status.code(),
                Code::FailedPrecondition,
                "{stored:?}: {column}: {status}"
            );
            let message = status.message();
            assert!(
                message.starts_with("data source of `sales.orders` failed, ref "),
                "{message}"
            );
            assert_reference(&mesh, &status);
        }
        // What does not read it does not fail.
        assert_eq!(
            ana.rows("SELECT region FROM sales.orders ORDER BY 1").await,
            ["EU", "EU", "US"],
            "{stored:?}"
        );
        assert_alive(&ana).await;
    }
}

/// A folder of Hive's that stands for NULL, where the contract requires a value.
#[tokio::test(flavor = "multi_thread")]
async fn a_null_folder_of_a_required_column_counts_where_it_is_seen() {
    const FOLDERS: &str = "
- {name: id, logicalType: integer}
- {name: day, logicalType: string, required: true, partitioned: true, partitionKeyPosition: 1}
";
    for stored in [Stored::Parquet, Stored::Csv, Stored::Json] {
        let (format, extension) = stored.names();
        let path = format!("data/orders/*/*.{extension}");
        let mesh = MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
            "sales",
            "- {name: it, to: [everyone], on: orders, columns: '*', rows: 'id < 3'}",
            &[&crate::support::contract("orders", format, &path, FOLDERS)],
        );
        let folders = [
            ("day=mon", 1),
            ("day=tue", 2),
            ("day=__HIVE_DEFAULT_PARTITION__", 3),
        ];
        for (folder, id) in folders {
            let rows = batch([("id", ints([id]))]);
            stored.write(&mesh, "sales", &format!("orders/{folder}"), "all", &rows);
        }
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let sql = "SELECT id, day FROM sales.orders ORDER BY id";
        assert_eq!(ana.rows(sql).await, ["1|mon", "2|tue"], "{stored:?}");
        let sql = "SELECT id FROM sales.orders WHERE day >= 'mon' ORDER BY id";
        assert_eq!(ana.rows(sql).await, ["1", "2"], "{stored:?}");

        mesh.grants(
            "sales",
            "- {name: it, to: [everyone], on: orders, columns: '*', rows: \"day <> 'tue'\"}",
        );
        server.live.reload().await;
        let sql = "SELECT id, day FROM sales.orders";
        assert_eq!(ana.rows(sql).await, ["1|mon"], "{stored:?}");

        mesh.grants("sales", EVERYTHING);
        server.live.reload().await;
        let status = ana.fails(sql).await;
        assert_eq!(
            status.code(),
            Code::FailedPrecondition,
            "{stored:?}: {status}"
        );
        assert_reference(&mesh, &status);
        assert_eq!(
            ana.rows("SELECT id FROM sales.orders ORDER BY id").await,
            ["1", "2", "3"],
            "{stored:?}"
        );
    }
}

/// A visible NaN, and hidden rows of several values stored beside it: what is
/// seen of the one never depends on the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_visible_nan_is_there_whatever_lies_hidden_beside_it() {
    const BY_REGION: &str = EUROPE;
    const BY_VALUE: &str =
        "- {name: it, to: [everyone], on: orders, columns: '*', rows: 'x > 1.0'}";
    const BOTH: &str = "- {name: it, to: [everyone], on: orders, columns: '*', rows: \"x > 1.0 AND region = 'EU'\"}";
    for (grants, queries) in [
        (
            BY_REGION,
            [
                (
                    "SELECT id, x FROM sales.orders ORDER BY id",
                    &["1|NaN", "3|0.5"] as &[&str],
                ),
                ("SELECT id FROM sales.orders WHERE x > 1", &["1"]),
                ("SELECT id FROM sales.orders WHERE x <= 1", &["3"]),
                ("SELECT id FROM sales.orders WHERE x <> 0.5", &["1"]),
                (
                    "SELECT id FROM sales.orders WHERE x BETWEEN 1 AND 'NaN'::double",
                    &["1"],
                ),
                ("SELECT max(x), count(x) FROM sales.orders", &["NaN|2"]),
                (
                    "SELECT id FROM sales.orders ORDER BY x DESC LIMIT 1",
                    &["1"],
                ),
                (
                    "SELECT id FROM sales.orders WHERE x = 'NaN'::double",
                    &["1"],
                ),
            ],
        ),
        (
            BY_VALUE,
            [(
                "SELECT id FROM sales.orders WHERE region = 'EU' ORDER BY id",
                &["1"],
            ); 8],
        ),
        (
            BOTH,
            [("SELECT id FROM sales.orders ORDER BY id", &["1"]); 8],
        ),
    ] {
        for hidden in [-5.0, 0.5, 5.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for stored in [Stored::Parquet, Stored::Csv] {
                let mesh = mesh(stored, grants, COLUMNS);
                // Row groups of two: the NaN shares one with a hidden row.
                let rows = batch([
                    ("id", ints([1, 2, 3, 4])),
                    ("region", texts(["EU", "US", "EU", "US"])),
                    ("x", floats([f64::NAN, hidden, 0.5, hidden])),
                ]);
                stored.write(&mesh, "sales", "orders", "all", &rows);
                let server = TestServer::start(&mesh).await;
                let ana = server.client("ana", "pw").await;
                for (sql, expected) in queries {
                    assert_eq!(
                        ana.rows(sql).await,
                        expected,
                        "{stored:?} {hidden} {grants}: {sql}"
                    );
                }
            }
        }
    }
}
