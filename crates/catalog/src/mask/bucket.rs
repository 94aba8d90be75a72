//! `bucket(w)`: `floor(v / w) * w` in the column's numeric type. A bucket that
//! would begin below the least value of the type begins there.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use datafusion::common::ScalarValue;

pub(super) fn fits(input: &DataType) -> bool {
    use DataType::*;
    input.is_integer() || matches!(input, Float32 | Float64 | Decimal128(..) | Decimal256(..))
}

/// Rounds every value down to a multiple of the width, which has the type of
/// the values.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other type has a width")]
pub(super) fn bucket(values: &dyn Array, width: &ScalarValue) -> Option<ArrayRef> {
    macro_rules! integers {
        ($arrow:ty, $native:ty, $width:expr) => {{
            let width = (*$width).filter(|width| *width > 0)?;
            map::<$arrow>(values, move |value| {
                value
                    .checked_sub(value.rem_euclid(width))
                    .unwrap_or(<$native>::MIN)
            })
        }};
    }
    macro_rules! floats {
        ($arrow:ty, $native:ty, $width:expr) => {{
            let width = (*$width).filter(|width| *width > 0.0)?;
            map::<$arrow>(values, move |value| {
                let quotient = value / width;
                if value.is_finite() && quotient.is_finite() {
                    (quotient.floor() * width).clamp(<$native>::MIN, <$native>::MAX)
                } else {
                    // NaN and the infinities are buckets of their own, and so
                    // is every value where the width is next to nothing.
                    value
                }
            })
        }};
    }
    match width {
        ScalarValue::Int8(width) => integers!(Int8Type, i8, width),
        ScalarValue::Int16(width) => integers!(Int16Type, i16, width),
        ScalarValue::Int32(width) => integers!(Int32Type, i32, width),
        ScalarValue::Int64(width) => integers!(Int64Type, i64, width),
        ScalarValue::UInt8(width) => integers!(UInt8Type, u8, width),
        ScalarValue::UInt16(width) => integers!(UInt16Type, u16, width),
        ScalarValue::UInt32(width) => integers!(UInt32Type, u32, width),
        ScalarValue::UInt64(width) => integers!(UInt64Type, u64, width),
        ScalarValue::Float32(width) => floats!(Float32Type, f32, width),
        ScalarValue::Float64(width) => floats!(Float64Type, f64, width),
        ScalarValue::Decimal128(width, precision, _) => decimal128(values, *width, *precision),
        ScalarValue::Decimal256(width, precision, _) => decimal256(values, *width, *precision),
        _ => None,
    }
}

/// Values and width count the same unit, so that the scale does not matter.
fn decimal128(values: &dyn Array, width: Option<i128>, precision: u8) -> Option<ArrayRef> {
    let width = width.filter(|width| *width > 0)?;
    let least = 10i128
        .checked_pow(u32::from(precision))
        .map_or(i128::MIN, |limit| 1 - limit);
    map::<Decimal128Type>(values, move |value| {
        value
            .checked_sub(value.rem_euclid(width))
            .unwrap_or(least)
            .max(least)
    })
}

fn decimal256(values: &dyn Array, width: Option<i256>, precision: u8) -> Option<ArrayRef> {
    let width = width.filter(|width| *width > i256::ZERO)?;
    let limit = i256::from(10).checked_pow(u32::from(precision));
    let least = limit.map_or(i256::MIN, |limit| i256::ONE.wrapping_sub(limit));
    map::<Decimal256Type>(values, move |value| {
        let remainder = value.wrapping_rem(width);
        let above = if remainder < i256::ZERO {
            remainder.wrapping_add(width)
        } else {
            remainder
        };
        value.checked_sub(above).unwrap_or(least).max(least)
    })
}

/// Applies a total function to values of one type and keeps that type.
fn map<T: ArrowPrimitiveType>(
    values: &dyn Array,
    each: impl Fn(T::Native) -> T::Native,
) -> Option<ArrayRef> {
    let values: &PrimitiveArray<T> = values.as_primitive_opt()?;
    let masked: PrimitiveArray<T> = values.unary(each);
    Some(Arc::new(masked.with_data_type(values.data_type().clone())))
}
