//! Lets operators that make many rows of few give way, and stop.
//!
//! Scans do so by themselves ([`Paced`]). A join can turn one batch of a
//! leaf into hours of work: until it asks for the next one it would hold its
//! thread, others would wait, and neither a cancellation nor the end of the
//! query's time would be heard.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    task::{Context, Waker},
};

use datafusion::{
    arrow::{
        datatypes::{DataType, FieldRef, Schema},
        record_batch::RecordBatch,
    },
    common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    error::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
        ReplaceChildrenOptions,
        empty::EmptyExec,
        execution_plan::SchedulingType,
        joins::{
            CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec,
            NestedLoopJoinExecBuilder, PiecewiseMergeJoinExec, SortMergeJoinExec,
            utils::JoinFilter,
        },
        placeholder_row::PlaceholderRowExec,
        unnest::UnnestExec,
    },
};
use tokio::task::{block_in_place, coop::poll_proceed};
use tokio_util::sync::CancellationToken;
use weft_catalog::{GovernedScanExec, Paced};

use crate::error::Error;

/// `plan`, whose joins and sources give way between batches of output, and joins look at `stop`
/// between batches of candidates.
///
/// ```text
/// NestedLoopJoinExec: filter=a.x < b.y        PacedExec
///                                        →      NestedLoopJoinExec: filter=a.x < b.y (yielding)
/// ```
pub(super) fn yielding(
    plan: Arc<dyn ExecutionPlan>,
    stop: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let node = filter_yields(node, stop)?;
        let multiplies = node.is::<CrossJoinExec>()
            || node.is::<NestedLoopJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<SortMergeJoinExec>()
            || node.is::<PiecewiseMergeJoinExec>()
            || node.is::<UnnestExec>();
        // Series, system tables, the last round of a recursion.
        let is_source = node.children().is_empty()
            && !node.is::<GovernedScanExec>()
            && !node.is::<EmptyExec>()
            && !node.is::<PlaceholderRowExec>();
        Ok(if multiplies || is_source {
            Transformed::yes(Arc::new(PacedExec::new(node)) as Arc<dyn ExecutionPlan>)
        } else {
            Transformed::no(node)
        })
    })
    .data()
}

/// The batches of `input`, every few milliseconds with a pause in which others can run.
#[derive(Debug)]
struct PacedExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl PacedExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::clone(input.properties());
        let properties = properties.with_scheduling_type(SchedulingType::Cooperative);
        Self {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for PacedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacedExec")
    }
}

impl ExecutionPlan for PacedExec {
    fn name(&self) -> &'static str {
        "PacedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop().filter(|_| children.is_empty()) else {
            let text = "a paced plan has one child".to_owned();
            return Err(DataFusionError::Internal(text));
        };
        Ok(Arc::new(Self::new(input)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        Ok(Box::pin(Paced::new(input, &context)))
    }
}

/// A filter that lets no pair through makes no output to give way at, so these
/// joins do so at each evaluation of it.
fn filter_yields(
    node: Arc<dyn ExecutionPlan>,
    stop: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let filter = YieldingFilter::within(filter, stop);
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter));
        return Ok(Arc::new(join.build()?));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        let filter = YieldingFilter::within(filter, stop);
        return HashJoinExecBuilder::from(join)
            .with_filter(Some(filter))
            .build_exec();
    }
    Ok(node)
}

/// The condition of a join, evaluated under the rules of cooperative
/// scheduling.
///
/// An evaluation costs a unit of the task's budget. A poll that has used it up
/// cannot return, for it is inside the join, so it leaves its place on the
/// runtime to the others and goes on beside them.
#[derive(Debug)]
struct YieldingFilter {
    condition: Arc<dyn PhysicalExpr>,
    stop: CancellationToken,
}

impl YieldingFilter {
    fn within(filter: &JoinFilter, stop: &CancellationToken) -> JoinFilter {
        let condition = Self {
            condition: Arc::clone(filter.expression()),
            stop: stop.clone(),
        };
        JoinFilter::new(
            Arc::new(condition),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        )
    }
}

impl PhysicalExpr for YieldingFilter {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.is_cancelled() {
            return Err(DataFusionError::External(Box::new(Error::Cancelled)));
        }
        let mut nobody = Context::from_waker(Waker::noop());
        match poll_proceed(&mut nobody) {
            std::task::Poll::Ready(unit) => {
                unit.made_progress();
                self.condition.evaluate(batch)
            }
            std::task::Poll::Pending => block_in_place(|| self.condition.evaluate(batch)),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(condition) = children.pop().filter(|_| children.is_empty()) else {
            let text = "a condition has one child".to_owned();
            return Err(DataFusionError::Internal(text));
        };
        let stop = self.stop.clone();
        Ok(Arc::new(Self { condition, stop }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

impl fmt::Display for YieldingFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.condition, f)
    }
}

impl PartialEq for YieldingFilter {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for YieldingFilter {}

impl Hash for YieldingFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}
