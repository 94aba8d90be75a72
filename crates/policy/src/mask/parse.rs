//! Masks as manifests write them: a name, and for some an argument.

use std::collections::BTreeSet;

use arrow_schema::{DataType, TimeUnit};
use datafusion_common::ScalarValue;
use weft_mesh::{Column, InsideMarks, Span};

use super::{ColumnMask, is_numeric, masks_for};
use crate::{
    literal::{SqlLiteral, short},
    predicate::parse_literal,
    suggest::did_you_mean,
};

/// The longest mask, in bytes.
const MAX_BYTES: usize = 1024;

const NAMES: [&str; 10] = [
    "bucket",
    "truncate_month",
    "truncate_year",
    "show_last",
    "show_first",
    "token",
    "hash",
    "alphanum",
    "fixed",
    "nullify",
];

impl ColumnMask {
    /// Reads a mask and fits it to a column: `hash`, `bucket(1000)`,
    /// `fixed('x')`.
    ///
    /// # Errors
    /// What is wrong, with the masks that fit where this one does not.
    pub fn parse(text: &str, column: &Column) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!(
                "the mask has {} bytes, more than {MAX_BYTES}",
                text.len()
            ));
        }
        let (name, argument) = split(text.trim())?;
        let mask = match (name, argument) {
            ("bucket", Some(argument)) => Self::Bucket(width(argument, column)?),
            ("show_last", Some(argument)) => Self::ShowLast(count(name, argument)?),
            ("show_first", Some(argument)) => Self::ShowFirst(count(name, argument)?),
            ("token", Some(argument)) => Self::Token(scope(argument)?),
            ("fixed", Some(argument)) => Self::Fixed(fixed(argument, column)?),
            ("truncate_month", None) => Self::TruncateMonth,
            ("truncate_year", None) => Self::TruncateYear,
            ("hash", None) => Self::Hash,
            ("alphanum", None) => Self::Alphanum,
            ("nullify", None) => Self::Nullify,
            ("bucket", None) => return Err(needs("bucket", "a width, as in `bucket(1000)`")),
            ("show_last" | "show_first", None) => {
                return Err(needs(
                    name,
                    &format!("a number of characters, as in `{name}(4)`"),
                ));
            }
            ("token", None) => return Err(needs("token", "a scope, as in `token(partner)`")),
            ("fixed", None) => return Err(needs("fixed", "a value, as in `fixed('x')`")),
            (name, Some(_)) if NAMES.contains(&name) => {
                return Err(format!("mask `{name}` takes no argument"));
            }
            (name, _) => {
                let help = match name.to_lowercase().as_str() {
                    "null" => "did you mean `nullify`?".to_owned(),
                    _ => did_you_mean(name, NAMES).unwrap_or_default(),
                };
                return Err(format!("there is no mask `{}`; {help}", short(name)));
            }
        };
        match mask.output_type(&column.data_type) {
            Some(_) => Ok(mask),
            None => Err(does_not_fit(&mask.to_string(), column)),
        }
    }
}

impl ColumnMask {
    /// Whether a text is a mask of some column.
    ///
    /// # Errors
    /// What is wrong, whatever the column.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        let types = [
            DataType::Utf8,
            DataType::Int64,
            DataType::Float64,
            DataType::Decimal128(38, 10),
            DataType::Boolean,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Binary,
        ];
        let mut problems = Vec::new();
        for data_type in types {
            match Self::parse(text, &probe(data_type)) {
                Ok(_) => return Ok(()),
                Err(problem) => problems.push(problem),
            }
        }
        // The one that is not about the type says more.
        let about_text = problems
            .iter()
            .find(|problem| !problem.contains("does not fit"));
        Err(about_text
            .or_else(|| problems.first())
            .cloned()
            .unwrap_or_default())
    }
}

/// A column of which nothing but its type is looked at.
fn probe(data_type: DataType) -> Column {
    Column {
        name: "column".to_owned(),
        physical_name: "column".to_owned(),
        data_type,
        required: false,
        partition: None,
        primary_key: None,
        description: None,
        tags: BTreeSet::new(),
        classification: None,
        inside: InsideMarks::default(),
        span: Span::of_file(""),
    }
}

/// Splits `name(argument)`.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    match text.split_once('(') {
        None => Ok((text, None)),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(argument) => Ok((name.trim_end(), Some(argument.trim()))),
            None => Err(format!("mask `{}` has no closing parenthesis", short(text))),
        },
    }
}

fn width(argument: &str, column: &Column) -> Result<ScalarValue, String> {
    if !is_numeric(&column.data_type) {
        return Err(does_not_fit("bucket", column));
    }
    let positive = "the width of `bucket` has to be a positive number";
    let literal = match parse_literal(argument) {
        Some(literal @ SqlLiteral::Number(_)) => literal,
        _ => return Err(format!("{positive}, not `{}`", short(argument))),
    };
    let width = literal
        .coerce(&column.data_type)
        .map_err(|reason| format!("the width of `bucket`: {reason}"))?;
    match ScalarValue::new_zero(&column.data_type) {
        Ok(zero) if width > zero => Ok(width),
        Ok(_) | Err(_) => Err(format!("{positive}, not `{}`", short(argument))),
    }
}

fn count(name: &str, argument: &str) -> Result<u32, String> {
    match argument.parse() {
        Ok(count) if count > 0 => Ok(count),
        Ok(_) | Err(_) => Err(format!(
            "`{name}` takes a whole number of characters from 1, not `{}`",
            short(argument)
        )),
    }
}

fn scope(argument: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if argument.is_empty() || !argument.chars().all(plain) {
        return Err(format!(
            "the scope of `token` is a name of letters, digits, `_`, `-` and `.`, not `{}`",
            short(argument)
        ));
    }
    Ok(argument.to_owned())
}

fn fixed(argument: &str, column: &Column) -> Result<ScalarValue, String> {
    match parse_literal(argument) {
        Some(SqlLiteral::Null) => Err("`fixed(NULL)` is `nullify`".to_owned()),
        Some(literal) => literal
            .coerce(&column.data_type)
            .map_err(|reason| format!("`fixed`: {reason}")),
        None => Err(format!(
            "`fixed` takes a literal, as in `fixed('x')` or `fixed(0)`, not `{}`",
            short(argument)
        )),
    }
}

fn needs(name: &str, what: &str) -> String {
    format!("mask `{name}` needs {what}")
}

fn does_not_fit(mask: &str, column: &Column) -> String {
    format!(
        "mask `{mask}` does not fit column `{}`, which is {}; these fit: {}",
        column.name,
        column.data_type,
        masks_for(&column.data_type)
    )
}
