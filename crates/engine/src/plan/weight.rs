//! How large expressions become when projections are put in place of their
//! columns, which is what pushing a filter down does.
//!
//! `SELECT x + x AS x FROM (SELECT x + x AS x FROM (…)) WHERE x > 5` doubles
//! with every level: forty levels are no more than a screen of SQL.

use std::collections::{HashMap, HashSet};

use datafusion::{
    common::{
        Column, DFSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan},
};

use crate::error::{Error, Result, classify};

/// Nodes of one expression.
const HEAVIEST: u64 = 20_000;

/// Refuses a plan with an expression that grows too large.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    weigh(plan).map(|_| ())
}

/// The weight of every output column of `plan`.
fn weigh(plan: &LogicalPlan) -> Result<Vec<u64>> {
    let inputs = plan.inputs();
    let weights = inputs
        .iter()
        .map(|input| weigh(input))
        .collect::<Result<Vec<_>>>()?;
    let columns = Columns::new(
        inputs
            .iter()
            .map(|input| input.schema().as_ref())
            .zip(&weights),
    );
    plan.apply_expressions(|expr| {
        columns
            .weight(expr)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;

    let width = plan.schema().fields().len();
    let all: Vec<u64> = weights.concat();
    match plan {
        LogicalPlan::Projection(projection) => projection
            .expr
            .iter()
            .map(|expr| columns.weight(expr))
            .collect(),
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.group_expr.iter().map(|expr| columns.weight(expr));
            let mut weights = groups.collect::<Result<Vec<_>>>()?;
            weights.resize(width, 1);
            Ok(weights)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_)
            if all.len() <= width =>
        {
            let mut all = all;
            // What a window or a mark adds is nothing that is put in place.
            all.resize(width, 1);
            Ok(all)
        }
        // Wherever columns are not one for one, the heaviest stands for all.
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_) => Ok(vec![all.into_iter().max().unwrap_or(1); width]),
    }
}

/// The weights of the columns that a node reads, by name.
struct Columns(HashMap<Column, u64>);

impl Columns {
    fn new<'a>(inputs: impl Iterator<Item = (&'a DFSchema, &'a Vec<u64>)>) -> Self {
        let mut columns = HashMap::new();
        for (schema, weights) in inputs {
            for (column, weight) in schema.columns().into_iter().zip(weights) {
                let heaviest = columns.entry(column).or_insert(*weight);
                *heaviest = (*heaviest).max(*weight);
            }
        }
        Self(columns)
    }

    fn weight(&self, expr: &Expr) -> Result<u64> {
        Self::subqueries(expr)?;
        let weight = self.parts(expr).map_err(classify)?;
        if weight > HEAVIEST {
            return Err(Error::invalid(format!(
                "an expression of the statement has more than {HEAVIEST} parts when its columns are put in place"
            )));
        }
        Ok(weight)
    }

    /// The nodes of an expression, and of what rules will make of it.
    fn parts(&self, expr: &Expr) -> Result<u64, DataFusionError> {
        if let Expr::Column(column) = expr {
            return Ok(self.0.get(column).copied().unwrap_or(1));
        }
        // A case of truth values becomes conjunctions, which repeat its conditions.
        let mut conditions = HashSet::new();
        if let Expr::Case(case) = expr {
            conditions.extend(
                case.when_then_expr
                    .iter()
                    .map(|(when, _)| &raw const **when),
            );
        }
        let mut parts = 1_u64;
        expr.apply_children(|child| {
            let times = if conditions.contains(&(&raw const *child)) {
                3
            } else {
                1
            };
            parts = parts.saturating_add(self.parts(child)?.saturating_mul(times));
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(parts.saturating_mul(copies(expr)))
    }

    /// Subqueries are plans of their own.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all else holds no plan")]
    fn subqueries(expr: &Expr) -> Result<()> {
        let mut checked = Ok(());
        expr.apply(|expr| {
            let subquery = match expr {
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::Exists(exists) => Some(&exists.subquery),
                Expr::InSubquery(within) => Some(&within.subquery),
                Expr::SetComparison(comparison) => Some(&comparison.subquery),
                _ => None,
            };
            if let Some(subquery) = subquery {
                checked = check(&subquery.subquery);
            }
            Ok(if checked.is_ok() {
                TreeNodeRecursion::Continue
            } else {
                TreeNodeRecursion::Stop
            })
        })
        .map_err(classify)?;
        checked
    }
}

/// How often a rule repeats the arguments of `expr`: `coalesce(a, b)` becomes
/// `CASE WHEN a IS NOT NULL THEN a ELSE b END`, and nested ones double.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else is not repeated")]
fn copies(expr: &Expr) -> u64 {
    match expr {
        Expr::Between(_) => 2,
        Expr::InList(within) if within.list.len() <= 3 => within.list.len().max(1) as u64,
        Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nvl" | "nvl2") => 2,
        _ => 1,
    }
}
