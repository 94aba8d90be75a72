//! Whether a plan must read much before it returns a row, as far as the planner knows.
//!
//! What it does not know counts nothing, and neither does what a filter may let it skip: such a
//! statement begins among the quick ones.

use std::sync::Arc;

use datafusion::{
    execution::context::SessionState,
    physical_plan::{
        ExecutionPlan, ExecutionPlanProperties,
        execution_plan::EmissionType,
        joins::HashJoinExec,
        sorts::sort::SortExec,
        statistics::{StatisticsArgs, StatisticsContext},
    },
};
use weft_catalog::GovernedScanExec;

/// What one core reads, decodes and filters in a tenth of a second or more: values of columns.
const MUCH: usize = 5_000_000;

/// A row of more columns than that is not so much more work.
const WIDE: usize = 4;

/// As many keys or fewer may let a join read little of its other side.
const FEW: usize = 10_000;

/// Whether `plan` is known to read much on each of the cores that `state` divides it among.
pub(super) fn is_large(plan: &Arc<dyn ExecutionPlan>, state: &SessionState) -> bool {
    let cores = state.config().target_partitions().max(1);
    let reads = Reads {
        sizes: StatisticsContext::new(),
        rows_of: |leaf| leaf.downcast_ref::<GovernedScanExec>()?.rows_to_read(),
    };
    reads.before_a_row(plan.as_ref()) >= MUCH.saturating_mul(cores)
}

/// Values that are read at the bottom of a plan.
struct Reads {
    sizes: StatisticsContext,
    /// The rows that a leaf reads for certain.
    rows_of: fn(&dyn ExecutionPlan) -> Option<usize>,
}

impl Reads {
    /// Before the first row comes out of `plan`.
    fn before_a_row(&self, plan: &dyn ExecutionPlan) -> usize {
        if plan.pipeline_behavior() != EmissionType::Incremental {
            return self.all(plan);
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let built = self.all(join.left().as_ref());
            return built.saturating_add(self.before_a_row(join.right().as_ref()));
        }
        let children = plan.children().into_iter();
        children
            .map(|child| self.before_a_row(child.as_ref()))
            .fold(0, usize::saturating_add)
    }

    /// Before the last.
    fn all(&self, plan: &dyn ExecutionPlan) -> usize {
        let children = plan.children();
        if children.is_empty() {
            let columns = plan.schema().fields().len().min(WIDE);
            let most = plan.fetch().unwrap_or(usize::MAX);
            let rows = (self.rows_of)(plan).unwrap_or(0).min(most);
            return rows.saturating_mul(columns);
        }
        let is_incremental = plan.pipeline_behavior() == EmissionType::Incremental;
        if is_incremental && plan.fetch().is_some() && !plan.is::<SortExec>() {
            // It ends with the row that is its last.
            return self.before_a_row(plan);
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let built = self.all(join.left().as_ref());
            if self.may_skip(join) {
                return built;
            }
            return built.saturating_add(self.all(join.right().as_ref()));
        }
        children
            .into_iter()
            .map(|child| self.all(child.as_ref()))
            .fold(0, usize::saturating_add)
    }

    /// Whether the keys of one side may leave out most of the other.
    fn may_skip(&self, join: &HashJoinExec) -> bool {
        let (_, is_filtered) = join.join_type().on_lr_is_preserved();
        let sizes = || {
            let keys = self
                .sizes
                .compute(join.left().as_ref(), &StatisticsArgs::new());
            keys.ok()?.num_rows.get_value().copied()
        };
        is_filtered && sizes().is_none_or(|keys| keys <= FEW)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{array::BooleanArray, buffer::BooleanBuffer, record_batch::RecordBatch},
        prelude::{SessionConfig, SessionContext},
    };

    use super::*;

    /// A table of so many rows of one column.
    fn rows(count: usize) -> RecordBatch {
        let values = BooleanArray::new(BooleanBuffer::new_unset(count), None);
        RecordBatch::try_from_iter([("a", Arc::new(values) as _)]).unwrap()
    }

    /// All that a table of memory has is known.
    fn rows_of(leaf: &dyn ExecutionPlan) -> Option<usize> {
        let sizes = StatisticsContext::new().compute(leaf, &StatisticsArgs::new());
        sizes.ok()?.num_rows.get_value().copied()
    }

    #[tokio::test]
    async fn what_is_read_before_a_row_counts() {
        const BIG: usize = 50_000;
        const SMALL: usize = 100;
        let context = SessionContext::new_with_config(SessionConfig::new());
        for (name, count) in [("big", BIG), ("small", SMALL)] {
            context.register_batch(name, rows(count)).unwrap();
        }
        for (sql, read) in [
            ("SELECT bool_and(a) FROM small", SMALL),
            ("SELECT bool_and(a) FROM big", BIG),
            // Rows come at once.
            ("SELECT * FROM big", 0),
            ("SELECT NOT a FROM big LIMIT 5", 0),
            ("SELECT a FROM small UNION ALL SELECT a FROM big", 0),
            ("SELECT * FROM big ORDER BY a LIMIT 5", BIG),
            ("SELECT a, count(*) FROM big GROUP BY a LIMIT 1", BIG),
            ("SELECT bool_and(a) FROM (SELECT a FROM big LIMIT 9)", 9),
            (
                "SELECT bool_and(a) FROM small UNION ALL SELECT bool_and(a) FROM big",
                BIG + SMALL,
            ),
            // One side of a join, however few rows are wanted of it.
            ("SELECT * FROM big JOIN small USING (a)", SMALL),
            ("SELECT * FROM big b JOIN big c USING (a) LIMIT 100", BIG),
            // The other side, unless few keys may skip it.
            ("SELECT bool_and(a) FROM small JOIN big USING (a)", SMALL),
            (
                "SELECT bool_and(b.a) FROM big b JOIN big c USING (a)",
                2 * BIG,
            ),
            (
                "SELECT bool_and(big.a) FROM big LEFT JOIN small USING (a)",
                BIG + SMALL,
            ),
            (
                "SELECT bool_and(big.a) FROM small FULL JOIN big USING (a)",
                BIG + SMALL,
            ),
            (
                "SELECT bool_and(a) FROM big WHERE a IN (SELECT a FROM small)",
                SMALL,
            ),
            ("SELECT 1", 0),
        ] {
            let state = context.state();
            let plan = state.create_logical_plan(sql).await.unwrap();
            let plan = state.create_physical_plan(&plan).await.unwrap();
            let reads = Reads {
                sizes: StatisticsContext::new(),
                rows_of,
            };
            assert_eq!(reads.before_a_row(plan.as_ref()), read, "{sql}");
        }
    }
}
