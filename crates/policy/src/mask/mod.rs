//! Column masks: what a grant leaves of a value that it does not give in
//! clear.

mod parse;

use std::{cmp::Ordering, fmt};

use arrow_schema::DataType;
use datafusion_common::ScalarValue;

use crate::{
    canonical::Canonical,
    scalar_type::{is_comparable, is_integer, is_string},
};

/// A mask, fitted to the type of its column. Every mask is total and keeps
/// NULL as NULL. The variants stand from most to least revealing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnMask {
    /// `bucket(w)`: `floor(v / w) * w`, in the column's numeric type; the width
    /// is positive and has that type.
    Bucket(ScalarValue),
    /// `truncate_month`: the first instant of the month in UTC; keeps a date's
    /// or timestamp's type.
    TruncateMonth,
    /// `truncate_year`: likewise of the year.
    TruncateYear,
    /// `show_last(n)`: every other character of the string is `*`; a string of
    /// `n` or fewer characters is wholly replaced.
    ShowLast(u32),
    /// `show_first(n)`: likewise from the front.
    ShowFirst(u32),
    /// `token(scope)`: HMAC-SHA-256 of a string, or of an integer's decimal
    /// text, under a key of the scope; lower-case hex, Utf8.
    Token(String),
    /// `hash`: likewise under a key of the mesh.
    Hash,
    /// `alphanum`: letters become `x` and digits `9`; length and all else stay.
    Alphanum,
    /// `fixed(v)`: the value, of the column's type.
    Fixed(ScalarValue),
    /// `nullify`: NULL, of the column's type.
    Nullify,
}

impl ColumnMask {
    /// The type of masked values, `None` where the mask does not fit `input`.
    pub fn output_type(&self, input: &DataType) -> Option<DataType> {
        let fits = match self {
            Self::Bucket(width) => is_numeric(input) && width.data_type() == *input,
            Self::TruncateMonth | Self::TruncateYear => is_temporal(input),
            Self::ShowLast(_) | Self::ShowFirst(_) | Self::Alphanum => is_string(input),
            Self::Token(_) | Self::Hash => {
                let digested = is_string(input) || is_integer(input);
                return digested.then_some(DataType::Utf8);
            }
            Self::Fixed(value) => value.data_type() == *input,
            Self::Nullify => true,
        };
        fits.then(|| input.clone())
    }

    /// The order of the list, most revealing first. Within a kind, smaller
    /// buckets and more characters shown come first; what is then still apart
    /// is ordered by its text.
    pub fn cmp_revealing(&self, other: &Self) -> Ordering {
        self.rank()
            .cmp(&other.rank())
            .then_with(|| match (self, other) {
                (Self::Bucket(a), Self::Bucket(b)) => a
                    .partial_cmp(b)
                    .unwrap_or_else(|| self.canonical().cmp(&other.canonical())),
                (Self::ShowLast(a), Self::ShowLast(b))
                | (Self::ShowFirst(a), Self::ShowFirst(b)) => b.cmp(a),
                _ => self.canonical().cmp(&other.canonical()),
            })
    }

    pub(crate) fn encode(&self, out: &mut Canonical) {
        out.tag(self.name());
        match self {
            Self::Bucket(value) | Self::Fixed(value) => out.scalar(value),
            Self::ShowLast(count) | Self::ShowFirst(count) => out.number(u64::from(*count)),
            Self::Token(scope) => out.text(scope),
            Self::TruncateMonth
            | Self::TruncateYear
            | Self::Hash
            | Self::Alphanum
            | Self::Nullify => {}
        }
    }

    fn canonical(&self) -> Vec<u8> {
        let mut out = Canonical::new("mask");
        self.encode(&mut out);
        out.into_bytes()
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Bucket(_) => 0,
            Self::TruncateMonth => 1,
            Self::TruncateYear => 2,
            Self::ShowLast(_) => 3,
            Self::ShowFirst(_) => 4,
            Self::Token(_) => 5,
            Self::Hash => 6,
            Self::Alphanum => 7,
            Self::Fixed(_) => 8,
            Self::Nullify => 9,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "bucket",
            Self::TruncateMonth => "truncate_month",
            Self::TruncateYear => "truncate_year",
            Self::ShowLast(_) => "show_last",
            Self::ShowFirst(_) => "show_first",
            Self::Token(_) => "token",
            Self::Hash => "hash",
            Self::Alphanum => "alphanum",
            Self::Fixed(_) => "fixed",
            Self::Nullify => "nullify",
        }
    }
}

/// The mask as a manifest writes it.
impl fmt::Display for ColumnMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Bucket(width) => write!(f, "({width})"),
            Self::ShowLast(count) | Self::ShowFirst(count) => write!(f, "({count})"),
            Self::Token(scope) => write!(f, "({scope})"),
            Self::Fixed(value) => {
                let bare = value.data_type().is_numeric() || value.data_type() == DataType::Boolean;
                if bare {
                    write!(f, "({value})")
                } else {
                    write!(f, "('{}')", value.to_string().replace('\'', "''"))
                }
            }
            Self::TruncateMonth
            | Self::TruncateYear
            | Self::Hash
            | Self::Alphanum
            | Self::Nullify => Ok(()),
        }
    }
}

/// The masks that fit a type, as a help text.
fn masks_for(input: &DataType) -> String {
    let mut names = Vec::new();
    if is_numeric(input) {
        names.push("bucket(width)");
    }
    if is_temporal(input) {
        names.extend(["truncate_month", "truncate_year"]);
    }
    if is_string(input) {
        names.extend(["show_last(n)", "show_first(n)"]);
    }
    if is_string(input) || is_integer(input) {
        names.extend(["token(scope)", "hash"]);
    }
    if is_string(input) {
        names.push("alphanum");
    }
    if is_comparable(input) {
        names.push("fixed(value)");
    }
    names.push("nullify");
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn is_numeric(input: &DataType) -> bool {
    use DataType::*;
    is_integer(input) || matches!(input, Float32 | Float64 | Decimal128(..) | Decimal256(..))
}

fn is_temporal(input: &DataType) -> bool {
    matches!(
        input,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    )
}
