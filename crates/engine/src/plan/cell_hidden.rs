//! `cell_hidden(c)` becomes a column of the sealed scan that `c` comes from.
//!
//! ```text
//! Projection: t.id, cell_hidden(t.salary)      Projection: t.id, t.flag IS TRUE AS "cell_hidden(t.salary)"
//!   Filter: t.id > 1                             Filter: t.id > 1
//!     TableScan: t                                 TableScan: t with flag
//! ```
//!
//! The plan is as the statement has it, before any rule; columns are followed
//! downwards through nodes that pass rows on one by one.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, DFSchema, Result as EngineResult, TableReference,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::{provider_as_source, source_as_provider},
    logical_expr::{
        Distinct, DistinctOn, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder, Projection,
        SortExpr, TableScanBuilder, expr_rewriter::NamePreserver,
    },
};
use weft_catalog::GovernedTable;

use crate::{
    error::{Error, Result, classify},
    functions::{CELL_HIDDEN, CELL_HIDDEN_USAGE, argument_of_cell_hidden},
};

/// Replaces every call in a plan and its subqueries.
///
/// # Errors
/// [`Error::InvalidArgument`] for a call on what is no column of a table.
pub(super) fn with_hidden_flags(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !contains_call(&plan)? {
        return Ok(plan);
    }
    let flags = FlagNames::of(&plan)?;
    let plan = plan
        .transform_up_with_subqueries(|node| replace_calls(node, &flags))
        .map_err(classify)?
        .data;
    if contains_call(&plan)? {
        return Err(Error::invalid(CELL_HIDDEN_USAGE));
    }
    Ok(plan)
}

fn contains_call(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|part| Ok(argument_of_cell_hidden(part).is_some()))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map_err(classify)?;
    Ok(found)
}

/// What the flags of one plan are called: as no column in it is.
struct FlagNames {
    suffix: String,
}

impl FlagNames {
    fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        plan.apply_with_subqueries(|node| {
            names.extend(node.schema().fields().iter().map(|it| it.name().clone()));
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(classify)?;
        let mut flags = Self {
            suffix: String::new(),
        };
        while names
            .iter()
            .any(|name| names.contains(&flags.of_column(name)))
        {
            flags.suffix.push('\'');
        }
        Ok(flags)
    }

    fn of_column(&self, column: &str) -> String {
        format!("{CELL_HIDDEN}({column}){}", self.suffix)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only grouping sets and DISTINCT ON are unlike the others"
)]
fn replace_calls(plan: LogicalPlan, names: &FlagNames) -> EngineResult<Transformed<LogicalPlan>> {
    let mut asked: BTreeSet<Column> = BTreeSet::new();
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Some(Expr::Column(column)) = argument_of_cell_hidden(part) {
                asked.insert(column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    let mut flags: Vec<(Column, Column)> = Vec::new();
    for column in asked {
        for input in &mut inputs {
            if let Some((wider, flag)) = with_flag(input, &column, names)? {
                *input = wider;
                flags.push((column, flag));
                break;
            }
        }
    }
    if flags.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let replaced_in = |expr: Expr| -> EngineResult<Expr> {
        Ok(expr.transform_up(|part| Ok(replaced(part, &flags)))?.data)
    };
    let preserver = NamePreserver::new(&plan);
    let renamed_in = |expr: Expr| {
        let name = preserver.save(&expr);
        Ok(name.restore(replaced_in(expr)?))
    };
    // The columns of grouping sets have names, the sets have none.
    let renamed_in = |expr: Expr| -> EngineResult<Expr> {
        let all = |exprs: Vec<Expr>| exprs.into_iter().map(renamed_in).collect();
        Ok(match expr {
            Expr::GroupingSet(GroupingSet::Rollup(exprs)) => {
                Expr::GroupingSet(GroupingSet::Rollup(all(exprs)?))
            }
            Expr::GroupingSet(GroupingSet::Cube(exprs)) => {
                Expr::GroupingSet(GroupingSet::Cube(all(exprs)?))
            }
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
                let sets = sets.into_iter().map(all).collect::<EngineResult<_>>()?;
                Expr::GroupingSet(GroupingSet::GroupingSets(sets))
            }
            expr => renamed_in(expr)?,
        })
    };
    let before = Arc::clone(plan.schema());
    let plan = match plan {
        // `with_new_exprs` takes none that sorts, and what is sorted by has to
        // stay equal to what is distinct.
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let all = |exprs: Vec<Expr>| {
                exprs
                    .into_iter()
                    .map(replaced_in)
                    .collect::<EngineResult<Vec<_>>>()
            };
            let sorted = |by: Vec<SortExpr>| {
                let by = by.into_iter();
                by.map(|by| Ok(by.with_expr(replaced_in(by.expr.clone())?)))
                    .collect::<EngineResult<Vec<_>>>()
            };
            let selected = on.select_expr.into_iter().map(renamed_in);
            LogicalPlan::Distinct(Distinct::On(DistinctOn::try_new(
                all(on.on_expr)?,
                selected.collect::<EngineResult<_>>()?,
                on.sort_expr.map(sorted).transpose()?,
                inputs.pop().map_or(on.input, Arc::new),
            )?))
        }
        plan => {
            let expressions = plan.expressions().into_iter().map(renamed_in);
            plan.with_new_exprs(expressions.collect::<EngineResult<_>>()?, inputs)?
        }
    };
    Ok(Transformed::yes(as_before(plan, &before)?))
}

/// NULL where an outer join has no row: nothing is hidden there.
fn replaced(expr: Expr, flags: &[(Column, Column)]) -> Transformed<Expr> {
    let flag = match argument_of_cell_hidden(&expr) {
        Some(Expr::Column(column)) => flags.iter().find(|(asked, _)| asked == column),
        _ => None,
    };
    match flag {
        Some((_, flag)) => Transformed::yes(Expr::Column(flag.clone()).is_true()),
        None => Transformed::no(expr),
    }
}

/// The plan without the columns that were only needed inside of it.
fn as_before(plan: LogicalPlan, schema: &DFSchema) -> EngineResult<LogicalPlan> {
    if plan.schema().fields().len() == schema.fields().len() {
        return Ok(plan);
    }
    let columns = schema.columns().into_iter().map(Expr::Column);
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// `plan` with one more column, and what it is called: the flag of `column`.
/// `None` where the column is not one of a governed table, passed on as it is.
fn with_flag(
    plan: &LogicalPlan,
    column: &Column,
    names: &FlagNames,
) -> EngineResult<Option<(LogicalPlan, Column)>> {
    let Some(at) = plan.schema().maybe_index_of_column(column) else {
        return Ok(None);
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only what passes rows on one by one is looked through"
    )]
    match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source)?;
            let governed = provider.downcast_ref::<GovernedTable>();
            let flag = names.of_column(&column.name);
            let wider = governed.and_then(|table| table.with_hidden_flag(&column.name, &flag));
            let Some(table) = wider.filter(|_| scan.projection.is_none()) else {
                return Ok(None);
            };
            let source = provider_as_source(Arc::new(table));
            let wider = TableScanBuilder::new(scan.table_name.clone(), source)
                .with_filters(scan.filters.clone())
                .with_fetch(scan.fetch)
                .build()?;
            let flag = Column::new(Some(scan.table_name.clone()), flag);
            Ok(Some((LogicalPlan::TableScan(wider), flag)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(inner) = alias.input.schema().columns().into_iter().nth(at) else {
                return Ok(None);
            };
            let relation = alias.alias.clone();
            rebuilt(plan, &alias.input, &inner, 0, Some(relation), names)
        }
        LogicalPlan::Projection(projection) => with_flag_of_projection(projection, at, names),
        LogicalPlan::Filter(filter) => rebuilt(plan, &filter.input, column, 0, None, names),
        LogicalPlan::Sort(sort) => rebuilt(plan, &sort.input, column, 0, None, names),
        LogicalPlan::Limit(limit) => rebuilt(plan, &limit.input, column, 0, None, names),
        LogicalPlan::Window(window) => rebuilt(plan, &window.input, column, 0, None, names),
        LogicalPlan::Join(join) => match rebuilt(plan, &join.left, column, 0, None, names)? {
            Some(found) => Ok(Some(found)),
            None => rebuilt(plan, &join.right, column, 1, None, names),
        },
        _ => Ok(None),
    }
}

