//! What can be seen of a logical plan: its order, and whether it is too large.

use datafusion::{
    common::tree_node::{TreeNode, TreeNodeRecursion},
    logical_expr::{Expr, LogicalPlan},
};

use crate::error::{Error, Result, classify};

/// Nodes of a plan.
const MOST_NODES: usize = 20_000;
/// Columns of one node of a plan.
const MOST_COLUMNS: usize = 20_000;

/// Refuses a plan that the optimizer would be at for minutes.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let (mut nodes, mut columns) = (0_usize, 0_usize);
    plan.apply_with_subqueries(|node| {
        nodes += 1;
        columns = columns.max(node.schema().fields().len());
        let stop = nodes > MOST_NODES || columns > MOST_COLUMNS;
        Ok(if stop {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })
    .map_err(classify)?;
    if nodes > MOST_NODES {
        return Err(Error::invalid(format!(
            "the plan of the statement has more than {MOST_NODES} steps"
        )));
    }
    if columns > MOST_COLUMNS {
        return Err(Error::invalid(format!(
            "a step of the statement has more than {MOST_COLUMNS} columns"
        )));
    }
    Ok(())
}

/// Whether the statement ends in an `ORDER BY`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other node may lose an order"
)]
pub(super) fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Limit(limit) => is_ordered(&limit.input),
        LogicalPlan::Projection(projection) => is_ordered(&projection.input),
        _ => false,
    }
}

/// Bytes of the larger constants of a plan.
pub(super) fn constant_bytes(plan: &LogicalPlan) -> Result<usize> {
    const SMALL: usize = 1024;
    let mut bytes = 0_usize;
    each_expression(plan, &mut |expr| {
        if let Expr::Literal(value, _) = expr {
            let size = value.size();
            if size > SMALL {
                bytes = bytes.saturating_add(size);
            }
        }
    })?;
    Ok(bytes)
}

/// Calls of functions that are capped.
pub(super) fn capped_calls(plan: &LogicalPlan) -> Result<usize> {
    let mut calls = 0_usize;
    each_expression(plan, &mut |expr| {
        if let Expr::ScalarFunction(call) = expr
            && crate::functions::is_capped(&call.func)
        {
            calls += 1;
        }
    })?;
    Ok(calls)
}

fn each_expression(plan: &LogicalPlan, visit: &mut dyn FnMut(&Expr)) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                visit(expr);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map(|_| ())
    .map_err(classify)
}
