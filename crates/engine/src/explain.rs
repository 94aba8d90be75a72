//! `EXPLAIN` shows what operators say of themselves, which for a seal is its
//! table and the query's own filters.
//!
//! The explained plan is planned and verified first: the engine would put an
//! error that it meets while explaining into the output, in its own words.

use std::sync::Arc;

use datafusion::{
    execution::context::SessionState, logical_expr::LogicalPlan, physical_plan::ExecutionPlan,
};

use crate::error::{Result, classify};

/// The plan that would run: what `EXPLAIN` explains, or `plan` itself.
pub(crate) fn explained(plan: &LogicalPlan) -> &LogicalPlan {
    if let LogicalPlan::Explain(explain) = plan {
        &explain.plan
    } else {
        plan
    }
}

/// The plan that prints `explain`. It reads nothing.
pub(crate) async fn plan(
    state: &SessionState,
    explain: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    state
        .query_planner()
        .create_physical_plan(explain, state)
        .await
        .map_err(classify)
}
