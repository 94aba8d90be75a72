//! Rows that a dynamic filter excludes do not leave the seal.
//!
//! Readers use such a filter to skip whole parts of a file. What is left is looked at row by row
//! here, before the rows are divided, joined and joined again only to be dropped by the operator
//! that made the filter. That costs a look for every row, so a filter that lets most rows pass is
//! left alone for a while: the look is worth it when it saves at least as much as it takes.
//!
//! So which of the rows that nobody wants leave all the same is a matter of the batches before
//! them, and of hidden rows: nothing above may tell, which is seen to by [`super::quiet_filters`].
//!
//! The filters are those that the seal has accepted: over clear columns of visible rows, with
//! values that the principal may see. They only ever spare work, so one that cannot be evaluated
//! lets everything pass. One that still changes, like that of a TopK, is left to the readers:
//! which rows it excludes would be a matter of which task is the first, and with them the errors
//! of what the operators in between do with those rows.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{BatchCoalescer, and, prep_null_mask_filter};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, Literal};
use futures::{FutureExt, Stream, StreamExt};

/// After how many rows a filter is judged, each time.
const TRIAL: usize = 16 << 10;

/// How many batches one that is of no use is left alone for, at first and at most.
const REST: std::ops::RangeInclusive<usize> = 8..=128;

/// The rows of a sealed stream that pass its dynamic filters.
pub(crate) struct RowFilter {
    inner: SendableRecordBatchStream,
    filters: Vec<Trial>,
    /// What passed, until it is a batch.
    passed: BatchCoalescer,
    /// How `inner` ended.
    end: Option<Option<DataFusionError>>,
}

impl RowFilter {
    /// `filters` are over the columns of `inner`.
    pub(crate) fn new(
        inner: SendableRecordBatchStream,
        filters: &[Arc<dyn PhysicalExpr>],
        batch_size: usize,
    ) -> Self {
        let passed = BatchCoalescer::new(inner.schema(), batch_size.max(1))
            .with_biggest_coalesce_batch_size(Some(batch_size / 2));
        Self {
            inner,
            filters: filters.iter().map(Trial::new).collect(),
            passed,
            end: None,
        }
    }

    /// The batch itself where there is nothing to leave out and nothing waits.
    fn sift(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let mut all: Option<BooleanArray> = None;
        for filter in &mut self.filters {
            let Some(passing) = filter.passing(&batch) else {
                continue;
            };
            all = Some(match all {
                Some(all) => and(&all, &passing)?,
                None => passing,
            });
        }
        match all.filter(|all| all.true_count() < batch.num_rows()) {
            Some(all) => self.passed.push_batch_with_filter(batch, &all)?,
            None if self.passed.is_empty() => return Ok(Some(batch)),
            None => self.passed.push_batch(batch)?,
        }
        Ok(None)
    }
}

/// A filter, and whether it is worth its while.
struct Trial {
    filter: Arc<dyn PhysicalExpr>,
    last_word: Option<Arc<dyn PhysicalExpr>>,
    seen: usize,
    passed: usize,
    /// How many batches it is left alone for.
    rest: usize,
    next_rest: usize,
}

impl Trial {
    fn new(filter: &Arc<dyn PhysicalExpr>) -> Self {
        Self {
            filter: Arc::clone(filter),
            last_word: None,
            seen: 0,
            passed: 0,
            rest: 0,
            next_rest: *REST.start(),
        }
    }

    /// The filter once it changes no more, unless all rows pass it.
    fn last_word(&mut self) -> Option<&Arc<dyn PhysicalExpr>> {
        if self.last_word.is_none() {
            let filter = self.filter.downcast_ref::<DynamicFilterPhysicalExpr>()?;
            filter.wait_complete().now_or_never()?;
            self.last_word = Some(filter.current().ok()?);
        }
        self.last_word.as_ref().filter(|it| !is_true(it))
    }

    /// For each row whether it passes; `None` where the filter is not asked.
    fn passing(&mut self, batch: &RecordBatch) -> Option<BooleanArray> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let passing = self.last_word()?.evaluate(batch).ok()?;
        let passing = passing.into_array(batch.num_rows()).ok()?;
        let passing = passing.as_boolean_opt()?;
        let passing = match passing.nulls() {
            Some(_) => prep_null_mask_filter(passing),
            None => passing.clone(),
        };
        self.judge(batch.num_rows(), passing.true_count());
        Some(passing)
    }

    fn judge(&mut self, seen: usize, passed: usize) {
        self.seen += seen;
        self.passed += passed;
        if self.seen < TRIAL {
            return;
        }
        if self.passed > self.seen / 2 {
            self.rest = self.next_rest;
            self.next_rest = (2 * self.next_rest).min(*REST.end());
        } else {
            self.next_rest = *REST.start();
        }
        (self.seen, self.passed) = (0, 0);
    }
}

/// Where its producer has nothing to say.
fn is_true(filter: &Arc<dyn PhysicalExpr>) -> bool {
    filter
        .downcast_ref::<Literal>()
        .is_some_and(|it| matches!(it.value(), ScalarValue::Boolean(Some(true))))
}

impl fmt::Debug for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowFilter")
    }
}

