//! What is hidden and what never existed are one answer, byte for byte.

use tonic::{Code, Status};

use super::{Stored, assert_missing, batch, ints, texts};
use crate::support::{MeshDir, TestClient, TestServer, status};

const ORDERS: &str = "
- {name: id, logicalType: integer, required: true, primaryKey: true}
- {name: region, logicalType: string}
- {name: amount, logicalType: integer}
- {name: margin, logicalType: integer}
";
const PEOPLE: &str = "
- {name: id, logicalType: integer, required: true, primaryKey: true}
- {name: margin, logicalType: integer}
- {name: salary, logicalType: integer}
";
pub(super) const GRANTS: &str = r#"
- name: it
  to: ["user:ana"]
  on: orders
  columns: [id, region, amount]
  masks: {amount: bucket(777)}
  rows: "region = 'zanzibar' OR margin > 4242"
- name: returns
  to: ["user:ana"]
  on: returns
  columns: [id, region]
- name: bo
  to: ["user:bo"]
  on: "*"
  columns: "*"
"#;

/// Ana sees three columns of `sales.orders`, two of `sales.returns`, nothing
/// of `sales.payout` and nothing in `hr`.
pub(super) fn mesh() -> MeshDir {
    let people = Stored::Parquet.contract("people", PEOPLE);
    let orders = ["orders", "returns", "payout"].map(|name| Stored::Parquet.contract(name, ORDERS));
    let mesh = MeshDir::new("acme")
        .user("ana", "pw", &[], &[])
        .user("bo", "pw", &[], &[])
        .domain("sales", GRANTS, &[&orders[0], &orders[1], &orders[2]])
        .domain(
            "hr",
            "- {name: bo, to: ['user:bo'], on: people, columns: '*'}",
            &[&people],
        );
    let rows = batch([
        ("id", ints([1, 2, 3])),
        ("region", texts(["zanzibar", "EU", "EU"])),
        ("amount", ints([1000, 2000, 3000])),
        ("margin", ints([1, 5000, 3])),
    ]);
    for table in ["orders", "returns", "payout"] {
        Stored::Parquet.write(&mesh, "sales", table, "all", &rows);
    }
    let rows = batch([
        ("id", ints([1])),
        ("margin", ints([1])),
        ("salary", ints([1])),
    ]);
    Stored::Parquet.write(&mesh, "hr", "people", "all", &rows);
    mesh
}

/// The same statement about a hidden and about a missing name of equal length.
#[track_caller]
fn assert_same(
    about: &str,
    (hidden, hidden_name): (&Status, &str),
    (missing, missing_name): (&Status, &str),
) {
    let blank = |status: &Status, name: &str| {
        (
            status.code(),
            status.message().replace(name, "NAME"),
            String::from_utf8_lossy(status.details()).replace(name, "NAME"),
        )
    };
    assert_eq!(
        blank(hidden, hidden_name),
        blank(missing, missing_name),
        "{about}"
    );
    let keys = |status: &Status| {
        let mut keys: Vec<_> = status
            .metadata()
            .keys()
            .map(|key| format!("{key:?}"))
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(hidden), keys(missing), "{about}");
}

const STATEMENTS: [&str; 16] = [
    "SELECT * FROM {}",
    "SELECT count(*) FROM {}",
    "SELECT id, salary FROM {} WHERE salary > 1 ORDER BY 1",
    "SELECT * FROM sales.orders o JOIN {} x ON o.id = x.id",
    "SELECT * FROM sales.orders NATURAL JOIN {}",
    "SELECT * FROM {} UNION ALL SELECT * FROM sales.orders",
    "WITH a AS (SELECT * FROM {}) SELECT 1",
    "SELECT (SELECT max(id) FROM {})",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {})",
    "SELECT 1 FROM sales.orders WHERE id IN (SELECT id FROM {})",
    "TABLE {}",
    "DESCRIBE {}",
    "SHOW COLUMNS FROM {}",
    "EXPLAIN SELECT * FROM {}",
    "EXPLAIN FORMAT TREE SELECT * FROM {}",
    "DESCRIBE SELECT * FROM {}",
];

