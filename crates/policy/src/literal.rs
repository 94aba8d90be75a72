//! Literals of policy text, and their exact coercion to a column's type.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a literal fits the types that are named, and no other"
)]

mod number;
mod temporal;

use arrow_schema::{DataType, TimeUnit};
use datafusion_common::ScalarValue;

use self::number::Number;

/// A literal as written, before it has a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SqlLiteral {
    Null,
    Boolean(bool),
    /// As written, with its sign.
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    /// `DATE '…'`, `TIME '…'` or `TIMESTAMP '…'`.
    Temporal(TemporalKind, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TemporalKind {
    Date,
    Time,
    Timestamp,
}

impl SqlLiteral {
    /// The value in `data_type`, the same value exactly; a float is the nearest
    /// one. The error completes "`literal` …".
    pub(crate) fn coerce(&self, data_type: &DataType) -> Result<ScalarValue, String> {
        let unfit = || format!("{self} is {}, not {data_type}", self.kind());
        match self {
            Self::Null => Err("NULL has no place here".to_owned()),
            Self::Boolean(value) => match data_type {
                DataType::Boolean => Ok(ScalarValue::Boolean(Some(*value))),
                _ => Err(unfit()),
            },
            Self::Number(text) => {
                let number =
                    Number::parse(text).ok_or_else(|| format!("{self} is not a number"))?;
                number.coerce(data_type).unwrap_or_else(|| Err(unfit()))
            }
            Self::Text(text) => match data_type {
                DataType::Utf8 => Ok(ScalarValue::Utf8(Some(text.clone()))),
                DataType::LargeUtf8 => Ok(ScalarValue::LargeUtf8(Some(text.clone()))),
                DataType::Utf8View => Ok(ScalarValue::Utf8View(Some(text.clone()))),
                DataType::Date32 | DataType::Date64 => temporal::date(text, data_type),
                DataType::Timestamp(unit, zone) => temporal::timestamp(text, *unit, zone.as_ref()),
                DataType::Time32(unit) | DataType::Time64(unit) => temporal::time(text, *unit),
                _ => Err(unfit()),
            },
            Self::Temporal(kind, text) => match (kind, data_type) {
                (TemporalKind::Date, DataType::Date32 | DataType::Date64) => {
                    temporal::date(text, data_type)
                }
                (TemporalKind::Date | TemporalKind::Timestamp, DataType::Timestamp(unit, zone)) => {
                    temporal::timestamp(text, *unit, zone.as_ref())
                }
                (TemporalKind::Time, DataType::Time32(unit) | DataType::Time64(unit)) => {
                    temporal::time(text, *unit)
                }
                _ => Err(unfit()),
            },
            Self::Bytes(bytes) => match data_type {
                DataType::Binary => Ok(ScalarValue::Binary(Some(bytes.clone()))),
                DataType::LargeBinary => Ok(ScalarValue::LargeBinary(Some(bytes.clone()))),
                DataType::BinaryView => Ok(ScalarValue::BinaryView(Some(bytes.clone()))),
                DataType::FixedSizeBinary(size) if usize::try_from(*size) == Ok(bytes.len()) => {
                    Ok(ScalarValue::FixedSizeBinary(*size, Some(bytes.clone())))
                }
                _ => Err(unfit()),
            },
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Temporal(TemporalKind::Date, _) => "a date",
            Self::Temporal(TemporalKind::Time, _) => "a time",
            Self::Temporal(TemporalKind::Timestamp, _) => "a timestamp",
        }
    }
}

/// The literal in backticks, shortened where it is long.
impl std::fmt::Display for SqlLiteral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("`NULL`"),
            Self::Boolean(value) => write!(f, "`{value}`"),
            Self::Number(text) => write!(f, "`{}`", short(text)),
            Self::Text(text) => write!(f, "`'{}'`", short(text)),
            Self::Bytes(_) => f.write_str("`X'…'`"),
            Self::Temporal(TemporalKind::Date, text) => write!(f, "`DATE '{}'`", short(text)),
            Self::Temporal(TemporalKind::Time, text) => write!(f, "`TIME '{}'`", short(text)),
            Self::Temporal(TemporalKind::Timestamp, text) => {
                write!(f, "`TIMESTAMP '{}'`", short(text))
            }
        }
    }
}

/// The first 40 characters.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The text of a constant: `Some(None)` for NULL, `None` for what is not text.
pub(crate) fn text_of(value: &ScalarValue) -> Option<Option<&str>> {
    if value.is_null() {
        return Some(None);
    }
    value.try_as_str()
}

/// How many of a unit make a second.
fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
