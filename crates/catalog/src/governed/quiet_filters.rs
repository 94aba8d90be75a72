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
//! So a table that hides rows takes in a filter only if every operator between the two is total,
//! and counts no rows: an allow-list, as in [`super::verify`]. What does not fail returns the same
//! rows in the end, whether it is given those that nobody wants or not. A join in between whose
//! first side they come from decides by them what it asks of the other side, and whether it asks
//! at all: there, all of the other side has to be total, too.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    Column, DynamicFilterPhysicalExpr, LikeExpr, Literal,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, utils::JoinFilter};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::leakproof::LONGEST_PATTERN;
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
            let made = |it: &&Made| Some(it.id) == id;
            above.iter().rfind(made).is_some_and(|made| made.is_quiet)
        };
        let quieted = seal.with_filters(may_stay)?;
        return Ok(quieted.map(|seal| Arc::new(seal) as Arc<dyn ExecutionPlan>));
    }
    let is_total = is_total_operator(plan)?;
    let passes = is_total && !counts_rows(plan);
    // A join looks at the rows of which its filter has the keys, and at no others; a FILTER of an
    // aggregate looks at all of them.
    let is_quiet = is_total || plan.is::<HashJoinExec>();
    let made = plan.dynamic_expressions_produced();
    let made: Vec<u64> = made.iter().filter_map(|it| it.expression_id()).collect();
    let mut is_new = false;
    let mut children = Vec::new();
    for (place, child) in plan.children().into_iter().enumerate() {
        let is_first_side = place == 0 && plan.is::<HashJoinExec>();
        let passes = passes && (!is_first_side || is_total_second_side(plan)?);
        let above = above.iter().map(|made| Made {
            id: made.id,
            is_quiet: made.is_quiet && passes,
        });
        let made = made.iter().map(|id| Made { id: *id, is_quiet });
        let below: Vec<Made> = above.chain(made).collect();
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

/// Whether it matters to `plan` how many rows it is given: with one less, another takes its place.
fn counts_rows(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let aggregate = plan.downcast_ref::<AggregateExec>();
    plan.fetch().is_some() || aggregate.is_some_and(|it| it.limit_options().is_some())
}

fn is_total_second_side(join: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    join.children()
        .get(1)
        .map_or(Ok(false), |it| is_total_plan(it))
}

/// Whether `plan` is total down to its sources, and counts no rows on the way.
fn is_total_plan(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let children = plan.children();
    if children.is_empty() {
        let is_source = plan.is::<GovernedScanExec>()
            || plan.is::<DataSourceExec>()
            || plan.is::<EmptyExec>()
            || plan.is::<PlaceholderRowExec>();
        return Ok(is_source && !counts_rows(plan));
    }
    let mut is_total = is_total_operator(plan)? && !counts_rows(plan);
    for child in children {
        is_total = is_total && is_total_plan(child)?;
    }
    Ok(is_total)
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
        || plan.is::<UnionExec>()
        || plan
            .downcast_ref::<AggregateExec>()
            .is_some_and(cannot_overflow);
    Ok(is_plain && all(plan, is_bare)?)
}

/// Sums and averages may go beyond their type.
fn cannot_overflow(aggregate: &AggregateExec) -> bool {
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
    let is_short = |it: &LikeExpr| {
        let pattern = it.pattern().downcast_ref::<Literal>();
        let pattern = pattern.and_then(|it| it.value().try_as_str().flatten());
        pattern.is_some_and(|it| it.len() <= LONGEST_PATTERN)
    };
    is_filter(expr)
        || is_total(expr, input)
            // A long pattern cannot be compiled.
            && expr.downcast_ref::<LikeExpr>().is_none_or(is_short)
            && children.all(|it| is_total_tree(it, input))
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
