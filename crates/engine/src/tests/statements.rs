//! Which statements are allowed.

use std::{sync::Arc, time::Duration};

use datafusion::execution::FunctionRegistry;

use super::mesh::Mesh;
use crate::{Error, SessionOptions, functions::Caps, plan::logical_plan};

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_names_and_data_are_allowed() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT 1",
        "SELECT 1;",
        " ; SELECT 1 ; ; ",
        "select * from sales.orders",
        "SELECT * FROM acme.sales.orders",
        "SELECT \"id\" FROM \"sales\".\"orders\"",
        "FROM sales.orders",
        "VALUES (1, 'a'), (2, 'b')",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT * FROM n",
        "SELECT * FROM sales.orders |> WHERE id > 1",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT unnest([1, 2])",
        "EXPLAIN SELECT * FROM sales.orders",
        "EXPLAIN FORMAT TREE SELECT 1",
        "EXPLAIN FORMAT pgjson SELECT 1",
        "EXPLAIN FORMAT graphviz SELECT 1",
        "DESCRIBE sales.orders",
        "DESC sales.orders",
        "DESCRIBE \"sales\".\"orders\"",
        "DESCRIBE SELECT 1",
        "SHOW TABLES",
        "SHOW TABLES FROM sales",
        "SHOW TABLES IN sales LIKE 'o%'",
        "SHOW TABLES LIKE 'o%'",
        "SHOW SCHEMAS",
        "SHOW DATABASES",
        "SHOW CATALOGS",
        "SHOW COLUMNS FROM sales.orders",
        "SHOW FUNCTIONS",
        "SELECT VERSION()",
        "SELECT current_schema(), current_database(), current_catalog, current_user, session_user",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.schemata",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.routines",
        "SELECT * FROM information_schema.parameters",
    ] {
        let result = mesh.rows(sql).await;
        assert!(result.is_ok(), "{sql}: {result:?}");
    }
}

/// All of them, and none that is left out: whoever lists them gets those that can be called.
#[tokio::test(flavor = "multi_thread")]
async fn functions_are_listed() {
    let mesh = Mesh::open().await;
    let listed = async |sql: &str| mesh.rows(sql).await.unwrap();
    let names = "'abs', 'current_user', 'input_file_name', 'row_number', 'sum', 'upper'";
    let sql = format!(
        "SELECT DISTINCT routine_name FROM information_schema.routines \
         WHERE routine_name IN ({names}) ORDER BY 1"
    );
    let all = ["abs", "current_user", "row_number", "sum", "upper"];
    assert_eq!(listed(&sql).await, all);
    let sql = "SELECT count(*) > 500 FROM information_schema.parameters";
    assert_eq!(listed(sql).await, ["true"]);
    let shown = listed("SHOW FUNCTIONS").await;
    for name in ["date_trunc|", "sum|", "generate_series|"] {
        assert!(shown.iter().any(|row| row.starts_with(name)), "{name}");
    }
    // By its name alone, where that is the session's schema.
    let options = SessionOptions {
        schema: Some("information_schema".to_owned()),
        ..SessionOptions::default()
    };
    let session = mesh.session_with(options).unwrap();
    let sql = "SELECT count(*) > 100 FROM routines, sales.orders WHERE routine_name <> ''";
    let query = session.plan(sql).await.unwrap();
    let query = query.waiting().unwrap().continued(&session).unwrap();
    let rows = super::mesh::rows(query.execute().await.unwrap()).await;
    assert_eq!(rows.unwrap(), ["true"]);
}

