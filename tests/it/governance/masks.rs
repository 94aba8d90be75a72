//! Every mask on the types it is for, against values written by hand. Digests
//! were computed with another implementation of HMAC-SHA-256.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Decimal128Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};

use super::{Stored, batch, floats, ints, texts};
use crate::support::{MeshDir, TestServer};

pub(super) const SECRET: &str = "a secret of the test mesh, long enough";
pub(super) const HASH_OF_3: &str =
    "a2b209afbd803b4c423d98bac285dfef534b571b970691f109622df7e848a718";
pub(super) const HASH_OF_4: &str =
    "f3da5ba85d4e74679d8a7ba1c2119d7d73f0e464ab219cbefc58f0feacfe4596";
pub(super) const HASH_OF_5: &str =
    "21116b0a02078f0b1d31918dfcae13c06aaeb3d841c889caefe322b3c7416461";
const HASH_OF_7: &str = "094592257d5a17d2d96997a91715024d16ca1ad03122f2552da657f30452a2be";
const HASH_OF_MINUS_12: &str = "0a9ebca03f79af1a8f4cee46d303ded942c724acbd7dbfd96fbe455d3481114b";
const HASH_OF_EMAIL: &str = "cb4917de3341cc344789ce3e4c17e55cd2fc0f0d049b2c8d9069f78a87ccb2f4";
const TOKEN_OF_EMAIL: &str = "b7402893837bf74deecf1f5e275ab108ce880cd844108f4db5eb6f75e20eb67b";
const TOKEN_OF_7: &str = "75adc2005889849b1f39d641fd2f4c3658d5817ef605d329c06bd510faca0071";

const COLUMNS: &str = "
- {name: id, logicalType: integer, required: true}
- {name: number, logicalType: integer}
- {name: price, logicalType: number, physicalType: 'DECIMAL(12,2)'}
- {name: ratio, logicalType: number, physicalType: DOUBLE}
- {name: born, logicalType: date}
- {name: seen, logicalType: timestamp}
- {name: text, logicalType: string}
- {name: open, logicalType: boolean}
";

