//! Lets the optimizer end when the time for planning is over: a rule cannot be
//! stopped, but the next one need not begin.

use std::sync::Arc;

use datafusion::{
    common::tree_node::Transformed,
    error::Result,
    logical_expr::LogicalPlan,
    optimizer::{OptimizerConfig, OptimizerRule},
};

use crate::functions::Caps;

/// `rules`, with a look at the clock before each.
pub(crate) fn interruptible(
    rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    caps: &Arc<Caps>,
) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let clock: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(Clock(Arc::clone(caps)));
    rules
        .into_iter()
        .flat_map(|rule| [Arc::clone(&clock), rule])
        .collect()
}

#[derive(Debug)]
struct Clock(Arc<Caps>);

impl OptimizerRule for Clock {
    fn name(&self) -> &str {
        "clock"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        self.0.check_time()?;
        Ok(Transformed::no(plan))
    }
}
