//! How large a statement becomes when its common table expressions are put in
//! place: a chain in which each uses the one before twice doubles with every
//! link, and so do nested `WITH` clauses while names are resolved.

use std::{collections::HashMap, ops::ControlFlow};

use datafusion::sql::{
    parser::Statement as DfStatement,
    sqlparser::ast::{Expr, ObjectName, Query, Visit, Visitor},
};

use crate::error::{Error, Result};

/// Tables that a plan reads after expansion.
const MOST_TABLES: usize = 1_000;
/// `WITH` inside `WITH`.
const DEEPEST_WITH: usize = 8;
/// Subqueries inside expressions of one another: rules visit them twice a level.
const DEEPEST_SUBQUERY: usize = 8;
/// Expressions inside one another.
const DEEPEST_EXPRESSION: usize = 1_000;
/// The depths of all expressions together: rules take time in proportion to it.
const MOST_DEPTH: usize = 3_000_000;

/// Refuses a statement that would become too large or too deep.
pub(super) fn check(statement: &DfStatement) -> Result<()> {
    let flow = match statement {
        DfStatement::Statement(statement) => statement.visit(&mut Expansion::default()),
        DfStatement::Explain(explain) => return check(&explain.statement),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) | DfStatement::Reset(_) => {
            return Ok(());
        }
    };
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(reason) => Err(Error::invalid(reason)),
    }
}

/// Counts tables bottom-up. Of two queries under one name the larger counts.
#[derive(Default)]
struct Expansion {
    open: Vec<OpenQuery>,
    /// Tables under each common table expression seen so far.
    sizes: HashMap<String, usize>,
    /// Queries that are the body of one, by address.
    names: HashMap<*const Query, String>,
    with: usize,
    expressions: usize,
    depths: usize,
}

#[derive(Default)]
struct OpenQuery {
    /// Tables under it so far.
    tables: usize,
    /// Expressions around it.
    expressions: usize,
    /// Queries around it, itself included, that are parts of expressions.
    subqueries: usize,
}

impl Visitor for Expansion {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let around = self.open.last();
        let within_expression = self.expressions > around.map_or(0, |query| query.expressions);
        let subqueries =
            around.map_or(0, |query| query.subqueries) + usize::from(within_expression);
        if subqueries > DEEPEST_SUBQUERY {
            return ControlFlow::Break(format!(
                "the statement nests more than {DEEPEST_SUBQUERY} subqueries"
            ));
        }
        self.open.push(OpenQuery {
            tables: 0,
            expressions: self.expressions,
            subqueries,
        });
        if let Some(with) = &query.with {
            self.with += 1;
            if self.with > DEEPEST_WITH {
                return ControlFlow::Break(format!(
                    "the statement nests more than {DEEPEST_WITH} `WITH` clauses"
                ));
            }
            for cte in &with.cte_tables {
                self.names
                    .insert(&raw const *cte.query, cte.alias.name.value.to_lowercase());
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if query.with.is_some() {
            self.with -= 1;
        }
        let size = self.open.pop().unwrap_or_default().tables;
        if let Some(name) = self.names.remove(&(&raw const *query)) {
            let known = self.sizes.entry(name).or_default();
            *known = size.max(*known).max(1);
            ControlFlow::Continue(())
        } else {
            self.add(size)
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let name = match relation.0.as_slice() {
            [only] => only.as_ident().map(|ident| ident.value.to_lowercase()),
            _ => None,
        };
        let size = name
            .and_then(|name| self.sizes.get(&name).copied())
            .unwrap_or(1);
        self.add(size)
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<String> {
        self.expressions += 1;
        self.depths += self.expressions;
        if self.depths > MOST_DEPTH {
            return ControlFlow::Break("the statement has too many deep expressions".to_owned());
        }
        if self.expressions > DEEPEST_EXPRESSION {
            return ControlFlow::Break(format!(
                "the statement nests more than {DEEPEST_EXPRESSION} expressions"
            ));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<String> {
        self.expressions -= 1;
        ControlFlow::Continue(())
    }
}

impl Expansion {
    fn add(&mut self, size: usize) -> ControlFlow<String> {
        let Some(open) = self.open.last_mut() else {
            return ControlFlow::Continue(());
        };
        open.tables = open.tables.saturating_add(size);
        if open.tables > MOST_TABLES {
            return ControlFlow::Break(format!(
                "the statement reads more than {MOST_TABLES} tables"
            ));
        }
        ControlFlow::Continue(())
    }
}
