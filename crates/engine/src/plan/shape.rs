//! What can be seen of a logical plan: its order, and whether it is too large.

use datafusion::{
    common::tree_node::{TreeNode, TreeNodeRecursion},
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan, Volatility, WindowFunctionDefinition},
};

use crate::{
    error::{Error, Result, classify},
    footprint::{self, Footprint},
};

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

/// Refuses a sketch of quantiles for which a client asks too much room: all of
/// it is taken at once, and a failed allocation ends the process.
pub(super) fn check_sketches(plan: &LogicalPlan) -> Result<()> {
    const MOST_CENTROIDS: i128 = 10_000;
    let mut too_many = None;
    each_expression(plan, &mut |expr| {
        if let Some((name, centroids)) = centroids(expr) {
            let few = literal_integer(centroids).is_some_and(|count| count <= MOST_CENTROIDS);
            if !few {
                too_many = Some(name.to_owned());
            }
        }
    })?;
    match too_many {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "`{name}` takes a number of centroids up to {MOST_CENTROIDS}, written as a number"
        ))),
    }
}

/// The function's name and its last argument, where that is the centroids.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only aggregates are looked at"
)]
fn centroids(expr: &Expr) -> Option<(&str, &Expr)> {
    let (name, arguments) = match expr {
        Expr::AggregateFunction(call) => (call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function.name(), &call.params.args)
            }
            WindowFunctionDefinition::WindowUDF(_) => return None,
        },
        _ => return None,
    };
    let position = match name {
        "approx_percentile_cont" => 2,
        "approx_percentile_cont_with_weight" => 3,
        _ => return None,
    };
    Some((name, arguments.get(position)?))
}

fn literal_integer(expr: &Expr) -> Option<i128> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    value.to_string().parse().ok()
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

/// Whether a plan of `logical`, as far as it is planned `settled`, may be kept for another call: it
/// means the same then, and is not large.
pub(super) fn lasts(logical: &LogicalPlan, settled: &LogicalPlan) -> Result<bool> {
    Ok(means_the_same_later(logical)? && is_settled(settled)?)
}

/// Whether one that lasts, of `logical` and of `tables`, may be kept as `plan` for whoever asks
/// again.
pub(super) fn may_be_known(
    logical: &LogicalPlan,
    plan: &LogicalPlan,
    tables: &Footprint,
) -> Result<bool> {
    // It holds a schema that nobody counts.
    if matches!(logical, LogicalPlan::DescribeTable(_)) {
        return Ok(false);
    }
    Ok(footprint::reads_products_only(logical)?
        // By the tables in it, it is told whether their files are still the same.
        && footprint::reads_all(plan, tables)?)
}

/// Whether a plan is of so few files that it may wait with its scans.
pub(super) fn has_few_files(plan: &LogicalPlan) -> Result<bool> {
    const FILES: usize = 5_000;
    Ok(footprint::files(plan)? <= FILES)
}

/// Whether `logical` means the same at another time.
fn means_the_same_later(logical: &LogicalPlan) -> Result<bool> {
    let mut is_of_now = false;
    each_expression(logical, &mut |expr| {
        if let Expr::ScalarFunction(call) = expr {
            // The time of planning, say.
            is_of_now |= call.func.signature().volatility == Volatility::Stable;
        }
    })?;
    Ok(!is_of_now)
}

/// Whether a plan is not large, and no call of a capped function in it becomes a constant any more.
fn is_settled(plan: &LogicalPlan) -> Result<bool> {
    const EXPRESSIONS: usize = 5_000;
    const CONSTANTS: usize = 256 << 10;
    let (mut expressions, mut is_constant) = (0_usize, false);
    each_expression(plan, &mut |expr| {
        expressions += 1;
        if let Expr::ScalarFunction(call) = expr {
            let is_capped = crate::functions::is_capped(&call.func);
            is_constant |= is_capped && expr.column_refs().is_empty();
        }
    })?;
    Ok(!is_constant && expressions <= EXPRESSIONS && constant_bytes(plan)? <= CONSTANTS)
}

/// What a plan takes in memory, in bytes, but for the tables that it reads; or somewhat more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions hold others and no text"
)]
pub(super) fn bytes(plan: &LogicalPlan) -> Result<usize> {
    /// A step, a column of its schema or an expression.
    const PART: usize = 256;
    let mut bytes = 0_usize;
    let mut add = |part: usize| bytes = bytes.saturating_add(PART).saturating_add(part);
    each_expression(plan, &mut |expr| {
        add(match expr {
            Expr::Literal(value, _) => value.size(),
            Expr::Column(column) => column.name.len(),
            Expr::Alias(alias) => alias.name.len(),
            _ => 0,
        });
    })?;
    plan.apply_with_subqueries(|node| {
        let names = node
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().len());
        add(0);
        names.for_each(&mut add);
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;
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

/// Whether a join may repeat values as large as a whole list or text that the
/// statement has built below it: a batch of its output holds one for each row.
pub(super) fn repeats_built_values(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(_) = node {
            each_expression(node, &mut |expr| found |= builds(expr))
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
        }
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })
    .map_err(classify)?;
    Ok(found)
}

/// Calls that make one large value of many or of nothing.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other expression calls a function"
)]
fn builds(expr: &Expr) -> bool {
    const AGGREGATES: [&str; 2] = ["array_agg", "string_agg"];
    const FUNCTIONS: [&str; 7] = [
        "array_repeat",
        "array_resize",
        "generate_series",
        "lpad",
        "range",
        "repeat",
        "rpad",
    ];
    match expr {
        Expr::AggregateFunction(call) => AGGREGATES.contains(&call.func.name()),
        Expr::WindowFunction(call) => AGGREGATES.contains(&call.fun.name()),
        Expr::ScalarFunction(call) => FUNCTIONS.contains(&call.func.name()),
        _ => false,
    }
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
