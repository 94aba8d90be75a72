//! Cells of text files that are not of their contract's types: where they are
//! hidden or masked nobody notices, and where they are seen they are named.

use std::fmt::Write as _;
use std::fs;

use tonic::{Code, Status};

use super::assert_alive;
use super::bad_input::assert_reference;
use crate::support::{MeshDir, TestClient, TestServer, contract};

const COLUMNS: &str = "
- {name: id, physicalType: BIGINT}
- {name: region, physicalType: VARCHAR}
- {name: n, physicalType: INT}
- {name: d, physicalType: 'DECIMAL(10,2)'}
- {name: day, physicalType: DATE}
- {name: at, physicalType: TIMESTAMP}
- {name: ok, physicalType: BOOLEAN}
- {name: x, physicalType: DOUBLE}
";
const NAMES: [&str; 8] = ["id", "region", "n", "d", "day", "at", "ok", "x"];

const EUROPE: &str =
    "- {name: eu, to: [everyone], on: orders, columns: '*', rows: \"region = 'EU'\"}";
const ALL: &str = "- {name: all, to: [everyone], on: orders, columns: '*'}";

/// Bad values in the columns from `n` on, of which none may be seen.
const BAD: [&str; 6] = ["bad-1", "bad-2", "bad-3", "2026-13-41", "bad-5", "bad-6"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Csv,
    Lines,
    Array,
}

const TEXTS: [Text; 3] = [Text::Csv, Text::Lines, Text::Array];

type Row = [String; 8];

/// Odd rows are European.
fn row(id: usize) -> Row {
    [
        id.to_string(),
        if id % 2 == 1 { "EU" } else { "US" }.to_owned(),
        (id * 10).to_string(),
        format!("{id}.50"),
        format!("2026-01-{:02}", id % 28 + 1),
        format!("2026-01-01T00:00:{:02}", id % 60),
        id.is_multiple_of(3).to_string(),
        format!("{id}.25"),
    ]
}

fn rows(count: usize) -> Vec<Row> {
    (1..=count).map(row).collect()
}

/// `rows(count)` with one cell replaced.
fn with(count: usize, id: usize, column: &str, value: &str) -> Vec<Row> {
    let mut rows = rows(count);
    let at = NAMES.iter().position(|name| *name == column).unwrap();
    value.clone_into(&mut rows[id - 1][at]);
    rows
}

impl Text {
    fn contract(self, columns: &str) -> String {
        let format = match self {
            Self::Csv => "csv",
            Self::Lines => "json",
            Self::Array => "json, customProperties: [{property: delimiter, value: array}]",
        };
        contract("orders", format, "data/orders/*.txt", columns)
    }

    fn record(self, row: &Row) -> String {
        if self == Self::Csv {
            return row.join(",");
        }
        let cells = NAMES.iter().zip(row).map(|(name, cell)| {
            let bare = cell.is_empty() || !matches!(*name, "region" | "day" | "at");
            match cell.as_str() {
                "" => format!("\"{name}\": null"),
                _ if bare && !cell.starts_with("bad") && !cell.starts_with("2026") => {
                    format!("\"{name}\": {cell}")
                }
                _ => format!("\"{name}\": \"{cell}\""),
            }
        });
        format!("{{{}}}", cells.collect::<Vec<_>>().join(", "))
    }

    fn file(self, records: &[String]) -> String {
        match self {
            Self::Csv => format!("{}\n{}\n", NAMES.join(","), records.join("\n")),
            Self::Lines => format!("{}\n", records.join("\n")),
            Self::Array => format!("[{}]\n", records.join(",\n")),
        }
    }

    fn of(self, rows: &[Row]) -> String {
        let records: Vec<_> = rows.iter().map(|row| self.record(row)).collect();
        self.file(&records)
    }
}

struct Table {
    mesh: MeshDir,
    server: TestServer,
    ana: TestClient,
}

