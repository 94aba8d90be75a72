//! Values of tests as values of their columns' types.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use weft_mesh::{Fault, Fixture, Spanned, Table, TestValue};

/// The name of the one column that a value is decoded as.
const VALUE: &str = "value";

/// What a field of a struct is that a value does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// NULL, in rows that stand in for a source's.
    IsNull,
    /// A mistake, in values to compare with: NULL would be like no other value.
    IsRefused,
}

/// One value of `data_type`. Nothing is rounded or cut to fit.
///
/// # Errors
/// Why it is none, in words that follow the value.
pub(crate) fn typed(
    value: &TestValue,
    data_type: &DataType,
    unnamed: Unnamed,
) -> Result<ArrayRef, String> {
    let mut json = format!("{{\"{VALUE}\":");
    write_json(value, data_type, unnamed, &mut json)?;
    json.push('}');
    let schema = Arc::new(Schema::new(vec![Field::new(
        VALUE,
        data_type.clone(),
        true,
    )]));
    let decoded = ReaderBuilder::new(schema)
        .with_strict_mode(true)
        .build_decoder()
        .and_then(|mut decoder| {
            decoder.decode(json.as_bytes())?;
            decoder.flush()
        });
    match decoded {
        Ok(Some(batch)) if batch.num_rows() == 1 => batch
            .columns()
            .first()
            .map(Arc::clone)
            .ok_or_else(|| does_not_fit(data_type)),
        Ok(_) | Err(_) => Err(does_not_fit(data_type)),
    }
}

/// The rows of a fixture under the schema of the contract.
///
/// # Errors
/// Every value that does not fit its column.
pub(crate) fn batch(fixture: &Fixture, table: &Table) -> Result<RecordBatch, Vec<Fault>> {
    let (mut columns, mut faults) = (Vec::new(), Vec::new());
    for column in &table.columns {
        let mut cells = Vec::new();
        for row in &fixture.rows {
            let cell = row.cell(&column.name);
            let value = cell.map_or(&TestValue::Null, |cell| &cell.value);
            match typed(value, &column.data_type, Unnamed::IsNull) {
                Ok(cell) => cells.push(cell),
                Err(reason) => {
                    let place = cell.map_or(&row.span, |cell| &cell.span);
                    let message =
                        format!("{} as a value of `{}` {reason}", show(value), column.name);
                    faults.push(Fault::error(place.clone(), "wrong-value", message));
                }
            }
        }
        let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
        columns.push(match cells.as_slice() {
            [] => arrow::array::new_empty_array(&column.data_type),
            cells => match concat(cells) {
                Ok(column) => column,
                Err(error) => {
                    let place = fixture.table.span.clone();
                    faults.push(Fault::error(place, "wrong-value", error.to_string()));
                    continue;
                }
            },
        });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(fixture.rows.len()));
    RecordBatch::try_new_with_options(table.arrow_schema(), columns, &options).map_err(|error| {
        let place = fixture.table.span.clone();
        vec![Fault::error(place, "wrong-value", error.to_string())]
    })
}

/// Whether a value can be one of a column that is shown in clear or masked: of
/// the contract's type, or text.
pub(crate) fn check_shown(
    value: &Spanned<TestValue>,
    name: &str,
    data_type: &DataType,
) -> Option<Fault> {
    let reason = typed(&value.value, data_type, Unnamed::IsRefused).err()?;
    typed(&value.value, &DataType::Utf8, Unnamed::IsRefused).err()?;
    let message = format!("{} as a value of `{name}` {reason}", show(&value.value));
    Some(Fault::error(value.span.clone(), "wrong-value", message))
}

/// A value as a person wrote it, about.
pub(crate) fn show(value: &TestValue) -> String {
    match value {
        TestValue::Null => "NULL".to_owned(),
        TestValue::Scalar(text) => format!("`{text}`"),
        TestValue::List(_) => "a list".to_owned(),
        TestValue::Mapping(_) => "a mapping".to_owned(),
    }
}

fn does_not_fit(data_type: &DataType) -> String {
    format!("does not fit its type, {data_type}{}", hint(data_type))
}

/// How values of a type are written, where that is not plain.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow has many types, and most are alike here"
)]
fn hint(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 | DataType::Date64 => ": write `2026-01-31`",
        DataType::Timestamp(..) => ": write `2026-01-31T12:00:00Z`",
        DataType::Time32(_) | DataType::Time64(_) => ": write `12:00:00`",
        DataType::Boolean => ": write `true` or `false`",
        DataType::Binary => ": write its bytes in hexadecimal",
        DataType::List(_) | DataType::LargeList(_) => ": write a list",
        DataType::Struct(_) | DataType::Map(..) => ": write a mapping",
        _ => "",
    }
}

