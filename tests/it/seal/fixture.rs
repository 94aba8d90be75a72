//! One governed table over generated files, the same files behind a view, and
//! a copy of what the policy shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::CatalogProvider;
use datafusion::datasource::MemTable;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use weft_catalog::{CatalogConfig, GovernedCatalog, LiveMesh};
use weft_policy::{PrincipalId, Viewer};

use crate::support::{MeshDir, contract};

pub(crate) const ROWS: i64 = 3000;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Parquet,
    Csv,
}

fn schema() -> SchemaRef {
    let int = |name| Field::new(name, DataType::Int64, true);
    let text = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        int("id"),
        text("region"),
        text("tenant"),
        int("y"),
        int("z"),
        int("big"),
        text("ssn"),
        text("note"),
        text("hexed"),
    ]))
}

/// `hidden` percent of the rows are not EU, and every trap lies in those.
fn rows(hidden: i64) -> RecordBatch {
    let hide = |i: i64| (i * 7919) % 100 < hidden;
    let ints = |f: &dyn Fn(i64) -> i64| {
        Arc::new(Int64Array::from_iter_values((0..ROWS).map(f))) as ArrayRef
    };
    let texts = |f: &dyn Fn(i64) -> Option<String>| {
        Arc::new((0..ROWS).map(f).collect::<StringArray>()) as ArrayRef
    };
    let pick = |i: i64, trap: String, plain: String| Some(if hide(i) { trap } else { plain });
    let tenants = ["acme", "globex", "initech"];
    RecordBatch::try_new(
        schema(),
        vec![
            ints(&|i| i),
            texts(&|i| {
                pick(
                    i,
                    if i % 2 == 0 { "US".into() } else { "DE".into() },
                    "EU".into(),
                )
            }),
            texts(&|i| {
                if hide(i) && i % 5 == 0 {
                    None
                } else {
                    Some(tenants[usize::try_from(i % 3).unwrap()].to_owned())
                }
            }),
            ints(&|i| {
                if hide(i) {
                    if i % 3 == 0 { 7 } else { 0 }
                } else {
                    1 + i % 5
                }
            }),
            ints(&|i| if hide(i) { 0 } else { 1 + i % 11 }),
            ints(&|i| if hide(i) { i64::MIN } else { i % 100 }),
            texts(&|i| pick(i, format!("secret-{i}"), (i % 90).to_string())),
            texts(&|i| pick(i, "(".into(), format!("{},{}", i % 4, i % 9))),
            texts(&|i| pick(i, "zz".into(), "6869".into())),
        ],
    )
    .unwrap()
}

fn write(dir: &Path, format: Format, batch: &RecordBatch) {
    for (part, offset) in (0..3).map(|p| (p, p * 1000)) {
        let slice = batch.slice(offset, 1000);
        match format {
            Format::Parquet => {
                let file = std::fs::File::create(dir.join(format!("part-{part}.parquet"))).unwrap();
                let properties = parquet::file::properties::WriterProperties::builder()
                    .set_max_row_group_row_count(Some(250))
                    .build();
                let mut writer =
                    parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties))
                        .unwrap();
                writer.write(&slice).unwrap();
                writer.close().unwrap();
            }
            Format::Csv => {
                let file = std::fs::File::create(dir.join(format!("part-{part}.csv"))).unwrap();
                arrow::csv::WriterBuilder::new()
                    .with_header(true)
                    .build(file)
                    .write(&slice)
                    .unwrap();
            }
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) mesh: MeshDir,
    hidden: i64,
    format: Format,
}

impl Fixture {
    /// User `eu` sees every column of `d.t`, and the rows that `policy` admits: all if it is empty.
    pub(crate) fn new(format: Format, hidden: i64, policy: &str) -> Self {
        Self::masked(format, hidden, policy, "")
    }