impl Table {
    async fn new(text: Text, grants: &str, columns: &str) -> Self {
        let mesh = MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
            "sales",
            grants,
            &[&text.contract(columns)],
        );
        fs::create_dir_all(mesh.data("sales").join("orders")).unwrap();
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        Self { mesh, server, ana }
    }

    async fn put(&self, text: &str) {
        let path = self.mesh.data("sales").join("orders/all.txt");
        fs::write(path, text).unwrap();
        self.server.live.refresh().await;
    }

    /// What ana reads of every query and of some plans.
    async fn observed(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let plans = QUERIES
            .iter()
            .step_by(4)
            .map(|sql| format!("EXPLAIN {sql}"));
        for sql in QUERIES.iter().map(|sql| (*sql).to_owned()).chain(plans) {
            match self.ana.query(&sql).await {
                Ok(batches) => seen.push(format!("{sql}: {:?}", crate::support::cells(&batches))),
                Err(status) => seen.push(format!("{sql}: {}", status.message())),
            }
        }
        seen
    }

    async fn refused(&self, sql: &str, column: &str) {
        let status = self.ana.fails(sql).await;
        self.assert_names(&status, column, sql);
    }

    fn assert_names(&self, status: &Status, column: &str, what: &str) {
        let start = format!(
            "data source of `sales.orders` failed: a value of `{column}` does not parse, ref "
        );
        assert!(status.message().starts_with(&start), "{what}: {status}");
        // A reference can have any hexadecimal digits.
        let said = status.message().split(", ref ").next();
        assert!(
            !said.is_some_and(|it| it.contains("bad-")),
            "{what}: {status}"
        );
        assert_eq!(status.code(), Code::FailedPrecondition, "{what}: {status}");
        assert_reference(&self.mesh, status);
    }
}

const QUERIES: &[&str] = &[
    "SELECT * FROM sales.orders ORDER BY id",
    "SELECT count(*) FROM sales.orders",
    "SELECT count(n), sum(n), max(d), min(day), max(at), count(ok), sum(x) FROM sales.orders",
    "SELECT id FROM sales.orders WHERE n > 15 ORDER BY id",
    "SELECT id FROM sales.orders WHERE n IS NULL",
    "SELECT id FROM sales.orders WHERE d = 1.50 OR ok OR x < 2 ORDER BY id",
    "SELECT id FROM sales.orders WHERE day < '2026-02-01' AND at IS NOT NULL ORDER BY 1",
    "SELECT region, count(*) FROM sales.orders GROUP BY region",
    "SELECT id FROM sales.orders ORDER BY n DESC LIMIT 2",
    "SELECT count(*) FROM (SELECT n FROM sales.orders LIMIT 2)",
    "SELECT count(*) FROM (SELECT n FROM sales.orders WHERE n > 0 LIMIT 3)",
    "SELECT 100 / n FROM sales.orders ORDER BY 1 LIMIT 1",
    "SELECT a.id FROM sales.orders a JOIN sales.orders b ON a.n = b.n ORDER BY 1",
];

