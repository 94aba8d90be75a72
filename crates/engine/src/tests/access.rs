//! Entitlements, guardrails, purposes and `cell_hidden` in whole queries.

use datafusion::arrow::{array::AsArray, datatypes::Int64Type};
use futures::TryStreamExt;
use weft_mesh::Purpose;

use super::mesh::{Mesh, rows};
use crate::{Error, SessionOptions};

const FILES: [(&str, &str); 13] = [
    (
        "mesh.yaml",
        "apiVersion: weft/v1\nkind: Mesh\nname: acme\ndomains:\n  - sales/domain.yaml\n  - hr/domain.yaml\nguardrails: guardrails.yaml\nidentity:\n  users: []\n",
    ),
    (
        "guardrails.yaml",
        "apiVersion: weft/v1
kind: Guardrails
guardrails:
  - name: pii
    on: {tags: [pii]}
    mask: show_last(2)
  - name: secrets
    on: {classification: secret}
    deny: true
  - name: purpose
    on: {tables: [hr.*], column: salary}
    requirePurpose: true
  - name: small
    on: {domains: [sales], column: amount}
    rows: amount < 50
  - name: apart
    forbidCombine: [sales.*, hr.*]
",
    ),
    (
        "sales/domain.yaml",
        "apiVersion: weft/v1\nkind: Domain\nname: sales\nstorage:\n  - name: local\n    url: ./data/\nproducts: [\"*.odcs.yaml\"]\ngrants: grants.yaml\n",
    ),
    (
        "sales/grants.yaml",
        "apiVersion: weft/v1
kind: Grants
domain: sales
grants:
  - name: mine
    to: [user:ana]
    on: orders
    columns: [id, region, amount]
    rows: id IN (SELECT order_id FROM sales.members WHERE who = session.user)
  - name: eu
    to: [user:ana]
    on: orders
    columns: [id, email, code]
    rows: region = 'EU'
",
    ),
    (
        "sales/orders.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: 5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c11
name: Orders
version: 1.0.0
status: active
domain: sales
servers:
  - {server: dev, type: local, path: ./data/orders.csv, format: csv}
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: region, logicalType: string}
      - {name: amount, logicalType: integer}
      - {name: email, logicalType: string, tags: [pii]}
      - {name: code, logicalType: string, classification: secret}
",
    ),
    (
        "sales/data/orders.csv",
        "id,region,amount,email,code\n1,EU,10,a@x.de,s\n2,US,20,b@x.de,s\n3,EU,30,c@x.de,s\n4,US,40,d@x.de,s\n5,EU,90,e@x.de,s\n6,EU,,f@x.de,s\n7,US,5,,s\n",
    ),
    (
        "sales/members.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: 5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c13
name: Members
version: 1.0.0
status: active
domain: sales
servers:
  - {server: dev, type: local, path: ./data/members.csv, format: csv}
schema:
  - name: members
    logicalType: object
    properties:
      - {name: who, logicalType: string}
      - {name: order_id, logicalType: integer}
",
    ),
    (
        "sales/data/members.csv",
        "who,order_id\nana,1\nana,2\nana,2\nbob,4\nana,\nana,99\n",
    ),
    (
        "hr/domain.yaml",
        "apiVersion: weft/v1\nkind: Domain\nname: hr\nstorage:\n  - name: local\n    url: ./data/\nproducts: [people.odcs.yaml]\ngrants: grants.yaml\n",
    ),
    (
        "hr/grants.yaml",
        "apiVersion: weft/v1\nkind: Grants\ndomain: hr\ngrants:\n  - name: all\n    to: [user:ana]\n    on: people\n    columns: \"*\"\n  - name: audit\n    to: [user:ana]\n    on: pay\n    columns: \"*\"\n    purposes: [audit]\n",
    ),
    (
        "hr/people.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: 5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c12
name: People
version: 1.0.0
status: active
domain: hr
servers:
  - {server: dev, type: local, path: \"./data/{table}.csv\", format: csv}
schema:
  - name: people
    logicalType: object
    properties:
      - {name: name, logicalType: string}
      - {name: salary, logicalType: integer}
  - name: pay
    logicalType: object
    properties:
      - {name: name, logicalType: string}
",
    ),
    ("hr/data/people.csv", "name,salary\nbob,1\n"),
    ("hr/data/pay.csv", "name\nbob\n"),
];

async fn mesh() -> Mesh {
    Mesh::of(&FILES, |config| config).await
}

async fn with_purpose(mesh: &Mesh, sql: &str) -> Result<Vec<String>, Error> {
    let options = SessionOptions {
        purpose: Some(Purpose::parse("audit").unwrap()),
        ..SessionOptions::default()
    };
    rows(
        mesh.session_with(options)?
            .plan(sql)
            .await?
            .execute()
            .await?,
    )
    .await
}

