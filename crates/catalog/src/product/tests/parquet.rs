//! Parquet: names, types, partitions, pruning, overwritten files.

use std::fs;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::TableProvider;
use weft_mesh::Format;

use super::fixture::*;
use crate::error::SourceErrorKind;

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

#[tokio::test]
async fn columns_are_found_by_name_renamed_and_widened() {
    let lake = Lake::new();
    lake.parquet(
        "t/a.parquet",
        vec![
            ("ID", ints([1, 2])),
            ("x", texts(["a", "b"])),
            ("more", ints([9, 9])),
        ],
    );
    let narrow = Arc::new(Int32Array::from(vec![3])) as ArrayRef;
    lake.parquet(
        "t/b.parquet",
        vec![
            ("x", Arc::new(BinaryArray::from_vec(vec![b"c"]))),
            ("ID", narrow),
        ],
    );
    lake.parquet("t/c.parquet", vec![("ID", ints([4]))]);
    let columns = vec![
        stored_as(column("name", DataType::Utf8), "x"),
        column("unwritten", DataType::Float64),
        required(stored_as(column("id", DataType::Int64), "ID")),
    ];
    let table = lake.table(Format::Parquet, "t/", columns).await;
    let types: Vec<_> = table
        .schema()
        .fields()
        .iter()
        .map(|f| (f.name().clone(), f.data_type().clone()))
        .collect();
    assert_eq!(types[0], ("name".to_owned(), DataType::Utf8View));
    assert_eq!(types[2], ("id".to_owned(), DataType::Int64));
    assert_eq!(
        query(&table, "SELECT * FROM t ORDER BY id").await.unwrap(),
        ["a||1", "b||2", "c||3", "||4"]
    );
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE name = 'c'")
            .await
            .unwrap(),
        ["3"]
    );
    assert_eq!(
        query(&table, "SELECT count(*) FROM t").await.unwrap(),
        ["4"]
    );
    assert_eq!(
        query(
            &table,
            "SELECT id + 1 AS name, name AS id FROM t WHERE id = 2"
        )
        .await
        .unwrap(),
        ["3|b"]
    );
    assert!(query(&table, "SELECT more FROM t").await.is_err());
}

#[tokio::test]
async fn two_columns_may_swap_names() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("a", ints([1])), ("b", ints([2]))]);
    let columns = vec![
        stored_as(column("a", DataType::Int64), "b"),
        stored_as(column("b", DataType::Int64), "a"),
    ];
    let table = lake.table(Format::Parquet, "t", columns).await;
    assert_eq!(
        query(&table, "SELECT a, b FROM t WHERE a = 2")
            .await
            .unwrap(),
        ["2|1"]
    );
    assert_eq!(
        query(&table, "SELECT b FROM t WHERE a > 1 AND b < 2")
            .await
            .unwrap(),
        ["1"]
    );
}

#[tokio::test]
async fn a_required_column_must_be_there() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("id", ints([1]))]);
    lake.parquet(
        "u/a.parquet",
        vec![
            ("id", ints([1])),
            ("must", Arc::new(Int64Array::from(vec![None]))),
        ],
    );
    let columns = || {
        vec![
            column("id", DataType::Int64),
            required(column("must", DataType::Int64)),
        ]
    };
    let lacking = lake.table(Format::Parquet, "t", columns()).await;
    assert_eq!(
        refusal(&lacking, "SELECT must FROM t").await,
        SourceErrorKind::Schema
    );
    assert_eq!(
        refusal(&lacking, "SELECT id FROM t").await,
        SourceErrorKind::Schema
    );
    let empty = lake.table(Format::Parquet, "u", columns()).await;
    // Whether a value may be missing is for the seal to say, of visible rows.
    assert_eq!(query(&empty, "SELECT must FROM t").await.unwrap(), [""]);
}

#[tokio::test]
async fn what_does_not_fit_the_contract_is_an_error() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("n", texts(["1"]))]);
    lake.parquet("u/a.parquet", vec![("n", ints([1]))]);
    let table = lake
        .table(Format::Parquet, "t", vec![column("n", DataType::Int64)])
        .await;
    assert_eq!(
        refusal(&table, "SELECT n FROM t").await,
        SourceErrorKind::Schema
    );
    let table = lake
        .table(Format::Parquet, "u", vec![column("n", DataType::Int32)])
        .await;
    assert_eq!(
        refusal(&table, "SELECT n FROM t WHERE n = 1").await,
        SourceErrorKind::Schema
    );
}

