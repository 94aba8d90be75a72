//! What lies under a NULL is erased before it leaves the seal.
//!
//! Arrow keeps validity apart from values: a cell that a CASE has made NULL may
//! still have its value in the buffer below. Nobody should look there, but some
//! do: the field of a struct is read without its parent's validity, and
//! whole buffers go to clients over the wire.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, MutableArrayData, make_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

/// The same array, where every NULL has nothing under it: zero, no bytes, no
/// items, NULL in every field.
///
/// # Errors
/// The array has more items or bytes than its offsets can count.
pub(crate) fn erase_under_nulls(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(Arc::clone(array));
    };
    let data = array.to_data();
    let mut erased = MutableArrayData::new(vec![&data], true, array.len());
    let mut end = 0;
    for (from, to) in nulls.valid_slices() {
        erased.try_extend_nulls(from - end)?;
        erased.try_extend(0, from, to)?;
        end = to;
    }
    erased.try_extend_nulls(array.len() - end)?;
    Ok(compacted(make_array(erased.freeze())))
}

/// Views point into buffers that hold the texts of other rows as well.
fn compacted(array: ArrayRef) -> ArrayRef {
    if *array.data_type() == DataType::Utf8View {
        return Arc::new(array.as_string_view().gc());
    }
    if *array.data_type() == DataType::BinaryView {
        return Arc::new(array.as_binary_view().gc());
    }
    array
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, ListArray, StringViewArray, StructArray};
    use datafusion::arrow::buffer::NullBuffer;
    use datafusion::arrow::datatypes::{Field, Fields, Int64Type as Long};

    use super::*;

    fn hidden() -> Option<NullBuffer> {
        Some(NullBuffer::from(vec![true, false, true]))
    }

    #[test]
    fn numbers_are_zero() {
        let array: ArrayRef = Arc::new(Int64Array::new(vec![1, 42, 3].into(), hidden()));
        let erased = erase_under_nulls(&array).unwrap();
        assert_eq!(erased.as_primitive::<Long>().values().as_ref(), [1, 0, 3]);
        assert_eq!(&erased, &array);
    }

    #[test]
    fn fields_of_structs_are_null() {
        let field = Fields::from(vec![Field::new("a", DataType::Int64, true)]);
        let child: ArrayRef = Arc::new(Int64Array::from(vec![1, 42, 3]));
        let array: ArrayRef = Arc::new(StructArray::new(field, vec![child], hidden()));
        let erased = erase_under_nulls(&array).unwrap();
        let child = erased.as_struct().column(0).as_primitive::<Long>();
        assert!(child.is_null(1));
        assert_eq!(child.values().as_ref(), [1, 0, 3]);
    }

    #[test]
    fn texts_are_gone() {
        let long = "a text that is longer than a view";
        let texts = StringViewArray::from(vec!["a", long, "b"]);
        let (views, buffers, _) = texts.into_parts();
        let array: ArrayRef = Arc::new(StringViewArray::new(views, buffers, hidden()));
        let erased = erase_under_nulls(&array).unwrap();
        let erased = erased.as_string_view();
        assert!(erased.data_buffers().iter().all(|buffer| buffer.is_empty()));
        assert_eq!(erased.views()[1], 0);
    }

    #[test]
    fn lists_are_empty() {
        let items = [
            Some(vec![Some(1)]),
            Some(vec![Some(42)]),
            Some(vec![Some(3)]),
        ];
        let lists = ListArray::from_iter_primitive::<Long, _, _>(items);
        let (field, offsets, values, _) = lists.into_parts();
        let array: ArrayRef = Arc::new(ListArray::new(field, offsets, values, hidden()));
        let erased = erase_under_nulls(&array).unwrap();
        let values = erased.as_list::<i32>().values();
        assert_eq!(values.as_primitive::<Long>().values().as_ref(), [1, 3]);
    }
}
