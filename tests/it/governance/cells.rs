//! Several grants on one table: what is visible, cell by cell, written by hand.

use arrow::datatypes::DataType;

use super::{Stored, batch, ints, texts};
use crate::support::{MeshDir, TestServer, cells};

const COLUMNS: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: amount, logicalType: integer}
- {name: email, logicalType: string}
- {name: note, logicalType: string, required: true}
- {name: secret, logicalType: string}
";

const GRANTS: &str = r#"
- name: europe
  to: [group:analysts]
  on: orders
  columns: [id, region, amount, email]
  masks: {amount: bucket(100)}
  rows: "region = 'EU'"
- name: large
  to: ["user:ana"]
  on: orders
  columns: [id, amount, email, note]
  masks: {email: show_last(3)}
  rows: "amount >= 250"
- name: small
  to: ["user:cyd"]
  on: orders
  columns: [id, amount, email]
  masks:
    amount: bucket(10)
    email: hash
  rows: "amount < 300"
"#;

fn mesh(stored: Stored) -> MeshDir {
    let mesh = MeshDir::new("acme")
        .user("ana", "pw", &["analysts"], &[])
        .user("bo", "pw", &["analysts"], &[])
        .user("cyd", "pw", &["analysts"], &[])
        .user("dan", "pw", &[], &[])
        .domain("sales", GRANTS, &[&stored.contract("orders", COLUMNS)]);
    let rows = batch([
        ("id", ints([1, 2, 3, 4, 5])),
        ("region", texts(["EU", "EU", "US", "US", "∅"])),
        ("amount", ints([10, 250, 300, 20, 555])),
        (
            "email",
            texts(["ana@x.eu", "bob@x.eu", "cyd@x.us", "dan@x.us", "eve@x.io"]),
        ),
        ("note", texts(["n1", "n2", "n3", "n4", "n5"])),
        ("secret", texts(["s1", "s2", "s3", "s4", "s5"])),
    ]);
    stored.write(&mesh, "sales", "orders", "all", &rows);
    mesh
}

/// Ana holds `europe` (rows 1, 2) and `large` (rows 2, 3, 5).
///
/// | row | id | region | amount | email | note |
/// |---|---|---|---|---|---|
/// | 1 | clear | clear | bucket | clear | hidden |
/// | 2 | clear | clear | clear | clear | clear |
/// | 3 | clear | hidden | clear | last 3 | clear |
/// | 4 | - | - | - | - | - |
/// | 5 | clear | hidden | clear | last 3 | clear |
const OF_ANA: [&str; 4] = [
    "1|EU|0|ana@x.eu|∅",
    "2|EU|250|bob@x.eu|n2",
    "3|∅|300|*****.us|n3",
    "5|∅|555|*****.io|n5",
];

