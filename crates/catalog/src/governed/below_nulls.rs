//! Nothing stands below a NULL that leaves a seal.
//!
//! The engine makes a cell NULL by a bit: a `CASE` keeps the value below it, and
//! the fields of a struct stay readable one by one. Readers leave what they last
//! decoded below a NULL, which may be of a hidden row. The bytes would travel to
//! the client, who need not look at the bit. So columns of tables that hide
//! something are written anew, with the type's zero at every NULL.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, MutableArrayData, OffsetSizeTrait, StructArray,
    make_array,
};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::arrow::error::ArrowError;

/// `column` with nothing below its NULLs, nor below those inside it.
pub(crate) fn emptied(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others have no parts of their own type"
    )]
    let column: ArrayRef = match column.data_type() {
        DataType::Struct(fields) if !column.is_empty() => {
            let parts = column.as_struct();
            let columns = parts.columns().iter().map(emptied);
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new(
                fields.clone(),
                columns,
                parts.nulls().cloned(),
            )?)
        }
        DataType::List(item) => list::<i32>(column, item)?,
        DataType::LargeList(item) => list::<i64>(column, item)?,
        _ => Arc::clone(column),
    };
    let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(column);
    };
    let data = column.to_data();
    let mut written = MutableArrayData::new(vec![&data], true, column.len());
    let mut end = 0;
    for (start, stop) in nulls.valid_slices() {
        written.try_extend_nulls(start - end)?;
        written.try_extend(0, start, stop)?;
        end = stop;
    }
    written.try_extend_nulls(column.len() - end)?;
    Ok(make_array(written.freeze()))
}

fn list<O: OffsetSizeTrait>(column: &ArrayRef, item: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let lists = column.as_list::<O>();
    Ok(Arc::new(GenericListArray::<O>::try_new(
        Arc::clone(item),
        lists.offsets().clone(),
        emptied(lists.values())?,
        lists.nulls().cloned(),
    )?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, BooleanArray, Int64Array, StringArray, StructArray};
    use datafusion::arrow::compute::nullif;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type};

    use super::*;

    fn second_hidden(values: &dyn Array) -> ArrayRef {
        let hides = BooleanArray::from(vec![false, true, false]);
        emptied(&nullif(values, &hides).unwrap()).unwrap()
    }

    #[test]
    fn numbers_are_zero_below_null() {
        let numbers = second_hidden(&Int64Array::from(vec![1, 42, 3]));
        let numbers = numbers.as_primitive::<Int64Type>();
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
        assert_eq!(numbers.values().as_ref(), [1, 0, 3]);
    }

    #[test]
    fn texts_are_gone() {
        let texts = second_hidden(&StringArray::from(vec!["a", "secret", "b"]));
        let texts = texts.as_string::<i32>();
        assert_eq!(texts.values().as_slice(), b"ab");
        assert!(texts.is_null(1));
    }

    #[test]
    fn fields_that_are_null_have_nothing_below() {
        let field = Arc::new(Field::new("a", DataType::Int64, true));
        let hides = BooleanArray::from(vec![false, true, false]);
        let values = nullif(&Int64Array::from(vec![1, 42, 3]), &hides).unwrap();
        let docs = Arc::new(StructArray::from(vec![(field, values)])) as ArrayRef;
        let docs = emptied(&docs).unwrap();
        let inside = docs.as_struct().column(0).as_primitive::<Int64Type>();
        assert_eq!(inside.values().as_ref(), [1, 0, 3]);
        assert_eq!((docs.null_count(), inside.null_count()), (0, 1));
    }

    #[test]
    fn fields_of_a_struct_are_null_with_it() {
        let field = Arc::new(Field::new("a", DataType::Int64, true));
        let values = Arc::new(Int64Array::from(vec![1, 42, 3])) as ArrayRef;
        let docs = second_hidden(&StructArray::from(vec![(field, values)]));
        let inside = docs.as_struct().column(0).as_primitive::<Int64Type>();
        assert!(inside.is_null(1));
        assert_eq!(inside.values().as_ref(), [1, 0, 3]);
    }
}
