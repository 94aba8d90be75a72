//! Bytes of a row's value, counted without copying it.

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BinaryViewArray, FixedSizeListArray, GenericByteArray,
            GenericListArray, OffsetSizeTrait, StringViewArray,
        },
        compute::cast,
        datatypes::{ByteArrayType, DataType, Int64Type},
    },
    error::Result,
    logical_expr::ColumnarValue,
};

/// Arguments of a call, seen row by row.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Column>,
    /// Rows to look at; one if every argument is a constant.
    pub(super) len: usize,
}

#[derive(Debug)]
struct Column {
    array: ArrayRef,
    constant: bool,
}

impl Rows {
    pub(super) fn new(args: &[ColumnarValue], number_rows: usize) -> Result<Self> {
        let columns = args.iter().map(|arg| match arg {
            ColumnarValue::Array(array) => Ok(Column {
                array: ArrayRef::clone(array),
                constant: false,
            }),
            ColumnarValue::Scalar(scalar) => Ok(Column {
                array: scalar.to_array_of_size(1)?,
                constant: true,
            }),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let len = if columns.iter().all(|column| column.constant) {
            1
        } else {
            number_rows
        };
        Ok(Self { columns, len })
    }

    pub(super) fn arguments(&self) -> usize {
        self.columns.len()
    }

    /// Bytes of an argument; 0 for a null, or for an argument that is not there.
    pub(super) fn bytes(&self, argument: usize, row: usize) -> usize {
        self.at(argument, row)
            .map_or(0, |(array, row)| bytes(array, row, 1))
    }

    /// Elements of a list; 0 for a null and for what is no list.
    pub(super) fn elements(&self, argument: usize, row: usize) -> usize {
        self.at(argument, row).map_or(0, |(array, row)| {
            elements(array, row).map_or(0, |(_, _, len)| len)
        })
    }

    /// An integer, however it is typed; `None` for a null.
    pub(super) fn integer(&self, argument: usize, row: usize) -> Option<i64> {
        let (array, row) = self.at(argument, row)?;
        let one = cast(&array.slice(row, 1), &DataType::Int64).ok()?;
        let one = one.as_primitive::<Int64Type>();
        (!one.is_empty() && one.is_valid(0)).then(|| one.value(0))
    }

    /// A text, however it is typed; `None` for a null.
    pub(super) fn text(&self, argument: usize, row: usize) -> Option<String> {
        let (array, row) = self.at(argument, row)?;
        let one = cast(&array.slice(row, 1), &DataType::Utf8).ok()?;
        let one = one.as_string::<i32>();
        (!one.is_empty() && one.is_valid(0)).then(|| one.value(0).to_owned())
    }

    /// One row of an argument.
    pub(super) fn value(&self, argument: usize, row: usize) -> Option<ArrayRef> {
        self.at(argument, row)
            .map(|(array, row)| array.slice(row, 1))
    }

    fn at(&self, argument: usize, row: usize) -> Option<(&ArrayRef, usize)> {
        let column = self.columns.get(argument)?;
        let row = if column.constant { 0 } else { row };
        (row < column.array.len() && !column.array.is_null(row)).then_some((&column.array, row))
    }
}

/// Bytes of `len` rows from `start`, offsets and views included.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what has no cheap way to be counted counts whole"
)]
pub(super) fn bytes(array: &dyn Array, start: usize, len: usize) -> usize {
    match array.data_type() {
        DataType::Null => len,
        DataType::Boolean => len,
        DataType::Utf8 => of_bytes(array.as_string::<i32>(), start, len),
        DataType::LargeUtf8 => of_bytes(array.as_string::<i64>(), start, len),
        DataType::Binary => of_bytes(array.as_binary::<i32>(), start, len),
        DataType::LargeBinary => of_bytes(array.as_binary::<i64>(), start, len),
        DataType::Utf8View => of_views(array.as_string_view(), start, len),
        DataType::BinaryView => of_binary_views(array.as_binary_view(), start, len),
        DataType::FixedSizeBinary(width) => {
            len.saturating_mul(usize::try_from(*width).unwrap_or_default())
        }
        DataType::List(_) => of_list(array.as_list::<i32>(), start, len),
        DataType::LargeList(_) => of_list(array.as_list::<i64>(), start, len),
        DataType::FixedSizeList(_, _) => of_fixed_list(array.as_fixed_size_list(), start, len),
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .map(|column| bytes(column, start, len))
            .sum(),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let range = range(map.value_offsets(), start, len);
            bytes(map.entries(), range.0, range.1).saturating_add(4 * len)
        }
        other => match other.primitive_width() {
            Some(width) => len.saturating_mul(width),
            None => array.get_array_memory_size(),
        },
    }
}

