//! `EXPLAIN` shows the query's own words and nothing of policy or storage.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use tonic::Code;

use super::{Stored, names::mesh};
use crate::support::{MeshDir, TestServer, cells, parquet};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_no_policy_no_path_and_no_hidden_name() {
    let mesh = mesh();
    let root = mesh.root().display().to_string();
    let folder = mesh
        .root()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let queries = [
        "SELECT * FROM sales.orders",
        "SELECT id FROM sales.orders WHERE amount > 5 AND region LIKE 'q%' AND id < 7",
        "SELECT a.id FROM sales.orders a JOIN sales.returns b ON a.id = b.id WHERE b.region = 'q' ORDER BY 1 LIMIT 3",
        "SELECT region, sum(amount), count(*) FROM sales.orders GROUP BY region HAVING count(*) > 1",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n JOIN sales.orders o ON o.id = n.x) SELECT * FROM n",
    ];
    for query in queries {
        for format in [
            "",
            "FORMAT INDENT",
            "FORMAT TREE",
            "FORMAT PGJSON",
            "FORMAT GRAPHVIZ",
        ] {
            let sql = format!("EXPLAIN {format} {query}");
            let text = cells(
                &ana.query(&sql)
                    .await
                    .unwrap_or_else(|status| panic!("{sql}: {status}")),
            )
            .join("\n");
            assert!(!text.is_empty());
            for secret in [
                "zanzibar",
                "margin",
                "4242",
                "777",
                "bucket",
                "payout",
                "parquet",
                "DataSource",
                "CASE",
                "data/",
                &root,
                &folder,
            ] {
                assert!(!text.contains(secret), "`{secret}` in {sql}:\n{text}");
            }
        }
    }
    let text = cells(&ana.query(&format!("EXPLAIN {}", queries[1])).await.unwrap()).join("\n");
    assert!(
        text.contains("GovernedScanExec: table=sales.orders"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn measurements_are_refused() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for sql in [
        "EXPLAIN ANALYZE SELECT * FROM sales.orders",
        "EXPLAIN VERBOSE SELECT * FROM sales.orders",
        "EXPLAIN ANALYZE VERBOSE SELECT * FROM sales.orders",
        "EXPLAIN EXPLAIN SELECT 1",
    ] {
        let status = ana.fails(sql).await;
        assert!(
            matches!(
                status.code(),
                Code::PermissionDenied | Code::InvalidArgument
            ),
            "{sql}: {status}"
        );
    }
    let analyze = ana.fails("EXPLAIN ANALYZE SELECT 1").await;
    assert_eq!(
        analyze.message(),
        "only plain `EXPLAIN` of a query is allowed"
    );
}

/// Which side of a join is put into memory follows what oneself was shown:
/// neither what others read nor what no contract declares.
#[tokio::test(flavor = "multi_thread")]
async fn sizes_in_plans_are_those_that_one_has_seen() {
    let without = Box::pin(plan_before_anything_was_seen(0)).await;
    let with = Box::pin(plan_before_anything_was_seen(300_000)).await;
    assert_eq!(without, with);
}

/// The plan of a join of two tables of which one has a column more in its file,
/// of so many bytes a row.
async fn plan_before_anything_was_seen(undeclared: usize) -> Vec<String> {
    const JOIN: &str =
        "EXPLAIN SELECT count(*) FROM sales.large l JOIN sales.small s ON l.id = s.id";
    let id = "- {name: id, logicalType: integer}";
    let mesh = MeshDir::new("acme")
        .user("ana", "pw", &[], &[])
        .user("bo", "pw", &[], &[])
        .domain(
            "sales",
            "- {name: all, to: [everyone], on: \"*\", columns: \"*\"}",
            &[
                &Stored::Parquet.contract("large", id),
                &Stored::Parquet.contract("small", id),
            ],
        );
    for (table, rows) in [("large", 3_000), ("small", 10)] {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let mut columns = vec![("id", ids)];
        if undeclared > 0 && table == "small" {
            let text = (0..rows).map(|row| format!("{row}").repeat(undeclared));
            columns.push(("undeclared", Arc::new(StringArray::from_iter_values(text))));
        }
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let file = mesh.data("sales").join(format!("{table}/all.parquet"));
        parquet(&file, &[rows], 1000);
    }
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let bo = server.client("bo", "pw").await;
    let before = ana.rows(JOIN).await;
    for table in ["large", "small"] {
        bo.rows(&format!("SELECT id FROM sales.{table}")).await;
    }
    assert_eq!(ana.rows(JOIN).await, before);
    ana.rows("SELECT id FROM sales.small").await;
    assert_ne!(ana.rows(JOIN).await, before, "what was seen is known");
    assert_ne!(bo.rows(JOIN).await, before, "what was seen is known");
    before
}
