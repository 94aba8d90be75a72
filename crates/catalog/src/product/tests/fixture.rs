//! A table written down in a test, its files, and queries on it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::Result;
use datafusion::execution::cache::cache_manager::{CacheManager, CacheManagerConfig};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use weft_mesh::{
    Column, DomainName, Format, Location, Span, StorageName, Table, TableName, TableSource,
    TableStatus,
};

use crate::error::redact;
use crate::product::{Listing, ProductTable};
use crate::store::tests::local_storage;
use crate::store::{MeshStore, Storage};

pub(super) fn column(name: &str, data_type: DataType) -> Column {
    Column {
        name: name.to_owned(),
        physical_name: name.to_owned(),
        data_type,
        required: false,
        partition: None,
        primary_key: None,
        description: None,
        tags: Default::default(),
        classification: None,
        inside: Default::default(),
        span: Span::of_file("t.odcs.yaml"),
    }
}

pub(super) fn required(column: Column) -> Column {
    Column {
        required: true,
        ..column
    }
}

pub(super) fn partition(column: Column, position: u32) -> Column {
    Column {
        partition: Some(position),
        ..column
    }
}

pub(super) fn stored_as(column: Column, physical_name: &str) -> Column {
    Column {
        physical_name: physical_name.to_owned(),
        ..column
    }
}

/// `sales.t` over `sales.lake`, a temporary folder.
pub(super) struct Lake {
    root: TempDir,
    pub(super) storage: Arc<Storage>,
    caches: Arc<CacheManager>,
}

impl Lake {
    pub(super) fn new() -> Self {
        let root = TempDir::new().unwrap();
        Self {
            storage: local_storage("sales", "lake", root.path()),
            caches: CacheManager::try_new(&CacheManagerConfig::default()).unwrap(),
            root,
        }
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        let path = self.root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(super) fn text(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(file), text).unwrap();
    }

    pub(super) fn parquet(&self, file: &str, columns: Vec<(&str, ArrayRef)>) {
        self.parquet_groups(file, columns, 1_000_000);
    }

    pub(super) fn parquet_groups(&self, file: &str, columns: Vec<(&str, ArrayRef)>, group: usize) {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(group))
            .build();
        let file = File::create(self.path(file)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// The table as a refresh makes it.
    pub(super) async fn table(
        &self,
        format: Format,
        location: &str,
        columns: Vec<Column>,
    ) -> Arc<ProductTable> {
        let domain = DomainName::parse("sales").unwrap();
        let table = Table {
            name: TableName::parse("t").unwrap(),
            product: "t".to_owned(),
            version: "1.0.0".to_owned(),
            major: 1,
            newest: true,
            status: TableStatus::Active,
            description: None,
            service_levels: Default::default(),
            tags: Default::default(),
            columns,
            source: TableSource {
                storage: StorageName::parse("lake").unwrap(),
                format,
                location: Location::parse(location).unwrap(),
                span: Span::of_file("t.odcs.yaml"),
            },
            span: Span::of_file("t.odcs.yaml"),
        };
        let id = table.id(&domain);
        let caches = Arc::clone(&self.caches);
        let storage = Arc::clone(&self.storage);
        let table = ProductTable::unlisted(id, Arc::new(table), storage, caches);
        self.listed(&table).await
    }

    pub(super) async fn listed(&self, table: &ProductTable) -> Arc<ProductTable> {
        let mesh = MeshStore::new([Arc::clone(&self.storage)]);
        let prefix = table.table().source.location.prefix();
        let listing = Listing::fetch(&mesh, self.storage.key(), prefix)
            .await
            .unwrap();
        Arc::new(table.with_data(table.read(&listing).map(Arc::new)))
    }
}

/// A session that can read `table` as `t`.
#[expect(
    clippy::disallowed_methods,
    reason = "the table under test stands without its seal"
)]
pub(super) fn session(table: &Arc<ProductTable>) -> SessionContext {
    let runtime = table.runtime(&RuntimeEnv::default(), &[]);
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().execution.parquet.pushdown_filters = false;
    let session = SessionContext::new_with_config_rt(config, runtime);
    session.register_table("t", Arc::clone(table) as _).unwrap();
    session
}

#[expect(
    clippy::disallowed_methods,
    reason = "the table under test stands without its seal"
)]
pub(super) async fn plan(table: &Arc<ProductTable>, sql: &str) -> Result<Arc<dyn ExecutionPlan>> {
    session(table).sql(sql).await?.create_physical_plan().await
}

pub(super) async fn run(
    table: &Arc<ProductTable>,
    plan: &Arc<dyn ExecutionPlan>,
) -> Result<Vec<RecordBatch>> {
    collect(Arc::clone(plan), session(table).task_ctx()).await
}

/// The rows, one a line, columns joined by `|`.
pub(super) async fn query(table: &Arc<ProductTable>, sql: &str) -> Result<Vec<String>> {
    let batches = run(table, &plan(table, sql).await?).await?;
    let text = pretty_format_batches(&batches)?.to_string();
    let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("|")
    };
    Ok(rows.map(cells).collect())
}

/// What a client reads where `sql` fails: never a path, never a value.
pub(super) async fn refusal(table: &Arc<ProductTable>, sql: &str) -> crate::error::SourceErrorKind {
    let error = query(table, sql).await.expect_err("the query works");
    let shown = redact(table.id(), error);
    let text = shown.to_string();
    let source = crate::error::SourceError::find(&shown).expect("a source error");
    assert!(
        text.contains("data source of `sales.t` failed, ref "),
        "{text}"
    );
    assert!(!text.contains("lake"), "{text}");
    source.kind()
}

/// Sum of a metric over a plan that has run.
pub(super) fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own: usize = plan
        .metrics()
        .map(|all| {
            all.iter()
                .filter(|m| m.value().name() == name)
                .map(|m| m.value().as_usize())
                .sum()
        })
        .unwrap_or_default();
    own + plan
        .children()
        .into_iter()
        .map(|child| metric(child, name))
        .sum::<usize>()
}