/// Records in place of a hidden row.
fn damaged_records(text: Text) -> Vec<String> {
    let records: &[&str] = match text {
        Text::Csv => &[
            "2,US",
            "2,US,20,2.50,2026-01-03,2026-01-01T00:00:02,false,2.25,and,more",
            "2",
            "\"2\",\"US\nEU\",\"x\"",
            ",,,,,,,,,,,,,,,,,,,,,,,,",
        ],
        Text::Lines => &[
            "{\"id\": 2, \"region\": \"US\"",
            "{\"id\": 2, \"region\": \"US",
            "{\"id\": 2}{\"id\": 3, \"region\": \"EU\"}",
            "[1, 2]",
            "hello",
            "5",
            "null",
            "}}}]]]",
            "{\"id\": 2, \"region\": 7, \"n\": {}}",
            "{\"id\": 2, \"region\": \"\\ud800\"}",
        ],
        Text::Array => &[
            "[1, 2]",
            "hello",
            "5",
            "null",
            "{\"id\": 2} {\"id\": 3, \"region\": \"EU\"}",
            "{\"id\": 2 \"region\" \"EU\"}",
            "{\"id\": 2, \"region\": 7, \"n\": {}}",
        ],
    };
    let mut records: Vec<String> = records.iter().map(|record| (*record).to_owned()).collect();
    if text != Text::Csv {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        records.push(format!("{{\"id\": 2, \"region\": \"US\", \"n\": {deep}}}"));
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_in_hidden_rows_disturbs_nobody() {
    for text in TEXTS {
        let table = Table::new(text, EUROPE, COLUMNS).await;
        table.put(&text.of(&rows(5))).await;
        let expected = table.observed().await;
        assert_eq!(
            expected[1], "SELECT count(*) FROM sales.orders: [\"3\"]",
            "{text:?}"
        );
        for (column, bad) in NAMES[2..].iter().zip(BAD) {
            table.put(&text.of(&with(5, 4, column, bad))).await;
            assert_eq!(table.observed().await, expected, "{text:?} {column}");
        }
        // Two at a time, one in each hidden row.
        for damaged in damaged_records(text).chunks(2) {
            let mut records: Vec<_> = rows(5).iter().map(|row| text.record(row)).collect();
            for (record, at) in damaged.iter().zip([1, 3]) {
                records[at].clone_from(record);
            }
            table.put(&text.file(&records)).await;
            let shown: String = records[1].chars().take(80).collect();
            assert_eq!(table.observed().await, expected, "{text:?} {shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_utf_8_in_hidden_rows_disturbs_nobody() {
    for text in TEXTS {
        let table = Table::new(text, EUROPE, COLUMNS).await;
        table.put(&text.of(&rows(5))).await;
        let expected = table.observed().await;
        let file = text.of(&rows(5)).into_bytes();
        let at = file.windows(2).position(|pair| pair == b"US").unwrap();
        for bytes in [[0xff, 0xfe], [b'x', 0xc3]] {
            let mut file = file.clone();
            file[at..at + 2].copy_from_slice(&bytes);
            fs::write(table.mesh.data("sales").join("orders/all.txt"), file).unwrap();
            table.server.live.refresh().await;
            assert_eq!(table.observed().await, expected, "{text:?}");
        }
    }
}

/// Half a character at the end of a hidden cell and the other half at the
/// beginning of a visible one are no character.
#[tokio::test(flavor = "multi_thread")]
async fn half_characters_of_neighbours_do_not_meet() {
    const NOTES: &str = "
- {name: note, physicalType: VARCHAR}
- {name: region, physicalType: VARCHAR}
- {name: id, physicalType: BIGINT}
- {name: mark, physicalType: VARCHAR}
";
    let table = Table::new(Text::Csv, EUROPE, NOTES).await;
    let mut messages = Vec::new();
    for hidden in [b"x".as_slice(), b"\xc3"] {
        let mut file = b"note,region,id,mark\nfirst,US,1,".to_vec();
        file.extend_from_slice(hidden);
        file.extend_from_slice(b"\n\xa9,EU,2,good\n");
        fs::write(table.mesh.data("sales").join("orders/all.txt"), file).unwrap();
        table.server.live.refresh().await;
        let mark = table.ana.rows("SELECT id, mark FROM sales.orders").await;
        assert_eq!(mark, ["2|good"]);
        let sql = "SELECT note FROM sales.orders";
        table.refused(sql, "note").await;
        messages.push(table.ana.fails(sql).await.code());
    }
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visible_cell_that_does_not_parse_fails_what_reads_it() {
    for text in TEXTS {
        let table = Table::new(text, ALL, COLUMNS).await;
        for (column, bad) in NAMES[2..].iter().zip(BAD) {
            table.put(&text.of(&with(5, 4, column, bad))).await;
            for sql in [
                format!("SELECT {column} FROM sales.orders"),
                "SELECT * FROM sales.orders".to_owned(),
                format!("SELECT id FROM sales.orders WHERE {column} IS NULL"),
                format!("SELECT id FROM sales.orders WHERE {column} IS NOT NULL AND id = 1"),
                format!("SELECT count({column}) FROM sales.orders"),
                format!("SELECT id FROM sales.orders ORDER BY {column} DESC LIMIT 1"),
                format!("SELECT a.id FROM sales.orders a JOIN sales.orders b USING ({column})"),
            ] {
                table.refused(&sql, column).await;
            }
            // What does not read it does not fail.
            for (sql, expected) in [
                ("SELECT count(*) FROM sales.orders", "5"),
                ("SELECT sum(id) FROM sales.orders", "15"),
                ("SELECT region FROM sales.orders WHERE id = 4", "US"),
            ] {
                assert_eq!(table.ana.rows(sql).await, [expected], "{text:?} {column}");
            }
            // Nor what has read enough before it.
            let first = format!("SELECT id, {column} IS NULL FROM sales.orders LIMIT 3");
            assert_eq!(
                table.ana.rows(&first).await,
                ["1|false", "2|false", "3|false"],
                "{text:?} {column}"
            );
        }
        for damaged in damaged_records(text) {
            let mut records: Vec<_> = rows(5).iter().map(|row| text.record(row)).collect();
            records[1] = damaged;
            table.put(&text.file(&records)).await;
            let counted = table.ana.value("SELECT count(*) FROM sales.orders").await;
            assert_eq!(counted, "5", "{text:?} {}", &records[1][..1]);
            table.refused("SELECT n FROM sales.orders", "n").await;
        }
        assert_alive(&table.ana).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_cell_that_does_not_parse_is_null() {
    const MASKED: &str = "
- name: it
  to: [everyone]
  on: orders
  columns: '*'
  masks: {n: bucket(20), d: nullify, day: truncate_month, at: truncate_year, x: bucket(2), ok: fixed(true)}
";
    for text in TEXTS {
        let table = Table::new(text, MASKED, COLUMNS).await;
        for (column, bad) in NAMES[2..].iter().zip(BAD) {
            table.put(&text.of(&with(3, 2, column, bad))).await;
            let null = format!("SELECT id FROM sales.orders WHERE {column} IS NULL ORDER BY id");
            let expected: &[&str] = if *column == "d" {
                &["1", "2", "3"]
            } else {
                &["2"]
            };
            assert_eq!(table.ana.rows(&null).await, expected, "{text:?} {column}");
            let all = table
                .ana
                .rows("SELECT * FROM sales.orders ORDER BY id")
                .await;
            assert_eq!(all.len(), 3);
            assert_eq!(all[0], "1|EU|0|∅|2026-01-01|2026-01-01T00:00:00|true|0.0");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_conditional_cell_only_what_is_clear_counts() {
    const GRANTS: &str = "
- {name: eu, to: [everyone], on: orders, columns: [id, region, n, d], masks: {n: bucket(20)}, rows: \"region = 'EU'\"}
- {name: late, to: [everyone], on: orders, columns: [id, n, x], rows: 'id >= 4'}
";
    for text in TEXTS {
        let table = Table::new(text, GRANTS, COLUMNS).await;
        // Visible: 1, 3 and 5 by the one, 4 and 5 by the other.
        let sql = "SELECT id, n, d, x FROM sales.orders ORDER BY id";
        for (id, column, expected) in [
            (
                1,
                "n",
                ["1|∅|1.50|∅", "3|20|3.50|∅", "4|40|∅|4.25", "5|50|5.50|5.25"],
            ),
            (
                2,
                "n",
                ["1|0|1.50|∅", "3|20|3.50|∅", "4|40|∅|4.25", "5|50|5.50|5.25"],
            ),
            (
                4,
                "d",
                ["1|0|1.50|∅", "3|20|3.50|∅", "4|40|∅|4.25", "5|50|5.50|5.25"],
            ),
            (
                3,
                "x",
                ["1|0|1.50|∅", "3|20|3.50|∅", "4|40|∅|4.25", "5|50|5.50|5.25"],
            ),
        ] {
            table.put(&text.of(&with(5, id, column, "bad-1"))).await;
            assert_eq!(
                table.ana.rows(sql).await,
                expected,
                "{text:?} {id} {column}"
            );
        }
        for (id, column) in [(4, "n"), (5, "n"), (1, "d"), (5, "d"), (4, "x"), (5, "x")] {
            table.put(&text.of(&with(5, id, column, "bad-1"))).await;
            table.refused(sql, column).await;
            assert_eq!(
                table
                    .ana
                    .rows("SELECT id FROM sales.orders ORDER BY id")
                    .await,
                ["1", "3", "4", "5"]
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_predicate_does_not_know_a_cell_that_does_not_parse() {
    for text in TEXTS {
        let table = Table::new(text, EUROPE, COLUMNS).await;
        let mut rows = with(5, 3, "n", "bad-1");
        rows[3][2] = String::new();
        table.put(&text.of(&rows)).await;
        for (predicate, expected) in [
            ("n > 15", &["2", "5"] as &[&str]),
            ("n <= 15", &["1"]),
            ("NOT (n = 20)", &["1", "5"]),
            ("n IS NULL", &["4"]),
            ("n IS NOT NULL", &["1", "2", "5"]),
            ("NOT (n IS NULL)", &["1", "2", "5"]),
            ("n NOT IN (20)", &["1", "5"]),
            ("n IS NULL OR region = 'EU'", &["1", "3", "4", "5"]),
            ("n IS NULL AND region = 'EU'", &[]),
            ("(n > 15) IS NOT TRUE", &["1", "4"]),
            ("(n > 15) IS NULL", &["4"]),
        ] {
            table.mesh.grants(
                "sales",
                &format!(
                    "- {{name: it, to: [everyone], on: orders, columns: '*', rows: \"{predicate}\"}}"
                ),
            );
            let report = table.server.live.reload().await;
            if !report.kept.is_empty() {
                // Not a predicate of the language.
                continue;
            }
            assert_eq!(
                table
                    .ana
                    .rows("SELECT id FROM sales.orders ORDER BY id")
                    .await,
                expected,
                "{text:?} {predicate}"
            );
            if expected.contains(&"3") {
                table.refused("SELECT n FROM sales.orders", "n").await;
            } else {
                let counted = table
                    .ana
                    .value("SELECT count(*) FROM (SELECT n FROM sales.orders)");
                assert_eq!(counted.await, expected.len().to_string(), "{predicate}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_cell_that_does_not_parse_is_the_same() {
    let columns = COLUMNS.replace("physicalType: INT}", "physicalType: INT, required: true}");
    for text in TEXTS {
        let table = Table::new(text, EUROPE, &columns).await;
        table.put(&text.of(&with(5, 2, "n", "bad-1"))).await;
        assert_eq!(
            table
                .ana
                .rows("SELECT n FROM sales.orders ORDER BY 1")
                .await,
            ["10", "30", "50"]
        );
        table.put(&text.of(&with(5, 3, "n", "bad-1"))).await;
        table.refused("SELECT n FROM sales.orders", "n").await;
    }
}

/// More rows than a batch, and damage on both sides of every border.
#[tokio::test(flavor = "multi_thread")]
async fn damage_in_many_batches_changes_no_row_beside_it() {
    const COUNT: usize = 30_000;
    let sql = "SELECT count(*), sum(n), sum(d), max(day), count(ok), sum(id), count(DISTINCT at) \
               FROM sales.orders";
    for text in TEXTS {
        let table = Table::new(text, EUROPE, COLUMNS).await;
        table.put(&text.of(&rows(COUNT))).await;
        let expected = table.ana.rows(sql).await;
        let damaged = damaged_records(text);
        let mut records: Vec<_> = rows(COUNT).iter().map(|row| text.record(row)).collect();
        for (id, record) in records.iter_mut().enumerate() {
            let shift = id % 8192;
            if id % 2 == 1 && (!(4..=8188).contains(&shift) || id.is_multiple_of(997)) {
                record.clone_from(&damaged[id / 2 % (damaged.len() - 1)]);
            }
        }
        table.put(&text.file(&records)).await;
        assert_eq!(table.ana.rows(sql).await, expected, "{text:?}");
        // Every hidden cell of a column, at that.
        let mut rows = rows(COUNT);
        for row in rows.iter_mut().filter(|row| row[1] == "US") {
            "bad-1".clone_into(&mut row[2]);
        }
        table.put(&text.of(&rows)).await;
        assert_eq!(table.ana.rows(sql).await, expected, "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_in_csv_reads_the_same_beside_damage() {
    const ODD: &str = "
- {name: id, physicalType: BIGINT}
- {name: region, physicalType: VARCHAR}
- {name: n, physicalType: INT}
- {name: note, physicalType: VARCHAR}
";
    let table = Table::new(Text::Csv, EUROPE, ODD).await;
    let good = |hidden: &str| {
        let mut text = String::from("\u{feff}note,n,region,id,extra\r\n");
        for line in [
            "\"a, \"\"b\"\"\r\nc\",1,EU,1,",
            hidden,
            "\u{feff}mark,3,EU,3,x",
            "5\" disk,,EU,4,",
            "",
            "\"\",\"5\",\"EU\",5,y",
            " padded ,6,EU,6,",
        ] {
            write!(text, "{line}\r\n").unwrap();
        }
        text.push_str("last,7,EU,7,z");
        text
    };
    let sql = "SELECT id, n, note FROM sales.orders ORDER BY id";
    table.put(&good("x,2,US,2,")).await;
    let expected = table.ana.rows(sql).await;
    assert_eq!(expected.len(), 6);
    for hidden in [
        "x,bad-1,US,2,",
        "x,2,US,2",
        "\"\",2,\"US",
        "x,2,US,bad-2,",
        "x,2,US,2,,,,",
    ] {
        // An open quote is for the next test.
        if hidden.matches('"').count() % 2 == 0 {
            table.put(&good(hidden)).await;
            assert_eq!(table.ana.rows(sql).await, expected, "{hidden}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_a_whole_file_is_an_error_for_all() {
    let first = |text: Text| text.record(&row(1));
    for (text, file) in [
        (
            Text::Csv,
            format!("{}\n1,EU,1,\"never closed", NAMES.join(",")),
        ),
        (
            Text::Csv,
            format!("{}\n\"never closed\n1,EU", NAMES.join(",")),
        ),
        (Text::Csv, "id,region\n1,EU\n".replace("region", "id")),
        (Text::Array, format!("[{}", first(Text::Array))),
        (Text::Array, format!("[{}]]", first(Text::Array))),
        (
            Text::Array,
            format!("[{}, {{\"id\": [1}}]", first(Text::Array)),
        ),
        (Text::Array, first(Text::Array)),
        (Text::Array, "  \n".to_owned()),
    ] {
        let table = Table::new(text, EUROPE, COLUMNS).await;
        table.put(&file).await;
        let status = table.ana.fails("SELECT n FROM sales.orders").await;
        assert!(
            status
                .message()
                .starts_with("data source of `sales.orders` failed, ref "),
            "{file}: {status}"
        );
        assert_reference(&table.mesh, &status);
        assert_alive(&table.ana).await;
    }
}