/// Members of ana: 1 and 2; EU: 1, 3, 5, 6; amounts from 50 or unknown are
/// hidden from everybody.
#[tokio::test(flavor = "multi_thread")]
async fn cells_of_entitlements_grants_and_guardrails() {
    let mesh = mesh().await;
    assert_eq!(
        mesh.rows("SELECT * FROM sales.orders ORDER BY id")
            .await
            .unwrap(),
        ["1|EU|10|****de", "2|US|20|∅", "3|∅|∅|****de"]
    );
    for (sql, expected) in [
        ("SELECT count(*) FROM sales.orders", "3"),
        ("SELECT sum(amount) FROM sales.orders WHERE id > 1", "20"),
        ("SELECT id FROM sales.orders WHERE region = 'US'", "2"),
        ("SELECT id FROM sales.orders ORDER BY id DESC LIMIT 1", "3"),
        (
            "SELECT count(*) FROM sales.orders a JOIN sales.orders b ON a.id = b.id",
            "3",
        ),
    ] {
        assert_eq!(mesh.rows(sql).await.unwrap(), [expected], "{sql}");
    }
}

/// Order 3 is shown without its amount, which is 30.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_lies_under_a_hidden_cell() {
    let mesh = mesh().await;
    let sql = "SELECT id, amount FROM sales.orders ORDER BY id";
    let query = mesh
        .session()
        .plan(sql)
        .await
        .unwrap()
        .execute()
        .await
        .unwrap();
    let batches: Vec<_> = query.try_collect().await.unwrap();
    let amounts = batches.iter().flat_map(|batch| {
        let column = batch.column(1).as_primitive::<Int64Type>().clone();
        column.values().to_vec()
    });
    assert_eq!(amounts.collect::<Vec<_>>(), [10, 20, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_column_and_an_entitlement_do_not_exist() {
    let mesh = mesh().await;
    for (sql, other) in [
        (
            "SELECT code FROM sales.orders",
            "SELECT nope FROM sales.orders",
        ),
        ("SELECT * FROM sales.members", "SELECT * FROM sales.nope"),
    ] {
        let (found, expected) = (mesh.error(sql).await, mesh.error(other).await);
        let found = found
            .to_string()
            .replace("code", "nope")
            .replace("members", "nope");
        assert_eq!(found, expected.to_string());
    }
    let plan = mesh
        .rows("EXPLAIN SELECT * FROM sales.orders")
        .await
        .unwrap();
    for secret in ["members", "who", "HashJoin", "50", "EU", "code"] {
        assert!(!plan.concat().contains(secret), "{secret} in {plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_opens_what_asks_for_one() {
    let mesh = mesh().await;
    let columns = "SELECT * FROM hr.people";
    assert_eq!(mesh.rows(columns).await.unwrap(), ["bob"]);
    assert_eq!(with_purpose(&mesh, columns).await.unwrap(), ["bob|1"]);
    let missing = mesh.error("SELECT salary FROM hr.people").await.to_string();
    assert!(missing.contains("salary"), "{missing}");
    assert_eq!(
        mesh.error("SELECT * FROM hr.pay").await.to_string(),
        mesh.error("SELECT * FROM hr.nop")
            .await
            .to_string()
            .replace("nop", "pay")
    );
    assert_eq!(
        with_purpose(&mesh, "SELECT name FROM hr.pay")
            .await
            .unwrap(),
        ["bob"]
    );
    assert_eq!(
        with_purpose(&mesh, "SELECT current_purpose()")
            .await
            .unwrap(),
        ["audit"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_kept_apart_are_not_combined() {
    let mesh = mesh().await;
    let text = "guardrail `apart` forbids to read `sales.orders` and `hr.people` in one query";
    for sql in [
        "SELECT * FROM sales.orders, hr.people",
        "SELECT id FROM sales.orders WHERE EXISTS (SELECT 1 FROM hr.people)",
        "SELECT (SELECT max(name) FROM hr.people) FROM sales.orders",
        "SELECT id FROM sales.orders UNION ALL SELECT 1 FROM hr.people WHERE false",
        "WITH p AS (SELECT * FROM hr.people) SELECT o.id FROM sales.orders o WHERE o.region IN (SELECT name FROM p)",
        "EXPLAIN SELECT * FROM sales.orders, hr.people",
        "SELECT id FROM sales.orders ORDER BY (SELECT max(name) FROM hr.people)",
        "SELECT id FROM sales.orders WHERE false AND id IN (SELECT length(name) FROM hr.people)",
    ] {
        assert_eq!(
            mesh.error(sql).await,
            Error::PermissionDenied(text.to_owned()),
            "{sql}"
        );
    }
    // Both of one side, and the entitlement that the policy reads.
    mesh.rows("SELECT * FROM sales.orders a, sales.orders b")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_hidden_tells_policy_from_data() {
    let mesh = mesh().await;
    let all = ["1|false|false", "2|false|true", "3|true|false"];
    for sql in [
        "SELECT id, cell_hidden(amount), cell_hidden(email) FROM sales.orders ORDER BY id",
        "SELECT o.id, cell_hidden(o.amount), cell_hidden(o.email) FROM sales.orders o ORDER BY id",
        "SELECT id, cell_hidden(a), cell_hidden(email) FROM (SELECT id, amount AS a, email FROM sales.orders) t ORDER BY id",
        "WITH t AS (SELECT * FROM sales.orders WHERE id > 0) SELECT id, cell_hidden(amount), cell_hidden(email) FROM t ORDER BY id",
        "SELECT a.id, cell_hidden(b.amount), cell_hidden(a.email) FROM sales.orders a JOIN sales.orders b USING (id) ORDER BY a.id",
        "SELECT id, cell_hidden(amount), bool_and(cell_hidden(email)) FROM sales.orders GROUP BY id, cell_hidden(amount) ORDER BY id",
    ] {
        assert_eq!(mesh.rows(sql).await.unwrap(), all, "{sql}");
    }
    for (sql, expected) in [
        ("SELECT id FROM sales.orders WHERE cell_hidden(amount)", "3"),
        (
            "SELECT id FROM sales.orders ORDER BY cell_hidden(amount) DESC, id LIMIT 1",
            "3",
        ),
        (
            "SELECT count(*) FILTER (WHERE cell_hidden(email)) FROM sales.orders",
            "1",
        ),
        (
            "SELECT max(id) FROM sales.orders HAVING bool_or(cell_hidden(email))",
            "3",
        ),
        (
            "SELECT cell_hidden(id) FROM sales.orders WHERE id = 1",
            "false",
        ),
        (
            "SELECT count(*) FROM sales.orders a JOIN sales.orders b ON a.id = b.id AND cell_hidden(a.amount) = cell_hidden(b.amount)",
            "3",
        ),
        (
            "SELECT id FROM sales.orders WHERE id IN (SELECT id FROM sales.orders WHERE cell_hidden(amount))",
            "3",
        ),
        (
            "SELECT cell_hidden(b.email) FROM (VALUES (9)) a(id) LEFT JOIN sales.orders b ON a.id = b.id",
            "false",
        ),
        // A column that is called as the flag would be is no flag.
        (
            "SELECT cell_hidden(email) FROM (SELECT id, email, NOT cell_hidden(email) AS \"cell_hidden(email)\" FROM sales.orders) t WHERE id = 2",
            "true",
        ),
        (
            "SELECT cell_hidden(email) FROM (SELECT id, email, false AS \"cell_hidden(email)\", false AS \"cell_hidden(email)'\" FROM sales.orders) t WHERE id = 2",
            "true",
        ),
        (
            "SELECT string_agg(id::varchar, ',' ORDER BY id) FROM (SELECT DISTINCT ON (cell_hidden(email)) id FROM sales.orders ORDER BY cell_hidden(email), id) t",
            "1,2",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT ON (cell_hidden(email)) id FROM sales.orders) t",
            "2",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT ON (id) id, cell_hidden(email) AS h FROM sales.orders ORDER BY id, cell_hidden(amount) DESC) t WHERE h",
            "1",
        ),
        (
            "SELECT string_agg(n::varchar, ',' ORDER BY n) FROM (SELECT count(*) AS n FROM sales.orders GROUP BY ROLLUP (cell_hidden(email))) t",
            "1,2,3",
        ),
        (
            "SELECT string_agg(n::varchar, ',' ORDER BY n) FROM (SELECT cell_hidden(email) AS h, count(*) AS n FROM sales.orders GROUP BY GROUPING SETS ((cell_hidden(email)), ())) t",
            "1,2,3",
        ),
        (
            "SELECT count(*) FROM (SELECT cell_hidden(email), cell_hidden(amount), count(*) FROM sales.orders GROUP BY CUBE (cell_hidden(email), cell_hidden(amount))) t",
            "8",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT ON (id) cell_hidden(email) FROM sales.orders) t",
            "3",
        ),
    ] {
        assert_eq!(mesh.rows(sql).await.unwrap(), [expected], "{sql}");
    }
    for sql in [
        "SELECT cell_hidden(amount + 1) FROM sales.orders",
        "SELECT cell_hidden(1)",
        "SELECT cell_hidden(x) FROM (VALUES (1)) t(x)",
        "SELECT cell_hidden(a) FROM (SELECT sum(amount) AS a FROM sales.orders) t",
        "SELECT id, cell_hidden(amount) FROM sales.orders GROUP BY id, amount",
        "SELECT id FROM sales.orders o WHERE EXISTS (SELECT 1 WHERE cell_hidden(o.amount))",
    ] {
        let error = mesh.error(sql).await;
        let text = error.to_string();
        assert!(
            matches!(error, Error::InvalidArgument { .. }) && text.contains("takes one column"),
            "{sql}: {text}"
        );
    }
}