fn of_bytes<T: ByteArrayType>(array: &GenericByteArray<T>, start: usize, len: usize) -> usize {
    range(array.value_offsets(), start, len)
        .1
        .saturating_add(size_of::<T::Offset>() * len)
}

fn of_views(array: &StringViewArray, start: usize, len: usize) -> usize {
    array
        .lengths()
        .skip(start)
        .take(len)
        .map(|length| length as usize + 16)
        .sum()
}

fn of_binary_views(array: &BinaryViewArray, start: usize, len: usize) -> usize {
    array
        .lengths()
        .skip(start)
        .take(len)
        .map(|length| length as usize + 16)
        .sum()
}

fn of_list<O: OffsetSizeTrait>(array: &GenericListArray<O>, start: usize, len: usize) -> usize {
    let (from, count) = range(array.value_offsets(), start, len);
    bytes(array.values(), from, count).saturating_add(size_of::<O>() * len)
}

fn of_fixed_list(array: &FixedSizeListArray, start: usize, len: usize) -> usize {
    let width = usize::try_from(array.value_length()).unwrap_or_default();
    bytes(
        array.values(),
        start.saturating_mul(width),
        len.saturating_mul(width),
    )
}

/// Start and length of what `len` rows from `start` cover.
fn range<O: OffsetSizeTrait>(offsets: &[O], start: usize, len: usize) -> (usize, usize) {
    match (offsets.get(start), offsets.get(start.saturating_add(len))) {
        (Some(from), Some(to)) => (
            from.as_usize(),
            to.as_usize().saturating_sub(from.as_usize()),
        ),
        _ => (0, 0),
    }
}

/// The elements of a list's row: their array, start and length.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else is no list")]
fn elements(array: &dyn Array, row: usize) -> Option<(&ArrayRef, usize, usize)> {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (start, len) = range(list.value_offsets(), row, 1);
            Some((list.values(), start, len))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (start, len) = range(list.value_offsets(), row, 1);
            Some((list.values(), start, len))
        }
        DataType::FixedSizeList(_, width) => {
            let list = array.as_fixed_size_list();
            let width = usize::try_from(*width).unwrap_or_default();
            Some((list.values(), row.saturating_mul(width), width))
        }
        _ => None,
    }
}

/// The types inside a type.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else holds no type")]
pub(super) fn children(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.data_type()).collect(),
        DataType::Dictionary(key, value) => vec![key, value],
        DataType::RunEndEncoded(ends, values) => vec![ends.data_type(), values.data_type()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, ListArray, StringArray};
    use datafusion::common::ScalarValue;

    use super::*;

    #[test]
    fn values_are_counted_row_by_row() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some("de")]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
            Some(vec![Some(1), Some(2)]),
            Some(vec![]),
            None,
        ]));
        let args = [
            ColumnarValue::Array(texts),
            ColumnarValue::Array(lists),
            ColumnarValue::Scalar(ScalarValue::Int32(Some(7))),
        ];
        let rows = Rows::new(&args, 3).unwrap();
        assert_eq!(
            (rows.bytes(0, 0), rows.bytes(0, 1), rows.bytes(0, 2)),
            (7, 0, 6)
        );
        assert_eq!(
            (
                rows.elements(1, 0),
                rows.elements(1, 1),
                rows.elements(1, 2)
            ),
            (2, 0, 0)
        );
        assert_eq!(
            (rows.integer(2, 2), rows.text(0, 2).as_deref()),
            (Some(7), Some("de"))
        );
        assert_eq!((rows.bytes(9, 0), rows.len), (0, 3));
    }

    #[test]
    fn nothing_but_constants_is_one_row() {
        let args = [ColumnarValue::Scalar(ScalarValue::Int64(Some(1)))];
        assert_eq!(Rows::new(&args, 8192).unwrap().len, 1);
        let args = [ColumnarValue::Array(Arc::new(Int64Array::from(vec![1, 2])))];
        assert_eq!(Rows::new(&args, 2).unwrap().len, 2);
    }
}
