//! Lists of names show what the caller sees, and statements that are no queries
//! are refused.

use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetExportedKeys, CommandGetPrimaryKeys, CommandGetTables,
};
use tonic::Code;

use super::assert_missing;
use super::names::mesh;
use crate::support::{TestServer, cells, status};

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_names_show_what_is_visible() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let bo = server.client("bo", "pw").await;
    let names = "SELECT table_schema, table_name FROM information_schema.tables \
                 WHERE table_type = 'BASE TABLE' ORDER BY 1, 2";
    // A major version has a name of its own that is not listed twice.
    assert_eq!(ana.rows(names).await, ["sales|orders", "sales|returns"]);
    assert_eq!(bo.rows(names).await.len(), 4);
    assert_eq!(
        ana.rows("SELECT id FROM sales.orders@1 ORDER BY id").await,
        ana.rows("SELECT id FROM sales.orders ORDER BY id").await
    );
    assert_eq!(
        ana.rows("SELECT schema_name FROM information_schema.schemata ORDER BY 1")
            .await,
        ["sales", "system"]
    );
    let columns = "SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = 'sales' ORDER BY 1";
    assert_eq!(ana.rows(columns).await, ["amount", "id", "region"]);

    for sql in [
        "SHOW TABLES",
        "SHOW TABLES FROM hr",
        "SHOW SCHEMAS",
        "SHOW DATABASES",
        "SHOW CATALOGS",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns WHERE table_schema <> 'information_schema'",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.schemata",
    ] {
        let text = ana.rows(sql).await.join("\n");
        for hidden in ["payout", "people", "hr", "margin", "salary", "zanzibar"] {
            assert!(
                !text.split(['|', '\n']).any(|cell| cell.contains(hidden)),
                "{sql}: {hidden}: {text}"
            );
        }
    }
    assert_eq!(ana.rows("SHOW TABLES FROM sales").await.len(), 2);
    assert_eq!(
        ana.rows("SHOW TABLES FROM hr").await,
        ana.rows("SHOW TABLES FROM xr").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_commands_show_what_is_visible() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let tables = |schema: Option<&str>, table: Option<&str>| CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: schema.map(str::to_owned),
        table_name_filter_pattern: table.map(str::to_owned),
        table_types: Vec::new(),
        include_schema: false,
    };
    let all = cells(&ana.metadata(&tables(None, None)).await.unwrap());
    assert!(
        all.iter().all(|row| row.starts_with("acme|sales|orders")
            || row.starts_with("acme|sales|returns")
            || row.starts_with("acme|system|")),
        "{all:?}"
    );
    let schemas = CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: None,
    };
    let schemas = cells(&ana.metadata(&schemas).await.unwrap());
    assert!(
        schemas.contains(&"acme|sales".to_owned()) && !schemas.iter().any(|row| row.contains("hr")),
        "{schemas:?}"
    );

    // A hidden table, schema or key and a missing one: one and the same batch.
    let hidden = ana
        .metadata(&tables(Some("hr"), Some("people")))
        .await
        .unwrap();
    assert_eq!(
        hidden,
        ana.metadata(&tables(Some("xr"), Some("people")))
            .await
            .unwrap()
    );
    assert_eq!(
        hidden,
        ana.metadata(&tables(Some("sales"), Some("payout")))
            .await
            .unwrap()
    );
    assert_eq!(hidden[0].num_rows(), 0);
    let keys = |schema: &str, table: &str| CommandGetPrimaryKeys {
        catalog: Some("acme".to_owned()),
        db_schema: Some(schema.to_owned()),
        table: table.to_owned(),
    };
    assert_eq!(
        cells(&ana.metadata(&keys("sales", "orders")).await.unwrap()),
        ["acme|sales|orders|id|1|∅"]
    );
    let hidden = ana.metadata(&keys("sales", "payout")).await.unwrap();
    assert_eq!(
        hidden,
        ana.metadata(&keys("sales", "payovt")).await.unwrap()
    );
    assert_eq!(hidden, ana.metadata(&keys("hr", "people")).await.unwrap());
    assert_eq!(hidden[0].num_rows(), 0);
    let exported = |table: &str| CommandGetExportedKeys {
        catalog: None,
        db_schema: Some("sales".to_owned()),
        table: table.to_owned(),
    };
    assert_eq!(
        ana.metadata(&exported("payout")).await.unwrap(),
        ana.metadata(&exported("payovt")).await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_not_there() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for name in ["df_settings", "df_nothing"] {
        let name = format!("information_schema.{name}");
        assert_missing(&ana.fails(&format!("SELECT * FROM {name}")).await, &name);
    }
    let listed = ana
        .rows("SELECT table_name FROM information_schema.tables")
        .await;
    assert!(
        !listed.iter().any(|name| name.contains("df_")),
        "{listed:?}"
    );
    for sql in [
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SET TIME ZONE 'UTC'",
        "USE sales",
    ] {
        for status in [ana.fails(sql).await, ana.prepare(sql).await.unwrap_err()] {
            let expected = "settings are neither shown nor changed by SQL; use session options";
            assert_eq!(
                (status.code(), status.message()),
                (Code::PermissionDenied, expected),
                "{sql}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_no_query_is_refused() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bo = server.client("bo", "pw").await;
    for sql in [
        "COPY sales.orders TO '/tmp/weft-stolen.parquet'",
        "COPY (SELECT 1) TO '/tmp/weft-stolen.csv' STORED AS CSV",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT * FROM sales.orders",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE SCHEMA s",
        "CREATE FUNCTION f(int) RETURNS int RETURN 1",
        "DROP TABLE sales.orders",
        "INSERT INTO sales.orders VALUES (1)",
        "UPDATE sales.orders SET id = 1",
        "DELETE FROM sales.orders",
        "TRUNCATE TABLE sales.orders",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "EXPLAIN INSERT INTO sales.orders VALUES (1)",
        "SELECT * INTO t FROM sales.orders",
        "SELECT * FROM sales.orders FOR UPDATE",
        "WITH a AS (INSERT INTO sales.orders VALUES (1) RETURNING id) SELECT * FROM a",
    ] {
        for status in [bo.fails(sql).await, bo.prepare(sql).await.unwrap_err()] {
            assert_eq!(
                (status.code(), status.message()),
                (Code::PermissionDenied, "weft is read-only"),
                "{sql}"
            );
        }
        let mut flight = bo.flight.clone();
        let update = status(
            flight
                .execute_update(sql.to_owned(), None)
                .await
                .unwrap_err(),
        );
        assert!(
            matches!(update.code(), Code::PermissionDenied | Code::Unimplemented),
            "{sql}: {update}"
        );
    }
    assert!(!std::path::Path::new("/tmp/weft-stolen.parquet").exists());
    assert!(!std::path::Path::new("/tmp/weft-stolen.csv").exists());
    for sql in ["BEGIN", "COMMIT", "ROLLBACK"] {
        assert_eq!(bo.fails(sql).await.code(), Code::Unimplemented, "{sql}");
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'all.parquet'",
        "SELECT * FROM read_csv('/etc/passwd')",
    ] {
        let status = bo.fails(sql).await;
        assert!(
            matches!(status.code(), Code::NotFound | Code::InvalidArgument),
            "{sql}: {status}"
        );
    }
    assert_eq!(bo.value("SELECT count(*) FROM sales.orders").await, "3");
}
