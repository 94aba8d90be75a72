//! A plan from its leaves upwards: what each column of each node comes from.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    catalog::cte_worktable::CteWorkTable,
    common::JoinType,
    datasource::source_as_provider,
    logical_expr::{
        Aggregate, Distinct, Expr, Join, LogicalPlan, TableScan, Union, Unnest, Window,
        utils::grouping_set_to_exprlist,
    },
};
use weft_catalog::GovernedTable;

use super::{
    SourceColumn,
    expressions::Scope,
    sources::{Set, Source, Sources, union},
};
use crate::error::{Result, classify};

/// The state of one walk.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) sources: Sources,
    pub(super) influences: BTreeSet<u32>,
    /// What subqueries may refer to, the innermost last.
    pub(super) outer: Vec<Scope>,
    /// Recursive queries whose recursive term is being walked: name and number.
    pub(super) recursive: Vec<(String, usize)>,
    pub(super) recursions: usize,
}

impl Flow {
    pub(super) fn finish(self) -> (Sources, BTreeSet<u32>) {
        (self.sources, self.influences)
    }

    /// One set for each column of `plan`.
    pub(super) fn of(&mut self, plan: &LogicalPlan) -> Result<Vec<Set>> {
        let width = plan.schema().fields().len();
        let mut columns = match plan {
            LogicalPlan::TableScan(scan) => self.of_scan(scan)?,
            LogicalPlan::Projection(projection) => {
                let scope = self.scope(&[&projection.input])?;
                self.values(projection.expr.iter(), scope)?.0
            }
            LogicalPlan::Filter(filter) => {
                self.influenced(&filter.input, std::iter::once(&filter.predicate))?
            }
            LogicalPlan::Sort(sort) => {
                self.influenced(&sort.input, sort.expr.iter().map(|key| &key.expr))?
            }
            LogicalPlan::Limit(limit) => {
                let counts = [&limit.skip, &limit.fetch].into_iter().flatten();
                self.influenced(&limit.input, counts.map(AsRef::as_ref))?
            }
            LogicalPlan::Aggregate(aggregate) => self.of_aggregate(aggregate, width)?,
            LogicalPlan::Window(window) => self.of_window(window)?,
            LogicalPlan::Join(join) => self.of_join(join)?,
            LogicalPlan::Union(all) => self.of_union(all, width)?,
            LogicalPlan::Distinct(distinct) => self.of_distinct(distinct)?,
            LogicalPlan::Unnest(unnest) => self.of_unnest(unnest)?,
            LogicalPlan::RecursiveQuery(query) => self.of_recursive(query)?,
            LogicalPlan::SubqueryAlias(alias) => self.of(&alias.input)?,
            LogicalPlan::Subquery(subquery) => self.of(&subquery.subquery)?,
            LogicalPlan::Repartition(repartition) => self.of(&repartition.input)?,
            LogicalPlan::Values(values) => {
                let scope = Scope::default();
                self.values(values.values.iter().flatten(), scope)?;
                Vec::new()
            }
            LogicalPlan::EmptyRelation(_) => Vec::new(),
            // Every column may come from all of what is below.
            LogicalPlan::Extension(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => {
                let inputs = plan.inputs();
                let all = self.scope(&inputs)?.all();
                vec![all; width]
            }
        };
        columns.resize_with(width, Set::default);
        Ok(columns)
    }

    /// What the expressions of a node over `inputs` refer to.
    pub(super) fn scope(&mut self, inputs: &[&LogicalPlan]) -> Result<Scope> {
        let mut scope = Scope::default();
        for input in inputs {
            let columns = self.of(input)?;
            scope.add(input.schema(), columns);
        }
        Ok(scope)
    }

    /// The columns of `input`, of which `deciding` picks rows.
    fn influenced<'a>(
        &mut self,
        input: &LogicalPlan,
        deciding: impl Iterator<Item = &'a Expr>,
    ) -> Result<Vec<Set>> {
        let scope = self.scope(&[input])?;
        let (deciding, scope) = self.values(deciding, scope)?;
        self.influence(&deciding);
        Ok(scope.into_columns())
    }

    pub(super) fn influence(&mut self, by: &[Set]) {
        for set in by {
            self.influences.extend(set.iter().copied());
        }
    }

