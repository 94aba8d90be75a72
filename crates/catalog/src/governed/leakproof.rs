//! Which filters of a user may run on rows that the user may not see.
//!
//! Only those that are *total* (no row makes them fail) and *silent* (nothing
//! but their result can be observed), on columns that are clear on every
//! visible row. An allow-list: what is not named here stays above the seal.
//! The term is PostgreSQL's (`LEAKPROOF`).

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};

/// Longer `LIKE` patterns are not compiled inside the seal.
pub(super) const LONGEST_PATTERN: usize = 1024;

/// The columns that a filter may be pushed on, with their types.
#[derive(Debug)]
pub(crate) struct ClearColumns<'a> {
    /// The authorised schema.
    pub(crate) schema: &'a Schema,
    /// For each field of it: clear on every visible row.
    pub(crate) identity: &'a [bool],
}

impl ClearColumns<'_> {
    fn data_type(&self, column: &Column) -> Option<&DataType> {
        let (index, field) = self.schema.column_with_name(&column.name)?;
        self.identity
            .get(index)
            .copied()
            .unwrap_or(false)
            .then(|| field.data_type())
    }

    /// Whether `expr` is total, silent and reads clear columns only.
    pub(crate) fn accepts(&self, expr: &Expr) -> bool {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "an allow-list: what is not named is refused"
        )]
        match expr {
            Expr::Column(column) => self
                .data_type(column)
                .is_some_and(|t| *t == DataType::Boolean),
            Expr::Literal(ScalarValue::Boolean(_), _) => true,
            Expr::Not(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsFalse(e)
            | Expr::IsNotFalse(e) => self.accepts(e),
            Expr::IsUnknown(e) | Expr::IsNotUnknown(e) => self.accepts(e),
            Expr::IsNull(e) | Expr::IsNotNull(e) => {
                matches!(&**e, Expr::Column(c) if self.data_type(c).is_some_and(|t| is_scalar(t) || t.is_floating()))
            }
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And | Operator::Or,
                right,
            }) => self.accepts(left) && self.accepts(right),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
                self.compares(left, right)
            }
            Expr::Between(Between {
                expr, low, high, ..
            }) => {
                is_literal(low)
                    && is_literal(high)
                    && self.compares(expr, low)
                    && self.compares(expr, high)
            }
            Expr::InList(InList { expr, list, .. }) => list
                .iter()
                .all(|item| is_literal(item) && self.compares(expr, item)),
            Expr::Like(like) => self.accepts_like(like),
            _ => false,
        }
    }

    /// One side a clear column, the other a column or a literal, of one type.
    fn compares(&self, left: &Expr, right: &Expr) -> bool {
        let (Some(l), Some(r)) = (self.operand(left), self.operand(right)) else {
            return false;
        };
        let reads_column = !is_literal(left) || !is_literal(right);
        reads_column && l == r && is_scalar(&l)
    }

    fn operand(&self, expr: &Expr) -> Option<DataType> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "an allow-list: what is not named is refused"
        )]
        match expr {
            Expr::Column(column) => self.data_type(column).cloned(),
            Expr::Literal(value, _) => Some(value.data_type()),
            Expr::Cast(Cast { expr, field }) => match &**expr {
                Expr::Column(column) => {
                    let to = field.data_type();
                    self.data_type(column)
                        .filter(|from| is_widening(from, to))
                        .map(|_| to.clone())
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn accepts_like(&self, like: &Like) -> bool {
        let Expr::Column(column) = &*like.expr else {
            return false;
        };
        let Some(data_type) = self.data_type(column) else {
            return false;
        };
        let Expr::Literal(value, _) = &*like.pattern else {
            return false;
        };
        let Some(Some(pattern)) = value.try_as_str() else {
            return false;
        };
        data_type.is_string()
            && value.data_type() == *data_type
            && like.escape_char.is_none_or(|c| c == '\\')
            && pattern.len() <= LONGEST_PATTERN
            && !ends_in_escape(pattern)
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

pub(crate) fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Types whose comparisons are total and whose statistics bound every value.
///
/// Floats are missing on purpose: statistics leave NaN aside, so whether a row
/// with a visible NaN is read would depend on the hidden rows stored beside it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an allow-list: what is not named is refused"
)]
pub(crate) fn is_scalar(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
        other => other.is_integer(),
    }
}

/// Casts that keep every value.
pub(crate) fn is_widening(from: &DataType, to: &DataType) -> bool {
    let same_sign = (from.is_signed_integer() && to.is_signed_integer())
        || (from.is_unsigned_integer() && to.is_unsigned_integer());
    let wider = from
        .primitive_width()
        .zip(to.primitive_width())
        .is_some_and(|(f, t)| f <= t);
    (same_sign && wider) || (from.is_string() && to.is_string()) || from == to
}

fn ends_in_escape(pattern: &str) -> bool {
    pattern.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, TimeUnit};
    use datafusion::logical_expr::{cast, col, lit, try_cast};

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("small", DataType::Int16, true),
            Field::new("name", DataType::Utf8View, true),
            Field::new("ratio", DataType::Float64, true),
            Field::new("ok", DataType::Boolean, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("masked", DataType::Int64, true),
        ])
    }

    fn accepts(expr: &Expr) -> bool {
        let identity = [true, true, true, true, true, true, false];
        ClearColumns {
            schema: &schema(),
            identity: &identity,
        }
        .accepts(expr)
    }

    fn text(value: &str) -> Expr {
        Expr::Literal(ScalarValue::Utf8View(Some(value.to_owned())), None)
    }

    #[test]
    fn total_comparisons_enter() {
        for expr in [
            col("id").eq(lit(1_i64)),
            col("id").gt(lit(1_i64)).and(col("name").eq(text("x"))),
            col("id").in_list(vec![lit(1_i64), lit(2_i64)], true),
            col("id").between(lit(1_i64), lit(9_i64)),
            cast(col("small"), DataType::Int64).eq(col("id")),
            col("name").like(text("a%")),
            col("name").is_null(),
            col("ratio").is_not_null(),
            col("ok"),
            col("ok").is_not_true(),
            !col("ok"),
        ] {
            assert!(accepts(&expr), "{expr}");
        }
    }

    #[test]
    fn everything_else_stays_above() {
        for expr in [
            col("masked").eq(lit(1_i64)),
            col("nowhere").eq(lit(1_i64)),
            col("id").eq(lit(1_i32)),
            (lit(100_i64) / col("id")).gt(lit(0_i64)),
            (col("id") + lit(1_i64)).eq(lit(2_i64)),
            cast(col("name"), DataType::Int64).gt(lit(0_i64)),
            cast(col("id"), DataType::Int16).eq(col("small")),
            try_cast(col("name"), DataType::Int64).is_null(),
            cast(col("at"), DataType::Date32).eq(lit(ScalarValue::Date32(Some(1)))),
            col("ratio").gt(lit(1.0_f64)),
            col("name").like(col("name")),
            col("name").like(text("a\\")),
            col("name").like(text(&"x".repeat(2000))),
            col("id").in_list(vec![col("small")], false),
            lit(1_i64).eq(lit(1_i64)),
            col("id")
                .eq(lit(1_i64))
                .or((lit(1_i64) / col("id")).eq(lit(1_i64))),
        ] {
            assert!(!accepts(&expr), "{expr}");
        }
    }
}
