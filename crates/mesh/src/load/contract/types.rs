//! Types: a contract's `physicalType` or `logicalType` as an Arrow type that
//! every Flight SQL client reads.

use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};

/// What the help of an unknown `physicalType` lists.
pub(crate) const ACCEPTED: &str = "the types are TINYINT, SMALLINT, INTEGER, BIGINT (each also UNSIGNED), REAL, FLOAT, \
     DOUBLE, DECIMAL(p,s), BOOLEAN, VARCHAR, CHAR, TEXT, STRING, UUID, JSON, BINARY, VARBINARY, BLOB, DATE, TIME, \
     TIMESTAMP, TIMESTAMP WITH TIME ZONE";

/// The Arrow type of a SQL type name, in any letter case.
///
/// # Errors
/// Says in words that follow the type's name why it is none.
pub(crate) fn parse_physical_type(text: &str) -> Result<DataType, String> {
    let (name, arguments) = split(text)?;
    let plain = |data_type: DataType| {
        if arguments.is_empty() {
            Ok(data_type)
        } else {
            Err("takes no arguments".to_owned())
        }
    };
    // A length or a display width changes nothing for Arrow.
    let sized = |data_type: DataType| {
        if arguments.len() <= 1 {
            Ok(data_type)
        } else {
            Err("takes at most one argument".to_owned())
        }
    };
    match name.as_str() {
        "TINYINT" => sized(DataType::Int8),
        "SMALLINT" | "INT2" | "INT16" => sized(DataType::Int16),
        "INTEGER" | "INT" | "INT4" | "INT32" | "MEDIUMINT" => sized(DataType::Int32),
        "BIGINT" | "INT8" | "INT64" | "LONG" => sized(DataType::Int64),
        "UTINYINT" | "TINYINT UNSIGNED" | "UNSIGNED TINYINT" | "UINT8" => sized(DataType::UInt8),
        "USMALLINT" | "SMALLINT UNSIGNED" | "UNSIGNED SMALLINT" | "UINT16" => {
            sized(DataType::UInt16)
        }
        "UINTEGER" | "INTEGER UNSIGNED" | "INT UNSIGNED" | "UNSIGNED INTEGER" | "UNSIGNED INT"
        | "UINT32" => sized(DataType::UInt32),
        "UBIGINT" | "BIGINT UNSIGNED" | "UNSIGNED BIGINT" | "UINT64" => sized(DataType::UInt64),
        "REAL" | "FLOAT4" | "FLOAT32" => plain(DataType::Float32),
        "DOUBLE" | "DOUBLE PRECISION" | "FLOAT8" | "FLOAT64" => plain(DataType::Float64),
        // SQL's FLOAT is at least as wide as its precision, and DOUBLE without one.
        "FLOAT" => match arguments.as_slice() {
            [] | [25..=53] => Ok(DataType::Float64),
            [1..=24] => Ok(DataType::Float32),
            _ => Err("has a precision from 1 to 53".to_owned()),
        },
        "DECIMAL" | "NUMERIC" | "DEC" | "NUMBER" => decimal(&arguments),
        "BOOLEAN" | "BOOL" => plain(DataType::Boolean),
        "VARCHAR"
        | "CHAR"
        | "CHARACTER"
        | "CHARACTER VARYING"
        | "CHAR VARYING"
        | "NVARCHAR"
        | "NCHAR"
        | "NATIONAL CHARACTER VARYING"
        | "NATIONAL CHARACTER"
        | "VARCHAR2"
        | "NVARCHAR2"
        | "BPCHAR"
        | "TEXT"
        | "TINYTEXT"
        | "MEDIUMTEXT"
        | "LONGTEXT"
        | "STRING"
        | "CLOB"
        | "CHARACTER LARGE OBJECT" => sized(DataType::Utf8),
        "UUID" | "UNIQUEIDENTIFIER" | "JSON" | "JSONB" => plain(DataType::Utf8),
        "BINARY"
        | "VARBINARY"
        | "BINARY VARYING"
        | "BYTEA"
        | "BYTES"
        | "BLOB"
        | "TINYBLOB"
        | "MEDIUMBLOB"
        | "LONGBLOB"
        | "BINARY LARGE OBJECT" => sized(DataType::Binary),
        "DATE" | "DATE32" => plain(DataType::Date32),
        "TIME" | "TIME WITHOUT TIME ZONE" => Ok(match unit(&arguments)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
        }),
        "TIMESTAMP"
        | "TIMESTAMP WITHOUT TIME ZONE"
        | "TIMESTAMP_NTZ"
        | "DATETIME"
        | "DATETIME2" => Ok(DataType::Timestamp(unit(&arguments)?, None)),
        "TIMESTAMP WITH TIME ZONE"
        | "TIMESTAMP WITH LOCAL TIME ZONE"
        | "TIMESTAMPTZ"
        | "TIMESTAMP_TZ"
        | "TIMESTAMP_LTZ"
        | "DATETIMEOFFSET" => Ok(DataType::Timestamp(unit(&arguments)?, Some(utc()))),
        "TIMESTAMP_S" => plain(DataType::Timestamp(TimeUnit::Second, None)),
        "TIMESTAMP_MS" => plain(DataType::Timestamp(TimeUnit::Millisecond, None)),
        "TIMESTAMP_US" => plain(DataType::Timestamp(TimeUnit::Microsecond, None)),
        "TIMESTAMP_NS" => plain(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        _ => Err("is not a known type".to_owned()),
    }
}

