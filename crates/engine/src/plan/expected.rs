//! Whether a plan must read more than can be over soon, as far as the planner knows.
//!
//! It knows what it is told of tables ([`weft_catalog`]), which for one that nobody has counted
//! is a size that all such tables have: too small to count here. What cannot be known counts
//! nothing: such a statement begins among the quick ones.

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

/// What one core reads, decodes and filters in a tenth of a second or more: values of columns.
const MUCH: usize = 5_000_000;

/// A row of more columns than that is not so much more work.
const WIDE: usize = 4;

/// As many keys or fewer may let a join read little of its other side.
const FEW: usize = 10_000;

/// Whether `plan` is known to read much on each of the cores that `state` divides it among.
pub(super) fn is_large(plan: &Arc<dyn ExecutionPlan>, state: &SessionState) -> bool {
    let cores = state.config().target_partitions().max(1);
    cells(plan.as_ref(), &StatisticsContext::new()) >= MUCH.saturating_mul(cores)
}

/// The values that are read at the bottom of `plan` for certain.
fn cells(plan: &dyn ExecutionPlan, sizes: &StatisticsContext) -> usize {
    let children = plan.children();
    if children.is_empty() {
        let columns = plan.schema().fields().len().clamp(1, WIDE);
        return rows(plan, sizes).unwrap_or(0).saturating_mul(columns);
    }
    let is_sort = plan.is::<SortExec>();
    let ends_early = plan.fetch().is_some() && !is_sort;
    if ends_early && plan.pipeline_behavior() == EmissionType::Incremental {
        return 0;
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let built = cells(join.left().as_ref(), sizes);
        let keys = rows(join.left().as_ref(), sizes);
        let (_, is_filtered) = join.join_type().on_lr_is_preserved();
        if is_filtered && keys.is_none_or(|keys| keys <= FEW) {
            return built;
        }
        return built.saturating_add(cells(join.right().as_ref(), sizes));
    }
    children
        .into_iter()
        .map(|child| cells(child.as_ref(), sizes))
        .fold(0, usize::saturating_add)
}

fn rows(plan: &dyn ExecutionPlan, sizes: &StatisticsContext) -> Option<usize> {
    let sizes = sizes.compute(plan, &StatisticsArgs::new()).ok()?;
    sizes.num_rows.get_value().copied()
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

    #[tokio::test]
    async fn what_reads_much_for_certain_is_large() {
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        for (name, count) in [("big", 12_000_000), ("small", 100)] {
            context.register_batch(name, rows(count)).unwrap();
        }
        for (sql, large) in [
            ("SELECT bool_and(a) FROM small", false),
            ("SELECT bool_and(a) FROM big", true),
            ("SELECT * FROM big", true),
            ("SELECT * FROM big LIMIT 5", false),
            ("SELECT NOT a FROM big LIMIT 5", false),
            ("SELECT * FROM big ORDER BY a LIMIT 5", true),
            ("SELECT a, count(*) FROM big GROUP BY a LIMIT 1", true),
            ("SELECT * FROM big JOIN small USING (a)", false),
            ("SELECT * FROM small JOIN big USING (a)", false),
            ("SELECT * FROM small s JOIN small t USING (a)", false),
            ("SELECT * FROM big b JOIN big c USING (a)", true),
            ("SELECT * FROM big LEFT JOIN small USING (a)", true),
            ("SELECT * FROM small RIGHT JOIN big USING (a)", true),
            ("SELECT * FROM small FULL JOIN big USING (a)", true),
            ("SELECT * FROM small UNION ALL SELECT * FROM big", true),
            ("SELECT * FROM big WHERE a IN (SELECT a FROM small)", false),
            (
                "SELECT * FROM big WHERE a NOT IN (SELECT a FROM small)",
                true,
            ),
            ("SELECT 1", false),
        ] {
            let state = context.state();
            let plan = state.create_logical_plan(sql).await.unwrap();
            let plan = state.create_physical_plan(&plan).await.unwrap();
            assert_eq!(is_large(&plan, &state), large, "{sql}");
        }
    }
}
