//! The span of reading a table, for a collector of traces.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use tracing::Span;
use tracing::field::Empty;
use weft_mesh::TableId;

use super::scan::metric_total;
use crate::trace::{StatementSpan, TRACES};

/// A table that is read, by one partition or several, until the last of them is dropped.
pub(crate) struct ScanSpan {
    span: Span,
    inner: Arc<dyn ExecutionPlan>,
    rows: AtomicU64,
}

impl ScanSpan {
    /// Rows have left the seal.
    pub(crate) fn gave(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

impl Drop for ScanSpan {
    fn drop(&mut self) {
        let rows = self.rows.load(Ordering::Relaxed);
        self.span.record("weft.rows", rows);
        // Formats other than Parquet do not say.
        let bytes = metric_total(&self.inner, "bytes_scanned");
        if bytes > 0 {
            self.span.record("weft.bytes", bytes as u64);
        }
    }
}

/// The span that partitions of one scan share.
#[derive(Default)]
pub(crate) struct ScanSpans(Mutex<Weak<ScanSpan>>);

impl ScanSpans {
    /// The span of a partition of `table` that begins; none where nobody collects traces.
    pub(crate) fn begin(
        &self,
        context: &TaskContext,
        table: &TableId,
        inner: &Arc<dyn ExecutionPlan>,
    ) -> Option<Arc<ScanSpan>> {
        let statement = context.session_config().get_extension::<StatementSpan>()?;
        let StatementSpan(statement) = statement.as_ref();
        if statement.is_disabled() {
            return None;
        }
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(span) = shared.upgrade() {
            return Some(span);
        }
        let span = Arc::new(ScanSpan {
            span: tracing::info_span!(
                target: TRACES,
                parent: statement,
                "scan",
                "db.namespace" = %table.domain,
                "db.collection.name" = %table.table,
                "weft.rows" = Empty,
                "weft.bytes" = Empty,
            ),
            inner: Arc::clone(inner),
            rows: AtomicU64::new(0),
        });
        *shared = Arc::downgrade(&span);
        Some(span)
    }
}
