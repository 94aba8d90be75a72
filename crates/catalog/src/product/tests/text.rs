//! CSV and JSON.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use weft_mesh::{Column, Compression, CsvFormat, Format, JsonFormat, JsonLayout};

use super::fixture::*;
use crate::error::SourceErrorKind;

fn csv() -> Format {
    Format::Csv(CsvFormat::default())
}

fn json(layout: JsonLayout) -> Format {
    Format::Json(JsonFormat {
        layout,
        compression: Compression::None,
    })
}

const MARKED: &str = r#"SELECT id, n, "weft:unparsed:id", "weft:unparsed:n" FROM t"#;

fn people() -> Vec<Column> {
    vec![
        required(column("id", DataType::Int64)),
        column("name", DataType::Utf8),
        stored_as(column("paid", DataType::Decimal128(10, 2)), "Amount"),
        column("day", DataType::Date32),
        column(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        column("ok", DataType::Boolean),
    ]
}

#[tokio::test]
async fn csv_columns_are_found_by_the_header() {
    let lake = Lake::new();
    lake.text(
        "t/a.csv",
        "id,name,Amount,day,at,ok\n1,Ana,1.50,2026-01-02,2026-01-02T03:04:05Z,true\n2,,,,,\n",
    );
    // Another order, another column, quotes, a line break inside of them, CRLF, a mark, no last line break.
    lake.text(
        "t/b.csv",
        "\u{feff}name,extra, id ,Amount\r\n\"B, \"\"b\"\"\nb\",x,3,-2\r\nC,y,4,0.05",
    );
    lake.text("t/c.csv", "id\n5\n");
    lake.text("t/d.csv", "id,name\n");
    let table = lake.table(csv(), "t/*.csv", people()).await;
    assert_eq!(
        query(&table, "SELECT id, paid, day, at, ok FROM t ORDER BY id")
            .await
            .unwrap(),
        [
            "1|1.50|2026-01-02|2026-01-02T03:04:05Z|true",
            "2||||",
            "3|-2.00|||",
            "4|0.05|||",
            "5||||"
        ]
    );
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE name = E'B, \"b\"\\nb'")
            .await
            .unwrap(),
        ["3"]
    );
    assert_eq!(
        query(&table, "SELECT count(*), count(name) FROM t")
            .await
            .unwrap(),
        ["5|3"]
    );
    assert_eq!(
        query(&table, "SELECT name, id FROM t WHERE id = 4")
            .await
            .unwrap(),
        ["C|4"]
    );
    assert_eq!(
        query(&table, "SELECT count(*) FROM t WHERE ok")
            .await
            .unwrap(),
        ["1"]
    );
}

#[tokio::test]
async fn csv_that_is_not_as_promised_is_an_error() {
    let lake = Lake::new();
    let contract = || {
        vec![
            required(column("id", DataType::Int64)),
            column("n", DataType::Int32),
        ]
    };
    for (file, text, kind) in [
        ("lacks", "n\n1\n", SourceErrorKind::Schema),
        ("case", "ID,n\n1,1\n", SourceErrorKind::Schema),
        ("twice", "id,n,n\n1,2,3\n", SourceErrorKind::Schema),
        ("open", "id,n\n1,\"2\n3,4\n", SourceErrorKind::Schema),
    ] {
        lake.text(&format!("{file}/a.csv"), text);
        let table = lake.table(csv(), file, contract()).await;
        assert_eq!(refusal(&table, "SELECT id, n FROM t").await, kind, "{file}");
    }
    // What does not parse is NULL, and marked.
    for (file, text, row) in [
        ("text", "id,n\n1,many\n", "1||false|true"),
        ("large", "id,n\n1,3000000000\n", "1||false|true"),
        ("short", "id,n\n1\n", "||true|true"),
        ("long", "id,n\n1,2,3\n", "||true|true"),
        ("good", "id,n\n1,2\n", "1|2|false|false"),
    ] {
        lake.text(&format!("{file}/a.csv"), text);
        let table = lake.table(csv(), file, contract()).await;
        assert_eq!(query(&table, MARKED).await.unwrap(), [row], "{file}");
    }
    // Whether a value may be missing is for the seal to say, of visible rows.
    lake.text("null/a.csv", "id,n\n,2\n");
    let table = lake.table(csv(), "null", contract()).await;
    assert_eq!(query(&table, "SELECT id, n FROM t").await.unwrap(), ["|2"]);
}

