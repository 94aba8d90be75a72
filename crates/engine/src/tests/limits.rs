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
    let mesh = Mesh::with(|c| crate::EngineConfig {
        plan_timeout: std::time::Duration::from_secs(8),
        ..c
    })
    .await;
    let g = "FROM generate_series(1, 10) t(v)";
    let nest = |open: &str, inner: &str, close: &str, n: usize| {
        format!("{}{inner}{}", open.repeat(n), close.repeat(n))
    };
    for n in [4, 8, 16, 24, 32, 48, 90] {
        let cases = [
            (
                "lists",
                format!("SELECT array_length([1]{})", " || [1]".repeat(n)),
            ),
            ("abs", format!("SELECT {} {g}", nest("abs(", "v", ")", n))),
            (
                "concat",
                format!("SELECT {} {g}", nest("concat(", "v", ",v)", n)),
            ),
            (
                "array_append",
                format!("SELECT {} {g}", nest("array_append(", "[v]", ",v)", n)),
            ),
            (
                "coalesce",
                format!("SELECT {} {g}", nest("coalesce(", "v", ",v)", n)),
            ),
            (
                "coalesce2",
                format!("SELECT {} {g}", nest("coalesce(v,", "v", ")", n)),
            ),
            (
                "case",
                format!(
                    "SELECT {} {g}",
                    nest("CASE WHEN v > 1 THEN (", "v", ") END", n)
                ),
            ),
            (
                "casewhen",
                format!(
                    "SELECT {} {g}",
                    nest("CASE WHEN (", "v = 1", ") THEN v > 1 ELSE v > 2 END", n)
                ),
            ),
            (
                "ifcase",
                format!(
                    "SELECT {} {g}",
                    nest("CASE (", "v", ") WHEN 1 THEN v ELSE v + 1 END", n)
                ),
            ),
            ("sub", format!("SELECT {}", nest("(SELECT ", "1", ")", n))),
            (
                "derived",
                format!(
                    "SELECT * FROM {}",
                    nest("(SELECT v FROM ", "generate_series(1,2) t(v)", ") t(v)", n)
                ),
            ),
            (
                "in",
                format!("SELECT {}", nest("true IN (SELECT ", "true", ")", n)),
            ),
            (
                "inwhere",
                format!(
                    "SELECT v {g} WHERE v IN {}",
                    nest(
                        "(SELECT v FROM generate_series(1, 10) t(v) WHERE v IN ",
                        "(1, 2)",
                        ")",
                        n
                    )
                ),
            ),
            ("row", format!("SELECT {}", nest("[", "1", "]", n))),
            ("struct", format!("SELECT {}", nest("{'a':", "1", "}", n))),
            (
                "inlist",
                format!(
                    "SELECT {} {g}",
                    nest("(", "v = 1", " IN (true, v = 2, v= 3))", n)
                ),
            ),
            (
                "between",
                format!(
                    "SELECT {} {g}",
                    nest("(", "v = 1", ") BETWEEN false AND true", n)
                ),
            ),
            (
                "nullif",
                format!("SELECT {} {g}", nest("nullif(", "v", ",v+1)", n)),
            ),
            (
                "greatest",
                format!("SELECT {} {g}", nest("greatest(", "v", ",v+1)", n)),
            ),
            (
                "not",
                format!("SELECT {} {g}", nest("NOT (v = 3 AND ", "v > 1", ")", n)),
            ),
            (
                "notor",
                format!(
                    "SELECT v {g} WHERE {}",
                    nest("(v = 3 OR v = 7 AND ", "v > 1", ")", n)
                ),
            ),
            (
                "dnf",
                format!(
                    "SELECT v {g} WHERE true{}",
                    " AND (v = 1 OR v = 2)".repeat(n)
                ),
            ),
            (
                "filter",
                format!(
                    "SELECT v FROM {}",
                    nest(
                        "(SELECT v FROM ",
                        "generate_series(1,2) t(v)",
                        " WHERE v > 0) t(v)",
                        n
                    )
                ),
            ),
            (
                "joinsub",
                format!(
                    "SELECT t.v FROM {}",
                    nest(
                        "(SELECT t.v FROM ",
                        "generate_series(1,2) t(v)",
                        " JOIN generate_series(1, 2) u(v) ON t.v = u.v) t(v)",
                        n
                    )
                ),
            ),
            (
                "distinct",
                format!(
                    "SELECT v FROM {}",
                    nest(
                        "(SELECT DISTINCT v FROM ",
                        "generate_series(1,2) t(v)",
                        ") t(v)",
                        n
                    )
                ),
            ),
            (
                "window",
                format!(
                    "SELECT v FROM {}",
                    nest(
                        "(SELECT sum(v) OVER (ORDER BY v) FROM ",
                        "generate_series(1,2) t(v)",
                        ") t(v)",
                        n
                    )
                ),
            ),
            (
                "agg",
                format!(
                    "SELECT v FROM {}",
                    nest(
                        "(SELECT sum(v) FROM ",
                        "generate_series(1,2) t(v)",
                        ") t(v)",
                        n
                    )
                ),
            ),
            (
                "union",
                format!(
                    "SELECT v FROM {}",
                    nest(
                        "(SELECT v FROM ",
                        "generate_series(1,2) t(v)",
                        " UNION SELECT 1) t(v)",
                        n
                    )
                ),
            ),
            (
                "exists",
                format!(
                    "SELECT 1 WHERE {}",
                    nest("EXISTS (SELECT 1 WHERE ", "true", ")", n)
                ),
            ),
            (
                "subfrom",
                format!(
                    "SELECT {}",
                    nest(
                        "(SELECT max(v) FROM generate_series(1, 2) t(v) WHERE v > ",
                        "0",
                        ")",
                        n
                    )
                ),
            ),
            (
                "lateral",
                format!(
                    "SELECT v FROM generate_series(1,2) t(v){}",
                    (0..n)
                        .map(|i| format!(", LATERAL (SELECT t.v + 1 AS w) x{i}"))
                        .collect::<String>()
                ),
            ),
            (
                "double",
                format!(
                    "SELECT v FROM {} WHERE v > 5",
                    nest(
                        "(SELECT v + v FROM ",
                        "generate_series(1,2) t(v)",
                        ") t(v)",
                        n
                    )
                ),
            ),
            (
                "triple",
                format!(
                    "SELECT v FROM {} WHERE v > 5",
                    nest(
                        "(SELECT CASE WHEN v > 1 THEN v ELSE v + 1 END FROM ",
                        "generate_series(1,2) t(v)",
                        ") t(v)",
                        n
                    )
                ),
            ),
            (
                "arrayidx",
                format!("SELECT {} {g}", nest("[", "v", "][1]", n)),
            ),
            (
                "cast",
                format!("SELECT {} {g}", nest("CAST(", "v", " AS bigint)", n)),
            ),
            (
                "extract",
                format!("SELECT {}", nest("date_trunc('day', ", "now()", ")", n)),
            ),
            (
                "setops",
                format!(
                    "SELECT * FROM {}",
                    nest(
                        "(SELECT 1 INTERSECT SELECT * FROM ",
                        "(SELECT 1) t(v)",
                        ") t(v)",
                        n
                    )
                ),
            ),
            (
                "ctechain",
                format!(
                    "WITH c0 AS (SELECT 1 AS x){} SELECT * FROM c{n}",
                    (1..=n)
                        .map(|i| format!(
                            ", c{i} AS (SELECT x + 1 AS x FROM c{} WHERE x > 0)",
                            i - 1
                        ))
                        .collect::<String>()
                ),
            ),
            (
                "correlated",
                format!(
                    "SELECT v {g} WHERE {}",
                    nest(
                        "v = (SELECT max(w) FROM generate_series(1, 2) u(w) WHERE w = v AND ",
                        "true",
                        ")",
                        n
                    )
                ),
            ),
        ];
        for (name, sql) in cases {
            let started = std::time::Instant::now();
            let result = mesh.rows(&sql).await;
            if started.elapsed().as_millis() > 500 || result.is_err() {
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
