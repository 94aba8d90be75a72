//! `weft access explain` on the demo mesh.

use std::process::Command;

use serde_json::Value;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/demo/mesh.yaml");

fn explain(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["access", "explain", "--mesh", DEMO])
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn json(arguments: &[&str]) -> Value {
    let (_, out, err) = explain(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"))
}

fn shown<'a>(table: &'a Value, column: &str) -> &'a str {
    let columns = table["columns"].as_array().unwrap();
    let found = columns.iter().find(|it| it["column"] == column).unwrap();
    found["shown"].as_str().unwrap()
}

#[test]
fn a_table_is_explained_column_by_column() {
    let found = json(&["--as", "user:ana", "sales.orders"]);
    let table = &found["tables"][0];
    assert_eq!(table["access"], "granted");
    assert_eq!(shown(table, "order_id"), "clear");
    assert_eq!(shown(table, "amount"), "conditional");
    let grants = table["grants"].as_array().unwrap();
    let standing = |name: &str| {
        let grant = grants.iter().find(|it| it["grant"] == name).unwrap();
        grant["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing("own-region"), "active");
    assert_eq!(standing("bookkeeping"), "other_grantee");
    let own = grants
        .iter()
        .find(|it| it["grant"] == "own-region")
        .unwrap();
    assert_eq!(own["bound_rows"], "region = 'EU'");
}

#[test]
fn a_query_is_explained_by_what_it_reads() {
    let read = |sql: &str| {
        let found = json(&["--as", "user:carla", sql]);
        let tables = found["tables"].as_array().unwrap().clone();
        let read = |it: &Value| (it["table"].clone(), it["reads"].clone());
        tables.iter().map(read).collect::<Vec<_>>()
    };
    let pair = |table: &str, columns: &[&str]| (Value::from(table), Value::from(columns.to_vec()));
    assert_eq!(
        read("SELECT count(*) FROM sales.orders o WHERE amount > 10"),
        [pair("sales.orders", &["amount"])]
    );
    // In a subquery, a CTE and a join, and one that is not needed at all.
    assert_eq!(
        read(
            "WITH p AS (SELECT sku FROM sales.products) SELECT o.region FROM sales.orders o \
             WHERE EXISTS (SELECT 1 FROM p WHERE p.sku = o.channel)"
        )
        .len(),
        2
    );
    assert_eq!(
        read("SELECT 1 FROM sales.orders LIMIT 0"),
        [pair("sales.orders", &[])]
    );
}

#[test]
fn what_does_not_exist_for_them_is_said_and_is_the_exit_code() {
    let (code, out, _) = explain(&["--as", "user:ben", "SELECT channel FROM sales.orders"]);
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("the query reads what does not exist for them: channel"),
        "{out}"
    );
    let (code, out, _) = explain(&["--as", "user:ana", "hr.people"]);
    assert_eq!(code, i32::from(!out.contains("sees ")), "{out}");
    let (code, _, _) = explain(&["--as", "user:carla", "sales.orders"]);
    assert_eq!(code, 0);
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let (code, _, err) = explain(&["--as", "user:ana", "sales.oders"]);
    assert_eq!(code, 1);
    assert!(err.contains("did you mean `sales.orders`?"), "{err}");
    let (code, _, err) = explain(&["--as", "user:nobody", "sales.orders"]);
    assert_eq!(code, 2);
    assert!(err.contains("`--group` and `--attribute`"), "{err}");
    let (code, _, err) = explain(&["--as", "ana", "sales.orders"]);
    assert_eq!(code, 2);
    assert!(err.contains("user:NAME"), "{err}");
    let (code, _, err) = explain(&["--as", "user:ana", "DELETE FROM sales.orders"]);
    assert_eq!(code, 1);
    assert!(err.contains("cannot be planned"), "{err}");
}

/// As the server plans it: over the columns and types that they have.
#[test]
fn a_query_is_planned_as_theirs() {
    let said = |whom: &str, sql: &str| {
        let (code, out, err) = explain(&["--as", whom, sql]);
        (code, format!("{out}{err}"))
    };
    for (whom, sql) in [
        ("user:ben", "SELECT * FROM sales.orders"),
        ("user:ben", "SELECT count(*) FROM system.products"),
        (
            "user:ben",
            "SELECT table_name FROM information_schema.tables",
        ),
        ("user:ben", "SHOW TABLES"),
    ] {
        let (code, text) = said(whom, sql);
        assert_eq!(code, 0, "{sql}: {text}");
        assert!(!text.contains("does not exist"), "{sql}: {text}");
    }
    for (whom, sql, refused) in [
        (
            "user:ben",
            "SELECT order_id FROM (SELECT order_id, channel FROM sales.orders) t",
            "channel",
        ),
        (
            "user:ben",
            "SELECT order_id FROM sales.orders WHERE false AND channel = 'web'",
            "channel",
        ),
        ("user:dora", "DESCRIBE crm.customers", "crm.customers"),
        ("user:dora", "SELECT 1 FROM crm.customers", "crm.customers"),
    ] {
        let (code, text) = said(whom, sql);
        assert_eq!(code, 1, "{sql}: {text}");
        let (_, reason) = text
            .split_once("The query is refused: ")
            .unwrap_or_else(|| panic!("{sql}: {text}"));
        assert!(reason.contains(refused), "{sql}: {text}");
    }
    let found = json(&["--as", "user:ben", "SELECT channel FROM sales.orders"]);
    assert!(
        found["refused"].as_str().unwrap().contains("channel"),
        "{found}"
    );
    let found = json(&["--as", "user:ben", "SELECT order_id FROM sales.orders"]);
    assert!(found["refused"].is_null(), "{found}");
}
