//! The options that a session knows, and their values.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::ipc::CompressionType;
use tonic::Status;
use weft_engine::SessionOptions;
use weft_mesh::Purpose;

use crate::messages::{OptionErrorValue, OptionValue, SessionOptionValue};
use crate::wire::{Types, WireOptions};

const CATALOG: &str = "catalog";
const SCHEMA: &str = "schema";
const TIMEZONE: &str = "timezone";
const STATEMENT_TIMEOUT: &str = "statement_timeout";
pub(super) const PURPOSE: &str = "purpose";
pub(super) const IPC_COMPRESSION: &str = "ipc_compression";
pub(super) const WIRE_TYPES: &str = "wire_types";

/// No name or time zone is longer.
const VALUE_LIMIT_BYTES: usize = 1024;

/// The options of a session, or of one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// What a statement means.
    pub(crate) query: SessionOptions,
    /// How its result is sent.
    pub(crate) wire: WireOptions,
}

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
    options: &mut Options,
    name: &str,
    value: &SessionOptionValue,
) -> Result<(), Refused> {
    match name {
        CATALOG => options.query.catalog = text(value)?,
        SCHEMA => options.query.schema = text(value)?,
        TIMEZONE => options.query.timezone = text(value)?,
        STATEMENT_TIMEOUT => options.query.statement_timeout = duration(value)?,
        PURPOSE => options.query.purpose = purpose(value)?,
        IPC_COMPRESSION => options.wire.compression = compression(value)?,
        WIRE_TYPES => options.wire.types = types(value)?,
        _ => return Err(Refused::Option(OptionErrorValue::InvalidName)),
    }
    Ok(())
}

/// The options that are set; `catalog` always is.
pub(crate) fn describe(options: &Options, catalog: &str) -> BTreeMap<String, SessionOptionValue> {
    let Options {
        query: options,
        wire,
    } = options;
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
        (IPC_COMPRESSION, compression_name(wire.compression)),
        (WIRE_TYPES, types_name(wire.types)),
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

const LZ4: &str = "lz4";
const ZSTD: &str = "zstd";
const NATIVE: &str = "native";

fn compression(value: &SessionOptionValue) -> Result<Option<CompressionType>, Refused> {
    match text(value)?.as_deref() {
        None | Some("none") => Ok(None),
        Some(LZ4) => Ok(Some(CompressionType::LZ4_FRAME)),
        Some(ZSTD) => Ok(Some(CompressionType::ZSTD)),
        Some(_) => Err(Refused::Option(OptionErrorValue::InvalidValue)),
    }
}

/// As [`compression`] reads it; none where there is none.
pub(super) fn compression_name(compression: Option<CompressionType>) -> Option<&'static str> {
    match compression {
        Some(CompressionType::LZ4_FRAME) => Some(LZ4),
        Some(CompressionType::ZSTD) => Some(ZSTD),
        Some(_) | None => None,
    }
}

fn types(value: &SessionOptionValue) -> Result<Types, Refused> {
    match text(value)?.as_deref() {
        None | Some("portable") => Ok(Types::Portable),
        Some(NATIVE) => Ok(Types::Native),
        Some(_) => Err(Refused::Option(OptionErrorValue::InvalidValue)),
    }
}

/// As [`types`] reads it; none for those that need not be said.
pub(super) fn types_name(types: Types) -> Option<&'static str> {
    match types {
        Types::Portable => None,
        Types::Native => Some(NATIVE),
    }
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
        let mut options = Options::default();
        set(&mut options, "schema", &SessionOptionValue::text("sales")).unwrap();
        assert_eq!(options.query.schema.as_deref(), Some("sales"));
        set(
            &mut options,
            "schema",
            &SessionOptionValue { option_value: None },
        )
        .unwrap();
        assert_eq!(options.query.schema, None);
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
        assert_eq!(
            options.query.statement_timeout,
            Some(Duration::from_secs(5))
        );
    }

    #[test]
    fn a_purpose_is_a_name_and_the_empty_one_unsets_it() {
        let mut options = Options::default();
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
        assert_eq!(options.query.purpose, None);
    }

    #[test]
    fn describes_what_is_set_and_always_the_catalog() {
        let mut options = Options::default();
        options.query.statement_timeout = Some(Duration::from_millis(1500));
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

    #[test]
    fn how_results_are_sent_is_said_in_known_words() {
        let mut options = Options::default();
        for (name, value) in [
            ("ipc_compression", "zstd"),
            ("ipc_compression", "lz4"),
            ("wire_types", "native"),
        ] {
            let value = SessionOptionValue::text(value);
            set(&mut options, name, &value).unwrap();
            assert_eq!(describe(&options, "acme")[name], value);
        }
        for name in ["ipc_compression", "wire_types"] {
            let refused = set(&mut options, name, &SessionOptionValue::text("gzip"));
            assert!(matches!(
                refused,
                Err(Refused::Option(OptionErrorValue::InvalidValue))
            ));
        }
        for (name, value) in [("ipc_compression", "none"), ("wire_types", "portable")] {
            set(&mut options, name, &SessionOptionValue::text(value)).unwrap();
        }
        assert_eq!(options, Options::default());
    }
}
