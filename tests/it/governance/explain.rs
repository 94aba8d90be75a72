//! `EXPLAIN` shows the query's own words and nothing of policy or storage.

use tonic::Code;

use super::names::mesh;
use crate::support::{TestServer, cells};

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
