//! CSV and JSON: text that is parsed as the contract's types.
//!
//! A cell that does not parse is NULL, and the marker of its column is TRUE in
//! that row. The seal carries the markers past policy and masks, and refuses
//! the first *visible* row that shows such a cell in clear: what lies damaged in
//! hidden rows, and under masks, disturbs nobody.
//!
//! | damage | what it is |
//! |---|---|
//! | a value that is not of its column's type, not UTF-8, NULL inside of a struct where the contract requires one | a cell that does not parse |
//! | a CSV row with more or fewer fields than the header (without one, than the contract) | a row of which no cell parses |
//! | a line, or an element of a JSON array, that is not exactly one JSON object, is not UTF-8, or is nested deeper than 128 levels | a row of which no cell parses |
//! | compression that breaks off; a CSV quote that is never closed; a JSON array that is not one, or whose brackets or quotes do not balance; a record longer than 64 MiB; a header without a required column or with a column twice | the whole file: every query that reads it fails |
//!
//! Two kinds of damage cannot be told from data: a CSV quote that is opened in
//! one row and closed in a later one joins the rows between, and a bracket or
//! quote too many in an element of a JSON array joins it with the next.
//!
//! Records are decoded a batch at a time by the engine's decoder. Where that
//! fails, the same batch is decoded again cell by cell, by the same decoder: a
//! cell parses or does not whatever stands beside it.

mod csv;
mod input;
mod json;
mod wanted;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::execution_plan::apply_expression_roots;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::boundary_stream::AlignedBoundaryStream;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use weft_mesh::{CsvFormat, JsonLayout};

use self::csv::CsvReading;
use self::input::Input;
use self::json::JsonReading;
use self::wanted::{Decoded, Wanted};
use crate::product::layout::Layout;

/// Rows a batch where the engine gives no number.
const BATCH_SIZE: usize = 8192;

#[derive(Clone)]
enum TextFormat {
    Csv(Arc<CsvFormat>),
    Json(JsonLayout),
}

/// The files of one table.
#[derive(Clone)]
pub(crate) struct TextFiles {
    format: TextFormat,
    layout: Layout,
    projection: SplitProjection,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl TextFiles {
    pub(crate) fn csv(format: &CsvFormat, layout: &Layout) -> Self {
        Self::new(TextFormat::Csv(Arc::new(format.clone())), layout)
    }

    pub(crate) fn json(format: JsonLayout, layout: &Layout) -> Self {
        Self::new(TextFormat::Json(format), layout)
    }

    fn new(format: TextFormat, layout: &Layout) -> Self {
        Self {
            format,
            projection: SplitProjection::unprojected(layout.stored()),
            layout: layout.clone(),
            batch_size: BATCH_SIZE,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl FileSource for TextFiles {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let file_schema = self.layout.stored().file_schema();
        let wanted = Arc::new(Wanted::new(file_schema, &self.projection.file_indices)?);
        let reading = match &self.format {
            TextFormat::Csv(format) => Reading::Csv(CsvReading::new(
                format,
                Arc::new(Wanted::values_of(file_schema)),
                Arc::clone(self.layout.required()),
                wanted,
                self.batch_size,
            )?),
            TextFormat::Json(layout) => {
                Reading::Json(JsonReading::new(*layout, wanted, self.batch_size))
            }
        };
        let opener = Arc::new(TextOpener {
            store,
            compression: config.file_compression_type,
            reading: Arc::new(reading),
        });
        ProjectionOpener::try_new(self.projection.clone(), opener, file_schema)
    }

    fn table_schema(&self) -> &TableSchema {
        self.layout.stored()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            batch_size,
            ..self.clone()
        })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.layout.stored().file_schema(), &merged);
        Ok(Some(Arc::new(Self {
            projection,
            ..self.clone()
        })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &'static str {
        match self.format {
            TextFormat::Csv(_) => "csv",
            TextFormat::Json(_) => "json",
        }
    }

    /// A line break in the quotes of CSV looks like the end of a row from the
    /// middle of a file; in a JSON array it ends nothing.
    fn supports_repartitioning(&self) -> bool {
        matches!(self.format, TextFormat::Json(JsonLayout::NewLine))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

impl fmt::Debug for TextFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextFiles")
    }
}

enum Reading {
    Csv(CsvReading),
    Json(JsonReading),
}

struct TextOpener {
    store: Arc<dyn ObjectStore>,
    compression: FileCompressionType,
    reading: Arc<Reading>,
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let store = Arc::clone(&self.store);
        let compression = self.compression;
        let reading = Arc::clone(&self.reading);
        Ok(Box::pin(async move {
            let text = compression.convert_stream(bytes_of(store, &file).await?)?;
            let input = Input::new(text);
            let damage = Damage::in_file(&file);
            let rows = match reading.as_ref() {
                Reading::Csv(csv) => csv.rows(input, damage).await?,
                Reading::Json(json) => json.rows(input, damage)?,
            };
            Ok(rows)
        }))
    }
}

/// The stored bytes of a file, or the whole lines of a part of it.
async fn bytes_of(
    store: Arc<dyn ObjectStore>,
    file: &PartitionedFile,
) -> Result<BoxStream<'static, Result<bytes::Bytes>>> {
    let location = &file.object_meta.location;
    let Some(range) = &file.range else {
        let body = store.get_opts(location, Default::default()).await?;
        return Ok(body.into_stream().map_err(DataFusionError::from).boxed());
    };
    let bound = |at: i64| u64::try_from(at).map_err(|e| DataFusionError::External(Box::new(e)));
    let lines = AlignedBoundaryStream::new(
        store,
        location.clone(),
        bound(range.start)?,
        bound(range.end)?,
        file.object_meta.size,
        b'\n',
    )
    .await?;
    Ok(lines.map_err(DataFusionError::from).boxed())
}

type Rows = BoxStream<'static, Result<RecordBatch>>;

/// Notes for the operator that cells of a file do not parse: where, not what.
struct Damage {
    file: String,
    records: usize,
    noted: bool,
}

impl Damage {
    fn in_file(file: &PartitionedFile) -> Self {
        Self {
            file: file.object_meta.location.to_string(),
            records: 0,
            noted: false,
        }
    }

    /// Counts the records of a batch; the first batch with damage is logged.
    fn note(&mut self, wanted: &Wanted, batch: &Decoded) {
        let cells = batch.unparsed_cells();
        if cells > 0 && !self.noted {
            self.noted = true;
            let columns: Vec<&str> = wanted
                .columns()
                .fields()
                .iter()
                .zip(&batch.unparsed)
                .filter(|(_, unparsed)| unparsed.is_some())
                .map(|(field, _)| field.name().as_str())
                .collect();
            let first = self.records
                + batch
                    .unparsed
                    .iter()
                    .flatten()
                    .filter_map(|unparsed| unparsed.values().set_indices().next())
                    .min()
                    .unwrap_or(0);
            // A part of a file counts from its own beginning.
            tracing::warn!(
                file = self.file,
                record = first + 1,
                cells,
                ?columns,
                "cells that do not parse"
            );
        }
        self.records += batch.rows;
    }
}
