//! Cells of text files that do not parse, inside the seal.
//!
//! The reader gives such a cell as NULL and says so in a marker column. The seal
//! carries a marker behind its own columns for each that can be clear, TRUE
//! where the cell *is shown in clear* and did not parse, and
//! [`super::stream`] refuses the first row that has one. A masked or hidden cell
//! is NULL and nothing more.
//!
//! So that any read of such a cell is refused, a user's filter on a column that
//! may not parse runs above the seal: inside, it would drop the row unnoticed.

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, lit};
use weft_policy::{ColumnAccess, Exposure, Reveal};

use super::entitlement::EntitlementTables;
use super::lower::{self, RAW};
use crate::product::marker_of;

/// Whether a cell of `column` can be one that does not parse: never in Parquet,
/// nor where the value stands in the name of a folder.
pub(crate) fn can_be_unparsed(column: &str, raw: &Schema) -> bool {
    raw.field_with_name(&marker_of(column)).is_ok()
}

/// Whether every cell that `filter` reads parses.
pub(crate) fn reads_parsed(filter: &Expr, raw: &Schema) -> bool {
    let columns = filter.column_refs();
    !columns
        .iter()
        .any(|column| can_be_unparsed(&column.name, raw))
}

/// TRUE where `access` shows a cell in clear that did not parse; nothing where
/// there can be none.
pub(crate) fn marker(
    access: &ColumnAccess,
    raw: &Schema,
    members: &EntitlementTables,
) -> Result<Option<Expr>> {
    if !can_be_unparsed(&access.name, raw) {
        return Ok(None);
    }
    let unparsed = raw_marker(&access.name);
    let expr = match &access.exposure {
        Exposure::Clear => unparsed,
        Exposure::Cells(rules) => {
            let mut arms = Vec::new();
            let mut otherwise = lit(false);
            for rule in rules {
                let value = match rule.reveal {
                    Reveal::Clear => unparsed.clone(),
                    Reveal::Masked(_) => lit(false),
                };
                match &rule.when {
                    Some(when) => {
                        let when = guarded(lower::predicate(when, members), raw)?;
                        arms.push((Box::new(when), Box::new(value)));
                    }
                    None => {
                        otherwise = value;
                        break;
                    }
                }
            }
            if !rules.iter().any(|rule| rule.reveal == Reveal::Clear) {
                return Ok(None);
            }
            if arms.is_empty() {
                otherwise
            } else {
                Expr::Case(Case::new(None, arms, Some(Box::new(otherwise))))
            }
        }
    };
    Ok(Some(expr.alias(marker_of(&access.name))))
}

/// A predicate of the policy over cells of which some do not parse.
///
/// Such a cell is not known, and not NULL: `deleted_at IS NULL` is not TRUE of a
/// date that cannot be read. Everything else is NULL where its cell is.
pub(crate) fn guarded(predicate: Expr, raw: &Schema) -> Result<Expr> {
    let guarded = predicate.transform_up(|expr| {
        if !tests_for_null(&expr) {
            return Ok(Transformed::no(expr));
        }
        let mut markers: Vec<String> = expr
            .column_refs()
            .into_iter()
            .filter(|column| can_be_unparsed(&column.name, raw))
            .map(|column| column.name.clone())
            .collect();
        markers.sort();
        let Some(unparsed) = markers.iter().map(|name| raw_marker(name)).reduce(Expr::or) else {
            return Ok(Transformed::no(expr));
        };
        let unknown = lit(ScalarValue::Boolean(None));
        let arms = vec![(Box::new(unparsed), Box::new(unknown))];
        Ok(Transformed::yes(Expr::Case(Case::new(
            None,
            arms,
            Some(Box::new(expr)),
        ))))
    })?;
    Ok(guarded.data)
}

/// Whether `expr` can be TRUE of a NULL. All else in the predicate language is
/// NULL where its input is, or TRUE for another reason.
fn tests_for_null(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
    )
}

fn raw_marker(column: &str) -> Expr {
    Expr::Column(Column::new(Some(RAW), marker_of(column)))
}