#[tokio::test]
async fn times_are_read_in_the_contracts_unit() {
    let lake = Lake::new();
    lake.parquet(
        "t/a.parquet",
        vec![(
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![1_000_000])),
        )],
    );
    lake.parquet(
        "t/b.parquet",
        vec![(
            "at",
            Arc::new(TimestampNanosecondArray::from(vec![2_000_000_999])),
        )],
    );
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let table = lake
        .table(Format::Parquet, "t", vec![column("at", utc)])
        .await;
    let all = query(&table, "SELECT at FROM t ORDER BY at").await.unwrap();
    assert_eq!(all, ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]);
    let one = "SELECT at FROM t WHERE at = TIMESTAMP '1970-01-01T00:00:02Z'";
    assert_eq!(query(&table, one).await.unwrap().len(), 1);
}

fn partitioned() -> Vec<weft_mesh::Column> {
    vec![
        partition(stored_as(column("region", DataType::Utf8), "r"), 2),
        required(column("id", DataType::Int64)),
        partition(column("year", DataType::Int32), 1),
    ]
}

#[tokio::test]
async fn folders_give_typed_columns_in_their_declared_place() {
    let lake = Lake::new();
    lake.parquet("t/year=2025/r=E%20U/a.parquet", vec![("id", ints([1]))]);
    lake.parquet("t/year=2026/r=US/a.parquet", vec![("id", ints([2]))]);
    lake.parquet(
        "t/year=2026/r=__HIVE_DEFAULT_PARTITION__/a.parquet",
        vec![("id", ints([3]))],
    );
    // What is in the folder's name wins over a column of the same name in the file.
    lake.parquet(
        "t/year=2027/r=US/a.parquet",
        vec![("id", ints([4])), ("year", ints([1]))],
    );
    let table = lake
        .table(Format::Parquet, "t/**/*.parquet", partitioned())
        .await;
    assert_eq!(
        query(&table, "SELECT * FROM t ORDER BY id").await.unwrap(),
        ["E U|1|2025", "US|2|2026", "|3|2026", "US|4|2027"]
    );
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE region IS NULL")
            .await
            .unwrap(),
        ["3"]
    );
    assert_eq!(
        query(
            &table,
            "SELECT year, count(*) FROM t GROUP BY year ORDER BY 1"
        )
        .await
        .unwrap()
        .len(),
        3
    );
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE year + id = 2028")
            .await
            .unwrap(),
        ["2"]
    );
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE region = 'US' LIMIT 1")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn filters_on_folders_open_no_other_file() {
    let lake = Lake::new();
    for year in 2020..2030 {
        lake.parquet(
            &format!("t/year={year}/r=EU/a.parquet"),
            vec![("id", ints([year]))],
        );
    }
    let table = lake.table(Format::Parquet, "t", partitioned()).await;
    let before = lake.storage.requests();
    let rows = query(
        &table,
        "SELECT id FROM t WHERE year = 2023 OR year IN (2025, 1999) ORDER BY id",
    )
    .await
    .unwrap();
    assert_eq!(rows, ["2023", "2025"]);
    let first = lake.storage.requests();
    assert_eq!(first.list, before.list, "a query never lists");
    assert_eq!(
        first.get - before.get,
        4,
        "a footer and a column chunk of two files"
    );
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE year > 2099")
            .await
            .unwrap()
            .len(),
        0
    );
    assert_eq!(lake.storage.requests(), first);
    query(&table, "SELECT id FROM t WHERE year = 2023")
        .await
        .unwrap();
    assert_eq!(
        lake.storage.requests().get - first.get,
        1,
        "the footer is remembered"
    );
}

#[tokio::test]
async fn a_folder_that_does_not_parse_makes_the_table_unavailable() {
    let lake = Lake::new();
    lake.parquet("t/year=soon/r=EU/a.parquet", vec![("id", ints([1]))]);
    let table = lake.table(Format::Parquet, "t", partitioned()).await;
    assert!(
        table
            .data()
            .unwrap_err()
            .reason
            .contains("partition column `year` is not a Int32")
    );
    assert_eq!(
        refusal(&table, "SELECT id FROM t").await,
        SourceErrorKind::Schema
    );
    lake.parquet("u/r=EU/a.parquet", vec![("id", ints([1]))]);
    let table = lake.table(Format::Parquet, "u", partitioned()).await;
    assert_eq!(
        refusal(&table, "SELECT id FROM t").await,
        SourceErrorKind::Schema
    );
}

#[tokio::test]
async fn what_is_not_data_is_not_read() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("id", ints([1]))]);
    for hidden in [
        "t/_SUCCESS",
        "t/.a.parquet.crc",
        "t/_temporary/0/a.parquet",
        "t/.hidden/a.parquet",
    ] {
        lake.text(hidden, "not Parquet");
    }
    lake.text("t/empty.parquet", "");
    lake.text("tt/a.parquet", "not Parquet");
    let table = lake
        .table(Format::Parquet, "t", vec![column("id", DataType::Int64)])
        .await;
    assert_eq!(query(&table, "SELECT id FROM t").await.unwrap(), ["1"]);
    let one = lake
        .table(
            Format::Parquet,
            "t/a.parquet",
            vec![column("id", DataType::Int64)],
        )
        .await;
    assert_eq!(query(&one, "SELECT id FROM t").await.unwrap(), ["1"]);
    let none = lake
        .table(
            Format::Parquet,
            "nowhere/*.parquet",
            vec![column("id", DataType::Int64)],
        )
        .await;
    assert_eq!(
        query(&none, "SELECT count(*), max(id) FROM t")
            .await
            .unwrap(),
        ["0|"]
    );
}

