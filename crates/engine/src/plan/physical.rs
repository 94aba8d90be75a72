//! From the logical plan to one that runs, verified.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{Schema, SchemaRef},
    common::{
        config::ConfigNonZeroUsize,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    execution::{TaskContext, context::SessionState},
    logical_expr::{Expr, LogicalPlan},
    physical_plan::ExecutionPlan,
};
use tokio_util::sync::CancellationToken;

use super::{
    shape::{capped_calls, check_sketches, constant_bytes, repeats_built_values},
    yielding::yielding,
};
use crate::{
    error::{Error, Result, classify},
    explain,
    footprint::{self, Footprint},
    session::GovernedSession,
    verify::verify,
};

/// What a list or text that a statement builds is taken to weigh: batches of
/// 128 rows, so that the largest that a function may make are two gibibytes.
const LARGE_VALUE: usize = 512 << 10;

/// A plan that can be run, once: operators keep state.
pub(crate) struct PhysicalQuery {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
    /// How many calls of capped functions share a batch.
    pub(crate) capped_calls: usize,
    /// Cancelled when nobody waits for the rows: operators look at it.
    pub(crate) stop: CancellationToken,
}

/// The schema of `plan` when the types of its expressions are settled.
pub(super) fn declared_schema(state: &SessionState, plan: &LogicalPlan) -> Result<SchemaRef> {
    if let LogicalPlan::Explain(_) = plan {
        return Ok(Arc::clone(plan.schema().inner()));
    }
    let analyzed =
        state
            .analyzer()
            .execute_and_check(plan.clone(), state.config_options(), |_, _| {});
    let analyzed = analyzed.map_err(classify)?;
    let of_subqueries = of_subqueries(&analyzed).map_err(classify)?;
    // Metadata of fields is the engine's own affair.
    let fields = analyzed.schema().fields().iter().zip(of_subqueries);
    let fields = fields.map(|(field, of_subquery)| {
        let field = field.as_ref().clone().with_metadata(Default::default());
        let is_nullable = field.is_nullable() || of_subquery;
        field.with_nullable(is_nullable)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// Of each output column of `plan`, whether a scalar subquery is in it: without a row that is
/// NULL, while DataFusion takes the word of the subquery's column for it.
fn of_subqueries(plan: &LogicalPlan) -> datafusion::error::Result<Vec<bool>> {
    let width = plan.schema().fields().len();
    let inputs = plan.inputs();
    let mut marks = Vec::new();
    for input in &inputs {
        marks.extend(of_subqueries(input)?);
    }
    if let LogicalPlan::Projection(projection) = plan {
        let input = projection.input.schema();
        let is_marked = |expression: &Expr| {
            expression.exists(|it| {
                if let Expr::Column(column) = it {
                    let at = input.maybe_index_of_column(column);
                    Ok(at.is_none_or(|at| marks.get(at).copied().unwrap_or(true)))
                } else {
                    Ok(matches!(it, Expr::ScalarSubquery(_)))
                }
            })
        };
        return projection.expr.iter().map(is_marked).collect();
    }
    let passes_columns_on = matches!(
        plan,
        LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Join(_)
    );
    if passes_columns_on && marks.len() == width {
        return Ok(marks);
    }
    let mut any = marks.contains(&true);
    if !passes_columns_on {
        plan.apply_expressions(|expression| {
            any |= expression.exists(|it| Ok(matches!(it, Expr::ScalarSubquery(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(vec![any; width])
}

/// Optimises, plans and verifies `logical`.
pub(super) async fn physical_query(
    state: &mut SessionState,
    session: &GovernedSession,
    logical: &LogicalPlan,
    declared: &Schema,
    tables: &mut Footprint,
) -> Result<PhysicalQuery> {
    let optimized = state.optimize(logical).map_err(classify)?;
    let inner = explain::explained(&optimized);
    footprint::add_columns(tables, inner)?;
    check_sketches(inner)?;
    let capped_calls = capped_calls(inner)?;
    // A constant is copied for each row of a batch, so large constants make small
    // batches.
    fit_batches(state, constant_bytes(inner)?);
    if repeats_built_values(inner)? {
        fit_batches(state, LARGE_VALUE);
    }
    let plan = plan_and_verify(state, session, inner).await?;
    let plan = if let LogicalPlan::Explain(_) = optimized {
        explain::plan(state, &optimized).await?
    } else {
        plan
    };
    if plan.schema().fields().len() != declared.fields().len() {
        return Err(Error::internal(
            &"the plan returns other columns than were declared",
        ));
    }
    let stop = CancellationToken::new();
    Ok(PhysicalQuery {
        plan: yielding(plan, &stop).map_err(classify)?,
        context: state.task_ctx(),
        capped_calls,
        stop,
    })
}

async fn plan_and_verify(
    state: &SessionState,
    session: &GovernedSession,
    optimized: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = state
        .query_planner()
        .create_physical_plan(optimized, state)
        .await
        .map_err(classify)?;
    verify(&plan, session.snapshot(), session.viewer())
        .map_err(|reason| Error::internal(&format!("the verifier refused a plan: {reason}")))?;
    Ok(plan)
}

/// Makes batches small enough for `bytes` in each row.
fn fit_batches(state: &mut SessionState, bytes: usize) {
    const ROOM: usize = 64 << 20;
    let execution = &mut state.config_mut().options_mut().execution;
    let rows = (ROOM / bytes.max(1)).clamp(1, execution.batch_size.get());
    if let Ok(rows) = ConfigNonZeroUsize::try_new(rows) {
        execution.batch_size = rows;
    }
}
