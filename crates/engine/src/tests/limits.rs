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

/// Each of these overflowed a stack or took more memory than there is, which
/// ends the process for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn types_pipes_and_sketches_are_limited() {
    let mesh = Mesh::open().await;
    let list = format!("{}Int32{}", "List(".repeat(10_000), ")".repeat(10_000));
    for cast in ["arrow_cast", "ARROW_TRY_CAST", "\"arrow_cast\""] {
        let sql = format!("SELECT {cast}(NULL, '{list}'), 1 AS a_column_with_a_long_name");
        refused(&mesh, &sql, "more than 32 parentheses").await;
    }
    let array = format!("SELECT CAST(NULL AS INT{})", "[]".repeat(3_900));
    refused(&mesh, &array, "more than 32 brackets").await;
    let pipes = format!("SELECT 1 x{}", " |> WHERE true".repeat(3_900));
    refused(&mesh, &pipes, "more than 200 pipes").await;
    for call in [
        "approx_percentile_cont(x, 0.5, 1000000000000)",
        "approx_percentile_cont(x, 0.5, 1000000 * 1000000)",
        "approx_percentile_cont(1000000000000) WITHIN GROUP (ORDER BY x)",
        "approx_percentile_cont(0.5, 1000000000000) WITHIN GROUP (ORDER BY x)",
        "approx_percentile_cont(x, 0.5, 1000000000000) OVER ()",
        "approx_percentile_cont_with_weight(x, 1, 0.5, 1000000000000)",
        "approx_percentile_cont_with_weight(1, 0.5, 1000000000000) WITHIN GROUP (ORDER BY x)",
    ] {
        let sql = format!("SELECT {call} FROM generate_series(1, 10) AS a_long_name_of_a_table(x)");
        let error = mesh.error(&sql).await;
        assert!(
            matches!(error, Error::InvalidArgument { .. }),
            "{sql}: {error}"
        );
    }
    let sql = "SELECT approx_percentile_cont(x, 0.5, 200) FROM generate_series(1, 9) t(x)";
    assert_eq!(mesh.rows(sql).await.unwrap(), ["5.0"]);
    assert_eq!(
        mesh.rows("SELECT arrow_cast(1, 'List(Int32)')")
            .await
            .unwrap(),
        ["[1]"]
    );
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
async fn what_doubles_with_every_level_is_refused() {
    let mesh = Mesh::open().await;
    let nest = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(40), close.repeat(40))
    };
    let from = "FROM generate_series(1, 10) t(v)";
    let series = "generate_series(1, 2) t(v)";
    for sql in [
        format!(
            "SELECT v FROM {} WHERE v > 5",
            nest("(SELECT v + v FROM ", series, ") t(v)")
        ),
        format!("SELECT {} {from}", nest("coalesce(", "v", ", v)")),
        format!("SELECT {} {from}", nest("nvl(", "v", ", v)")),
        format!(
            "SELECT {} {from}",
            nest("(", "v = 1", ") BETWEEN false AND true")
        ),
        format!("SELECT {} {from}", nest("(", "v = 1", " IN (true, v = 2))")),
        format!(
            "SELECT {} {from}",
            nest("CASE WHEN (", "v = 1", ") THEN v > 1 ELSE v > 2 END")
        ),
    ] {
        refused(&mesh, &sql, "has more than 20000 parts").await;
    }
    refused(
        &mesh,
        &format!("SELECT {}", nest("(SELECT ", "1", ")")),
        "more than 8 subqueries",
    )
    .await;
    let lists = format!("SELECT [1]{}", " || [1]".repeat(300));
    refused(&mesh, &lists, "lists are chained").await;
    // An `else if` is no doubling.
    let sql = format!(
        "SELECT max({}) {from}",
        nest("CASE WHEN v > 1 THEN v ELSE ", "0", " END")
    );
    assert_eq!(mesh.rows(&sql).await.unwrap(), ["10"]);
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
