//! Statements with parameters.

use datafusion::{arrow::datatypes::DataType, common::ScalarValue};

use super::mesh::{Mesh, rows};
use crate::{Error, Result};

async fn bound(mesh: &Mesh, sql: &str, values: &[ScalarValue]) -> Result<Vec<String>> {
    let planned = mesh.session().plan(sql).await?;
    let declared = planned.schema();
    let planned = planned.bind(values).await?;
    assert_eq!(planned.schema(), declared);
    rows(planned.execute().await?).await
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_inferred_or_text() {
    let mesh = Mesh::open().await;
    for (sql, types) in [
        ("SELECT 1", vec![]),
        (
            "SELECT id FROM sales.orders WHERE id = ? AND region = ?",
            vec![DataType::Int64, DataType::Utf8],
        ),
        (
            "SELECT id FROM sales.orders WHERE region = $2 AND id = $1",
            vec![DataType::Int64, DataType::Utf8],
        ),
        (
            "SELECT id FROM sales.orders WHERE id IN (?, ?)",
            vec![DataType::Int64, DataType::Int64],
        ),
        (
            "SELECT id FROM sales.orders WHERE id BETWEEN ? AND ?",
            vec![DataType::Int64, DataType::Int64],
        ),
        ("SELECT id FROM sales.orders LIMIT ?", vec![DataType::Int64]),
        ("SELECT ?", vec![DataType::Utf8]),
        ("SELECT upper(?)", vec![DataType::Utf8]),
        ("SELECT ? || 'x'", vec![DataType::Utf8]),
        ("SELECT CAST(? AS BIGINT)", vec![DataType::Int64]),
        ("SELECT ?::BOOLEAN", vec![DataType::Boolean]),
        (
            "SELECT CASE WHEN region = ? THEN ? ELSE id END FROM sales.orders",
            vec![DataType::Utf8, DataType::Int64],
        ),
        ("SELECT CASE WHEN true THEN ? END", vec![DataType::Utf8]),
    ] {
        let planned = mesh
            .session()
            .plan(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let parameters = planned.parameters().unwrap();
        let found: Vec<_> = parameters
            .fields()
            .iter()
            .map(|f| f.data_type().clone())
            .collect();
        // Text of a view type is text.
        let found: Vec<_> = found
            .into_iter()
            .map(|t| {
                if t == DataType::Utf8View {
                    DataType::Utf8
                } else {
                    t
                }
            })
            .collect();
        assert_eq!(found, types, "{sql}");
        let names: Vec<_> = parameters
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let expected: Vec<_> = (1..=types.len()).map(|n| format!("${n}")).collect();
        assert_eq!(names, expected, "{sql}");
        assert!(parameters.fields().iter().all(|f| f.is_nullable()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_cast_and_bound_by_place() {
    let mesh = Mesh::open().await;
    let sql = "SELECT id FROM sales.orders WHERE region = ? AND id > ? ORDER BY id";
    assert_eq!(
        bound(&mesh, sql, &[text("EU"), text("1")]).await.unwrap(),
        ["3"]
    );
    assert_eq!(
        bound(&mesh, sql, &[text("EU"), ScalarValue::Int32(Some(0))])
            .await
            .unwrap(),
        ["1", "3"]
    );
    assert_eq!(
        bound(
            &mesh,
            "SELECT ?, ?",
            &[text("a"), ScalarValue::Int64(Some(2))]
        )
        .await
        .unwrap(),
        ["a|2"]
    );
    assert_eq!(
        bound(&mesh, "SELECT $2 || $1", &[text("a"), text("b")])
            .await
            .unwrap(),
        ["ba"]
    );
    assert_eq!(
        bound(&mesh, "SELECT ? IS NULL", &[ScalarValue::Utf8(None)])
            .await
            .unwrap(),
        ["true"]
    );
    assert_eq!(
        bound(
            &mesh,
            "SELECT id FROM sales.orders ORDER BY id LIMIT ?",
            &[text("1")]
        )
        .await
        .unwrap(),
        ["1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_explained() {
    let mesh = Mesh::open().await;
    let sql = "SELECT id FROM sales.orders WHERE id = ?";
    for (values, message) in [
        (vec![], "the statement takes 1 parameters, 0 were given"),
        (
            vec![text("1"), text("2")],
            "the statement takes 1 parameters, 2 were given",
        ),
        (
            vec![text("x")],
            "parameter `$1` is Int64: this Utf8 does not fit",
        ),
    ] {
        assert_eq!(
            bound(&mesh, sql, &values).await.unwrap_err(),
            Error::invalid(message)
        );
    }
    let error = mesh.error(sql).await;
    assert!(error.to_string().contains("have no values"), "{error}");
    // A large value is bound like any other.
    let error = bound(
        &mesh,
        "SELECT ? || ?",
        &[text(&"x".repeat(10 << 20)), text(&"x".repeat(10 << 20))],
    )
    .await;
    assert!(
        matches!(error, Err(Error::ResourceExhausted(_))),
        "{error:?}"
    );
}