/// The Arrow type of a scalar `logicalType`; objects, arrays and maps are made
/// of their parts.
pub(crate) fn logical_type(text: &str) -> Option<DataType> {
    Some(match text {
        "string" => DataType::Utf8,
        "integer" => DataType::Int64,
        "number" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some(utc())),
        _ => return None,
    })
}

fn utc() -> Arc<str> {
    Arc::from("UTC")
}

fn decimal(arguments: &[u32]) -> Result<DataType, String> {
    let (precision, scale) = match arguments {
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        [] => return Err("needs a precision and a scale, as in DECIMAL(12,2)".to_owned()),
        _ => return Err("takes two arguments".to_owned()),
    };
    let (Ok(small_precision), Ok(small_scale)) = (u8::try_from(precision), i8::try_from(scale))
    else {
        return Err("has a precision from 1 to 76".to_owned());
    };
    match precision {
        1..=76 if scale > precision => Err("has a scale above its precision".to_owned()),
        1..=38 => Ok(DataType::Decimal128(small_precision, small_scale)),
        39..=76 => Ok(DataType::Decimal256(small_precision, small_scale)),
        _ => Err("has a precision from 1 to 76".to_owned()),
    }
}

/// The coarsest unit that holds so many digits of a second; six without a word.
fn unit(arguments: &[u32]) -> Result<TimeUnit, String> {
    match arguments {
        [] | [4..=6] => Ok(TimeUnit::Microsecond),
        [0] => Ok(TimeUnit::Second),
        [1..=3] => Ok(TimeUnit::Millisecond),
        [7..=9] => Ok(TimeUnit::Nanosecond),
        _ => Err("has a precision from 0 to 9".to_owned()),
    }
}

/// `timestamp(3) with time zone` is `TIMESTAMP WITH TIME ZONE` and `[3]`.
fn split(text: &str) -> Result<(String, Vec<u32>), String> {
    let malformed = || "is not a known type".to_owned();
    let (name, arguments) = match text.split_once('(') {
        None => (text.to_owned(), Vec::new()),
        Some((before, rest)) => {
            let (inside, after) = rest.split_once(')').ok_or_else(malformed)?;
            let arguments = inside
                .split(',')
                .map(|argument| match argument.trim() {
                    "max" | "MAX" => Ok(u32::MAX),
                    number => number.parse::<u32>().map_err(|_| malformed()),
                })
                .collect::<Result<Vec<u32>, String>>()?;
            (format!("{before} {after}"), arguments)
        }
    };
    let name = name
        .split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect::<Vec<_>>()
        .join(" ");
    Ok((name, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sql_type_names_in_any_case() {
        for (text, data_type) in [
            ("bigint", DataType::Int64),
            ("INT(11)", DataType::Int32),
            ("int unsigned", DataType::UInt32),
            ("Double  Precision", DataType::Float64),
            ("float(24)", DataType::Float32),
            ("DECIMAL(12, 2)", DataType::Decimal128(12, 2)),
            ("numeric(50,10)", DataType::Decimal256(50, 10)),
            ("NUMBER(9)", DataType::Decimal128(9, 0)),
            ("character varying(20)", DataType::Utf8),
            ("VARCHAR(MAX)", DataType::Utf8),
            ("uuid", DataType::Utf8),
            ("bytea", DataType::Binary),
            ("DATE", DataType::Date32),
            ("time(3)", DataType::Time32(TimeUnit::Millisecond)),
            ("TIME", DataType::Time64(TimeUnit::Microsecond)),
            (
                "TIMESTAMP",
                DataType::Timestamp(TimeUnit::Microsecond, None),
            ),
            (
                "timestamp(3) with time zone",
                DataType::Timestamp(TimeUnit::Millisecond, Some(utc())),
            ),
            (
                "TIMESTAMPTZ",
                DataType::Timestamp(TimeUnit::Microsecond, Some(utc())),
            ),
            (
                "datetime(9)",
                DataType::Timestamp(TimeUnit::Nanosecond, None),
            ),
        ] {
            assert_eq!(parse_physical_type(text), Ok(data_type), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_type() {
        for (text, reason) in [
            ("BIGNIT", "is not a known type"),
            (
                "DECIMAL",
                "needs a precision and a scale, as in DECIMAL(12,2)",
            ),
            ("DECIMAL(77,0)", "has a precision from 1 to 76"),
            ("DECIMAL(0,0)", "has a precision from 1 to 76"),
            ("DECIMAL(5,6)", "has a scale above its precision"),
            ("DECIMAL(999999999999)", "is not a known type"),
            ("TIMESTAMP(10)", "has a precision from 0 to 9"),
            ("VARCHAR(", "is not a known type"),
            ("BOOLEAN(1)", "takes no arguments"),
            ("", "is not a known type"),
        ] {
            assert_eq!(parse_physical_type(text), Err(reason.to_owned()), "{text}");
        }
    }
}