/// Functions that are made when a statement calls them are those of a state that has them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_means_what_it_means_with_all_functions_at_hand() {
    let mesh = Mesh::open().await;
    let session = mesh.session();
    for sql in [
        "SELECT UPPER(region), character_length(region), region || 'x' FROM sales.orders",
        "SELECT current_user, current_database(), version(), now(), current_date",
        "SELECT date_part('year', now()), extract(year FROM current_date), trim(' a ')",
        "SELECT position('a' IN region), substring(region FROM 1 FOR 2), ceil(1.5) FROM sales.orders",
        "SELECT [1, 2][1], make_array(1), {'a': 1}['a'], coalesce(NULL, 1)",
        "SELECT count(*), sum(id) FILTER (WHERE id > 1), first_value(id) FROM sales.orders",
        "SELECT row_number() OVER (ORDER BY id), lag(id) OVER (ORDER BY id) FROM sales.orders",
        "SELECT * FROM generate_series(1, 1 + 2), range(3)",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT * FROM n",
        "SELECT uper(region) FROM sales.orders",
        "SELECT nothing_like_it()",
        "SELECT input_file_name() FROM sales.orders",
        "SELECT array_transform([1], x -> x + 1)",
        "SELECT * FROM no_function(1)",
        "SELECT @variable",
    ] {
        let caps = Arc::new(Caps::new(Duration::from_secs(60)));
        let (mut state, registry) = session.state(&caps);
        let statement = crate::sql::parse(sql, session.mesh_name())
            .unwrap()
            .statement;
        let references = state.resolve_table_references(&statement).unwrap();
        let own = logical_plan(&mut state, &registry, &references, statement.clone()).await;
        for function in registry.scalar_functions() {
            state.register_udf(function).unwrap();
        }
        for function in registry.table_functions().values() {
            state.register_udtf(function.name(), Arc::clone(function.function()));
        }
        let engines = state.statement_to_plan(statement).await;
        let [own, engines] = [own, engines].map(|plan| match plan {
            Ok(plan) => plan.display_indent_schema().to_string(),
            // Which of several equally near names the engine suggests is a matter of chance.
            Err(error) => match error.to_string().split_once(" mean '") {
                Some((error, _)) => format!("{error} …"),
                None => error.to_string(),
            },
        });
        assert_eq!(own, engines, "{sql}");
    }
}