#[tokio::test]
async fn row_groups_are_skipped_also_under_a_new_name_and_a_wider_type() {
    let lake = Lake::new();
    let narrow = Arc::new(Int32Array::from_iter_values(0..1000)) as ArrayRef;
    let names: Vec<String> = (0..1000).map(|n| format!("n{n:04}")).collect();
    let names = texts(names.iter().map(String::as_str));
    lake.parquet_groups("t/a.parquet", vec![("N", narrow), ("s", names)], 100);
    let columns = vec![
        stored_as(column("n", DataType::Int64), "N"),
        stored_as(column("name", DataType::Utf8), "s"),
    ];
    let table = lake.table(Format::Parquet, "t", columns).await;
    for filter in [
        "n = 250",
        "n > 240 AND n <= 241",
        "name = 'n0250'",
        "n = 250 AND name LIKE 'n02%'",
    ] {
        let plan = plan(&table, &format!("SELECT n, name FROM t WHERE {filter}"))
            .await
            .unwrap();
        let rows: usize = run(&table, &plan)
            .await
            .unwrap()
            .iter()
            .map(|b| b.num_rows())
            .sum();
        assert_eq!(rows, 1, "{filter}");
        assert!(metric(&plan, "output_rows") < 400, "{filter}");
        let display = datafusion::physical_plan::displayable(plan.as_ref())
            .indent(false)
            .to_string();
        assert!(display.contains("pruning_predicate"), "{display}");
    }
}

#[tokio::test]
async fn a_file_overwritten_under_a_query_is_a_clean_error() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("id", ints([1, 2]))]);
    let table = lake
        .table(Format::Parquet, "t", vec![column("id", DataType::Int64)])
        .await;
    // Once read, so that its footer is remembered.
    query(&table, "SELECT id FROM t").await.unwrap();
    let planned = plan(&table, "SELECT id FROM t").await.unwrap();
    lake.parquet("t/a.parquet", vec![("id", ints([7, 8]))]);
    let error = run(&table, &planned).await.unwrap_err();
    let shown = crate::error::redact(table.id(), error);
    assert_eq!(
        crate::error::SourceError::find(&shown).unwrap().kind(),
        SourceErrorKind::Changed
    );
    let fresh = lake.listed(&table).await;
    assert_ne!(format!("{:?}", fresh.data()), format!("{:?}", table.data()));
    assert_eq!(query(&fresh, "SELECT id FROM t").await.unwrap(), ["7", "8"]);

    let uncached = lake
        .table(Format::Parquet, "t", vec![column("id", DataType::Int64)])
        .await;
    lake.parquet("t/a.parquet", vec![("id", ints([9]))]);
    assert_eq!(
        refusal(&uncached, "SELECT id FROM t").await,
        SourceErrorKind::Changed
    );
    fs::remove_file(lake.path("t/a.parquet")).unwrap();
    assert_eq!(
        refusal(&uncached, "SELECT id FROM t").await,
        SourceErrorKind::Changed
    );
}

#[tokio::test]
async fn a_corrupt_file_is_told_apart() {
    let lake = Lake::new();
    lake.text(
        "t/a.parquet",
        "PAR1 this is not a footer, but long enough to be read as one PAR1",
    );
    let table = lake
        .table(Format::Parquet, "t", vec![column("id", DataType::Int64)])
        .await;
    assert_eq!(
        refusal(&table, "SELECT id FROM t").await,
        SourceErrorKind::Invalid
    );
}

#[tokio::test]
async fn a_thousand_files_cost_no_listing_and_no_footers_to_plan() {
    let lake = Lake::new();
    for n in 0..1000 {
        lake.parquet(&format!("t/{n:04}.parquet"), vec![("id", ints([n]))]);
    }
    let table = lake
        .table(
            Format::Parquet,
            "t/*.parquet",
            vec![column("id", DataType::Int64)],
        )
        .await;
    let before = lake.storage.requests();
    let planned = plan(&table, "SELECT sum(id) FROM t").await.unwrap();
    assert_eq!(lake.storage.requests(), before);
    run(&table, &planned).await.unwrap();
    assert_eq!(
        query(&table, "SELECT sum(id), count(*) FROM t")
            .await
            .unwrap(),
        ["499500|1000"]
    );
    assert_eq!(lake.storage.requests().list, before.list);
}
