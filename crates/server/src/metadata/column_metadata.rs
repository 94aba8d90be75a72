//! What `table_schema` says about columns beyond their Arrow types.
//!
//! Only here: JDBC takes `REMARKS` of a *result* for the column's label.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use weft_engine::VisibleTable;

use crate::wire::wire_schema;

/// The wire schema of a table with the metadata that drivers read.
pub(super) fn described_schema(catalog: &str, table: &VisibleTable) -> Schema {
    let wire = wire_schema(&table.schema);
    let fields: Vec<_> = wire
        .fields()
        .iter()
        .map(|field| {
            let remarks = table
                .columns
                .iter()
                .find(|column| column.name == *field.name())
                .and_then(|column| column.description.as_deref());
            let metadata = metadata(catalog, table, field, remarks);
            Arc::new(field.as_ref().clone().with_metadata(metadata))
        })
        .collect();
    Schema::new(fields)
}

fn metadata(
    catalog: &str,
    table: &VisibleTable,
    field: &Field,
    remarks: Option<&str>,
) -> HashMap<String, String> {
    let data_type = field.data_type();
    let text = matches!(data_type, DataType::Utf8);
    let flag = |value: bool| Some(if value { "1" } else { "0" }.to_owned());
    [
        ("CATALOG_NAME", Some(catalog.to_owned())),
        ("SCHEMA_NAME", Some(table.domain.clone())),
        ("TABLE_NAME", Some(table.name.clone())),
        ("TYPE_NAME", Some(type_name(data_type).to_owned())),
        (
            "PRECISION",
            precision(data_type).map(|digits| digits.to_string()),
        ),
        ("SCALE", scale(data_type).map(|digits| digits.to_string())),
        ("IS_AUTO_INCREMENT", flag(false)),
        ("IS_CASE_SENSITIVE", flag(text)),
        ("IS_READ_ONLY", flag(true)),
        ("IS_SEARCHABLE", flag(true)),
        ("REMARKS", remarks.map(str::to_owned)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((format!("ARROW:FLIGHT:SQL:{key}"), value?)))
    .collect()
}

/// The bare SQL name of a wire type; those that `CommandGetXdbcTypeInfo` lists,
/// and the nested ones.
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => "DECIMAL",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Duration(_) | DataType::Interval(_) => "INTERVAL",
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "VARBINARY",
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(_, _) => "ARRAY",
        DataType::Struct(_) => "STRUCT",
        DataType::Map(_, _) => "MAP",
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
        DataType::Union(_, _) => "UNION",
    }
}

/// Digits of a number, fractional digits of a time's seconds excluded.
fn precision(data_type: &DataType) -> Option<u8> {
    if let DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) = data_type {
        return Some(*precision);
    }
    match type_name(data_type) {
        "BOOLEAN" => Some(1),
        "TINYINT" | "TINYINT UNSIGNED" => Some(3),
        "SMALLINT" | "SMALLINT UNSIGNED" => Some(5),
        "INTEGER" | "INTEGER UNSIGNED" => Some(10),
        "BIGINT" => Some(19),
        "BIGINT UNSIGNED" => Some(20),
        "REAL" => Some(7),
        "DOUBLE" => Some(15),
        "DATE" => Some(10),
        _ => None,
    }
}

fn scale(data_type: &DataType) -> Option<i8> {
    if let DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) = data_type {
        return Some(*scale);
    }
    if data_type.is_integer() {
        return Some(0);
    }
    let (DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit)) =
        data_type
    else {
        return None;
    };
    Some(match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    })
}
