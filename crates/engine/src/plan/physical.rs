//! From the logical plan to one that runs, verified.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{Schema, SchemaRef},
    common::{
        DFSchema,
        config::ConfigNonZeroUsize,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::{TaskContext, context::SessionState},
    logical_expr::{Expr, LogicalPlan, Projection},
    physical_plan::ExecutionPlan,
};
use tokio_util::sync::CancellationToken;
use weft_catalog::{Gate, MeshSnapshot};
use weft_policy::Viewer;

use super::{
    expected,
    shape::{capped_calls, check_sketches, constant_bytes, repeats_built_values},
    yielding::yielding,
};
use crate::{
    admission::Statement,
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
    /// What the streams at the bottom of `plan` wait at.
    pub(crate) gate: Gate,
    /// Cancelled when nobody waits for the rows.
    pub(crate) stop: CancellationToken,
    /// Its child that the operators of `plan` look at.
    pub(crate) running: CancellationToken,
    /// What it was made of, to be made once more; `None` for an `EXPLAIN`.
    pub(crate) optimized: Option<LogicalPlan>,
    /// What that is known by.
    pub(crate) statement: Option<Statement>,
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
    let analyzed = with_nullable_subqueries(analyzed).map_err(classify)?;
    // Metadata of fields is the engine's own affair.
    let fields = analyzed.schema().fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_metadata(Default::default()));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// `plan` with columns that may be NULL where a scalar subquery is in them: without a row that
/// is NULL, while DataFusion takes the word of the subquery's column for it. For its schema.
fn with_nullable_subqueries(plan: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    if !has_scalar_subqueries(&plan)? {
        return Ok(plan);
    }
    let nullable = plan.transform_up(|node| {
        let node = node.map_expressions(|expression| {
            expression.transform_up(|it| {
                let Expr::ScalarSubquery(subquery) = it else {
                    return Ok(Transformed::no(it));
                };
                let plan = nullable(&subquery.subquery)?;
                let subquery = subquery.with_plan(Arc::new(plan));
                Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
            })
        })?;
        Ok(Transformed::yes(node.data.recompute_schema()?))
    })?;
    Ok(nullable.data)
}

fn has_scalar_subqueries(plan: &LogicalPlan) -> datafusion::error::Result<bool> {
    plan.exists(|node| {
        let mut found = false;
        node.apply_expressions(|expression| {
            found |= expression.exists(|it| Ok(matches!(it, Expr::ScalarSubquery(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    })
}

/// `plan`, all of whose columns may be NULL.
fn nullable(plan: &Arc<LogicalPlan>) -> datafusion::error::Result<LogicalPlan> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let fields = plan.schema().iter().map(|(qualifier, field)| {
        let field = field.as_ref().clone().with_nullable(true);
        (qualifier.cloned(), Arc::new(field))
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
    let projection =
        Projection::try_new_with_schema(columns.collect(), Arc::clone(plan), Arc::new(schema))?;
    Ok(LogicalPlan::Projection(projection))
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
    of_optimized(state, session, optimized, declared).await
}

/// Plans and verifies what `optimized` is already.
pub(super) async fn of_optimized(
    state: &mut SessionState,
    session: &GovernedSession,
    optimized: LogicalPlan,
    declared: &Schema,
) -> Result<PhysicalQuery> {
    let inner = explain::explained(&optimized);
    let capped_calls = capped_calls(inner)?;
    // A constant is copied for each row of a batch, so large constants make small
    // batches.
    fit_batches(state, constant_bytes(inner)?);
    if repeats_built_values(inner)? {
        fit_batches(state, LARGE_VALUE);
    }
    let (snapshot, viewer) = (session.snapshot(), session.viewer());
    let plan = plan_and_verify(state, snapshot, viewer, inner).await?;
    let (plan, optimized) = if let LogicalPlan::Explain(_) = optimized {
        (explain::plan(state, &optimized).await?, None)
    } else {
        (plan, Some(optimized))
    };
    if plan.schema().fields().len() != declared.fields().len() {
        return Err(Error::internal(
            &"the plan returns other columns than were declared",
        ));
    }
    let statement = optimized.as_ref().map(|optimized| {
        let admission = &session.shared().admission;
        admission.statement(session.owner(), optimized, expected::is_large(&plan, state))
    });
    let gate = Gate::among(session.shared().running.count());
    state.config_mut().set_extension(Arc::new(gate.clone()));
    let stop = CancellationToken::new();
    let running = stop.child_token();
    Ok(PhysicalQuery {
        plan: yielding(plan, &running).map_err(classify)?,
        context: task_context(state),
        capped_calls,
        gate,
        stop,
        running,
        optimized,
        statement,
    })
}

/// What the operators of a plan are given. A plan has the functions that it calls in itself, and
/// copying all those of `state` takes longer than planning a small statement; a plan that lists
/// them finds them here ([`super::logical`]).
pub(super) fn task_context(state: &SessionState) -> Arc<TaskContext> {
    if !state.scalar_functions().is_empty() {
        return state.task_ctx();
    }
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        Arc::clone(state.runtime_env()),
    ))
}

/// The plan of `optimized` made once more: whoever runs a plan uses it up.
pub(super) async fn made_again(
    state: &SessionState,
    snapshot: &MeshSnapshot,
    viewer: &Viewer,
    optimized: &LogicalPlan,
    stop: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan_and_verify(state, snapshot, viewer, optimized).await?;
    yielding(plan, stop).map_err(classify)
}

async fn plan_and_verify(
    state: &SessionState,
    snapshot: &MeshSnapshot,
    viewer: &Viewer,
    optimized: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = state
        .query_planner()
        .create_physical_plan(optimized, state)
        .await
        .map_err(classify)?;
    verify(&plan, snapshot, viewer)
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
