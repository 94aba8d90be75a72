//! Column masks as functions of the engine.
//!
//! A mask is evaluated inside the seal on raw values, hidden rows included, so
//! each of them is total: it never fails, whatever the value, keeps NULL as
//! NULL, and keeps the type that [`ColumnMask::output_type`] declares.

mod bucket;
mod digest;
mod function;
mod keys;
mod text;
mod truncate;

#[cfg(test)]
mod tests;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ScalarUDF, lit, when};
use weft_policy::ColumnMask;

use self::function::{MaskFunction, MaskKind};
use self::text::End;
use self::truncate::Unit;

pub(crate) use self::keys::MaskKeys;

/// The masked form of `input`, which has type `input_type`. A mask that does
/// not fit the type shows nothing: it becomes NULL.
pub(crate) fn apply(
    mask: &ColumnMask,
    keys: &MaskKeys,
    input: Expr,
    input_type: &DataType,
) -> Expr {
    let fitted = match mask {
        ColumnMask::Bucket(width) => match width.cast_to(input_type) {
            Ok(width) => Some(MaskKind::Bucket(width)),
            Err(_) => None,
        },
        ColumnMask::TruncateMonth => Some(MaskKind::Truncate(Unit::Month)),
        ColumnMask::TruncateYear => Some(MaskKind::Truncate(Unit::Year)),
        ColumnMask::ShowLast(count) => Some(MaskKind::Show(End::Last, *count)),
        ColumnMask::ShowFirst(count) => Some(MaskKind::Show(End::First, *count)),
        ColumnMask::Token(scope) => Some(MaskKind::Token(keys.token(scope))),
        ColumnMask::Hash => Some(MaskKind::Hash(keys.hash())),
        ColumnMask::Alphanum => Some(MaskKind::Alphanum),
        ColumnMask::Fixed(value) => return fixed(value, input, input_type),
        ColumnMask::Nullify => None,
    };
    let Some(kind) = fitted else {
        return null(input_type);
    };
    match kind.output_type(input_type) {
        Some(_) => ScalarUDF::from(MaskFunction::new(kind)).call(vec![input]),
        None => null(input_type),
    }
}

/// Whether a function is one of the masks: its code, not its name.
pub(crate) fn is_mask(function: &ScalarUDF) -> bool {
    function.inner().is::<MaskFunction>()
}

/// `CASE WHEN input IS NOT NULL THEN value END`.
fn fixed(value: &ScalarValue, input: Expr, input_type: &DataType) -> Expr {
    let shown = value
        .cast_to(input_type)
        .ok()
        .and_then(|value| when(input.is_not_null(), lit(value)).end().ok());
    shown.unwrap_or_else(|| null(input_type))
}

fn null(data_type: &DataType) -> Expr {
    lit(ScalarValue::try_new_null(data_type).unwrap_or(ScalarValue::Null))
}
