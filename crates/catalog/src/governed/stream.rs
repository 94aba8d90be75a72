//! The batches that leave a seal: authorised schema, redacted errors.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use weft_mesh::TableId;

use super::below_nulls::emptied;
use super::traced::ScanSpan;
use super::visible_rows::RowCounter;
use crate::error::{SchemaMismatch, SourceError, redact};

/// Re-stamps the batches of the plan inside with the authorised schema and
/// turns every error of it into a reference.
///
/// It refuses the first row that lacks a required value or shows a cell that
/// does not parse, and hands out those before it: which rows share a batch
/// depends on rows that are not seen. Here and not in the readers: what a hidden
/// row lacks must not disturb.
pub(crate) struct SealedStream {
    inner: SendableRecordBatchStream,
    schema: SchemaRef,
    table: TableId,
    /// For each column of `inner` behind those of `schema` whose marker it is.
    markers: Arc<[usize]>,
    /// Whether every cell of the table is visible.
    hides_nothing: bool,
    counter: Option<RowCounter>,
    /// Where traces are collected.
    span: Option<Arc<ScanSpan>>,
    state: State,
}

enum State {
    Running,
    /// The next poll fails.
    Failing(DataFusionError),
    Failed,
}

/// What is wrong with a visible row.
enum Fault {
    Missing(String),
    Unparsed(String),
}

impl SealedStream {
    pub(crate) fn new(
        inner: SendableRecordBatchStream,
        schema: SchemaRef,
        table: TableId,
        markers: Arc<[usize]>,
        hides_nothing: bool,
        counter: Option<RowCounter>,
        span: Option<Arc<ScanSpan>>,
    ) -> Self {
        Self {
            inner,
            schema,
            table,
            markers,
            hides_nothing,
            counter,
            span,
            state: State::Running,
        }
    }

    /// The rows of `batch` up to the first that is refused; the error comes next.
    fn checked(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some((row, fault)) = self.first_fault(batch) else {
            return self.stamp(batch);
        };
        self.counter = None;
        let error = match fault {
            Fault::Missing(column) => {
                let reason = format!("the required column `{column}` is NULL in a row");
                redact(&self.table, SchemaMismatch(reason).into())
            }
            Fault::Unparsed(column) => {
                DataFusionError::External(Box::new(SourceError::unparsed(&self.table, &column)))
            }
        };
        if row == 0 {
            self.state = State::Failed;
            return Err(error);
        }
        self.state = State::Failing(error);
        self.stamp(&batch.slice(0, row))
    }

    /// Inner schemas differ in nullability and metadata; the row count is given
    /// because `count(*)` reads no column at all.
    fn stamp(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().take(self.schema.fields().len());
        let columns = columns.map(|column| {
            if self.hides_nothing {
                Ok(Arc::clone(column))
            } else {
                emptied(column)
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        columns
            .collect::<std::result::Result<Vec<_>, _>>()
            .and_then(|columns| {
                RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            })
            .map_err(|e| redact(&self.table, e.into()))
    }

    /// Of the first row that is refused the first column that makes it so.
    fn first_fault(&self, batch: &RecordBatch) -> Option<(usize, Fault)> {
        let fields = self.schema.fields();
        let unparsed = self
            .markers
            .iter()
            .zip(batch.columns().iter().skip(fields.len()))
            .filter_map(|(column, marker)| {
                let row = first_true(marker)?;
                Some((row, Fault::Unparsed(fields.get(*column)?.name().clone())))
            });
        let missing = fields
            .iter()
            .zip(batch.columns())
            .filter(|(field, _)| !field.is_nullable())
            .filter_map(|(field, column)| {
                let row = first_null(column)?;
                Some((row, Fault::Missing(field.name().clone())))
            });
        unparsed.chain(missing).min_by_key(|(row, _)| *row)
    }
}

fn first_true(marker: &dyn Array) -> Option<usize> {
    let marker = marker.as_boolean_opt()?;
    if !marker.has_true() {
        return None;
    }
    marker.iter().position(|unparsed| unparsed == Some(true))
}

fn first_null(column: &dyn Array) -> Option<usize> {
    if column.null_count() == 0 {
        return None;
    }
    (0..column.len()).find(|row| column.is_null(*row))
}

impl Stream for SealedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Running => self.state = State::Running,
            State::Failing(error) => return Poll::Ready(Some(Err(error))),
            State::Failed => return Poll::Ready(None),
        }
        Poll::Ready(match ready!(self.inner.poll_next_unpin(cx)) {
            Some(Ok(batch)) => {
                if let Some(counter) = &mut self.counter {
                    counter.add(&batch);
                }
                let checked = self.checked(&batch);
                if let (Some(span), Ok(batch)) = (&self.span, &checked) {
                    span.gave(batch.num_rows());
                }
                Some(checked)
            }
            Some(Err(error)) => {
                self.counter = None;
                self.state = State::Failed;
                Some(Err(redact(&self.table, error)))
            }
            None => {
                if let Some(counter) = self.counter.take() {
                    counter.finish();
                }
                None
            }
        })
    }
}

impl RecordBatchStream for SealedStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
