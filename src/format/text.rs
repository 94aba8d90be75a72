//! Cells as text, shared by the formats that people read.

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// One formatter for each column of a batch.
pub(super) fn formatters<'a>(
    columns: &'a [ArrayRef],
    options: &'a FormatOptions<'a>,
) -> Result<Vec<ArrayFormatter<'a>>, ArrowError> {
    columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), options))
        .collect()
}

/// Lists, structs and maps as text, for a format that has only flat cells.
pub(super) fn flatten(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !column.data_type().is_nested() {
        return Ok(ArrayRef::clone(column));
    }
    let options = FormatOptions::new().with_null("null");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let cells = (0..column.len())
        .map(|row| {
            if column.is_null(row) {
                return Ok(None);
            }
            formatter.value(row).try_to_string().map(Some)
        })
        .collect::<Result<StringArray, _>>()?;
    Ok(std::sync::Arc::new(cells))
}

pub(super) fn flat_type(data_type: &DataType) -> DataType {
    if data_type.is_nested() {
        DataType::Utf8
    } else {
        data_type.clone()
    }
}
