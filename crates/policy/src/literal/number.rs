//! Exact decimal numbers, as wide as Decimal256.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a type that is not numeric takes no number"
)]

use arrow_schema::DataType;
use datafusion_common::{ScalarValue, arrow::datatypes::i256};

/// `digits × 10^exponent`, without leading or trailing zeros in the digits.
#[derive(Debug)]
pub(super) struct Number<'a> {
    text: &'a str,
    negative: bool,
    digits: String,
    exponent: i32,
}

impl<'a> Number<'a> {
    /// Reads `-12.50`, `.5` or `1e3`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_end_matches('0');
        let dropped = i32::try_from(all.len() - digits.len()).ok()?;
        let exponent = exponent
            .checked_sub(i32::try_from(fraction.len()).ok()?)?
            .checked_add(dropped)?;
        let digits = digits.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Some(Self {
            text,
            negative,
            digits,
            exponent,
        })
    }

    /// The number in a numeric type; `None` where the type is not numeric.
    pub(super) fn coerce(&self, data_type: &DataType) -> Option<Result<ScalarValue, String>> {
        use DataType::*;
        Some(match data_type {
            Int8 => self
                .integer(data_type)
                .map(|it| ScalarValue::Int8(Some(it))),
            Int16 => self
                .integer(data_type)
                .map(|it| ScalarValue::Int16(Some(it))),
            Int32 => self
                .integer(data_type)
                .map(|it| ScalarValue::Int32(Some(it))),
            Int64 => self
                .integer(data_type)
                .map(|it| ScalarValue::Int64(Some(it))),
            UInt8 => self
                .integer(data_type)
                .map(|it| ScalarValue::UInt8(Some(it))),
            UInt16 => self
                .integer(data_type)
                .map(|it| ScalarValue::UInt16(Some(it))),
            UInt32 => self
                .integer(data_type)
                .map(|it| ScalarValue::UInt32(Some(it))),
            UInt64 => self
                .integer(data_type)
                .map(|it| ScalarValue::UInt64(Some(it))),
            Float32 => match self.text.parse::<f32>() {
                Ok(value) if value.is_finite() => Ok(ScalarValue::Float32(Some(value))),
                Ok(_) | Err(_) => Err(self.does_not_fit(data_type)),
            },
            Float64 => match self.text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(ScalarValue::Float64(Some(value))),
                Ok(_) | Err(_) => Err(self.does_not_fit(data_type)),
            },
            Decimal128(precision, scale) => self
                .scaled(*precision, *scale)
                .and_then(|value| value.to_i128())
                .map(|value| ScalarValue::Decimal128(Some(value), *precision, *scale))
                .ok_or_else(|| self.does_not_fit(data_type)),
            Decimal256(precision, scale) => self
                .scaled(*precision, *scale)
                .map(|value| ScalarValue::Decimal256(Some(value), *precision, *scale))
                .ok_or_else(|| self.does_not_fit(data_type)),
            _ => return None,
        })
    }

    fn integer<T: TryFrom<i128>>(&self, data_type: &DataType) -> Result<T, String> {
        if self.exponent < 0 {
            return Err(format!(
                "`{}` is not a whole number, as {data_type} is",
                self.shown()
            ));
        }
        self.scaled(38, 0)
            .and_then(|value| value.to_i128())
            .and_then(|value| T::try_from(value).ok())
            .ok_or_else(|| self.does_not_fit(data_type))
    }

    /// The number as so many units of `10^-scale`, with at most `precision`
    /// digits.
    fn scaled(&self, precision: u8, scale: i8) -> Option<i256> {
        if self.digits.is_empty() {
            return Some(i256::ZERO);
        }
        let zeros = usize::try_from(self.exponent.checked_add(i32::from(scale))?).ok()?;
        if self.digits.len().checked_add(zeros)? > usize::from(precision) {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        i256::from_string(&format!("{sign}{}{}", self.digits, "0".repeat(zeros)))
    }

    fn does_not_fit(&self, data_type: &DataType) -> String {
        format!("`{}` does not fit {data_type}", self.shown())
    }

    fn shown(&self) -> String {
        super::short(self.text)
    }
}
