//! The span of reading a table, for a collector of traces.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use tracing::Span;
use tracing::field::Empty;
use weft_mesh::TableId;

use crate::trace::{StatementSpan, TRACES, counted};

/// A table that is read, by one partition or several, until the last of them is dropped.
pub(crate) struct ScanSpan {
    span: Span,
    inner: Arc<dyn ExecutionPlan>,
    rows: AtomicUsize,
}

impl ScanSpan {
    fn new(statement: &Span, table: &TableId, inner: &Arc<dyn ExecutionPlan>) -> Self {
        let span = tracing::info_span!(
            target: TRACES,
            parent: statement,
            "scan",
            "db.namespace" = %table.domain,
            "db.collection.name" = %table.table,
            "weft.rows" = Empty,
            "weft.bytes" = Empty,
        );
        Self {
            span,
            inner: Arc::clone(inner),
            rows: AtomicUsize::new(0),
        }
    }

    /// Rows have left the seal.
    pub(crate) fn gave(&self, rows: usize) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }
}

impl Drop for ScanSpan {
    fn drop(&mut self) {
        let rows = self.rows.load(Ordering::Relaxed);
        self.span.record("weft.rows", counted(rows));
        // Formats other than Parquet do not say.
        let bytes = metric_total(&self.inner, "bytes_scanned");
        if bytes > 0 {
            self.span.record("weft.bytes", counted(bytes));
        }
    }
}

/// The span that the partitions of one scan share.
#[derive(Default)]
pub(crate) struct ScanSpans(Mutex<Shared>);

#[derive(Default)]
struct Shared {
    /// Until every partition has begun: one may be over before another begins.
    span: Option<Arc<ScanSpan>>,
    begun: usize,
}

impl ScanSpans {
    /// The span of one of `partitions` of `table` that begins; none where nobody collects traces.
    pub(crate) fn begin(
        &self,
        context: &TaskContext,
        table: &TableId,
        inner: &Arc<dyn ExecutionPlan>,
        partitions: usize,
    ) -> Option<Arc<ScanSpan>> {
        let statement = context.session_config().get_extension::<StatementSpan>()?;
        let StatementSpan(statement) = statement.as_ref();
        if statement.is_disabled() {
            return None;
        }
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.begun += 1;
        let span = shared
            .span
            .get_or_insert_with(|| Arc::new(ScanSpan::new(statement, table, inner)));
        let span = Arc::clone(span);
        if shared.begun >= partitions {
            *shared = Shared::default();
        }
        Some(span)
    }
}

/// The sum of a metric over a plan.
pub(super) fn metric_total(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own = plan
        .metrics()
        .map(|metrics| {
            metrics
                .iter()
                .filter(|m| m.value().name() == name)
                .map(|m| metric(m.value()))
                .sum()
        })
        .unwrap_or(0_usize);
    own + plan
        .children()
        .into_iter()
        .map(|child| metric_total(child, name))
        .sum::<usize>()
}

/// For a pruning metric, what was pruned.
fn metric(value: &MetricValue) -> usize {
    if let MetricValue::PruningMetrics {
        pruning_metrics, ..
    } = value
    {
        return pruning_metrics.pruned();
    }
    value.as_usize()
}