impl Stream for RowFilter {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = self.passed.next_completed_batch() {
                return Poll::Ready(Some(Ok(batch)));
            }
            // What passed before an error is handed out before it.
            if let Some(end) = &mut self.end {
                return Poll::Ready(end.take().map(Err));
            }
            let end = match ready!(self.inner.poll_next_unpin(cx)) {
                Some(Ok(batch)) => match self.sift(batch) {
                    Ok(Some(batch)) => return Poll::Ready(Some(Ok(batch))),
                    Ok(None) => continue,
                    Err(error) => Some(error),
                },
                Some(Err(error)) => Some(error),
                None => None,
            };
            self.end = Some(end);
            self.passed.finish_buffered_batch()?;
        }
    }
}

impl RecordBatchStream for RowFilter {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    use super::*;

    fn dynamic(column: usize) -> Arc<DynamicFilterPhysicalExpr> {
        let column = Arc::new(Column::new("n", column));
        Arc::new(DynamicFilterPhysicalExpr::new(vec![column], lit(true)))
    }

    /// `n < most`, and nothing else from here on.
    fn settle(filter: &DynamicFilterPhysicalExpr, most: i64) {
        let column = Arc::clone(filter.children().first().unwrap());
        let less = BinaryExpr::new(column, Operator::Lt, lit(most));
        filter.update(Arc::new(less)).unwrap();
        filter.mark_complete();
    }

    fn batch(values: impl IntoIterator<Item = Option<i64>>) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let values: Int64Array = values.into_iter().collect();
        RecordBatch::try_new(schema, vec![Arc::new(values)]).unwrap()
    }

    /// What leaves, batch by batch, up to the error if there is one.
    fn sifted(
        filter: &Arc<DynamicFilterPhysicalExpr>,
        batches: Vec<Result<RecordBatch>>,
    ) -> (Vec<Vec<Option<i64>>>, Option<String>) {
        let schema = batch([]).schema();
        let inner = RecordBatchStreamAdapter::new(schema, stream::iter(batches));
        let filter = Arc::clone(filter) as Arc<dyn PhysicalExpr>;
        let mut sifted = RowFilter::new(Box::pin(inner), &[filter], 8);
        let mut rows = Vec::new();
        loop {
            match sifted.next().now_or_never().unwrap() {
                Some(Ok(batch)) => {
                    rows.push(batch.column(0).as_primitive::<Int64Type>().iter().collect());
                }
                Some(Err(error)) => return (rows, Some(error.strip_backtrace())),
                None => return (rows, None),
            }
        }
    }

    fn numbers(range: std::ops::Range<i64>) -> Vec<Option<i64>> {
        range.map(Some).collect()
    }

    #[test]
    fn rows_leave_in_their_order_and_together() {
        let filter = dynamic(0);
        settle(&filter, 3);
        let all = (0..4).map(|_| Ok(batch([Some(1), None, Some(9), Some(2)])));
        let (rows, error) = sifted(&filter, all.collect());
        assert_eq!(rows, [[1, 2, 1, 2, 1, 2, 1, 2].map(Some).to_vec()]);
        assert_eq!(error, None);
    }

    #[test]
    fn a_filter_that_still_changes_is_left_alone() {
        let filter = dynamic(0);
        let column = Arc::clone(filter.children().first().unwrap());
        let less = BinaryExpr::new(column, Operator::Lt, lit(3_i64));
        filter.update(Arc::new(less)).unwrap();
        let (rows, _) = sifted(&filter, vec![Ok(batch(numbers(0..6)))]);
        assert_eq!(rows, [numbers(0..6)]);
    }

    #[test]
    fn what_passed_comes_before_an_error() {
        let filter = dynamic(0);
        settle(&filter, 3);
        let error = DataFusionError::Execution("broken".to_owned());
        let after = batch(numbers(0..2));
        let (rows, error) = sifted(
            &filter,
            vec![Ok(batch(numbers(0..6))), Err(error), Ok(after)],
        );
        assert_eq!(rows, [numbers(0..3)]);
        assert!(error.unwrap().contains("broken"));
    }

    #[test]
    fn a_filter_that_cannot_be_evaluated_excludes_nothing() {
        let filter = dynamic(7);
        settle(&filter, 3);
        let (rows, error) = sifted(&filter, vec![Ok(batch(numbers(0..6)))]);
        assert_eq!((rows, error), (vec![numbers(0..6)], None));
    }

    #[test]
    fn a_filter_that_excludes_little_is_asked_now_and_then() {
        let filter = dynamic(0);
        let size = i64::try_from(TRIAL).unwrap();
        settle(&filter, size - 1);
        let mut trial = Trial::new(&(Arc::clone(&filter) as Arc<dyn PhysicalExpr>));
        let all = batch(numbers(0..size));
        let asked = |trial: &mut Trial, batches: usize| {
            let asked = (0..batches).filter(|_| trial.passing(&all).is_some());
            asked.count()
        };
        assert_eq!(asked(&mut trial, 1 + 8 + 1 + 16 + 1), 3);
        // It rests for 32, 64, and 128 six times.
        assert_eq!(asked(&mut trial, 1000), 8);
        // One that excludes much is asked about every batch.
        let filter = dynamic(0);
        settle(&filter, size / 2);
        let mut trial = Trial::new(&(filter as Arc<dyn PhysicalExpr>));
        assert_eq!(asked(&mut trial, 100), 100);
    }
}
