//! What stands below the NULLs of an answer: a client who looks at the bytes of
//! a message reads it.

use std::ops::Range;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use super::generate::MARKED;

const MARKS: Range<i64> = MARKED..MARKED + 1000;

/// A marked value below a NULL, if there is one.
pub(super) fn nulls(batches: &[RecordBatch]) -> Option<String> {
    let columns = batches.iter().flat_map(RecordBatch::columns);
    columns.into_iter().find_map(|column| marked(column, None))
}

fn marked(array: &dyn Array, above: Option<&NullBuffer>) -> Option<String> {
    let nulls = NullBuffer::union(array.nulls(), above);
    let is_null = |row: &usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(*row));
    let mut rows = (0..array.len()).filter(is_null);
    let number = |value: i64| MARKS.contains(&value).then(|| value.to_string());
    let text = |value: &str| value.contains("secret-").then(|| value.to_owned());
    match array.data_type() {
        DataType::Int64 => {
            rows.find_map(|row| number(array.as_primitive::<Int64Type>().value(row)))
        }
        DataType::Int32 => {
            rows.find_map(|row| number(array.as_primitive::<Int32Type>().value(row).into()))
        }
        DataType::Float64 => {
            rows.find_map(|row| number(array.as_primitive::<Float64Type>().value(row) as i64))
        }
        DataType::Utf8 => rows.find_map(|row| text(array.as_string::<i32>().value(row))),
        DataType::Utf8View => rows.find_map(|row| text(array.as_string_view().value(row))),
        DataType::Struct(_) => {
            let fields = array.as_struct().columns();
            fields
                .iter()
                .find_map(|field| marked(field, nulls.as_ref()))
        }
        DataType::List(_) => rows.find_map(|row| {
            let items = array.as_list::<i32>().value(row);
            let items = items.as_primitive_opt::<Int64Type>()?;
            items.values().iter().find_map(|item| number(*item))
        }),
        _ => None,
    }
}