async fn refusals(client: &TestClient, sql: &str) -> [Status; 2] {
    [
        client.fails(sql).await,
        client.prepare(sql).await.unwrap_err(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_table_and_a_missing_one_are_one_answer() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for (hidden, missing) in [
        ("sales.payout", "sales.payovt"),
        ("acme.sales.payout", "acme.sales.payovt"),
        ("sales.payout@1", "sales.payovt@1"),
        // A domain of which nothing is granted is as missing as its tables.
        ("hr.people", "hr.peopls"),
        ("hr.people", "xr.people"),
    ] {
        for statement in STATEMENTS {
            let of_hidden = refusals(&ana, &statement.replace("{}", hidden)).await;
            let of_missing = refusals(&ana, &statement.replace("{}", missing)).await;
            for (a, b) in of_hidden.iter().zip(&of_missing) {
                assert_same(statement, (a, hidden), (b, missing));
            }
        }
        let status = ana.fails(&format!("SELECT * FROM {hidden}")).await;
        assert_missing(&status, hidden);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_schema_is_a_missing_one_for_the_session_too() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let of = |schema: &str| ana.clone().with_header("schema", schema);
    assert_same(
        "schema",
        (&of("hr").fails("SELECT 1").await, "hr"),
        (&of("xr").fails("SELECT 1").await, "xr"),
    );
    let sales = of("sales");
    assert_eq!(sales.value("SELECT count(*) FROM orders").await, "2");
    assert_same(
        "unqualified",
        (&sales.fails("SELECT * FROM payout").await, "payout"),
        (&sales.fails("SELECT * FROM payovt").await, "payovt"),
    );
    // Unqualified names are looked up nowhere else.
    assert_missing(&ana.fails("SELECT * FROM orders").await, "orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_column_and_a_missing_one_are_one_answer() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for statement in [
        "SELECT {} FROM sales.orders",
        "SELECT o.{} FROM sales.orders o",
        "SELECT sales.orders.{} FROM sales.orders",
        "SELECT max({}) FROM sales.orders",
        "SELECT id FROM sales.orders WHERE {} > 0",
        "SELECT id FROM sales.orders WHERE {} IS NULL",
        "SELECT id FROM sales.orders ORDER BY {}",
        "SELECT count(*) FROM sales.orders GROUP BY {}",
        "SELECT id FROM sales.orders GROUP BY id HAVING max({}) > 0",
        "SELECT sum(id) OVER (PARTITION BY {}) FROM sales.orders",
        "SELECT * FROM sales.orders a JOIN sales.orders b USING ({})",
        "SELECT * FROM sales.orders a JOIN sales.orders b ON a.{} = b.{}",
        "SELECT * EXCLUDE ({}) FROM sales.orders",
        "SELECT * EXCEPT ({}) FROM sales.orders",
        "SELECT t.{} FROM (SELECT * FROM sales.orders) t",
        "SELECT (SELECT max(x.id) FROM sales.orders x WHERE x.id = o.{}) FROM sales.orders o",
        "EXPLAIN SELECT {} FROM sales.orders",
    ] {
        let of = |name: &str| statement.replace("{}", name);
        let (hidden, missing) = ("margin", "mxrgin");
        let of_hidden = refusals(&ana, &of(hidden)).await;
        let of_missing = refusals(&ana, &of(missing)).await;
        for (a, b) in of_hidden.iter().zip(&of_missing) {
            assert_same(statement, (a, hidden), (b, missing));
            let others = a.message().replacen(&format!("`{hidden}`"), "", 1);
            assert!(
                !others.contains("salary") && !others.contains("4242"),
                "{others}"
            );
        }
    }
    let status = ana.fails("SELECT margin FROM sales.orders").await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with("column `margin` does not exist; there are sales.orders.id, sales.orders.region, sales.orders.amount"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_is_what_is_granted() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let visible = ["1|zanzibar|777", "2|EU|1554"];
    for sql in [
        "SELECT * FROM sales.orders ORDER BY id",
        "SELECT o.* FROM sales.orders o ORDER BY id",
        "SELECT * FROM (SELECT * FROM sales.orders) ORDER BY id",
        "WITH a AS (SELECT * FROM sales.orders) SELECT a.* FROM a ORDER BY id",
        // To replace what is not there replaces nothing, hidden or missing.
        "SELECT * REPLACE (1 AS margin) FROM sales.orders ORDER BY id",
        "SELECT * REPLACE (1 AS mxrgin) FROM sales.orders ORDER BY id",
        // Only the visible columns of both sides are common: `id` and `region`.
        "SELECT a.* FROM sales.orders a NATURAL JOIN sales.returns b ORDER BY id",
    ] {
        assert_eq!(ana.rows(sql).await, visible, "{sql}");
    }
    let described = ana
        .rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'orders'")
        .await;
    assert_eq!(described, ["id", "region", "amount"]);
    for sql in ["DESCRIBE sales.orders", "SHOW COLUMNS FROM sales.orders"] {
        let text = ana.table(sql).await;
        assert!(
            text.contains("amount") && !text.contains("margin"),
            "{text}"
        );
    }
    let bo = server.client("bo", "pw").await;
    assert_eq!(
        bo.value("SELECT max(margin) FROM sales.orders").await,
        "5000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_meets_the_grants_of_its_execution() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let mut prepared = ana
        .prepare("SELECT id, region FROM sales.returns ORDER BY id")
        .await
        .unwrap();
    let info = prepared.execute().await.unwrap();
    assert_eq!(ana.fetch(&info).await.unwrap()[0].num_rows(), 3);
    mesh.grants("sales", "");
    server.live.reload().await;
    assert_missing(
        &status(prepared.execute().await.unwrap_err()),
        "sales.returns",
    );
    assert_missing(&ana.fetch(&info).await.unwrap_err(), "sales.returns");
}
