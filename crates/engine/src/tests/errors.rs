//! What a client reads when something is wrong.

use super::mesh::Mesh;
use crate::{Error, SessionOptions};

#[tokio::test(flavor = "multi_thread")]
async fn hidden_and_missing_are_one_text() {
    let mesh = Mesh::open().await;
    for name in [
        "hr.people",
        "hr.nope",
        "sales.nope",
        "nope.nope",
        "nope",
        "acme.hr.people",
        "other.sales.orders",
    ] {
        let expected = Error::NotFound(format!(
            "table `{name}` does not exist or is not granted to you"
        ));
        for sql in [
            format!("SELECT * FROM {name}"),
            format!("SELECT * FROM sales.orders o JOIN {name} x ON true"),
            format!("SELECT (SELECT count(*) FROM {name})"),
            format!("EXPLAIN SELECT * FROM {name}"),
            format!("DESCRIBE {name}"),
            format!("SHOW COLUMNS FROM {name}"),
        ] {
            assert_eq!(mesh.error(&sql).await, expected, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_not_granted_are_not_there() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT margin FROM sales.orders",
        "SELECT 1 FROM sales.orders WHERE margin > 0",
    ] {
        let error = mesh.error(sql).await;
        let text = error.to_string();
        assert!(
            text.starts_with("column `margin` does not exist; there are sales.orders.id"),
            "{text}"
        );
        assert_eq!(text.matches("margin").count(), 1, "{text}");
        assert!(
            matches!(
                error,
                Error::InvalidArgument {
                    position: Some((1, _)),
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_at_a_place() {
    let mesh = Mesh::open().await;
    let error = mesh.error("SELECT 1\nFROM )").await;
    assert!(
        matches!(
            error,
            Error::InvalidArgument {
                position: Some((2, _)),
                ..
            }
        ),
        "{error:?}"
    );
    let error = mesh.error("SELECT nope(1)").await;
    assert!(
        matches!(&error, Error::InvalidArgument { message, .. } if message.contains("nope")),
        "{error:?}"
    );
    let error = mesh.error("SELECT 'a").await;
    assert!(
        matches!(
            error,
            Error::InvalidArgument {
                position: Some((1, _)),
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_does_not_fit_is_an_argument_error() {
    let mesh = Mesh::open().await;
    for (sql, part) in [
        (
            "SELECT 1 / (value - 1) FROM generate_series(1, 3)",
            "Divide by zero",
        ),
        (
            "SELECT CAST(region AS INT) FROM sales.orders",
            "Cannot cast string 'EU'",
        ),
        (
            "SELECT region ~ '(' FROM sales.orders",
            "the regular expression is not valid: unclosed group",
        ),
        (
            "SELECT regexp_like(region, '[') FROM sales.orders",
            "unclosed character class",
        ),
        (
            "SELECT (SELECT value FROM generate_series(1, 3))",
            "more than one row",
        ),
    ] {
        let error = mesh.error(sql).await;
        assert!(
            matches!(&error, Error::InvalidArgument { message, .. } if message.contains(part)),
            "{sql}: {error:?}"
        );
    }
    // The row with `secret` is hidden: no error can tell of it.
    assert_eq!(
        mesh.rows("SELECT sum(CAST(amount AS INT)) FROM sales.orders")
            .await
            .unwrap(),
        ["40"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn session_options_are_checked() {
    let mesh = Mesh::open().await;
    let options = |catalog: &str, schema: &str, timezone: &str| {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        SessionOptions {
            purpose: None,
            catalog: set(catalog),
            schema: set(schema),
            timezone: set(timezone),
            statement_timeout: None,
        }
    };
    for (options, text) in [
        (
            options("other", "", ""),
            "catalog `other` does not exist or is not granted to you",
        ),
        (
            options("", "hr", ""),
            "schema `hr` does not exist or is not granted to you",
        ),
        (
            options("", "nope", ""),
            "schema `nope` does not exist or is not granted to you",
        ),
        (
            options("", "", "Mars/Base"),
            "`Mars/Base` is not a time zone",
        ),
    ] {
        assert_eq!(mesh.session_with(options).unwrap_err().to_string(), text);
    }
    let session = mesh
        .session_with(options("acme", "sales", "Europe/Vienna"))
        .unwrap();
    let planned = session
        .plan("SELECT id FROM orders ORDER BY id")
        .await
        .unwrap();
    assert!(planned.is_ordered());
    assert_eq!(
        super::mesh::rows(planned.execute().await.unwrap())
            .await
            .unwrap(),
        ["1", "3"]
    );
    let planned = session
        .plan("SELECT current_schema() FROM orders")
        .await
        .unwrap();
    assert!(!planned.is_ordered());
    assert_eq!(
        super::mesh::rows(planned.execute().await.unwrap())
            .await
            .unwrap(),
        ["sales", "sales"]
    );
}
