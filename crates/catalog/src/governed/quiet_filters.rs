//! Dynamic filters stay where nothing can be heard of what they leave out.
//!
//! A reader leaves out whole row groups and pages, by bounds in which hidden rows have a part. So
//! hidden rows decide which of the visible rows that no join, TopK or maximum wants leave the seal
//! all the same. None of them is in the result. But where an operator in between can fail on one,
//! whether it does would tell of the rows that are hidden beside it:
//!
//! ```text
//! HashJoinExec: on=[(k, id)]                makes a filter: id IN (100000)
//!   VALUES (100000)
//!   FilterExec: 100 / (id - 100) <> 17      fails on the visible row 100 …
//!     GovernedScanExec: id                  … unless its row group has no id beyond 99999
//! ```
//!
//! So a table that hides rows takes in a filter only if every operator between the two is total:
//! an allow-list, as in [`super::verify`]. What does not fail returns the same rows in the end,
//! whether it is given those that nobody wants or not.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, utils::JoinFilter};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::scan::GovernedScanExec;
use super::verify::is_total;

/// The last rule of the planner: takes dynamic filters out of seals where they could be heard.
#[derive(Debug)]
pub struct QuietFilters;

impl PhysicalOptimizerRule for QuietFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(quieted(&plan, &[])?.unwrap_or(plan))
    }

    fn name(&self) -> &'static str {
        "quiet_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl QuietFilters {
    /// Whether the rule would leave `plan` as it is.
    ///
    /// # Errors
    /// Those of DataFusion where it cannot put a plan together.
    pub fn are_in(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
        Ok(quieted(plan, &[])?.is_none())
    }
}

/// A filter that an operator above makes.
#[derive(Clone, Copy)]
struct Made {
    id: u64,
    /// Whether all that is in between is total.
    is_quiet: bool,
}

/// `plan` below the operators that make `above`; `None` where it may stay as it is.
fn quieted(
    plan: &Arc<dyn ExecutionPlan>,
    above: &[Made],
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(seal) = plan.downcast_ref::<GovernedScanExec>() {
        let may_stay = |filter: &Arc<dyn PhysicalExpr>| {
            let id = filter.expression_id();
            let mut made = above.iter().filter(|made| Some(made.id) == id);
            made.next().is_some_and(|made| made.is_quiet)
        };
        let quieted = seal.with_filters(may_stay)?;
        return Ok(quieted.map(|seal| Arc::new(seal) as Arc<dyn ExecutionPlan>));
    }
    let is_total = is_total_operator(plan)?;
    // A join looks at the rows of which its filter has the keys, and at no others; a FILTER of an
    // aggregate looks at all of them.
    let is_quiet = is_total || plan.is::<HashJoinExec>();
    let made = plan.dynamic_expressions_produced();
    let made = made.iter().filter_map(|filter| filter.expression_id());
    let below: Vec<Made> = above
        .iter()
        .map(|made| Made {
            id: made.id,
            is_quiet: made.is_quiet && is_total,
        })
        .chain(made.map(|id| Made { id, is_quiet }))
        .collect();
    let mut is_new = false;
    let mut children = Vec::new();
    for child in plan.children() {
        let quieted = quieted(child, &below)?;
        is_new |= quieted.is_some();
        children.push(quieted.unwrap_or_else(|| Arc::clone(child)));
    }
    if !is_new {
        return Ok(None);
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Arc::clone(plan)
        .replace_children(children, options)
        .map(Some)
}

/// Whether no row can make `plan` itself fail.
fn is_total_operator(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let keys = join.on().iter();
        return Ok(keys
            .clone()
            .all(|(one, other)| is_bare(one) && is_bare(other))
            && join.filter().is_none_or(is_total_filter));
    }
    if plan.is::<ProjectionExec>() || plan.is::<FilterExec>() {
        let input = plan.children().first().map(|child| child.schema());
        return all(plan, |it| {
            input.as_ref().is_some_and(|input| is_total_tree(it, input))
        });
    }
    let is_plain = plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<SortExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<UnionExec>()
        || plan.downcast_ref::<AggregateExec>().is_some_and(counts);
    Ok(is_plain && all(plan, is_bare)?)
}

/// Sums and averages may go beyond their type.
fn counts(aggregate: &AggregateExec) -> bool {
    let calls = aggregate.aggr_expr().iter();
    calls
        .map(|call| call.fun().name())
        .all(|name| matches!(name, "count" | "min" | "max"))
}

fn is_total_filter(filter: &JoinFilter) -> bool {
    is_total_tree(filter.expression(), filter.schema())
}

fn is_total_tree(expr: &Arc<dyn PhysicalExpr>, input: &Schema) -> bool {
    let mut children = expr.children().into_iter();
    is_filter(expr) || is_total(expr, input) && children.all(|it| is_total_tree(it, input))
}

fn is_bare(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is::<Column>() || expr.is::<Literal>() || is_filter(expr)
}

/// Among the expressions of who makes it.
fn is_filter(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is::<DynamicFilterPhysicalExpr>()
}

fn all(
    plan: &Arc<dyn ExecutionPlan>,
    holds: impl Fn(&Arc<dyn PhysicalExpr>) -> bool,
) -> Result<bool> {
    let mut all = true;
    plan.apply_expressions(&mut |expr| {
        all &= holds(expr);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}
