//! `CommandGetXdbcTypeInfo`: the types of SQL, as ODBC and JDBC describe them.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// Every type, by its number and name.
pub(super) fn all() -> Result<RecordBatch, ArrowError> {
    let external =
        |error: arrow_flight::error::FlightError| ArrowError::ExternalError(error.into());
    let mut types = XdbcTypeInfoDataBuilder::new();
    for info in numbers().into_iter().chain(texts()).chain(times()) {
        types.append(info);
    }
    let data = types.build().map_err(external)?;
    data.record_batch(None).map_err(external)
}

/// The types with the number that is asked for; all for none.
pub(super) fn select(all: &RecordBatch, asked: Option<i32>) -> Result<RecordBatch, ArrowError> {
    let Some(asked) = asked else {
        return Ok(all.clone());
    };
    let numbers = all.column(1).as_primitive::<Int32Type>();
    let wanted: BooleanArray = numbers
        .values()
        .iter()
        .map(|number| Some(*number == asked))
        .collect();
    filter_record_batch(all, &wanted)
}

fn numbers() -> Vec<XdbcTypeInfo> {
    let number = |name: &str, data_type, digits, radix, unsigned: Option<bool>| XdbcTypeInfo {
        unsigned_attribute: unsigned,
        num_prec_radix: Some(radix),
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        auto_increment: Some(false),
        ..base(name, data_type, digits)
    };
    let signed = Some(false);
    vec![
        base("BOOLEAN", XdbcDataType::XdbcBit, 1),
        number("TINYINT", XdbcDataType::XdbcTinyint, 3, 10, signed),
        number("SMALLINT", XdbcDataType::XdbcSmallint, 5, 10, signed),
        number("INTEGER", XdbcDataType::XdbcInteger, 10, 10, signed),
        number("BIGINT", XdbcDataType::XdbcBigint, 19, 10, signed),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            maximum_scale: Some(38),
            ..number("DECIMAL", XdbcDataType::XdbcDecimal, 38, 10, signed)
        },
        number("REAL", XdbcDataType::XdbcReal, 24, 2, signed),
        number("DOUBLE", XdbcDataType::XdbcDouble, 53, 2, signed),
    ]
}

fn texts() -> Vec<XdbcTypeInfo> {
    vec![
        XdbcTypeInfo {
            literal_prefix: Some("'".to_owned()),
            literal_suffix: Some("'".to_owned()),
            case_sensitive: true,
            ..base("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX)
        },
        XdbcTypeInfo {
            literal_prefix: Some("X'".to_owned()),
            literal_suffix: Some("'".to_owned()),
            ..base("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX)
        },
    ]
}

fn times() -> Vec<XdbcTypeInfo> {
    // ODBC 3: one verbose type for all times, and a subcode for each.
    let time = |name: &str, data_type, size, prefix: &str, subcode, fraction| XdbcTypeInfo {
        literal_prefix: Some(format!("{prefix} '")),
        literal_suffix: Some("'".to_owned()),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        minimum_scale: Some(0),
        maximum_scale: Some(fraction),
        ..base(name, data_type, size)
    };
    vec![
        // The protocol's numbers: 1 is a date, whatever its name says.
        time(
            "DATE",
            XdbcDataType::XdbcDate,
            10,
            "DATE",
            XdbcDatetimeSubcode::XdbcSubcodeYear,
            0,
        ),
        time(
            "TIME",
            XdbcDataType::XdbcTime,
            18,
            "TIME",
            XdbcDatetimeSubcode::XdbcSubcodeTime,
            9,
        ),
        time(
            "TIMESTAMP",
            XdbcDataType::XdbcTimestamp,
            29,
            "TIMESTAMP",
            XdbcDatetimeSubcode::XdbcSubcodeTimestamp,
            9,
        ),
        base("INTERVAL", XdbcDataType::XdbcInterval, 64),
    ]
}

fn base(name: &str, data_type: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: Some(size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: data_type,
        ..XdbcTypeInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::texts;

    #[test]
    fn types_are_sorted_and_selected_by_number() {
        let all = all().unwrap();
        let numbers = all.column(1).as_primitive::<Int32Type>().values().to_vec();
        assert!(numbers.is_sorted());
        assert_eq!(all.num_columns(), 19);
        let varchar = select(&all, Some(12)).unwrap();
        assert_eq!(texts(&varchar, "type_name"), ["VARCHAR"]);
        assert_eq!(select(&all, Some(1234)).unwrap().num_rows(), 0);
    }
}
