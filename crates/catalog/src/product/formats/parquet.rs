//! Parquet: pruned by row group, page and bloom filter, footers cached.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{ColumnStatistics, Result, ScalarValue};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::{
    CachedParquetMetaData, DFParquetMetadata,
};
use datafusion::datasource::physical_plan::{FileSource, ParquetFileReaderFactory, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::{CacheManager, CachedFileMetadataEntry};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::fit::FitFactory;
use crate::product::layout::Layout;
use crate::product::ranges;
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
    let options = TableParquetOptions {
        global,
        ..TableParquetOptions::default()
    };
    let store = Arc::new(ReadOnly(Arc::clone(store)));
    let readers = CachedParquetFileReaderFactory::new(store, caches.get_file_metadata_cache());
    Arc::new(
        ParquetSource::new(stored.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_HINT)
            .with_parquet_file_reader_factory(Arc::new(Readers(readers))),
    )
}

/// The rows of a file, by its cached footer.
pub(crate) fn rows_by_footer(footer: &CachedFileMetadataEntry) -> Option<usize> {
    usize::try_from(metadata(footer)?.file_metadata().num_rows()).ok()
}

/// The columns of a file, by its cached footer.
pub(crate) fn columns_by_footer(footer: &CachedFileMetadataEntry) -> usize {
    metadata(footer).map_or(0, |it| it.file_metadata().schema_descr().num_columns())
}

/// Between which values the `columns` of a file lie, by its cached footer.
pub(crate) fn ranges_by_footer(
    footer: &CachedFileMetadataEntry,
    columns: &SchemaRef,
) -> Option<Vec<ColumnStatistics>> {
    let told = DFParquetMetadata::statistics_from_parquet_metadata(metadata(footer)?, columns);
    Some(told.ok()?.column_statistics)
}

/// The longest text that is kept as a bound, in bytes: not all writers cut them.
const LONGEST_BOUND: usize = 64;

/// The least and the greatest value of `column` in a file, by its cached footer. `None` where a row
/// group does not say it, says it in a type that is not `shown` value by value, or says what cannot
/// be decoded, and for a file that does not fit the table: whoever reads it is told so, whatever
/// is in it.
pub(crate) fn bounds_by_footer(
    footer: &CachedFileMetadataEntry,
    layout: &Layout,
    column: &str,
    shown: &DataType,
) -> Option<(ScalarValue, ScalarValue)> {
    let bounds = || bounds(metadata(footer)?, layout, column, shown);
    catch_unwind(AssertUnwindSafe(bounds)).ok().flatten()
}

fn bounds(
    metadata: &ParquetMetaData,
    layout: &Layout,
    column: &str,
    shown: &DataType,
) -> Option<(ScalarValue, ScalarValue)> {
    let (columns, groups) = (metadata.file_metadata(), metadata.row_groups());
    let schema =
        parquet_to_arrow_schema(columns.schema_descr(), columns.key_value_metadata()).ok()?;
    let fit = FitFactory::new(layout.required());
    fit.fitted(layout.stored().file_schema(), &schema).ok()?;
    let stored = schema.field_with_name(column).ok()?.data_type();
    let is_kept = stored == shown
        || stored.is_string() && shown.is_string()
        || stored.is_integer() && shown.is_integer();
    if !is_kept {
        return None;
    }
    let told = StatisticsConverter::try_new(column, &schema, columns.schema_descr()).ok()?;
    let mins = told.row_group_mins(groups).ok()?;
    let maxes = told.row_group_maxes(groups).ok()?;
    let nulls = told.row_group_null_counts(groups).ok()?;
    for (at, group) in groups.iter().enumerate() {
        let is_told = mins.is_valid(at) && maxes.is_valid(at);
        let is_null = nulls.is_valid(at) && i64::try_from(nulls.value(at)) == Ok(group.num_rows());
        // One that does not say it is enough.
        if !is_told && !is_null {
            return None;
        }
    }
    let (min, _) = ranges::of_values(&mins)?;
    let (_, max) = ranges::of_values(&maxes)?;
    let bound = |value: ScalarValue| {
        let value = value.cast_to(shown).ok()?;
        let text = value.try_as_str().flatten();
        text.is_none_or(|text| text.len() <= LONGEST_BOUND)
            .then_some(value)
    };
    Some((bound(min)?, bound(max)?))
}

fn metadata(footer: &CachedFileMetadataEntry) -> Option<&ParquetMetaData> {
    let footer = footer.file_metadata.as_any();
    let footer = footer.downcast_ref::<CachedParquetMetaData>()?;
    Some(footer.parquet_metadata())
}

/// The engine's cached readers, safe from footers that are not footers.
#[derive(Debug)]
struct Readers(CachedParquetFileReaderFactory);

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let reader = self
            .0
            .create_reader(partition, file, footer_hint, metrics)?;
        Ok(Box::new(Reader(reader)))
    }
}

struct Reader(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        self.0.get_byte_ranges(ranges)
    }

    /// The decoder computes with lengths that it finds in the file: one that is
    /// longer than the file panics.
    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        AssertUnwindSafe(self.0.get_metadata(options))
            .catch_unwind()
            .map(|read| {
                read.unwrap_or_else(|_| {
                    Err(ParquetError::General(
                        "the footer cannot be decoded".to_owned(),
                    ))
                })
            })
            .boxed()
    }
}
