//! What the value of an expression comes from.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    common::{
        Column, DFSchemaRef,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan},
};

use super::{
    flow::Flow,
    sources::{Set, union},
};
use crate::error::{Result, classify};

/// The columns that expressions of a node refer to.
#[derive(Debug, Default)]
pub(super) struct Scope {
    by_name: HashMap<Column, Set>,
    schemas: Vec<(DFSchemaRef, usize)>,
    columns: Vec<Set>,
}

impl Scope {
    /// The columns of one more input, behind the others.
    pub(super) fn add(&mut self, schema: &DFSchemaRef, columns: Vec<Set>) {
        for (column, set) in schema.columns().into_iter().zip(&columns) {
            let known = self.by_name.entry(column).or_default();
            *known = union([&*known, set]);
        }
        self.schemas.push((Arc::clone(schema), self.columns.len()));
        self.columns.extend(columns);
    }

    pub(super) fn all(&self) -> Set {
        union(&self.columns)
    }

    pub(super) fn into_columns(self) -> Vec<Set> {
        self.columns
    }

    fn get(&self, column: &Column) -> Option<Set> {
        if let Some(set) = self.by_name.get(column) {
            return Some(Arc::clone(set));
        }
        // A name that is not written out in full.
        let mut schemas = self.schemas.iter();
        schemas.find_map(|(schema, first)| {
            let at = schema.maybe_index_of_column(column)?;
            self.columns.get(first + at).cloned()
        })
    }
}

impl Flow {
    /// One set for each expression, and the scope that they were in.
    pub(super) fn values<'a>(
        &mut self,
        expressions: impl Iterator<Item = &'a Expr>,
        scope: Scope,
    ) -> Result<(Vec<Set>, Scope)> {
        // Subqueries refer to it as well.
        self.outer.push(scope);
        let values: Result<Vec<Set>> = expressions.map(|expr| self.value(expr)).collect();
        let scope = self.outer.pop().unwrap_or_default();
        Ok((values?, scope))
    }

    /// The columns of an expression, each part of which may change its value.
    fn value(&mut self, expr: &Expr) -> Result<Set> {
        let mut found: Vec<Set> = Vec::new();
        expr.apply(|part| {
            self.part(part, &mut found)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(classify)?;
        Ok(union(&found))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all else is made of its parts, which are visited"
    )]
    fn part(&mut self, part: &Expr, found: &mut Vec<Set>) -> Result<()> {
        match part {
            Expr::Column(column) => {
                let scope = self.outer.last();
                found.extend(scope.and_then(|scope| scope.get(column)));
            }
            Expr::OuterReferenceColumn(_, column) => {
                let mut scopes = self.outer.iter().rev().skip(1);
                found.extend(scopes.find_map(|scope| scope.get(column)));
            }
            Expr::ScalarSubquery(subquery) => found.extend(self.of(&subquery.subquery)?),
            Expr::InSubquery(within) => found.extend(self.of(&within.subquery.subquery)?),
            Expr::SetComparison(comparison) => {
                found.extend(self.of(&comparison.subquery.subquery)?);
            }
            // Whether there is a row depends on what decides about its rows.
            Expr::Exists(exists) => {
                self.exists(&exists.subquery.subquery)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn exists(&mut self, subquery: &LogicalPlan) -> Result<()> {
        self.of(subquery).map(drop)
    }
}