#[tokio::test(flavor = "multi_thread")]
async fn two_overlapping_grants_show_the_union_of_their_cells() {
    for stored in [Stored::Parquet, Stored::Csv, Stored::Json] {
        let mesh = mesh(stored);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        assert_eq!(
            ana.rows("SELECT * FROM sales.orders ORDER BY id").await,
            OF_ANA,
            "{stored:?}"
        );

        // One of the two alone is the plain view that it describes.
        let bo = server.client("bo", "pw").await;
        let of_bo = ["1|EU|0|ana@x.eu", "2|EU|200|bob@x.eu"];
        assert_eq!(
            bo.rows("SELECT * FROM sales.orders ORDER BY id").await,
            of_bo,
            "{stored:?}"
        );

        let dan = server.client("dan", "pw").await;
        super::assert_missing(
            &dan.fails("SELECT * FROM sales.orders").await,
            "sales.orders",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_writes_sees_cells_and_nothing_under_them() {
    for stored in [Stored::Parquet, Stored::Csv] {
        let mesh = mesh(stored);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        for (sql, expected) in [
            (
                "SELECT id FROM sales.orders WHERE amount = 0",
                &["1"] as &[&str],
            ),
            ("SELECT id FROM sales.orders WHERE amount = 10", &[]),
            (
                "SELECT id FROM sales.orders WHERE amount < 250 ORDER BY 1",
                &["1"],
            ),
            ("SELECT id FROM sales.orders WHERE email LIKE 'cyd%'", &[]),
            (
                "SELECT id FROM sales.orders WHERE email LIKE '%.us'",
                &["3"],
            ),
            ("SELECT id FROM sales.orders WHERE note = 'n1'", &[]),
            ("SELECT id FROM sales.orders WHERE note IS NULL", &["1"]),
            (
                "SELECT id FROM sales.orders WHERE region IS NULL ORDER BY 1",
                &["3", "5"],
            ),
            ("SELECT id FROM sales.orders WHERE region = 'US'", &[]),
            ("SELECT id FROM sales.orders WHERE id = 4", &[]),
            (
                "SELECT count(*), count(region), count(note), sum(amount) FROM sales.orders",
                &["4|2|3|1105"],
            ),
            (
                "SELECT region, count(*) FROM sales.orders GROUP BY region ORDER BY 1",
                &["EU|2", "∅|2"],
            ),
            (
                "SELECT min(amount), max(amount), max(note) FROM sales.orders",
                &["0|555|n5"],
            ),
            (
                "SELECT note FROM sales.orders ORDER BY note DESC NULLS LAST LIMIT 1",
                &["n5"],
            ),
            (
                "SELECT a.id, b.id FROM sales.orders a JOIN sales.orders b ON a.region = b.region AND a.id < b.id",
                &["1|2"],
            ),
        ] {
            assert_eq!(ana.rows(sql).await, expected, "{stored:?}: {sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_cells_make_a_required_column_nullable() {
    let mesh = mesh(Stored::Parquet);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let schema = ana.query("SELECT * FROM sales.orders").await.unwrap()[0].schema();
    let nullable: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| (f.name().as_str(), f.is_nullable()))
        .collect();
    assert_eq!(
        nullable,
        [
            ("id", false),
            ("region", true),
            ("amount", true),
            ("email", true),
            ("note", true)
        ]
    );
    assert!(
        schema.metadata().is_empty() && schema.fields().iter().all(|f| f.metadata().is_empty())
    );
}

/// Cyd holds `europe` (rows 1, 2) and `small` (rows 1, 2, 4): two buckets meet
/// on one cell, and the finer one is the more revealing.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_masks_the_more_revealing_is_seen() {
    for stored in [Stored::Parquet, Stored::Csv] {
        let mesh = mesh(stored);
        let server = TestServer::start(&mesh).await;
        let cyd = server.client("cyd", "pw").await;
        let rows = cyd
            .rows("SELECT id, region, amount, email FROM sales.orders ORDER BY id")
            .await;
        assert_eq!(
            rows[..2],
            ["1|EU|10|ana@x.eu", "2|EU|250|bob@x.eu"],
            "{stored:?}"
        );
        assert_eq!(rows.len(), 3);
        let hashed = rows[2].strip_prefix("4|∅|20|").unwrap();
        assert!(
            hashed.len() == 64 && hashed.chars().all(|c| c.is_ascii_hexdigit()),
            "{hashed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_grants_compose_in_any_order() {
    const GRANTS: [&str; 3] = [
        r#"
- name: wide
  to: ["user:ana"]
  on: orders
  columns: "*"
  masks:
    amount: bucket(1000)
    secret: nullify
    email: alphanum
"#,
        r#"
- name: eu
  to: ["user:ana"]
  on: orders
  columns: [id, amount, email]
  masks: {amount: bucket(100)}
  rows: "region = 'EU'"
"#,
        r#"
- name: large
  to: ["user:ana"]
  on: orders
  columns: [id, amount, secret]
  rows: "amount > 500"
"#,
    ];
    let expected = [
        "1|EU|0|ana@x.eu|n1|∅",
        "2|EU|200|bob@x.eu|n2|∅",
        "3|US|0|xxx@x.xx|n3|∅",
        "4|US|0|xxx@x.xx|n4|∅",
        "5|∅|555|xxx@x.xx|n5|s5",
    ];
    for stored in [Stored::Parquet, Stored::Csv] {
        let mesh = mesh(stored);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            mesh.grants("sales", &order.map(|i| GRANTS[i].trim_end()).join("\n"));
            assert!(server.live.reload().await.kept.is_empty());
            let rows = ana.rows("SELECT * FROM sales.orders ORDER BY id").await;
            assert_eq!(rows, expected, "{stored:?} {order:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integer_in_clear_here_and_hashed_there_is_text() {
    let mesh = mesh(Stored::Parquet).with_head("secret: file:secret");
    mesh.write("secret", super::masks::SECRET);
    mesh.grants(
        "sales",
        r#"
- name: eu
  to: [everyone]
  on: orders
  columns: [id, amount]
  rows: "region = 'EU'"
- name: rest
  to: [everyone]
  on: orders
  columns: [id, amount]
  masks: {id: hash}
"#,
    );
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let batches = ana
        .query("SELECT id, amount FROM sales.orders ORDER BY amount")
        .await
        .unwrap();
    assert_eq!(batches[0].schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(
        cells(&batches),
        [
            "1|10".to_owned(),
            format!("{}|20", super::masks::HASH_OF_4),
            "2|250".to_owned(),
            format!("{}|300", super::masks::HASH_OF_3),
            format!("{}|555", super::masks::HASH_OF_5),
        ]
    );
    // As text it compares: `10` is not a number here.
    assert_eq!(
        ana.rows("SELECT amount FROM sales.orders WHERE id = '2'")
            .await,
        ["250"]
    );
}