/// Also where several are as near, and wherever the server was started anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_function_is_always_the_same() {
    for (sql, nearest) in [
        ("SELECT input_file_name() FROM sales.orders", "bit_length"),
        ("SELECT uper(region) FROM sales.orders", "upper"),
    ] {
        for _ in 0..8 {
            let error = Mesh::open().await.rows(sql).await.unwrap_err().to_string();
            let suggested = format!("Did you mean '{nearest}'?");
            assert!(error.contains(&suggested), "{sql}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_select_list_may_be_left_out() {
    let mesh = Mesh::open().await;
    let all = ["1|EU|10", "3|EU|30"];
    assert_eq!(
        mesh.rows("FROM sales.orders ORDER BY id").await.unwrap(),
        all
    );
    let pipe = mesh.rows("FROM sales.orders |> WHERE id > 1").await;
    assert_eq!(pipe.unwrap(), [all[1]]);
    let inner = mesh
        .rows("SELECT count(*), min(id) FROM (FROM sales.orders)")
        .await;
    assert_eq!(inner.unwrap(), ["2|1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_described_in_the_types_of_clients() {
    let mesh = Mesh::open().await;
    let described = ["id|Int64|NO", "region|Utf8|YES", "amount|Utf8|YES"];
    for sql in [
        "DESCRIBE sales.orders",
        "DESCRIBE SELECT * FROM sales.orders",
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
         WHERE table_schema = 'sales' ORDER BY ordinal_position",
    ] {
        assert_eq!(mesh.rows(sql).await.unwrap(), described, "{sql}");
    }
    let views = mesh.rows("SELECT * FROM information_schema.views").await;
    assert!(views.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_takes_the_formats_that_there_are() {
    let mesh = Mesh::open().await;
    for sql in [
        "EXPLAIN (FORMAT JSON) SELECT 1",
        "EXPLAIN FORMAT yaml SELECT 1",
    ] {
        assert_eq!(
            mesh.error(sql).await,
            Error::invalid(
                "`EXPLAIN` has no such format; there are `indent`, `tree`, `pgjson` and `graphviz`"
            ),
            "{sql}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_writes_is_read_only() {
    let mesh = Mesh::open().await;
    for sql in [
        "INSERT INTO sales.orders VALUES (1)",
        "UPDATE sales.orders SET id = 1",
        "DELETE FROM sales.orders",
        "MERGE INTO sales.orders USING t ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE sales.orders",
        "CREATE TABLE t (a int)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE OR REPLACE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE EXTERNAL TABLE t (x text) STORED AS CSV LOCATION 'file:///etc/passwd'",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "CREATE INDEX i ON sales.orders (id)",
        "CREATE FUNCTION f(int) RETURNS int RETURN $1",
        "CREATE MACRO m(a) AS a",
        "DROP TABLE sales.orders",
        "DROP SCHEMA sales",
        "ALTER TABLE sales.orders ADD COLUMN x int",
        "COPY sales.orders TO '/tmp/x.parquet'",
        "COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV",
        "PREPARE p AS SELECT 1",
        "PREPARE p AS COPY (SELECT 1) TO '/tmp/x'",
        "EXECUTE p",
        "DEALLOCATE p",
        "GRANT SELECT ON sales.orders TO bob",
        "CALL f()",
        "ANALYZE TABLE sales.orders",
        "EXPLAIN INSERT INTO sales.orders VALUES (1)",
        "EXPLAIN ANALYZE INSERT INTO sales.orders VALUES (1)",
        "EXPLAIN COPY (SELECT 1) TO '/tmp/x'",
        "EXPLAIN CREATE TABLE t AS SELECT 1",
        "SELECT 1 INTO t",
        "SELECT * INTO t FROM sales.orders",
        "SELECT * FROM sales.orders FOR UPDATE",
        "SELECT * FROM sales.orders FOR SHARE",
        "SELECT * FROM (SELECT * FROM sales.orders FOR UPDATE) x",
        "WITH a AS (INSERT INTO sales.orders VALUES (1) RETURNING id) SELECT * FROM a",
        "WITH a AS (SELECT 1) INSERT INTO sales.orders SELECT * FROM a",
        "WITH a AS (DELETE FROM sales.orders RETURNING id) SELECT * FROM a",
    ] {
        let error = mesh.error(sql).await;
        // What does not parse in this dialect is an error all the same.
        let refused = error == Error::ReadOnly || matches!(error, Error::InvalidArgument { .. });
        assert!(refused, "{sql}: {error}");
        if !sql.contains("MACRO") && !sql.contains("RETURN $1") {
            assert_eq!(error, Error::ReadOnly, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_measurements_are_denied() {
    let mesh = Mesh::open().await;
    for sql in [
        "SET datafusion.execution.batch_size = 1",
        "SET TIME ZONE 'UTC'",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "SHOW TIMEZONE",
        "SHOW VARIABLES",
        "USE sales",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN VERBOSE SELECT 1",
        "EXPLAIN ANALYZE VERBOSE SELECT 1",
        "EXPLAIN (ANALYZE) SELECT 1",
        "EXPLAIN (COSTS) SELECT 1",
        "EXPLAIN EXPLAIN SELECT 1",
    ] {
        let error = mesh.error(sql).await;
        assert!(
            matches!(error, Error::PermissionDenied(_)),
            "{sql}: {error}"
        );
    }
    for sql in [
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM acme.information_schema.df_settings",
    ] {
        let error = mesh.error(sql).await;
        assert!(matches!(error, Error::NotFound(_)), "{sql}: {error}");
    }
    let tables = mesh.rows("SHOW TABLES").await.unwrap();
    assert!(
        tables.contains(&"acme|sales|orders|BASE TABLE".to_owned()),
        "{tables:?}"
    );
    assert!(
        !tables
            .iter()
            .any(|row| row.contains("df_settings") || row.contains("people")),
        "{tables:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_ignored_is_refused() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT * FROM sales.orders TABLESAMPLE (10 PERCENT)",
        "SELECT * FROM sales.orders FOR SYSTEM_TIME AS OF '2020-01-01'",
        "SELECT * FROM sales.orders SETTINGS a = 1",
        "SELECT * FROM sales.orders FORMAT JSON",
        "SELECT * FROM sales.orders PREWHERE id = 1",
        "SELECT CAST(NULL AS INT[2000000000])",
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
        "SELECT * FROM generate_series(1, octet_length(arrow_cast(NULL, 'FixedSizeBinary(2000000000)')))",
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(1025)')",
        "SELECT arrow_cast([], 'FixedSizeList(0, Null)')",
        "SELECT arrow_cast([NULL], 'List(FixedSizeBinary(33))')",
        "SELECT arrow_cast(NULL, 'FixedSizeList(1000000, FixedSizeList(1000000, Int64))')",
        "SELECT arrow_cast(NULL, 'FixedSizeList(1, FixedSizeBinary(1025))')",
        "SELECT arrow_cast(NULL, 'Dictionary(Int32, FixedSizeBinary(1025))')",
        "SELECT arrow_try_cast(NULL, 'Struct(\"a\": FixedSizeBinary(1025))')",
        "START TRANSACTION",
        "BEGIN",
        "COMMIT",
        "SHOW CREATE TABLE sales.orders",
        "SHOW VIEWS",
        "SHOW SCHEMAS LIMIT 1",
    ] {
        let error = mesh.error(sql).await;
        let refused = matches!(
            error,
            Error::Unimplemented(_) | Error::InvalidArgument { .. }
        );
        assert!(refused, "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_statement_at_a_time() {
    let mesh = Mesh::open().await;
    for (sql, text) in [
        ("", "there is no statement"),
        (" ;; -- nothing\n", "there is no statement"),
        ("SELECT 1; SELECT 2", "one statement at a time, please"),
        ("SELECT 1; DROP TABLE x", "one statement at a time, please"),
    ] {
        assert_eq!(mesh.error(sql).await.to_string(), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_other_functions_do_not_exist() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"file:///etc/passwd\"",
        "SELECT * FROM 's3://bucket/x.parquet'",
        "SELECT * FROM parquet_metadata('x')",
        "SELECT input_file_name()",
        "SELECT array_transform([1], x -> x)",
        "SELECT file_row_index()",
        "SELECT * FROM hr.people",
        "DESCRIBE hr.people",
        "SHOW COLUMNS FROM hr.people",
    ] {
        let error = mesh.error(sql).await;
        assert!(
            matches!(error, Error::NotFound(_) | Error::InvalidArgument { .. }),
            "{sql}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_tells_of_itself() {
    let mesh = Mesh::open().await;
    let rows = mesh
        .rows("SELECT version(), current_database(), current_user, current_schema()")
        .await
        .unwrap();
    assert_eq!(
        rows,
        [format!("weft {}|acme|ana|∅", env!("CARGO_PKG_VERSION"))]
    );
    assert_eq!(mesh.rows("SHOW CATALOGS").await.unwrap(), ["acme"]);
    assert_eq!(
        mesh.rows("SHOW SCHEMAS").await.unwrap(),
        ["sales", "system"]
    );
    assert_eq!(
        mesh.rows("SHOW TABLES FROM sales").await.unwrap(),
        ["acme|sales|orders|BASE TABLE"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_the_seal_and_nothing_inside() {
    let mesh = Mesh::open().await;
    for format in [
        "",
        "FORMAT indent",
        "FORMAT tree",
        "FORMAT pgjson",
        "FORMAT graphviz",
    ] {
        let sql = format!(
            "EXPLAIN {format} SELECT id FROM sales.orders WHERE id > 1 AND region LIKE 'E%'"
        );
        let plan = mesh.rows(&sql).await.unwrap().join("\n");
        assert!(
            !plan.contains("csv") && !plan.contains("'EU'") && !plan.contains("\"EU\""),
            "{plan}"
        );
        assert!(
            !plan.contains("margin") && !plan.contains("mesh:"),
            "{plan}"
        );
    }
}
