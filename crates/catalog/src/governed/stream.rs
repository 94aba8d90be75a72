//! The batches that leave a seal: authorised schema, redacted errors.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use weft_mesh::TableId;

use super::visible_rows::RowCounter;
use crate::error::{SchemaMismatch, redact};

/// Re-stamps the batches of the plan inside with the authorised schema and
/// turns every error of it into a reference.
pub(crate) struct SealedStream {
    inner: SendableRecordBatchStream,
    schema: SchemaRef,
    table: TableId,
    counter: Option<RowCounter>,
}

impl SealedStream {
    pub(crate) fn new(
        inner: SendableRecordBatchStream,
        schema: SchemaRef,
        table: TableId,
        counter: Option<RowCounter>,
    ) -> Self {
        Self {
            inner,
            schema,
            table,
            counter,
        }
    }

    /// Inner schemas differ in nullability and metadata; the row count is given
    /// because `count(*)` reads no column at all.
    fn stamp(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.check_required(batch)
            .map_err(|e| redact(&self.table, e.into()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            batch.columns().to_vec(),
            &options,
        )
        .map_err(|e| redact(&self.table, e.into()))
    }
}

impl SealedStream {
    /// Here and not in the readers: what a hidden row lacks must not disturb.
    fn check_required(&self, batch: &RecordBatch) -> Result<(), SchemaMismatch> {
        let mut columns = self.schema.fields().iter().zip(batch.columns());
        match columns.find(|(field, column)| !field.is_nullable() && column.null_count() > 0) {
            Some((field, _)) => Err(SchemaMismatch(format!(
                "the required column `{}` is NULL in a row",
                field.name()
            ))),
            None => Ok(()),
        }
    }
}

impl Stream for SealedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.inner.poll_next_unpin(cx)) {
            Some(Ok(batch)) => {
                if let Some(counter) = &mut self.counter {
                    counter.add(batch.num_rows());
                }
                Some(self.stamp(&batch))
            }
            Some(Err(error)) => {
                self.counter = None;
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
