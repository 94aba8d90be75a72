//! From a decision to expressions of the engine: row predicates, masks, cells.
//!
//! Three-valued logic stays what it is in SQL; a predicate that is NULL hides
//! the row because a filter keeps only TRUE.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions::string::expr_fn::{lower, starts_with, upper};
use datafusion::logical_expr::expr::{Case, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, ScalarUDF, cast, lit};
use weft_policy::{
    CellRule, ColumnAccess, ColumnMask, CompareOp, Exposure, Operand, Reveal, RowPredicate,
};

use super::entitlement::EntitlementTables;
use super::unparsed;
use super::unpruned::unpruned;
use crate::mask::{self, MaskKeys};

/// The name of the raw table inside a sealed plan.
pub(crate) const RAW: &str = "raw";

/// The row predicate as a filter on the raw table.
pub(crate) fn predicate(predicate: &RowPredicate, members: &EntitlementTables) -> Expr {
    match predicate {
        RowPredicate::Literal(value) => lit(ScalarValue::Boolean(*value)),
        RowPredicate::Compare { left, op, right } => Expr::BinaryExpr(BinaryExpr::new(
            Box::new(operand(left)),
            operator(*op),
            Box::new(operand(right)),
        )),
        RowPredicate::InList {
            operand: o,
            list,
            negated,
        } => {
            let list = list.iter().cloned().map(lit).collect();
            Expr::InList(InList::new(Box::new(operand(o)), list, *negated))
        }
        RowPredicate::IsNull {
            operand: o,
            negated: false,
        } => operand(o).is_null(),
        RowPredicate::IsNull {
            operand: o,
            negated: true,
        } => operand(o).is_not_null(),
        RowPredicate::IsTruth {
            predicate,
            truth,
            negated,
        } => {
            let tested = self::predicate(predicate, members);
            match (truth, negated) {
                (Some(true), false) => tested.is_true(),
                (Some(true), true) => tested.is_not_true(),
                (Some(false), false) => tested.is_false(),
                (Some(false), true) => tested.is_not_false(),
                (None, false) => tested.is_unknown(),
                (None, true) => tested.is_not_unknown(),
            }
        }
        RowPredicate::Like {
            operand: o,
            pattern,
            case_insensitive,
            negated,
        } => Expr::Like(Like::new(
            *negated,
            Box::new(operand(o)),
            Box::new(lit(pattern.as_str())),
            None,
            *case_insensitive,
        )),
        RowPredicate::StartsWith { operand: o, prefix } => starts_with(operand(o), operand(prefix)),
        RowPredicate::Bool(o) => operand(o),
        RowPredicate::Not(p) => Expr::Not(Box::new(self::predicate(p, members))),
        RowPredicate::And(all) => fold(all, Operator::And, true, members),
        RowPredicate::Or(any) => fold(any, Operator::Or, false, members),
        RowPredicate::InEntitlement {
            operand: o,
            entitlement,
        } => members.is_member(o, entitlement),
        // Bound before it gets here; unbound is "not known", which hides.
        RowPredicate::InGroup(_) => lit(ScalarValue::Boolean(None)),
    }
}

fn fold(
    predicates: &[RowPredicate],
    op: Operator,
    neutral: bool,
    members: &EntitlementTables,
) -> Expr {
    predicates
        .iter()
        .map(|part| predicate(part, members))
        .reduce(|l, r| Expr::BinaryExpr(BinaryExpr::new(Box::new(l), op, Box::new(r))))
        .unwrap_or_else(|| lit(neutral))
}

fn operator(op: CompareOp) -> Operator {
    match op {
        CompareOp::Eq => Operator::Eq,
        CompareOp::NotEq => Operator::NotEq,
        CompareOp::Lt => Operator::Lt,
        CompareOp::LtEq => Operator::LtEq,
        CompareOp::Gt => Operator::Gt,
        CompareOp::GtEq => Operator::GtEq,
    }
}

pub(crate) fn operand(operand: &Operand) -> Expr {
    match operand {
        // Statistics leave NaN aside: a predicate on a float must not skip row groups.
        Operand::Column {
            name, data_type, ..
        } if data_type.is_floating() => unpruned(raw(name)),
        Operand::Column { name, .. } => raw(name),
        Operand::Literal(value) => lit(value.clone()),
        Operand::Lower(o) => lower(self::operand(o)),
        Operand::Upper(o) => upper(self::operand(o)),
        Operand::Widen(o, to) => cast(self::operand(o), to.clone()),
        // Bound before it gets here; unbound is "not known", which hides.
        Operand::User | Operand::Purpose | Operand::Attr(_) => lit(ScalarValue::Utf8(None)),
    }
}