    /// The same with `masks`, as a grant has them.
    pub(crate) fn masked(format: Format, hidden: i64, policy: &str, masks: &str) -> Self {
        let name = match format {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
        };
        let columns: String = schema()
            .fields()
            .iter()
            .map(|f| {
                let physical = if *f.data_type() == DataType::Int64 {
                    "BIGINT"
                } else {
                    "VARCHAR"
                };
                format!("- {{name: {}, physicalType: {physical}}}\n", f.name())
            })
            .collect();
        let rows = match policy {
            "" => String::new(),
            policy => format!("\n  rows: \"{policy}\""),
        };
        let masks = match masks {
            "" => String::new(),
            masks => format!("\n  masks: {masks}"),
        };
        let grants = format!("- name: eu\n  to: [user:eu]\n  on: t\n  columns: \"*\"{rows}{masks}");
        let contract = contract("t", name, &format!("./data/*.{name}"), &columns);
        let mesh =
            MeshDir::new("acme")
                .user("eu", "pw", &[], &[])
                .domain("d", &grants, &[&contract]);
        write(&mesh.data("d"), format, &self::rows(hidden));
        Self {
            mesh,
            hidden,
            format,
        }
    }

    pub(crate) async fn open(&self) -> Arc<LiveMesh> {
        LiveMesh::open(&self.mesh.mesh_file(), CatalogConfig::default())
            .await
            .unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.mesh.data("d")
    }

    pub(crate) async fn governed(&self, config: SessionConfig) -> SessionContext {
        let live = self.open().await;
        Self::session(&live, config)
    }

    /// A session of `eu` on what `live` holds now.
    pub(crate) fn session(live: &LiveMesh, config: SessionConfig) -> SessionContext {
        let snapshot = live.snapshot();
        let id = PrincipalId::user("eu");
        let principal = snapshot.policy().authenticator().principal(&id).unwrap();
        let catalog = GovernedCatalog::new(&snapshot, &Viewer::new(principal, Utc::now()));
        let config = config
            .with_default_catalog_and_schema("acme", "d")
            .with_create_default_catalog_and_schema(false);
        let ctx = SessionContext::new_with_config(config);
        #[expect(
            clippy::disallowed_methods,
            reason = "the engine's own registration is tested elsewhere"
        )]
        ctx.register_catalog("acme", Arc::new(catalog) as Arc<dyn CatalogProvider>);
        ctx
    }

    /// The same policy in the way of a view.
    #[expect(clippy::disallowed_methods, reason = "the leaky way on purpose")]
    pub(crate) async fn view(&self, config: SessionConfig, policy: &str) -> SessionContext {
        let ctx = SessionContext::new_with_config(config);
        let path = self.data().display().to_string();
        let schema = schema();
        match self.format {
            Format::Parquet => {
                ctx.register_parquet("raw", &path, ParquetReadOptions::default().schema(&schema))
                    .await
                    .unwrap();
            }
            Format::Csv => {
                ctx.register_csv("raw", &path, CsvReadOptions::new().schema(&schema))
                    .await
                    .unwrap();
            }
        }
        ctx.sql(&format!(
            "CREATE VIEW t AS SELECT * FROM raw WHERE {policy}"
        ))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
        ctx
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the authorised copy is the oracle"
    )]
    pub(crate) fn copy(&self, config: SessionConfig) -> SessionContext {
        let batch = rows(self.hidden);
        let region = batch
            .column(1)
            .as_any()
            .downcast_ref::<StringArray>()
            .unwrap();
        let visible = region.iter().map(|r| Some(r == Some("EU"))).collect();
        let visible = filter_record_batch(&batch, &visible).unwrap();
        let ctx = SessionContext::new_with_config(config);
        ctx.register_table(
            "t",
            Arc::new(MemTable::try_new(schema(), vec![vec![visible]]).unwrap()),
        )
        .unwrap();
        ctx
    }
}

/// What a client can tell of an answer: its rows as a multiset, or that it failed.
#[expect(clippy::disallowed_methods, reason = "queries of the test itself")]
pub(crate) async fn observe(ctx: &SessionContext, sql: &str) -> Result<Vec<String>, String> {
    let batches = async { ctx.sql(sql).await?.collect().await }
        .await
        .map_err(|e| e.to_string())?;
    Ok(lines(&batches))
}

/// Rows as text, as a multiset.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let options = FormatOptions::default().with_null("∅");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(
                columns
                    .iter()
                    .map(|c| c.value(row).to_string())
                    .collect::<Vec<_>>()
                    .join("|"),
            );
        }
    }
    lines.sort();
    lines
}
