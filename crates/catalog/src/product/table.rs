//! One table of one domain, ungoverned: it never leaves this crate.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::CacheManager;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::path::Path;
use weft_mesh::{Format, Table, TableId};

use super::files::DataSnapshot;
use super::formats::{self, FitFactory};
use super::layout::{self, Layout};
use super::listing::Listing;
use super::prune::Listed;
use super::ranges::{self, Ranges};
use super::runtime::private_runtime;
use crate::error::{SourceError, SourceErrorKind};
use crate::governed::VisibleCounts;
use crate::store::{MESH_URL, Storage};

/// A data product's table over one listing of its files.
///
/// Its schema is the contract's, in the contract's order and names, with
/// top-level strings as `Utf8View`: the same for every listing.
pub(crate) struct ProductTable {
    id: TableId,
    table: Arc<Table>,
    storage: Arc<Storage>,
    caches: Arc<CacheManager>,
    layout: Layout,
    /// Or why there is none, for the log.
    data: Result<Arc<DataSnapshot>, Unavailable>,
    stale: AtomicBool,
    visible_counts: VisibleCounts,
}

const UNLISTED: &str = "the first listing has not finished";

/// Why a table cannot be read at all. For the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable {
    pub(crate) kind: SourceErrorKind,
    pub(crate) reason: String,
}

impl ProductTable {
    /// A table before its first listing.
    pub(crate) fn unlisted(
        id: TableId,
        table: Arc<Table>,
        storage: Arc<Storage>,
        caches: Arc<CacheManager>,
    ) -> Self {
        Self {
            layout: Layout::of(&table),
            id,
            table,
            storage,
            caches,
            data: Err(Unavailable {
                kind: SourceErrorKind::Unavailable,
                reason: UNLISTED.to_owned(),
            }),
            stale: AtomicBool::new(false),
            visible_counts: VisibleCounts::default(),
        }
    }

    /// The same table over other data.
    pub(crate) fn with_data(&self, data: Result<Arc<DataSnapshot>, Unavailable>) -> Self {
        Self {
            id: self.id.clone(),
            table: Arc::clone(&self.table),
            storage: Arc::clone(&self.storage),
            caches: Arc::clone(&self.caches),
            layout: self.layout.clone(),
            data,
            stale: AtomicBool::new(false),
            visible_counts: VisibleCounts::default(),
        }
    }

    /// The files of a listing as data of this table. Fails where a folder does
    /// not parse, or the contract is one that files cannot hold.
    pub(crate) fn read(&self, listing: &Listing) -> Result<DataSnapshot, Unavailable> {
        self.check_columns()
            .and_then(|()| {
                let files = listing.select(&self.table.source.location);
                DataSnapshot::new(&self.layout, &self.storage, files)
            })
            .map_err(|reason| Unavailable {
                kind: SourceErrorKind::Schema,
                reason,
            })
    }