fn raw(name: &str) -> Expr {
    Expr::Column(Column::new(Some(RAW), name))
}

/// The authorised column over the raw row, under its own name and of type `target`.
pub(crate) fn column(
    access: &ColumnAccess,
    target: &DataType,
    raw_schema: &Schema,
    keys: &MaskKeys,
    members: &EntitlementTables,
) -> Result<Expr> {
    let expr = match &access.exposure {
        Exposure::Clear => raw(&access.name),
        Exposure::Cells(rules) => cells(rules, &access.name, raw_schema, target, keys, members)?,
    };
    Ok(expr.alias(&access.name))
}

/// Whether policy leaves nothing of a cell: no arm applies, or one that shows
/// NULL. It reads what the arms read, and never the cell.
pub(crate) fn hidden(
    access: &ColumnAccess,
    raw_schema: &Schema,
    members: &EntitlementTables,
) -> Result<Expr> {
    let Exposure::Cells(rules) = &access.exposure else {
        return Ok(lit(false));
    };
    let mut arms = Vec::new();
    let mut otherwise = lit(true);
    for rule in rules {
        let hides = lit(matches!(rule.reveal, Reveal::Masked(ColumnMask::Nullify)));
        match &rule.when {
            Some(when) => {
                let when = unparsed::guarded(predicate(when, members), raw_schema)?;
                arms.push((Box::new(when), Box::new(hides)));
            }
            None => {
                otherwise = hides;
                break;
            }
        }
    }
    if arms.is_empty() {
        return Ok(otherwise);
    }
    Ok(Expr::Case(Case::new(None, arms, Some(Box::new(otherwise)))))
}

/// `CASE WHEN φ1 THEN c WHEN φ2 THEN mask(c) END`; no arm, no value.
fn cells(
    rules: &[CellRule],
    name: &str,
    raw_schema: &Schema,
    target: &DataType,
    keys: &MaskKeys,
    members: &EntitlementTables,
) -> Result<Expr> {
    let raw_type = raw_schema.field_with_name(name)?.data_type();
    let mut arms = Vec::new();
    let mut otherwise = lit(ScalarValue::Null);
    for rule in rules {
        let value = reveal(&rule.reveal, name, raw_type, target, keys);
        match &rule.when {
            Some(when) => {
                let when = unparsed::guarded(predicate(when, members), raw_schema)?;
                arms.push((Box::new(when), Box::new(value)));
            }
            None => {
                otherwise = value;
                break;
            }
        }
    }
    if arms.is_empty() {
        return Ok(cast(otherwise, target.clone()));
    }
    Ok(cast(
        Expr::Case(Case::new(None, arms, Some(Box::new(otherwise)))),
        target.clone(),
    ))
}

fn reveal(
    reveal: &Reveal,
    name: &str,
    raw_type: &DataType,
    target: &DataType,
    keys: &MaskKeys,
) -> Expr {
    let value = match reveal {
        Reveal::Clear => raw(name),
        Reveal::Masked(mask) => mask::apply(mask, keys, raw(name), raw_type),
    };
    cast(value, target.clone())
}

/// Equal types but for the layout of strings and bytes.
pub(crate) fn same_type(a: &DataType, b: &DataType) -> bool {
    let binary = |t: &DataType| {
        matches!(
            t,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        )
    };
    a == b || (a.is_string() && b.is_string()) || (binary(a) && binary(b))
}

/// Functions that a sealed plan may call: masks and the predicate language's.
pub(crate) fn is_total_function(function: &ScalarUDF) -> bool {
    mask::is_mask(function)
        || matches!(
            function.name(),
            "lower" | "upper" | "starts_with" | super::unpruned::NAME
        )
}

/// A filter of the authorised table over the raw one.
pub(super) fn onto_raw(filter: Expr) -> Result<Expr> {
    requalified(filter, Some(RAW))
}

/// A filter over columns by their names alone.
pub(super) fn unqualified(filter: Expr) -> Result<Expr> {
    requalified(filter, None)
}

fn requalified(filter: Expr, qualifier: Option<&str>) -> Result<Expr> {
    filter
        .transform(|e| {
            Ok(if let Expr::Column(Column { name, .. }) = e {
                Transformed::yes(Expr::Column(Column::new(qualifier, name)))
            } else {
                Transformed::no(e)
            })
        })
        .map(|t| t.data)
}