#[tokio::test]
async fn csv_without_a_header_is_in_contract_order() {
    let lake = Lake::new();
    lake.text("t/p=x/a.csv", "1;'a;b'\n\n2;NA\n3;\n");
    let format = Format::Csv(CsvFormat {
        header: false,
        delimiter: b';',
        quote: b'\'',
        null: Some("NA".to_owned()),
        compression: Compression::None,
    });
    let columns = vec![
        column("id", DataType::Int64),
        partition(column("p", DataType::Utf8), 1),
        column("name", DataType::Utf8),
    ];
    let table = lake.table(format, "t", columns).await;
    assert_eq!(
        query(
            &table,
            "SELECT name, p, id, name IS NULL FROM t ORDER BY id"
        )
        .await
        .unwrap(),
        ["a;b|x|1|false", "|x|2|true", "|x|3|false"]
    );
    assert_eq!(
        query(&table, "SELECT p FROM t WHERE id > 1").await.unwrap(),
        ["x", "x"]
    );
}

#[tokio::test]
async fn csv_cannot_hold_lists() {
    let lake = Lake::new();
    lake.text("t/a.csv", "l\n[1]\n");
    let list = DataType::new_list(DataType::Int64, true);
    let table = lake.table(csv(), "t", vec![column("l", list)]).await;
    assert_eq!(
        refusal(&table, "SELECT l FROM t").await,
        SourceErrorKind::Schema
    );
}

#[tokio::test]
async fn a_large_csv_comes_whole() {
    let lake = Lake::new();
    let rows: String = (0..800_000)
        .map(|n| format!("{n},\"line one\nand two of {n}\"\n"))
        .collect();
    assert!(rows.len() > 20_000_000);
    lake.text("t/a.csv", format!("id,name\n{rows}"));
    let columns = vec![
        column("id", DataType::Int64),
        column("name", DataType::Utf8),
    ];
    let table = lake.table(csv(), "t", columns).await;
    let counted = query(
        &table,
        "SELECT count(*), sum(id), count(DISTINCT name) FROM t",
    )
    .await
    .unwrap();
    assert_eq!(counted, ["800000|319999600000|800000"]);
}

#[tokio::test]
async fn compressed_text() {
    let lake = Lake::new();
    let gzip = std::process::Command::new("gzip").arg("--version").output();
    if gzip.is_err() {
        return;
    }
    lake.text("t/a.csv", "id,name\n1,a\n");
    assert!(
        std::process::Command::new("gzip")
            .arg(lake.path("t/a.csv"))
            .status()
            .unwrap()
            .success()
    );
    let format = Format::Csv(CsvFormat {
        compression: Compression::Gzip,
        ..CsvFormat::default()
    });
    let columns = vec![
        column("id", DataType::Int64),
        column("name", DataType::Utf8),
    ];
    let table = lake.table(format, "t/*.csv.gz", columns).await;
    assert_eq!(
        query(&table, "SELECT id, name FROM t").await.unwrap(),
        ["1|a"]
    );
}

