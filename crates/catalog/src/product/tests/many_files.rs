//! Tables of many files: those whose footers exclude a filter are not opened, and answers stay.

use std::fs::File;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use weft_mesh::Format;

use super::fixture::*;
use crate::error::SourceErrorKind;

/// The files that a plan would open.
fn files(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|it| it.data_source().downcast_ref::<FileScanConfig>())
        .map_or(0, |scan| scan.file_groups.iter().map(|it| it.len()).sum());
    let below = plan.children().into_iter().map(files);
    own + below.sum::<usize>()
}

const ROWS: i64 = 10;

/// The ids of file `at`: `10 * at` and on, with holes.
fn ids(at: i64) -> impl Iterator<Item = i64> {
    (0..ROWS).map(move |row| 10 * at + row)
}

/// Twenty-four files that are alike, and some that are not.
fn lake() -> Lake {
    let lake = Lake::new();
    for at in 0..24 {
        let texts = ids(at).map(|id| (id % 3 != 0).then(|| format!("n{id:04}")));
        let cents = Decimal128Array::from_iter_values(ids(at).map(|id| i128::from(id) * 100));
        let some = Float64Array::from_iter_values(ids(at).map(|id| match id % 10 {
            8 => f64::NAN,
            id => id as f64,
        }));
        lake.parquet_groups(
            &format!("t/day={}/{at:02}.parquet", at % 4),
            vec![
                ("id", Arc::new(Int64Array::from_iter_values(ids(at)))),
                ("text", Arc::new(texts.collect::<StringArray>())),
                (
                    "price",
                    Arc::new(cents.with_precision_and_scale(12, 2).unwrap()),
                ),
                ("some", Arc::new(some)),
                (
                    "date",
                    Arc::new(Date32Array::from_iter_values(ids(at).map(|id| id as i32))),
                ),
            ],
            3,
        );
    }
    let narrow = Int32Array::from_iter_values([500, 501]);
    lake.parquet("t/day=0/narrow.parquet", vec![("id", Arc::new(narrow))]);
    let nothing = Int64Array::from(vec![None, None]);
    let names: ArrayRef = Arc::new(StringArray::from(vec!["n0001", "n9999"]));
    lake.parquet(
        "t/day=1/nulls.parquet",
        vec![("id", Arc::new(nothing)), ("text", names)],
    );
    let empty = Int64Array::from_iter_values([]);
    lake.parquet("t/day=1/empty.parquet", vec![("id", Arc::new(empty))]);
    without_statistics(&lake, "t/day=2/silent.parquet", &[7, 4000]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(2000), "n0005".into()]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![600, 601]));
    lake.parquet("t/day=2/long.parquet", vec![("id", id), ("text", text)]);
    lake
}

