//! CSV: columns by the names in the header, values as the contract's types.
//!
//! The engine's own reader takes columns by position and knows no text for
//! NULL: a file with its columns in another order would be read wrongly.

mod columns;
mod input;

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::{Decoder, Format as CsvReaderFormat};
use datafusion::arrow::datatypes::SchemaRef;
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
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use regex::Regex;
use weft_mesh::CsvFormat;

use self::columns::Columns;
use self::input::Input;
use crate::product::layout::{Layout, RequiredColumns};

/// Rows a batch where the engine gives no number.
const BATCH_SIZE: usize = 8192;

/// The files of one table.
#[derive(Clone)]
pub(crate) struct CsvFiles {
    format: Arc<CsvFormat>,
    stored: TableSchema,
    required: Arc<RequiredColumns>,
    projection: SplitProjection,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl CsvFiles {
    pub(crate) fn new(format: &CsvFormat, layout: &Layout) -> Self {
        let stored = layout.stored().clone();
        Self {
            format: Arc::new(format.clone()),
            projection: SplitProjection::unprojected(&stored),
            stored,
            required: Arc::clone(layout.required()),
            batch_size: BATCH_SIZE,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl FileSource for CsvFiles {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let file_schema = self.stored.file_schema();
        let opener = Arc::new(CsvOpener {
            store,
            compression: config.file_compression_type,
            reading: Arc::new(Reading {
                format: Arc::clone(&self.format),
                null: null_text(&self.format)?,
                wanted: Arc::new(file_schema.project(&self.projection.file_indices)?),
                contract: Arc::clone(file_schema),
                required: Arc::clone(&self.required),
                batch_size: self.batch_size,
            }),
        });
        ProjectionOpener::try_new(self.projection.clone(), opener, file_schema)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.stored
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
        let projection = SplitProjection::new(self.stored.file_schema(), &merged);
        Ok(Some(Arc::new(Self {
            projection,
            ..self.clone()
        })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &'static str {
        "csv"
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}

impl fmt::Debug for CsvFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsvFiles")
    }
}

fn null_text(format: &CsvFormat) -> Result<Option<Regex>> {
    let pattern = |text| Regex::new(&format!("^(?:{})$", regex::escape(text)));
    format
        .null
        .as_deref()
        .map(pattern)
        .transpose()
        .map_err(|e| DataFusionError::External(Box::new(e)))
}

struct CsvOpener {
    store: Arc<dyn ObjectStore>,
    compression: FileCompressionType,
    reading: Arc<Reading>,
}

impl FileOpener for CsvOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (store, compression, reading) = (
            Arc::clone(&self.store),
            self.compression,
            Arc::clone(&self.reading),
        );
        Ok(Box::pin(async move {
            let body = store
                .get_opts(&file.object_meta.location, Default::default())
                .await?
                .into_stream();
            let text = compression.convert_stream(body.map_err(DataFusionError::from).boxed())?;
            reading.rows(text).await
        }))
    }
}

/// How to read one file.
struct Reading {
    format: Arc<CsvFormat>,
    null: Option<Regex>,
    /// Every column of the files that the contract has.
    contract: SchemaRef,
    required: Arc<RequiredColumns>,
    /// Those that are read.
    wanted: SchemaRef,
    batch_size: usize,
}

impl Reading {
    async fn rows(
        &self,
        text: BoxStream<'static, Result<Bytes>>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let mut input = Input::new(text);
        let columns = if self.format.header {
            match input.take_header(self.format.quote).await? {
                Some(header) => self.columns_of(&header)?,
                None => return Ok(stream::empty().boxed()),
            }
        } else {
            input.skip_byte_order_mark().await?;
            Columns::by_position(&self.contract, &self.wanted)
        };
        let rows = Rows {
            decoder: self.decoder(&columns),
            wanted: Arc::clone(&self.wanted),
            columns,
            input,
        };
        Ok(stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        })
        .boxed())
    }

    fn decoder(&self, columns: &Columns) -> Decoder {
        let mut reader = ReaderBuilder::new(Arc::clone(&columns.in_file))
            .with_header(false)
            .with_delimiter(self.format.delimiter)
            .with_quote(self.format.quote)
            .with_batch_size(self.batch_size)
            .with_projection(columns.read.clone());
        if let Some(null) = &self.null {
            reader = reader.with_null_regex(null.clone());
        }
        reader.build_decoder()
    }

    fn columns_of(&self, header: &[u8]) -> Result<Columns> {
        let format = CsvReaderFormat::default()
            .with_header(true)
            .with_delimiter(self.format.delimiter)
            .with_quote(self.format.quote);
        let (header, _) = format.infer_schema(header, Some(0))?;
        let names: Vec<&str> = header.fields().iter().map(|f| f.name().trim()).collect();
        Columns::by_name(&names, &self.contract, &self.required, &self.wanted)
            .map_err(DataFusionError::from)
    }
}

struct Rows {
    input: Input,
    decoder: Decoder,
    columns: Columns,
    wanted: SchemaRef,
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.input.fill().await?;
            // Nothing at the end completes a last line without a line break.
            let used = self.decoder.decode(&self.input.ahead)?;
            self.input.ahead.advance(used);
            if used == 0 || self.decoder.capacity() == 0 {
                match self.decoder.flush()? {
                    Some(batch) => return self.arranged(&batch).map(Some),
                    None if self.input.ended && self.input.ahead.is_empty() => return Ok(None),
                    None => {}
                }
            }
        }
    }

    /// The wanted columns in their order, NULL where the file has none.
    fn arranged(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns =
            self.wanted
                .fields()
                .iter()
                .zip(&self.columns.sources)
                .map(|(field, source)| {
                    source
                        .and_then(|at| batch.columns().get(at).cloned())
                        .unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
                });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.wanted),
            columns.collect(),
            &options,
        )?)
    }
}
