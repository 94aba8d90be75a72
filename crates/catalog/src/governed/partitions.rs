//! As many partitions as the session has, whatever files there are.
//!
//! Which files are read depends on rows that nobody may see, and plans above a
//! seal show its partitions. So their number is the session's; what the plan
//! inside has fewer of is empty.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    EmptyRecordBatchStream, ExecutionPlan, ExecutionPlanProperties, Partitioning,
};

/// Stored bytes from which on one file is worth more than one thread.
const WORTH_SPREADING: u64 = 1024 * 1024;

/// `plan` in at most `partitions`. The planner above no longer spreads the rows
/// of a few files over its threads; where that is worth it, it is done here.
pub(crate) fn fitted(
    plan: Arc<dyn ExecutionPlan>,
    partitions: usize,
    limit: Option<usize>,
    bytes: u64,
) -> Result<Arc<dyn ExecutionPlan>> {
    let own = count(&plan);
    Ok(if own > partitions {
        Arc::new(CoalescePartitionsExec::new(plan))
    } else if own < partitions && limit.is_none() && bytes >= WORTH_SPREADING {
        Arc::new(RepartitionExec::try_new(
            plan,
            Partitioning::RoundRobinBatch(partitions),
        )?)
    } else {
        plan
    })
}

/// `plan` as it was before [`fitted`] spread it: spread rows have no order.
pub(crate) fn unspread(plan: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    let spread = plan
        .downcast_ref::<RepartitionExec>()
        .filter(|node| matches!(node.partitioning(), Partitioning::RoundRobinBatch(_)));
    spread.map_or(plan, RepartitionExec::input)
}

/// The rows of one partition, none where `plan` has no such partition.
pub(crate) fn execute(
    plan: &Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    if partition < count(plan) {
        plan.execute(partition, context)
    } else {
        Ok(Box::pin(EmptyRecordBatchStream::new(plan.schema())))
    }
}

fn count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.output_partitioning().partition_count()
}
