//! Views laid end to end, as clients read text and bytes.
//!
//! A result of many short texts spends more time here than in anything else that
//! sends it, so the values of inline views are copied as a block of their greatest
//! length, and what is too much of it is cut off again.

use arrow::array::{Array, GenericByteArray, GenericByteViewArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ByteArrayType, ByteViewType};
use arrow::error::ArrowError;

/// A view: its length, and then its value or where that lies.
const LENGTH: usize = size_of::<u32>();
/// The longest value that lies in its view.
const INLINE: usize = size_of::<u128>() - LENGTH;

/// The values of `views` with offsets of 32 bits, nulls where they are.
///
/// # Errors
/// [`ArrowError::OffsetOverflowError`] for more than 2 GiB of values, and
/// [`ArrowError::InvalidArgumentError`] for views that the array's buffers do not have.
pub(super) fn laid_out<V, B>(
    views: &GenericByteViewArray<V>,
) -> Result<GenericByteArray<B>, ArrowError>
where
    V: ByteViewType,
    B: ByteArrayType<Offset = i32>,
{
    let nulls = views.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    // What the views of nulls say means nothing.
    let lengths = views.lengths().enumerate();
    let lengths = lengths.map(|(row, length)| u64::from(if is_null(row) { 0 } else { length }));
    let total: u64 = lengths.sum();
    let overflow = || ArrowError::OffsetOverflowError(usize::try_from(total).unwrap_or(usize::MAX));
    if i32::try_from(total).is_err() {
        return Err(overflow());
    }
    let total = usize::try_from(total).map_err(|_| overflow())?;
    let mut values = Vec::with_capacity(total + INLINE);
    let mut offsets = Vec::with_capacity(views.len() + 1);
    offsets.push(0);
    for (row, view) in views.views().iter().enumerate() {
        if !is_null(row) {
            append(&mut values, *view, views.data_buffers())?;
        }
        offsets.push(i32::try_from(values.len()).map_err(|_| overflow())?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    GenericByteArray::try_new(offsets, Buffer::from_vec(values), nulls)
}

fn append(values: &mut Vec<u8>, view: u128, buffers: &[Buffer]) -> Result<(), ArrowError> {
    let view = view.to_le_bytes();
    let part = |at: usize| {
        let bytes = view.get(at..at + LENGTH).and_then(|it| it.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes) as usize
    };
    let length = part(0);
    if length <= INLINE {
        let end = values.len() + length;
        values.extend_from_slice(&view[LENGTH..]);
        values.truncate(end);
        return Ok(());
    }
    let (buffer, start) = (part(2 * LENGTH), part(3 * LENGTH));
    let value = buffers
        .get(buffer)
        .and_then(|buffer| buffer.as_slice().get(start..start + length));
    let value = value.ok_or_else(|| {
        ArrowError::InvalidArgumentError("a view of a value that is not there".to_owned())
    })?;
    values.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, BinaryViewArray, StringArray, StringViewArray, StringViewBuilder,
    };
    use arrow::buffer::NullBuffer;

    use super::*;

    #[test]
    fn values_of_every_length_keep_their_places() {
        let texts: Vec<_> = (0..40).map(|length| "é".repeat(length)).collect();
        let some = texts.iter().enumerate();
        let some: Vec<_> = some
            .map(|(row, text)| (row % 7 != 3).then_some(text.as_str()))
            .collect();
        let views = StringViewArray::from(some.clone());
        let laid: StringArray = laid_out(&views).unwrap();
        assert_eq!(laid, StringArray::from(some.clone()));
        let part: StringArray = laid_out(&views.slice(5, 20)).unwrap();
        assert_eq!(part, StringArray::from(some[5..25].to_vec()));
        let none: StringArray = laid_out(&views.slice(5, 0)).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn bytes_of_several_buffers() {
        let mut views = StringViewBuilder::new().with_fixed_block_size(64);
        let texts: Vec<_> = (0..50).map(|row| format!("{row:>20}")).collect();
        for text in &texts {
            views.append_value(text);
        }
        let views = views.finish();
        assert!(views.data_buffers().len() > 5);
        let laid: BinaryArray = laid_out(&views.to_binary_view()).unwrap();
        let expected: Vec<_> = texts.iter().map(|text| Some(text.as_bytes())).collect();
        assert_eq!(laid, BinaryArray::from(expected));
    }

    #[test]
    fn what_a_null_view_holds_is_not_sent() {
        let views =
            BinaryViewArray::from(vec![b"hidden in the view's buffer".as_slice(), b"shown"]);
        let (views, buffers, _) = views.into_parts();
        let nulls = NullBuffer::from(vec![false, true]);
        let views = BinaryViewArray::new(views, buffers, Some(nulls));
        let laid: BinaryArray = laid_out(&views).unwrap();
        assert_eq!(laid.value_data(), b"shown");
        assert!(laid.is_null(0));
        assert_eq!(laid.value(1), b"shown");
    }
}
