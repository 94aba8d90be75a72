//! Hostile shapes end in an error, and the engine lives on.

use std::fmt::Write;

use super::mesh::Mesh;
use crate::Error;

async fn refused(mesh: &Mesh, sql: &str, reason: &str) {
    let error = mesh.error(sql).await;
    assert!(
        matches!(error, Error::InvalidArgument { .. }),
        "{error}: {}",
        &sql[..60]
    );
    assert!(
        error.to_string().contains(reason),
        "{error}: {}",
        &sql[..60]
    );
    assert!(error.to_string().len() < 2048);
}

#[tokio::test(flavor = "multi_thread")]
async fn size_and_nesting_are_limited() {
    let mesh = Mesh::open().await;
    refused(
        &mesh,
        &format!("SELECT '{}'", "x".repeat(10 << 20)),
        "bytes long",
    )
    .await;
    let nested = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    refused(&mesh, &nested, "nests more than 100 parentheses").await;
    refused(
        &mesh,
        &format!("SELECT 1{}", "+1".repeat(1_500)),
        "nests more than",
    )
    .await;
    refused(
        &mesh,
        &format!("SELECT {}1", "-".repeat(3_000).replace('-', "- ")),
        "nested too deeply",
    )
    .await;
    refused(
        &mesh,
        &format!("SELECT {}true", "NOT ".repeat(3_000)),
        "found: NOT",
    )
    .await;
    assert_eq!(mesh.rows("SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn common_table_expressions_do_not_multiply() {
    let mesh = Mesh::open().await;
    let mut sql = "WITH a0 AS (SELECT 1 AS x)".to_owned();
    for n in 1..60 {
        write!(
            sql,
            ", a{n} AS (SELECT count(*) AS x FROM a{0} l CROSS JOIN a{0} r)",
            n - 1
        )
        .unwrap();
    }
    refused(
        &mesh,
        &format!("{sql} SELECT * FROM a59"),
        "reads more than 1000 tables",
    )
    .await;

    let mut nested = "SELECT 1 AS x".to_owned();
    for n in 0..30 {
        nested = format!("WITH a{n} AS ({nested}) SELECT * FROM a{n}");
    }
    refused(&mesh, &nested, "nests more than 8 `WITH` clauses").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_double_do_not_multiply() {
    let mesh = Mesh::open().await;
    let mut nested = "SELECT value AS x FROM generate_series(1, 2)".to_owned();
    for _ in 0..40 {
        nested = format!("SELECT x + x AS x FROM ({nested})");
    }
    let rows = mesh
        .rows(&format!("SELECT x FROM ({nested}) WHERE x > 5"))
        .await;
    assert!(
        matches!(rows, Ok(_) | Err(Error::InvalidArgument { .. })),
        "{rows:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_allowed_expressions_run() {
    let mesh = Mesh::open().await;
    let from = "FROM generate_series(1, 10) t(v)";
    let sum = format!("SELECT max(v{}) {from}", "+v".repeat(900));
    assert_eq!(mesh.rows(&sum).await.unwrap(), ["9010"]);
    let conditions = format!(
        "SELECT count(*) {from} WHERE false{}",
        " OR v = 1".repeat(900)
    );
    assert_eq!(mesh.rows(&conditions).await.unwrap(), ["1"]);
    let texts = format!("SELECT max(length('a'{})) {from}", " || v".repeat(900));
    assert_eq!(mesh.rows(&texts).await.unwrap(), ["1801"]);
    let unions = format!(
        "SELECT count(*) FROM (SELECT 1{})",
        " UNION ALL SELECT 1".repeat(400)
    );
    assert_eq!(mesh.rows(&unions).await.unwrap(), ["401"]);
    let list = "7, ".repeat(10_000);
    assert_eq!(
        mesh.rows(&format!("SELECT count(*) {from} WHERE v IN ({list} 7)"))
            .await
            .unwrap(),
        ["1"]
    );
    let parentheses = format!("SELECT {}1{}", "(".repeat(90), ")".repeat(90));
    assert_eq!(mesh.rows(&parentheses).await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn measure() {
    let mesh = Mesh::open().await;
    for n in [4, 8, 12, 16, 32, 64, 95] {
        for (name, sql) in [
            (
                "lists",
                format!("SELECT array_length([1]{})", " || [1]".repeat(n)),
            ),
            (
                "ranges",
                format!(
                    "SELECT array_length(range(1, 1000){})",
                    " || range(1, 1000)".repeat(n)
                ),
            ),
            (
                "bigranges",
                format!(
                    "SELECT array_length(range(1, 1000000){})",
                    " || range(1, 1000000)".repeat(n)
                ),
            ),
            (
                "tf",
                format!(
                    "SELECT * FROM generate_series(1, array_length(range(1, 1000){}))",
                    " || range(1, 1000)".repeat(n)
                ),
            ),
            (
                "abs",
                format!(
                    "SELECT {}v{} FROM generate_series(1, 10) t(v)",
                    "abs(".repeat(n),
                    ")".repeat(n)
                ),
            ),
            (
                "concat",
                format!(
                    "SELECT {}v{} FROM generate_series(1, 10) t(v)",
                    "concat(".repeat(n),
                    ",v)".repeat(n)
                ),
            ),
            (
                "array_append",
                format!(
                    "SELECT {}[v]{} FROM generate_series(1, 10) t(v)",
                    "array_append(".repeat(n),
                    ",v)".repeat(n)
                ),
            ),
            (
                "coalesce",
                format!(
                    "SELECT {}v{} FROM generate_series(1, 10) t(v)",
                    "coalesce(".repeat(n),
                    ",v)".repeat(n)
                ),
            ),
            (
                "case",
                format!(
                    "SELECT {}v{} FROM generate_series(1, 10) t(v)",
                    "CASE WHEN v > 1 THEN (".repeat(n),
                    ") END".repeat(n)
                ),
            ),
            (
                "sub",
                format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
            ),
            (
                "derived",
                format!(
                    "SELECT * FROM {}generate_series(1,2) t(v){}",
                    "(SELECT v FROM ".repeat(n),
                    ") t(v)".repeat(n)
                ),
            ),
            (
                "in",
                format!("SELECT {}1{}", "1 IN (SELECT ".repeat(n), ")".repeat(n)),
            ),
            ("row", format!("SELECT {}1{}", "[".repeat(n), "]".repeat(n))),
            (
                "struct",
                format!("SELECT {}1{}", "{'a':".repeat(n), "}".repeat(n)),
            ),
        ] {
            let started = std::time::Instant::now();
            let result = mesh.rows(&sql).await;
            if started.elapsed().as_millis() > 300 || result.is_err() {
                eprintln!(
                    "{name} {n}: {:?} {}",
                    started.elapsed(),
                    result
                        .map(|r| r.join(","))
                        .map_err(|e| e.to_string())
                        .unwrap_or_else(|e| e)
                        .chars()
                        .take(90)
                        .collect::<String>()
                );
            }
        }
    }
}
