//! Columns of system tables from the values of rows.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::{
    array::{
        ArrayRef, BooleanArray, Int32Array, ListBuilder, StringArray, StringBuilder,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, TimeUnit},
};

const UTC: &str = "UTC";

/// A moment.
pub(super) fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// A list of texts, none of them NULL.
pub(super) fn list_of_texts() -> DataType {
    DataType::List(Arc::new(item()))
}

fn item() -> Field {
    Field::new("item", DataType::Utf8, false)
}

pub(super) fn text<T: AsRef<str>>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(super) fn text_or_null<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(super) fn texts<T: AsRef<str>>(
    values: impl Iterator<Item = impl IntoIterator<Item = T>>,
) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item());
    for list in values {
        for value in list {
            lists.values().append_value(value);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

pub(super) fn booleans(values: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(values.collect::<BooleanArray>())
}

pub(super) fn integers(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Int32Array>())
}

pub(super) fn moments(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let micros = values.map(|value| value.map(|moment| moment.timestamp_micros()));
    let array: TimestampMicrosecondArray = micros.collect();
    Arc::new(array.with_timezone(UTC))
}
