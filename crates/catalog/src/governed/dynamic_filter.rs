//! Dynamic filters of joins, TopK and aggregates: how they enter the seal.
//!
//! Such a filter holds values that the principal may see and is a comparison
//! with bare columns, so it is total and silent wherever its columns are clear.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, FilterDescription, FilterPushdownPhase,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};

/// The offered filters that may run inside, without those already there: the
/// optimizer's rule runs more than once.
pub(crate) fn accept<'a>(
    offered: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>,
    present: &[Arc<dyn PhysicalExpr>],
    is_open: impl Fn(&Arc<dyn PhysicalExpr>) -> bool,
) -> Vec<Arc<dyn PhysicalExpr>> {
    let mut accepted: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    for filter in offered {
        if !filter.is::<DynamicFilterPhysicalExpr>() {
            continue;
        }
        let children = filter.children();
        let clear = !children.is_empty() && children.iter().all(|child| is_open(child));
        let known = present
            .iter()
            .chain(&accepted)
            .any(|p| p.expression_id() == filter.expression_id());
        if clear && !known {
            accepted.push(Arc::clone(filter));
        }
    }
    accepted
}

/// Runs the optimizer's own push-down on `plan` with `filters` on top of it.
pub(crate) fn push(
    filters: &[Arc<dyn PhysicalExpr>],
    plan: &Arc<dyn ExecutionPlan>,
    config: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    let carrier: Arc<dyn ExecutionPlan> = Arc::new(Carrier {
        filters: filters.to_vec(),
        child: Arc::clone(plan),
    });
    let pushed = FilterPushdown::new_post_optimization().optimize(carrier, config)?;
    match pushed.children().as_slice() {
        [child] => Ok(Arc::clone(child)),
        _ => Err(DataFusionError::Internal(
            "the filter carrier lost its child".to_owned(),
        )),
    }
}

/// A node that exists only while [`push`] runs: it offers its filters to its child.
struct Carrier {
    filters: Vec<Arc<dyn PhysicalExpr>>,
    child: Arc<dyn ExecutionPlan>,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

impl DisplayAs for Carrier {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

impl ExecutionPlan for Carrier {
    fn name(&self) -> &'static str {
        "Carrier"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.child.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.child]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 1]>::try_from(children) {
            Ok([child]) => Ok(Arc::new(Self {
                filters: self.filters.clone(),
                child,
            })),
            Err(_) => Err(DataFusionError::Internal(
                "the filter carrier has one child".to_owned(),
            )),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        _parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let child = ChildFilterDescription::from_child(&[], &self.child)?;
        Ok(FilterDescription::new().with_child(child.with_self_filters(self.filters.clone())))
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Err(DataFusionError::Internal(
            "the filter carrier does not run".to_owned(),
        ))
    }
}