    fn of_scan(&mut self, scan: &TableScan) -> Result<Vec<Set>> {
        let filters = scan.filters.iter();
        let provider = source_as_provider(&scan.source).map_err(classify)?;
        let width = provider.schema().fields().len();
        let all: Vec<Set> = if let Some(table) = provider.downcast_ref::<GovernedTable>() {
            (0..width).map(|at| self.of_product(table, at)).collect()
        } else if let Some(work) = provider.downcast_ref::<CteWorkTable>() {
            let mut recursive = self.recursive.iter().rev();
            let query = recursive.find(|(name, _)| name == work.name());
            match query.map(|(_, number)| *number) {
                Some(query) => (0..width)
                    .map(|at| self.one(Source::Recursive(query, at)))
                    .collect(),
                None => Vec::new(),
            }
        } else {
            Vec::new()
        };
        let columns: Vec<Set> = match &scan.projection {
            Some(picked) => {
                let pick = |at: &usize| all.get(*at).cloned().unwrap_or_default();
                picked.iter().map(pick).collect()
            }
            None => all,
        };
        let mut scope = Scope::default();
        scope.add(&scan.projected_schema, columns);
        let (deciding, scope) = self.values(filters, scope)?;
        self.influence(&deciding);
        Ok(scope.into_columns())
    }

    fn of_product(&mut self, table: &GovernedTable, at: usize) -> Set {
        match table.source_column(at) {
            Some(column) => self.one(Source::Product(SourceColumn {
                table: table.id().clone(),
                column: column.to_owned(),
            })),
            None => Set::default(),
        }
    }

    fn one(&mut self, source: Source) -> Set {
        Arc::new(BTreeSet::from([self.sources.number(source)]))
    }

    fn of_aggregate(&mut self, aggregate: &Aggregate, width: usize) -> Result<Vec<Set>> {
        let scope = self.scope(&[&aggregate.input])?;
        let groups = grouping_set_to_exprlist(&aggregate.group_expr).map_err(classify)?;
        let (groups, scope) = self.values(groups.into_iter(), scope)?;
        self.influence(&groups);
        let (aggregates, _) = self.values(aggregate.aggr_expr.iter(), scope)?;
        let of_all_groups = union(&groups);
        let mut columns = groups;
        // Of several groupings one more column says which a row is of.
        columns.resize(width.saturating_sub(aggregates.len()), of_all_groups);
        columns.extend(aggregates);
        Ok(columns)
    }

    fn of_window(&mut self, window: &Window) -> Result<Vec<Set>> {
        let scope = self.scope(&[&window.input])?;
        let (values, scope) = self.values(window.window_expr.iter(), scope)?;
        let mut columns = scope.into_columns();
        columns.extend(values);
        Ok(columns)
    }

    fn of_join(&mut self, join: &Join) -> Result<Vec<Set>> {
        let left = self.of(&join.left)?;
        // What a lateral subquery refers to.
        let mut lateral = Scope::default();
        lateral.add(join.left.schema(), left.clone());
        self.outer.push(lateral);
        let right = self.of(&join.right);
        self.outer.pop();
        let right = right?;
        let mut scope = Scope::default();
        scope.add(join.left.schema(), left.clone());
        scope.add(join.right.schema(), right.clone());
        let keys = join.on.iter().flat_map(|(one, other)| [one, other]);
        let (deciding, _) = self.values(keys.chain(&join.filter), scope)?;
        self.influence(&deciding);
        let mark = || union(&deciding);
        Ok(match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                left.into_iter().chain(right).collect()
            }
            JoinType::LeftSemi | JoinType::LeftAnti => left,
            JoinType::RightSemi | JoinType::RightAnti => right,
            JoinType::LeftMark => left.into_iter().chain([mark()]).collect(),
            JoinType::RightMark => right.into_iter().chain([mark()]).collect(),
        })
    }

    fn of_union(&mut self, all: &Union, width: usize) -> Result<Vec<Set>> {
        let mut columns = vec![Set::default(); width];
        for input in &all.inputs {
            let found = self.of(input)?;
            for (column, found) in columns.iter_mut().zip(&found) {
                *column = union([&*column, found]);
            }
        }
        Ok(columns)
    }

    fn of_distinct(&mut self, distinct: &Distinct) -> Result<Vec<Set>> {
        let on = match distinct {
            Distinct::All(input) => {
                let columns = self.of(input)?;
                self.influence(&columns);
                return Ok(columns);
            }
            Distinct::On(on) => on,
        };
        let scope = self.scope(&[&on.input])?;
        let order = on.sort_expr.iter().flatten().map(|key| &key.expr);
        let (deciding, scope) = self.values(on.on_expr.iter().chain(order), scope)?;
        self.influence(&deciding);
        Ok(self.values(on.select_expr.iter(), scope)?.0)
    }

    fn of_unnest(&mut self, unnest: &Unnest) -> Result<Vec<Set>> {
        let below = self.of(&unnest.input)?;
        // A list says how many rows there are.
        let lists = unnest.list_type_columns.iter();
        let lists: Vec<Set> = lists
            .filter_map(|(at, _)| below.get(*at).cloned())
            .collect();
        self.influence(&lists);
        let from = unnest.dependency_indices.iter();
        Ok(from
            .map(|at| below.get(*at).cloned().unwrap_or_default())
            .collect())
    }
}