#[tokio::test]
async fn json_by_line_and_as_an_array() {
    let lake = Lake::new();
    lake.text("lines/a.json", concat!(
        r#"{"id": 1, "name": "Ana", "Amount": 1.50, "day": "2026-01-02", "at": "2026-01-02T03:04:05Z", "ok": true}"#, "\n",
        r#"{"more": {"x": [1]}, "id": 2, "name": null}"#, "\n\n",
        r#"{"name": "line\nbreak", "id": 3}"#,
    ));
    lake.text("array/a.json", r#"[
        {"id": 1, "name": "Ana", "Amount": 1.50, "day": "2026-01-02", "at": "2026-01-02T03:04:05Z", "ok": true},
        {"more": {"x": [1]}, "id": 2, "name": null}, {"name": "line\nbreak", "id": 3}]"#);
    for (folder, layout) in [("lines", JsonLayout::NewLine), ("array", JsonLayout::Array)] {
        let table = lake.table(json(layout), folder, people()).await;
        assert_eq!(
            query(&table, "SELECT id, paid, day, at, ok FROM t ORDER BY id")
                .await
                .unwrap(),
            [
                "1|1.50|2026-01-02|2026-01-02T03:04:05Z|true",
                "2||||",
                "3||||"
            ],
            "{folder}"
        );
        assert_eq!(
            query(&table, "SELECT count(*) FROM t").await.unwrap(),
            ["3"],
            "{folder}"
        );
        assert_eq!(
            query(&table, "SELECT id FROM t WHERE name = E'line\\nbreak'")
                .await
                .unwrap(),
            ["3"],
            "{folder}"
        );
    }
}

#[tokio::test]
async fn json_that_is_not_as_promised_is_an_error() {
    let lake = Lake::new();
    let contract = || {
        vec![
            required(column("id", DataType::Int64)),
            column("n", DataType::Utf8),
        ]
    };
    for (file, text, row) in [
        ("type", r#"{"id": "one", "n": "a"}"#, "|a|true|false"),
        ("broken", r#"{"id": 1, "n"#, "||true|true"),
        ("text", "hello", "||true|true"),
        ("good", r#"{"id": 1, "n": "a"}"#, "1|a|false|false"),
    ] {
        lake.text(&format!("{file}/a.json"), text);
        let table = lake
            .table(json(JsonLayout::NewLine), file, contract())
            .await;
        assert_eq!(query(&table, MARKED).await.unwrap(), [row], "{file}");
    }
    lake.text("array/a.json", r#"[{"id": 1}"#);
    let table = lake
        .table(json(JsonLayout::Array), "array", contract())
        .await;
    assert_eq!(
        refusal(&table, "SELECT id FROM t").await,
        SourceErrorKind::Schema
    );
    lake.text("lacks/a.json", r#"{"n": "a"}"#);
    let table = lake
        .table(json(JsonLayout::NewLine), "lacks", contract())
        .await;
    let rows = query(&table, "SELECT id, n FROM t").await.unwrap();
    assert_eq!(rows, ["|a"]);
}

#[tokio::test]
async fn large_json_files_are_read_whole_in_both_layouts() {
    let lake = Lake::new();
    let rows: Vec<String> = (0..400_000)
        .map(|n| format!(r#"{{"id": {n}, "name": "some text for {n}"}}"#))
        .collect();
    lake.text("lines/a.json", rows.join("\n"));
    lake.text("array/a.json", format!("[{}]", rows.join(",")));
    let columns = || {
        vec![
            column("id", DataType::Int64),
            column("name", DataType::Utf8),
        ]
    };
    for (folder, layout) in [("lines", JsonLayout::NewLine), ("array", JsonLayout::Array)] {
        let table = lake.table(json(layout), folder, columns()).await;
        let counted = query(
            &table,
            "SELECT count(*), sum(id), count(DISTINCT name) FROM t",
        )
        .await
        .unwrap();
        assert_eq!(counted, ["400000|79999800000|400000"], "{folder}");
    }
}

#[tokio::test]
async fn json_structs_and_lists() {
    let lake = Lake::new();
    lake.text(
        "t/a.json",
        r#"{"doc": {"a": "x", "b": 1}, "tags": ["p", "q"]}"#,
    );
    let doc = DataType::Struct(
        vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("b", DataType::Int64, true),
        ]
        .into(),
    );
    let columns = vec![
        column("doc", doc),
        column("tags", DataType::new_list(DataType::Utf8, true)),
    ];
    let table = lake.table(json(JsonLayout::NewLine), "t", columns).await;
    assert_eq!(
        query(&table, "SELECT doc['a'], doc['b'], tags[2] FROM t")
            .await
            .unwrap(),
        ["x|1|q"]
    );
}
