//! Little SQL does not make much data.

use std::fmt::Write;

use datafusion::common::ScalarValue;

use super::mesh::{Mesh, rows};
use crate::Error;

#[tokio::test(flavor = "multi_thread")]
async fn large_values_are_refused() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT length(repeat('x', 1000000000))",
        "SELECT repeat('x', 9223372036854775807)",
        "SELECT lpad('x', 1000000000, 'y')",
        "SELECT rpad('x', 1000000000, 'y')",
        "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 1000000))",
        "SELECT regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000000), 'g')",
        "SELECT array_repeat(1, 1000000000)",
        "SELECT array_repeat(NULL, 1000000000)",
        "SELECT array_resize([1], 1000000000, 7)",
        "SELECT range(1, 1000000000)",
        "SELECT generate_series(1, 9223372036854775807)",
        "SELECT generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2100-01-01', INTERVAL '1 millisecond')",
        "SELECT range(DATE '0001-01-01', DATE '9999-01-01', INTERVAL '1' DAY), range(1, 100000000)",
        "SELECT array_to_string(range(1, 100000), repeat('x', 1000000))",
        "SELECT concat_ws(repeat('x', 15000000), '', '', '', '')",
        "SELECT repeat('x', 15000000) || repeat('x', 15000000)",
        "SELECT repeat(s, 1000000000) FROM (VALUES ('x')) t(s)",
        "SELECT s || s FROM (SELECT repeat(s, 15000000) AS s FROM (VALUES ('x')) t(s))",
        "SELECT concat(s, s) FROM (SELECT repeat(s, 15000000) AS s FROM (VALUES ('x')) t(s))",
        "SELECT count(repeat(s, 100000)) FROM (SELECT CAST(value AS varchar) s FROM generate_series(1, 8192))",
        "SELECT * FROM generate_series(1, 100000000)",
        "SELECT levenshtein(repeat('x', 1000000), repeat('y', 1000000))",
        "SELECT to_char(now(), repeat('%c', 8000000))",
    ] {
        let error = mesh.error(sql).await;
        assert!(
            matches!(error, Error::ResourceExhausted(_)),
            "{sql}: {error}"
        );
    }
    assert_eq!(
        mesh.error("SELECT length(repeat('x', 1000000000))")
            .await
            .to_string(),
        "repeat: result over 16 MiB a value"
    );
    assert_eq!(mesh.rows("SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doubling_ends() {
    let mesh = Mesh::open().await;
    for double in [
        "s || s",
        "concat(s, s)",
        "replace(s, 'x', 'xx')",
        "encode(s, 'hex')",
        "overlay(s PLACING s FROM 1 FOR 0)",
    ] {
        for start in [
            "SELECT 'xxxxxxxx' AS s",
            "SELECT s FROM (VALUES ('xxxxxxxx')) t(s)",
        ] {
            let mut sql = format!("WITH a0 AS ({start})");
            for n in 1..40 {
                write!(sql, ", a{n} AS (SELECT {double} AS s FROM a{})", n - 1).unwrap();
            }
            let error = mesh
                .error(&format!("{sql} SELECT length(s) FROM a39"))
                .await;
            // Where the text doubles, so does the expression.
            let refused = matches!(
                error,
                Error::ResourceExhausted(_) | Error::InvalidArgument { .. }
            );
            assert!(refused, "{double}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_constants_are_refused() {
    let mesh = Mesh::open().await;
    let columns: Vec<_> = (0..200)
        .map(|n| format!("repeat('x', 16000000 + {n}) AS c{n}"))
        .collect();
    let error = mesh.error(&format!("SELECT {}", columns.join(", "))).await;
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error}");
    let lists: Vec<_> = (0..100).map(|_| "range(1, 1000000)").collect();
    for length in [
        format!("array_length({})", lists.join(" || ")),
        "length(repeat('x', 1000000000))".to_owned(),
    ] {
        let error = mesh
            .error(&format!("SELECT * FROM generate_series(1, {length})"))
            .await;
        assert_eq!(
            error.to_string(),
            "the arguments of `generate_series` cannot be computed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_constants_make_small_batches() {
    let mesh = Mesh::open().await;
    // 8192 copies of the constant would be 80 GB.
    let sql = "SELECT max(length(s)), count(*) FROM \
               (SELECT ? AS s, value FROM generate_series(1, 200)) \
               WHERE s <> CAST(value AS varchar)";
    let planned = mesh.session().plan(sql).await.unwrap();
    let value = ScalarValue::Utf8(Some("x".repeat(10_000_000)));
    let query = planned
        .bind(&[value])
        .await
        .unwrap()
        .execute()
        .await
        .unwrap();
    assert_eq!(rows(query).await.unwrap(), ["10000000|200"]);
    // What is not folded is counted for each row of a batch.
    let sql = "SELECT repeat('x', 10000000) FROM generate_series(1, 200)";
    let error = mesh.error(sql).await;
    assert_eq!(error.to_string(), "repeat: result over 256 MiB a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_calls_are_as_they_were() {
    let mesh = Mesh::open().await;
    for (sql, expected) in [
        ("SELECT 'a' || 'b' || 1", "ab1"),
        ("SELECT 'a' || NULL", "∅"),
        (
            "SELECT a || b FROM (VALUES ('x', 'y'), ('z', NULL)) t(a, b) ORDER BY 1",
            "xy",
        ),
        ("SELECT concat('a', NULL, 'b')", "ab"),
        ("SELECT concat_ws('-', 'a', NULL, 'b')", "a-b"),
        ("SELECT lpad('7', 3, '0') || rpad('7', 3, '0')", "007700"),
        ("SELECT repeat('ab', 3)", "ababab"),
        ("SELECT repeat('ab', -3)", ""),
        ("SELECT replace('banana', 'a', 'oo')", "boonoonoo"),
        (
            "SELECT regexp_replace('banana', 'a(.)', '\\1', 'g')",
            "bnna",
        ),
        ("SELECT array_to_string([1, 2] || [3], ',')", "1,2,3"),
        ("SELECT array_to_string(array_append([1], 2), ',')", "1,2"),
        ("SELECT array_to_string(range(3), ',')", "0,1,2"),
        (
            "SELECT array_to_string(generate_series(5, 1, -2), ',')",
            "5,3,1",
        ),
        (
            "SELECT array_length(range(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1' DAY))",
            "31",
        ),
        (
            "SELECT array_to_string(string_to_array('a,b', ','), '+')",
            "a+b",
        ),
        ("SELECT encode('ab', 'hex')", "6162"),
        ("SELECT to_char(DATE '2024-02-03', '%Y/%m')", "2024/02"),
        ("SELECT arrow_cast(1, 'Int8')", "1"),
        ("SELECT overlay('abc' PLACING 'XY' FROM 2 FOR 1)", "aXYc"),
        ("SELECT levenshtein('kitten', 'sitting')", "3"),
        (
            "SELECT count(*) FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1' DAY)",
            "31",
        ),
    ] {
        let rows = mesh
            .rows(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows[0], expected, "{sql}");
    }
    let names = mesh
        .session()
        .plan("SELECT a || b, concat(a, b) FROM (VALUES ('x', 'y')) t(a, b)")
        .await
        .unwrap();
    let schema = names.schema();
    assert_eq!(schema.field(0).name(), "t.a || t.b");
    assert_eq!(schema.field(1).name(), "concat(t.a,t.b)");
}