/// Row 1 has values, row 2 others, row 3 NULLs.
fn mesh(stored: Stored) -> MeshDir {
    let mesh = MeshDir::new("acme")
        .with_head("secret: file:secret")
        .user("ana", "pw", &[], &[])
        .domain("crm", "", &[&stored.contract("people", COLUMNS)]);
    mesh.write("secret", SECRET);
    let decimals = Decimal128Array::from(vec![Some(1999), Some(-1), None]);
    let seen = vec![Some(1_111_111_111_123_456), Some(-1), None];
    let rows = batch([
        ("id", ints([1, 2, 3])),
        (
            "number",
            Arc::new(arrow::array::Int64Array::from(vec![
                Some(7),
                Some(-12),
                None,
            ])),
        ),
        (
            "price",
            Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
        ),
        ("ratio", floats([1.75, -0.25, 0.0])),
        (
            "born",
            Arc::new(Date32Array::from(vec![Some(12_345), Some(-1), None])),
        ),
        (
            "seen",
            Arc::new(TimestampMicrosecondArray::from(seen).with_timezone("UTC")),
        ),
        ("text", texts(["ana@x.eu", "Ärger 42", "∅"])),
        (
            "open",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
    ]);
    stored.write(&mesh, "crm", "people", "all", &rows);
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mask_gives_what_it_says() {
    let cases: &[(&str, &str, [&str; 3])] = &[
        ("number", "bucket(5)", ["5", "-15", "∅"]),
        ("price", "bucket(10)", ["10.00", "-10.00", "∅"]),
        ("price", "bucket(0.50)", ["19.50", "-0.50", "∅"]),
        ("ratio", "bucket(0.5)", ["1.5", "-0.5", "0.0"]),
        // 2003-10-20 and 1969-12-31.
        ("born", "truncate_month", ["2003-10-01", "1969-12-01", "∅"]),
        ("born", "truncate_year", ["2003-01-01", "1969-01-01", "∅"]),
        // 2005-03-18T01:58:31.123456Z and a microsecond before 1970.
        (
            "seen",
            "truncate_month",
            ["2005-03-01T00:00:00Z", "1969-12-01T00:00:00Z", "∅"],
        ),
        (
            "seen",
            "truncate_year",
            ["2005-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "∅"],
        ),
        ("text", "show_last(4)", ["****x.eu", "****r 42", "∅"]),
        ("text", "show_last(8)", ["********", "********", "∅"]),
        ("text", "show_first(2)", ["an******", "Är******", "∅"]),
        ("text", "alphanum", ["xxx@x.xx", "xxxxx 99", "∅"]),
        ("text", "fixed('gone')", ["gone", "gone", "∅"]),
        ("number", "fixed(0)", ["0", "0", "∅"]),
        ("price", "fixed(1.5)", ["1.50", "1.50", "∅"]),
        (
            "born",
            "fixed('2000-02-29')",
            ["2000-02-29", "2000-02-29", "∅"],
        ),
        ("open", "fixed(true)", ["true", "true", "∅"]),
        ("number", "hash", [HASH_OF_7, HASH_OF_MINUS_12, "∅"]),
        ("number", "nullify", ["∅", "∅", "∅"]),
        ("price", "nullify", ["∅", "∅", "∅"]),
        ("seen", "nullify", ["∅", "∅", "∅"]),
        ("text", "nullify", ["∅", "∅", "∅"]),
        ("open", "nullify", ["∅", "∅", "∅"]),
    ];
    for stored in [Stored::Parquet, Stored::Csv] {
        let mesh = mesh(stored);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        for (column, mask, expected) in cases {
            mesh.grants("crm", &grant(column, mask));
            let report = server.live.reload().await;
            assert!(
                report.kept.is_empty(),
                "{mask} on {column}: {:?}",
                report.faults
            );
            let sql = format!("SELECT {column} FROM crm.people ORDER BY id");
            assert_eq!(
                ana.rows(&sql).await,
                expected,
                "{stored:?}: {mask} on {column}"
            );
            // A mask is what a filter sees, and what is grouped by.
            let sql = format!("SELECT count(*) FROM (SELECT {column} FROM crm.people GROUP BY 1)");
            let distinct = expected
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len();
            assert_eq!(
                ana.value(&sql).await,
                distinct.to_string(),
                "{mask} on {column}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_join_across_columns_and_only_within_a_scope() {
    let mesh = mesh(Stored::Parquet);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for (mask, number, text) in [
        ("hash", HASH_OF_7, HASH_OF_EMAIL),
        ("token(partner)", TOKEN_OF_7, TOKEN_OF_EMAIL),
    ] {
        mesh.grants(
            "crm",
            &format!(
                "
- name: it
  to: [everyone]
  on: people
  columns: [id, number, text]
  masks:
    number: {mask}
    text: {mask}
"
            ),
        );
        assert!(server.live.reload().await.kept.is_empty());
        let rows = ana
            .rows("SELECT number, text FROM crm.people WHERE id = 1")
            .await;
        assert_eq!(rows, [format!("{number}|{text}")]);
        let sql = format!("SELECT count(*) FROM crm.people WHERE text = '{text}'");
        assert_eq!(ana.value(&sql).await, "1");
        assert_eq!(
            ana.value("SELECT count(*) FROM crm.people WHERE text = 'ana@x.eu'")
                .await,
            "0"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_columns_keep_or_change_their_type_as_declared() {
    let mesh = mesh(Stored::Parquet);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for (column, mask, expected) in [
        ("number", "bucket(5)", DataType::Int64),
        ("number", "hash", DataType::Utf8),
        ("price", "bucket(10)", DataType::Decimal128(12, 2)),
        ("ratio", "bucket(1)", DataType::Float64),
        ("born", "truncate_year", DataType::Date32),
        (
            "seen",
            "truncate_month",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        ("text", "show_first(1)", DataType::Utf8),
        ("open", "nullify", DataType::Boolean),
    ] {
        mesh.grants("crm", &grant(column, mask));
        server.live.reload().await;
        let batches = ana
            .query(&format!("SELECT {column} FROM crm.people"))
            .await
            .unwrap();
        let schema = batches[0].schema();
        let field = schema.field(0);
        assert_eq!(
            (field.data_type(), field.is_nullable()),
            (&expected, true),
            "{mask} on {column}"
        );
    }
}

fn grant(column: &str, mask: &str) -> String {
    format!(
        "\n- name: it\n  to: [everyone]\n  on: people\n  columns: [id, {column}]\n  masks: {{{column}: \"{mask}\"}}\n"
    )
}