    fn check_columns(&self) -> Result<(), String> {
        let mut names = HashSet::new();
        for column in &self.table.columns {
            if column.name.starts_with(layout::MARKER) {
                let name = &column.name;
                return Err(format!("`{name}` is a name that the engine uses itself"));
            }
            if !names.insert(column.physical_name.as_str()) {
                let name = &column.physical_name;
                return Err(format!("two columns have the physical name `{name}`"));
            }
            if !formats::can_hold(&self.table.source.format, &column.data_type) {
                let name = &column.name;
                return Err(format!(
                    "column `{name}` has a type that the format cannot hold"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> &TableId {
        &self.id
    }

    /// The contract.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    pub(crate) fn data(&self) -> Result<&Arc<DataSnapshot>, &Unavailable> {
        self.data.as_ref()
    }

    /// Bytes of all files as they are stored; 0 where the table cannot be read.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.data.as_ref().map_or(0, |data| data.total_bytes())
    }

    /// When the youngest file was written; none where there is no file.
    pub(crate) fn last_modified(&self) -> Option<DateTime<Utc>> {
        self.data.as_ref().ok()?.last_modified()
    }

    /// Whether `location` is a file of this listing.
    pub(crate) fn contains(&self, location: &Path) -> bool {
        self.data
            .as_ref()
            .is_ok_and(|data| data.store().contains(location))
    }

    /// Where a plan of [`TableProvider::scan`] runs: the caller's memory and
    /// disk, and the files of this listing and of `others` as the only thing
    /// that can be read.
    pub(crate) fn runtime(&self, base: &RuntimeEnv, others: &[Arc<Self>]) -> Arc<RuntimeEnv> {
        let listings = std::iter::once(&self.data).chain(others.iter().map(|other| &other.data));
        let stores = listings.filter_map(|data| Some(Arc::clone(data.as_ref().ok()?.store())));
        private_runtime(base, &self.caches, stores.collect())
    }

    /// Visible rows learned about this listing.
    pub(crate) fn visible_counts(&self) -> &VisibleCounts {
        &self.visible_counts
    }

    /// Whether its files say how many rows they have.
    pub(crate) fn has_footers(&self) -> bool {
        matches!(self.table.source.format, Format::Parquet)
    }

    /// The rows of all files by the footers of `read`, which are files of it: the others are taken
    /// to be like them. If those are all there are, also between which values each of `columns`
    /// lies. `None` where a footer is not in the cache.
    pub(crate) fn told_by_footers(
        &self,
        read: &HashSet<&Path>,
        columns: &[String],
    ) -> Option<(usize, Ranges)> {
        let files = self.data.as_ref().ok()?.files().len();
        let cache = self.caches.get_file_metadata_cache();
        // A look at the cache for what is not there would count as a miss.
        let footer = |path: &Path| cache.contains_key(path).then(|| cache.get(path))?;
        let footers: Option<Vec<_>> = read.iter().map(|path| footer(path)).collect();
        let footers = footers?;
        let rows: Option<Vec<_>> = footers.iter().map(formats::rows_by_footer).collect();
        let rows = rows?.into_iter().fold(0_usize, usize::saturating_add);
        let rows = rows.saturating_mul(files).checked_div(read.len())?;
        let ranges = match read.len() == files {
            true => {
                // One without a row bounds nothing.
                let mut footers = footers;
                footers.retain(|it| formats::rows_by_footer(it) != Some(0));
                ranges::of(&footers, columns, &self.table, &self.layout)
            }
            false => Ranges::new(),
        };
        Some((rows, ranges))
    }

    /// Whether its files have never been looked for.
    pub(crate) fn is_unlisted(&self) -> bool {
        self.data.as_ref().is_err_and(|why| why.reason == UNLISTED)
    }

    /// Whether the last refresh failed, so that the data may be old.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// Returns what it was before.
    pub(crate) fn set_stale(&self, stale: bool) -> bool {
        self.stale.swap(stale, Ordering::Relaxed)
    }
}

/// Hand-written: no paths.
impl fmt::Debug for ProductTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProductTable")
            .field("id", &self.id.to_string())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ProductTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.layout.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// All help to skip files, row groups and pages; none is complete.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let data = self.data.as_ref().map_err(|unavailable| {
            let report = SourceError::report(&self.id, unavailable.kind, &unavailable.reason);
            DataFusionError::External(Box::new(report))
        })?;
        let schema = self.layout.schema();
        let wanted: Vec<usize> =
            projection.map_or_else(|| (0..schema.fields().len()).collect(), Clone::clone);
        let footers = self.has_footers().then_some(self.caches.as_ref());
        let files = Listed::new(&self.layout, data, footers).files_for(state, filters);
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema.project(&wanted)?))));
        }

        let format = &self.table.source.format;
        let reader = formats::reader(format, &self.layout, state, data.store(), &self.caches);
        let Some(source) = reader
            .source
            .try_pushdown_projection(&self.layout.projection(&wanted))?
        else {
            return internal_err!("the reader of `{}` takes no projection", self.id);
        };
        let groups = FileGroup::new(files).split_files(state.config().target_partitions().max(1));
        // A declared partitioning keeps the engine from cutting files up.
        let partitioning =
            (!reader.splits).then(|| Partitioning::UnknownPartitioning(groups.len()));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(MESH_URL)?, source)
            .with_file_groups(groups)
            .with_file_compression_type(reader.compression)
            .with_expr_adapter(Some(Arc::new(FitFactory::new(self.layout.required()))))
            .with_output_partitioning(partitioning)
            // Rows that a filter above removes do not count.
            .with_limit(limit.filter(|_| filters.is_empty()))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
