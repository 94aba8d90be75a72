//! Closes the list of functions: whichever way a call came into the plan, it
//! is a call of the session's own function of that name, or refused.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        config::ConfigOptions,
        not_impl_err, plan_err,
        tree_node::{Transformed, TreeNode},
    },
    error::Result,
    logical_expr::{Expr, LogicalPlan, Operator, ScalarUDF, expr::ScalarFunction},
    optimizer::AnalyzerRule,
};

use super::{planner::concat, registry::Registry};

/// The first rule of the analyzer.
#[derive(Debug)]
pub(super) struct ClosedFunctions(pub(super) Arc<Registry>);

impl AnalyzerRule for ClosedFunctions {
    fn name(&self) -> &str {
        "closed_functions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let closed = plan.transform_up_with_subqueries(|plan| {
            plan.map_expressions(|expr| expr.transform_up(|expr| self.close(expr)))
        })?;
        closed.data.recompute_schema()
    }
}

impl ClosedFunctions {
    /// The statement's function of that name.
    fn own(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let concat = self.0.concat();
        if name == concat.name() {
            return Some(Arc::clone(concat));
        }
        self.0.scalar(name)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only calls and casts are looked at"
    )]
    fn close(&self, expr: Expr) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(call) => {
                let Some(own) = self.own(call.func.name()) else {
                    return plan_err!("function `{}` does not exist", call.func.name());
                };
                if Arc::ptr_eq(&own, &call.func) {
                    return Ok(Transformed::no(Expr::ScalarFunction(call)));
                }
                let call = ScalarFunction::new_udf(own, call.args);
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => Ok(
                Transformed::yes(concat(self.0.concat(), *binary.left, *binary.right)),
            ),
            Expr::Cast(cast) => {
                bounded(cast.field.data_type())?;
                Ok(Transformed::no(Expr::Cast(cast)))
            }
            Expr::TryCast(cast) => {
                bounded(cast.field.data_type())?;
                Ok(Transformed::no(Expr::TryCast(cast)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// A null of a type of a fixed size is as large as the type says.
fn bounded(data_type: &DataType) -> Result<()> {
    const WIDEST: i32 = 1024;
    let mut types = vec![data_type];
    while let Some(data_type) = types.pop() {
        if let DataType::FixedSizeBinary(width) | DataType::FixedSizeList(_, width) = data_type
            && *width > WIDEST
        {
            return not_impl_err!("casts to types of a fixed size over {WIDEST} are not supported");
        }
        types.extend(super::size::children(data_type));
    }
    Ok(())
}
