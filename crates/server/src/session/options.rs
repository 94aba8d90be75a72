//! The options that a session knows, and their values.

use std::collections::BTreeMap;
use std::time::Duration;

use tonic::Status;
use weft_engine::SessionOptions;
use weft_mesh::Purpose;

use crate::messages::{OptionErrorValue, OptionValue, SessionOptionValue};

const CATALOG: &str = "catalog";
const SCHEMA: &str = "schema";
const TIMEZONE: &str = "timezone";
const STATEMENT_TIMEOUT: &str = "statement_timeout";
pub(super) const PURPOSE: &str = "purpose";

/// No name or time zone is longer.
const VALUE_LIMIT_BYTES: usize = 1024;

/// Why an option was not set.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Reported for the option alone.
    Option(OptionErrorValue),
    /// Fails the whole request.
    NotFound(Status),
}

/// Sets the option `name`, or erases it where `value` has none.
pub(crate) fn set(
    options: &mut SessionOptions,
    name: &str,
    value: &SessionOptionValue,
) -> Result<(), Refused> {
    match name {
        CATALOG => options.catalog = text(value)?,
        SCHEMA => options.schema = text(value)?,
        TIMEZONE => options.timezone = text(value)?,
        STATEMENT_TIMEOUT => options.statement_timeout = duration(value)?,
        PURPOSE => options.purpose = purpose(value)?,
        _ => return Err(Refused::Option(OptionErrorValue::InvalidName)),
    }
    Ok(())
}

/// The options that are set; `catalog` always is.
pub(crate) fn describe(
    options: &SessionOptions,
    catalog: &str,
) -> BTreeMap<String, SessionOptionValue> {
    let catalog = options.catalog.as_deref().unwrap_or(catalog);
    let timeout = options
        .statement_timeout
        .map(|timeout| format!("{}ms", timeout.as_millis()));
    [
        (CATALOG, Some(catalog)),
        (SCHEMA, options.schema.as_deref()),
        (PURPOSE, options.purpose.as_ref().map(Purpose::as_str)),
        (TIMEZONE, options.timezone.as_deref()),
        (STATEMENT_TIMEOUT, timeout.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), SessionOptionValue::text(value?))))
    .collect()
}

impl SessionOptionValue {
    pub(crate) fn text(value: &str) -> Self {
        Self {
            option_value: Some(OptionValue::String(value.to_owned())),
        }
    }
}

fn text(value: &SessionOptionValue) -> Result<Option<String>, Refused> {
    match &value.option_value {
        None => Ok(None),
        // The empty name is how JDBC and ADBC write none.
        Some(OptionValue::String(text)) if text.is_empty() => Ok(None),
        Some(OptionValue::String(text)) if text.len() <= VALUE_LIMIT_BYTES => {
            Ok(Some(text.clone()))
        }
        Some(
            OptionValue::String(_)
            | OptionValue::Bool(_)
            | OptionValue::Int64(_)
            | OptionValue::Double(_)
            | OptionValue::StringList(_),
        ) => Err(Refused::Option(OptionErrorValue::InvalidValue)),
    }
}

fn purpose(value: &SessionOptionValue) -> Result<Option<Purpose>, Refused> {
    let invalid = |_| Refused::Option(OptionErrorValue::InvalidValue);
    text(value)?
        .map(|text| Purpose::parse(&text).map_err(invalid))
        .transpose()
}

fn duration(value: &SessionOptionValue) -> Result<Option<Duration>, Refused> {
    let parsed = match &value.option_value {
        None => return Ok(None),
        Some(OptionValue::String(text)) => parse_duration(text),
        Some(OptionValue::Int64(seconds)) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Some(OptionValue::Double(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
        Some(OptionValue::Bool(_) | OptionValue::StringList(_)) => None,
    };
    parsed
        .filter(|duration| !duration.is_zero())
        .map(Some)
        .ok_or(Refused::Option(OptionErrorValue::InvalidValue))
}

/// A number of seconds, or a number with one of the units `ms`, `s`, `m`, `h`.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit.trim() {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" | "min" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("30"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2 m"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h"), Some(Duration::from_secs(3600)));
        for bad in ["", "s", "-1", "1.5s", "1 week", "99999999999999999999"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sets_erases_and_refuses() {
        let mut options = SessionOptions::default();
        set(&mut options, "schema", &SessionOptionValue::text("sales")).unwrap();
        assert_eq!(options.schema.as_deref(), Some("sales"));
        set(
            &mut options,
            "schema",
            &SessionOptionValue { option_value: None },
        )
        .unwrap();
        assert_eq!(options.schema, None);
        let number = SessionOptionValue {
            option_value: Some(OptionValue::Int64(5)),
        };
        assert!(matches!(
            set(&mut options, "schema", &number),
            Err(Refused::Option(OptionErrorValue::InvalidValue))
        ));
        assert!(matches!(
            set(&mut options, "colour", &number),
            Err(Refused::Option(OptionErrorValue::InvalidName))
        ));
        set(&mut options, "statement_timeout", &number).unwrap();
        assert_eq!(options.statement_timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_purpose_is_a_name_and_the_empty_one_unsets_it() {
        let mut options = SessionOptions::default();
        let fulfilment = SessionOptionValue::text("fulfilment");
        set(&mut options, "purpose", &fulfilment).unwrap();
        assert_eq!(describe(&options, "acme")["purpose"], fulfilment);
        for bad in ["just looking", " ", "a,b", "ä", &"x".repeat(129)] {
            let refused = set(&mut options, "purpose", &SessionOptionValue::text(bad));
            assert!(matches!(
                refused,
                Err(Refused::Option(OptionErrorValue::InvalidValue))
            ));
            assert_eq!(describe(&options, "acme")["purpose"], fulfilment);
        }
        set(&mut options, "purpose", &SessionOptionValue::text("")).unwrap();
        assert_eq!(options.purpose, None);
    }

    #[test]
    fn describes_what_is_set_and_always_the_catalog() {
        let options = SessionOptions {
            statement_timeout: Some(Duration::from_millis(1500)),
            ..SessionOptions::default()
        };
        assert_eq!(
            describe(&options, "acme"),
            BTreeMap::from([
                ("catalog".to_owned(), SessionOptionValue::text("acme")),
                (
                    "statement_timeout".to_owned(),
                    SessionOptionValue::text("1500ms")
                ),
            ])
        );
    }
}
