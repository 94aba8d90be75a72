//! Parquet: pruned by row group, page and bloom filter, footers cached.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::CacheManager;

use crate::store::{PinnedStore, ReadOnly};

/// Nearly every footer fits: one request each.
const FOOTER_HINT: usize = 512 * 1024;

/// Filters arrive later, from the filter above the scan: the engine's own rule
/// hands them to the reader for pruning.
pub(crate) fn source(
    stored: &TableSchema,
    state: &dyn Session,
    store: &Arc<PinnedStore>,
    caches: &CacheManager,
) -> Arc<dyn FileSource> {
    let mut global = state.config_options().execution.parquet.clone();
    // Writers of INT96 (Spark, Impala) mean microseconds.
    global.coerce_int96 = Some("us".to_owned());
    let options = TableParquetOptions { global, ..TableParquetOptions::default() };
    let readers = CachedParquetFileReaderFactory::new(
        Arc::new(ReadOnly(Arc::clone(store))),
        caches.get_file_metadata_cache(),
    );
    Arc::new(
        ParquetSource::new(stored.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_HINT)
            .with_parquet_file_reader_factory(Arc::new(readers)),
    )
}
