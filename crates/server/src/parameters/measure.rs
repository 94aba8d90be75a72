//! What parameters come to, without making it: a dictionary, a view or a union says a value in
//! few bytes any number of times, and a type without bytes any number of nothing.

use arrow::array::{Array, AsArray, GenericByteArray, GenericByteViewArray};
use arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType, DataType};

use super::LIMIT_BYTES;

/// What a text or binary takes beside its bytes.
const VALUE_BYTES: usize = size_of::<i32>();
/// So many values of a dictionary are more than [`LIMIT_BYTES`] whatever they are.
const MOST_KEYS: usize = LIMIT_BYTES / VALUE_BYTES;

/// The bytes of the values of `array`, each as often as it is said; or a type that says
/// how many values there are without having any bytes for them, or that is taken by nobody.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other types hold no others"
)]
pub(super) fn expanded(array: &dyn Array) -> Result<usize, DataType> {
    let data_type = array.data_type();
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = dictionary.values();
        if values.is_empty() {
            return Ok(0);
        }
        if dictionary.keys().len() > MOST_KEYS {
            return Ok(usize::MAX);
        }
        let mut sum = 0_usize;
        for key in dictionary.normalized_keys() {
            let size = size(values, key).ok_or_else(|| data_type.clone())?;
            sum = sum.saturating_add(size);
        }
        return Ok(sum);
    }
    // Null only where the rows are counted: as a column.
    let inside = |part: &dyn Array| match part.data_type() {
        DataType::Null | DataType::FixedSizeBinary(0) | DataType::FixedSizeList(_, 0) => {
            Err(part.data_type().clone())
        }
        DataType::Struct(fields) if fields.is_empty() => Err(part.data_type().clone()),
        _ => expanded(part),
    };
    Ok(match data_type {
        DataType::List(_) => inside(array.as_list::<i32>().values())?,
        DataType::LargeList(_) => inside(array.as_list::<i64>().values())?,
        DataType::FixedSizeList(_, _) => inside(array.as_fixed_size_list().values())?,
        DataType::Map(_, _) => inside(array.as_map().entries())?,
        DataType::Struct(_) => {
            let mut sum = 0_usize;
            for part in array.as_struct().columns() {
                sum = sum.saturating_add(inside(part)?);
            }
            sum
        }
        // Their rows may say one value any number of times.
        DataType::ListView(_) | DataType::LargeListView(_) | DataType::RunEndEncoded(_, _) => {
            return Err(data_type.clone());
        }
        // As drivers bind values of several types.
        DataType::Union(_, _) => {
            let union = array.as_union();
            let mut sum = 0_usize;
            for at in 0..union.len() {
                let part = union.child(union.type_id(at));
                let bytes = match part.data_type() {
                    DataType::Null => Some(VALUE_BYTES),
                    _ => size(part, union.value_offset(at)),
                };
                sum = sum.saturating_add(bytes.ok_or_else(|| data_type.clone())?);
            }
            sum
        }
        DataType::Utf8View | DataType::BinaryView => (0..array.len())
            .filter_map(|at| size(array, at))
            .fold(0, usize::saturating_add),
        // It becomes a text without a value.
        DataType::Null => array.len().saturating_mul(VALUE_BYTES),
        _ => array
            .to_data()
            .get_slice_memory_size()
            .map_err(|_| data_type.clone())?,
    })
}

/// The bytes of one value, as a text or binary of its own; none of a type whose values hold
/// others, and of one that has no bytes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other types have a width, or hold others"
)]
fn size(array: &dyn Array, at: usize) -> Option<usize> {
    fn length<T: ByteArrayType>(array: &GenericByteArray<T>, at: usize) -> usize {
        array.value_length(at).as_usize()
    }
    fn view<T: ByteViewType>(array: &GenericByteViewArray<T>, at: usize) -> Option<usize> {
        // The length is the lower half of a view.
        let view = array.views().get(at)?;
        usize::try_from(view & u128::from(u32::MAX)).ok()
    }
    let bytes = match array.data_type() {
        DataType::Utf8 => length(array.as_string::<i32>(), at),
        DataType::LargeUtf8 => length(array.as_string::<i64>(), at),
        DataType::Binary => length(array.as_binary::<i32>(), at),
        DataType::LargeBinary => length(array.as_binary::<i64>(), at),
        DataType::Utf8View => view(array.as_string_view(), at)?,
        DataType::BinaryView => view(array.as_binary_view(), at)?,
        DataType::FixedSizeBinary(size @ 1..) => usize::try_from(*size).ok()?,
        DataType::Boolean => 1,
        other => other.primitive_width()?,
    };
    Some(bytes.saturating_add(VALUE_BYTES))
}