/// Scalars go as strings, in full: as JSON's numbers they would lose digits.
fn write_json(
    value: &TestValue,
    data_type: &DataType,
    unnamed: Unnamed,
    out: &mut String,
) -> Result<(), String> {
    let unfit = || does_not_fit(data_type);
    match (value, data_type) {
        (TestValue::Null, _) => out.push_str("null"),
        (TestValue::Scalar(text), DataType::Boolean) => match text.to_ascii_lowercase().as_str() {
            truth @ ("true" | "false") => out.push_str(truth),
            _ => return Err(unfit()),
        },
        (TestValue::Scalar(text), scalar) if !scalar.is_nested() => {
            if fraction(text) > digits(scalar).unwrap_or(usize::MAX) {
                return Err(format!("has more digits than its type, {scalar}"));
            }
            // What would be cut off or rounded.
            let has_time = matches!(scalar, DataType::Date32) && text.len() > "2026-01-31".len();
            let has_exponent =
                matches!(scalar, DataType::Decimal128(..) | DataType::Decimal256(..))
                    && text.contains(['e', 'E']);
            if has_time || has_exponent {
                return Err(unfit());
            }
            write_text(text, out);
        }
        (
            TestValue::List(items),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _),
        ) => {
            out.push('[');
            for (at, value) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(value, item.data_type(), unnamed, out)?;
            }
            out.push(']');
        }
        (TestValue::Mapping(entries), DataType::Struct(fields)) => {
            let is_named = |field: &&Arc<Field>| entries.iter().any(|(it, _)| it == field.name());
            if unnamed == Unnamed::IsRefused
                && let Some(left_out) = fields.iter().find(|field| !is_named(field))
            {
                return Err(format!(
                    "does not name its field `{}`: name all of them",
                    left_out.name()
                ));
            }
            write_entries(entries, |name| field_type(fields, name), unnamed, out)?;
        }
        (TestValue::Mapping(entries), DataType::Map(both, _)) => {
            let DataType::Struct(fields) = both.data_type() else {
                return Err(unfit());
            };
            let value = fields.get(1).map(|field| field.data_type());
            write_entries(entries, |_| value.cloned(), unnamed, out)?;
        }
        (TestValue::Scalar(_) | TestValue::List(_) | TestValue::Mapping(_), _) => {
            return Err(unfit());
        }
    }
    Ok(())
}

fn write_entries(
    entries: &[(String, TestValue)],
    type_of: impl Fn(&str) -> Option<DataType>,
    unnamed: Unnamed,
    out: &mut String,
) -> Result<(), String> {
    out.push('{');
    for (at, (name, value)) in entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let data_type = type_of(name).ok_or_else(|| format!("has a field `{name}` too many"))?;
        write_text(name, out);
        out.push(':');
        write_json(value, &data_type, unnamed, out)?;
    }
    out.push('}');
    Ok(())
}

fn field_type(fields: &Fields, name: &str) -> Option<DataType> {
    let (_, field) = fields.find(name)?;
    Some(field.data_type().clone())
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                // Every control character is in the first plane.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// Digits behind the point, zeros at the end aside.
fn fraction(text: &str) -> usize {
    let Some((_, rest)) = text.split_once('.') else {
        return 0;
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.trim_end_matches('0').len()
}

/// How many of them a type keeps, where it would cut off what is more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow has many types, and most are alike here"
)]
fn digits(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            Some(usize::try_from(*scale).unwrap_or_default())
        }
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => {
            Some(match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> TestValue {
        TestValue::Scalar(text.to_owned())
    }

    #[test]
    fn values_are_of_their_type_or_refused() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
        for (text, data_type, fits) in [
            ("12.5", DataType::Decimal128(12, 2), true),
            ("12.500", DataType::Decimal128(12, 2), true),
            ("12.505", DataType::Decimal128(12, 2), false),
            ("99999999999.00", DataType::Decimal128(12, 2), false),
            ("12", DataType::Int64, true),
            ("-12", DataType::Int32, true),
            ("12.0", DataType::Int64, false),
            ("300", DataType::Int8, false),
            ("abc", DataType::Int64, false),
            ("0.1", DataType::Float64, true),
            ("0123", DataType::Utf8, true),
            ("a\"b\\c\u{7}", DataType::Utf8, true),
            ("true", DataType::Boolean, true),
            ("yes", DataType::Boolean, false),
            ("2026-01-31", DataType::Date32, true),
            ("2026-02-31", DataType::Date32, false),
            ("2026-01-31T23:59:59Z", DataType::Date32, false),
            ("125e-3", DataType::Decimal128(12, 2), false),
            ("2026-01-31T12:00:00Z", utc.clone(), true),
            ("2026-01-31T12:00:00.1234567Z", utc.clone(), false),
            ("31.1.2026", utc, false),
            ("cafe", DataType::Binary, true),
        ] {
            assert_eq!(
                typed(&scalar(text), &data_type, Unnamed::IsRefused).is_ok(),
                fits,
                "{text} {data_type}"
            );
        }
    }

    #[test]
    fn nested_values_are_typed_inside() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        let numbers = TestValue::List(vec![scalar("1"), TestValue::Null]);
        assert_eq!(
            typed(&numbers, &list, Unnamed::IsRefused).map(|it| it.len()),
            Ok(1)
        );
        assert!(
            typed(
                &TestValue::List(vec![scalar("x")]),
                &list,
                Unnamed::IsRefused
            )
            .is_err()
        );
        assert!(typed(&scalar("1"), &list, Unnamed::IsRefused).is_err());
        let fields = vec![
            Field::new("city", DataType::Utf8, true),
            Field::new("since", DataType::Date32, true),
        ];
        let object = DataType::Struct(fields.into());
        let of =
            |name: &str, value: &str| TestValue::Mapping(vec![(name.to_owned(), scalar(value))]);
        assert!(typed(&of("since", "2026-01-31"), &object, Unnamed::IsNull).is_ok());
        // As an expectation it would be like no value that has a city.
        assert_eq!(
            typed(&of("since", "2026-01-31"), &object, Unnamed::IsRefused)
                .err()
                .as_deref(),
            Some("does not name its field `city`: name all of them")
        );
        assert!(typed(&of("since", "soon"), &object, Unnamed::IsNull).is_err());
        assert_eq!(
            typed(&of("street", "x"), &object, Unnamed::IsNull)
                .err()
                .as_deref(),
            Some("has a field `street` too many")
        );
    }
}