fn without_statistics(lake: &Lake, path: &str, ids: &[i64]) {
    let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let silent = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
    let file = File::create(lake.path(path)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(silent.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn table(lake: &Lake) -> Arc<crate::product::ProductTable> {
    let columns = vec![
        column("key", DataType::Int64),
        column("text", DataType::Utf8),
        column("price", DataType::Decimal128(12, 2)),
        column("some", DataType::Float64),
        column("date", DataType::Date32),
        partition(column("day", DataType::Int32), 1),
    ];
    let columns = columns.into_iter().map(|it| match it.name.as_str() {
        "key" => stored_as(it, "id"),
        _ => it,
    });
    lake.table(Format::Parquet, "t", columns.collect()).await
}

#[tokio::test]
async fn files_that_cannot_have_a_row_are_not_opened() {
    let lake = lake();
    let table = table(&lake).await;
    let one = "SELECT key FROM t WHERE key = 55 ORDER BY key";
    assert_eq!(files(&plan(&table, one).await.unwrap()), 29);
    assert_eq!(query(&table, one).await.unwrap(), ["55"]);
    // Those that say nothing are opened again: nulls, empty, silent.
    for (filter, expected) in [
        ("key = 55", 4),
        ("key IN (55, 56, 131)", 5),
        ("key BETWEEN 58 AND 61", 5),
        ("key > 229", 3 + 3),
        ("key = 55 AND text = 'n0131'", 3),
        // Some have a row group without a text, some no such column.
        ("text = 'n0131' AND key >= 0", 1 + 5),
        ("price = 131.00", 6),
        ("date = DATE '1970-01-05'", 6),
        ("day = 3 AND key < 100", 2),
        ("day = 3 OR key = 500", 6 + 1 + 3),
        ("key = 55 OR text IS NULL", 29),
        ("some > 1000", 29),
        ("key % 7 = 1", 29),
    ] {
        let sql = format!("SELECT * FROM t WHERE {filter}");
        assert_eq!(
            files(&plan(&table, &sql).await.unwrap()),
            expected,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn answers_are_those_of_all_files() {
    let lake = lake();
    let told = table(&lake).await;
    let all = query(&told, "SELECT count(*) FROM t WHERE key >= 0").await;
    assert_eq!(all.unwrap(), ["246"]);
    let mut fewer = 0;
    for filter in [
        "key = 55",
        "key <> 55",
        "NOT key > 3",
        "key IN (7, 55, 501, 4000)",
        "key NOT IN (7, 55)",
        "key IS NULL",
        "key IS NOT NULL",
        "key IS NULL OR key = 131",
        "key IS DISTINCT FROM 131",
        "key + 1 = 56",
        "-key > -3",
        "text = 'n0131'",
        "text LIKE 'n013%'",
        "text > 'n0230'",
        "text = 'n0005'",
        "text IS NULL AND key > 220",
        "length(text) > 10",
        "price < 3.00",
        "price = 131.00 AND date < DATE '1971-01-01'",
        "price IS NULL",
        "date = DATE '1970-01-05'",
        "some > 9",
        "some = 'NaN'::double",
        "some IS NULL",
        "day = 3 AND key < 100",
        "day = 3 OR key = 55",
        "day + key = 55",
        "CASE WHEN key = 55 THEN true ELSE text = 'n9999' END",
        "key = 55 AND random() < 2",
        "key > 100000",
        "key = 55 AND key = 56",
    ] {
        let sql = format!("SELECT * FROM t WHERE {filter} ORDER BY key, text");
        let planned = plan(&told, &sql).await.unwrap();
        fewer += usize::from(files(&planned) < 29);
        let found = query(&told, &sql).await.unwrap();
        // Another listing, and footers that nobody has read.
        let expected = query(&table(&self::lake()).await, &sql).await.unwrap();
        assert_eq!(found, expected, "{filter}");
    }
    assert!(fewer >= 12, "{fewer}");
}

/// What was said of a file holds for its listing alone.
#[tokio::test]
async fn a_file_that_is_written_anew_is_opened() {
    let lake = lake();
    let told = table(&lake).await;
    let sql = "SELECT key FROM t WHERE key = 9000";
    assert_eq!(query(&told, sql).await.unwrap(), [] as [&str; 0]);
    assert_eq!(files(&plan(&told, sql).await.unwrap()), 3);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![9000]));
    lake.parquet("t/day=0/00.parquet", vec![("id", ids)]);
    let anew = lake.listed(&told).await;
    assert_eq!(files(&plan(&anew, sql).await.unwrap()), 4);
    assert_eq!(query(&anew, sql).await.unwrap(), ["9000"]);
}

/// Whether it is opened does not depend on what is in it.
#[tokio::test]
async fn a_file_that_does_not_fit_is_always_opened() {
    let lake = lake();
    let price: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![8000]));
    lake.parquet("t/day=3/wide.parquet", vec![("id", id), ("price", price)]);
    let told = table(&lake).await;
    for _ in 0..3 {
        for key in [55, 8000, 9000] {
            let sql = format!("SELECT key FROM t WHERE key = {key}");
            assert_eq!(refusal(&told, &sql).await, SourceErrorKind::Schema);
        }
    }
    let elsewhere = "SELECT key FROM t WHERE key = 55 AND day = 1";
    assert_eq!(query(&told, elsewhere).await.unwrap(), ["55"]);
}

#[tokio::test]
async fn one_file_is_left_of_those_that_footers_exclude() {
    let lake = Lake::new();
    for at in 0..20 {
        let ids = Int64Array::from_iter_values(ids(at));
        lake.parquet(&format!("t/{at:02}.parquet"), vec![("id", Arc::new(ids))]);
    }
    let columns = vec![column("id", DataType::Int64)];
    let table = lake.table(Format::Parquet, "t", columns).await;
    assert_eq!(
        query(&table, "SELECT sum(id) FROM t").await.unwrap(),
        ["19900"]
    );
    for (filter, expected) in [("id = 55", 1), ("id < 0", 1), ("id < 0 OR id > 150", 5)] {
        let sql = format!("SELECT id FROM t WHERE {filter}");
        assert_eq!(
            files(&plan(&table, &sql).await.unwrap()),
            expected,
            "{filter}"
        );
    }
    assert_eq!(
        query(&table, "SELECT id FROM t WHERE id < 0")
            .await
            .unwrap(),
        [] as [&str; 0]
    );
}