/// `plan` over an input with the flag; `relation` is what the plan calls it.
fn rebuilt(
    plan: &LogicalPlan,
    input: &LogicalPlan,
    column: &Column,
    position: usize,
    relation: Option<TableReference>,
    names: &FlagNames,
) -> EngineResult<Option<(LogicalPlan, Column)>> {
    let Some((wider, flag)) = with_flag(input, column, names)? else {
        return Ok(None);
    };
    let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    if let Some(input) = inputs.get_mut(position) {
        *input = wider;
    }
    let plan = plan.with_new_exprs(plan.expressions(), inputs)?;
    let flag = match relation {
        Some(relation) => Column::new(Some(relation), flag.name),
        None => flag,
    };
    // A semi join passes nothing of its other side on.
    let passed = plan.schema().has_column(&flag);
    Ok(passed.then_some((plan, flag)))
}

/// A bare column has its flag beside it, under the column's new name.
fn with_flag_of_projection(
    projection: &Projection,
    at: usize,
    names: &FlagNames,
) -> EngineResult<Option<(LogicalPlan, Column)>> {
    let Some(expr) = projection.expr.get(at) else {
        return Ok(None);
    };
    let mut bare = expr;
    while let Expr::Alias(alias) = bare {
        bare = &alias.expr;
    }
    let Expr::Column(inner) = bare else {
        return Ok(None);
    };
    let (relation, name) = expr.qualified_name();
    let flag = Column::new(relation.clone(), names.of_column(&name));
    if projection.schema.has_column(&flag) {
        let plan = LogicalPlan::Projection(projection.clone());
        return Ok(Some((plan, flag)));
    }
    let Some((wider, below)) = with_flag(&projection.input, inner, names)? else {
        return Ok(None);
    };
    let mut expressions = projection.expr.clone();
    expressions.push(Expr::Column(below).alias_qualified(relation, flag.name.clone()));
    let plan = Projection::try_new(expressions, Arc::new(wider))?;
    Ok(Some((LogicalPlan::Projection(plan), flag)))
}
