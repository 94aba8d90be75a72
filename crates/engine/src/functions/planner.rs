//! Turns `||` on text into the capped function at planning.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, plan_err},
    error::Result,
    logical_expr::{
        Expr, ExprSchemable, ScalarUDF,
        expr::ScalarFunction,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

/// Lists become nested calls, which take the planner cubic time.
const LONGEST_LIST_CHAIN: usize = 128;

/// Comes before the engine's own planners.
#[derive(Debug)]
pub(super) struct ConcatPlanner {
    pub(super) concat: Arc<ScalarUDF>,
}

impl ExprPlanner for ConcatPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        if calls_in_a_row(&expr.left) > LONGEST_LIST_CHAIN {
            return plan_err!("more than {LONGEST_LIST_CHAIN} lists are chained by `||`");
        }
        if is_list(&expr.left, schema) || is_list(&expr.right, schema) {
            return Ok(PlannerResult::Original(expr));
        }
        let RawBinaryExpr { left, right, .. } = expr;
        Ok(PlannerResult::Planned(concat(&self.concat, left, right)))
    }
}

/// `left || right`; a chain grows sideways.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else begins a chain")]
pub(super) fn concat(function: &Arc<ScalarUDF>, left: Expr, right: Expr) -> Expr {
    let mut sides = match left {
        Expr::ScalarFunction(call) if call.func.name() == function.name() => call.args,
        left => vec![left],
    };
    sides.push(right);
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), sides))
}

/// How deep calls are nested in their first arguments.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else ends a chain")]
fn calls_in_a_row(expr: &Expr) -> usize {
    std::iter::successors(Some(expr), |expr| match expr {
        Expr::ScalarFunction(call) => call.args.first(),
        _ => None,
    })
    .count()
}

/// Lists are concatenated by a function already.
fn is_list(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _))
    )
}
