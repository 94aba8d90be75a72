//! What rows weigh.
//!
//! The memory that an array holds says little about what a slice of it will
//! weigh: twenty rows of string views may keep fifty megabytes of buffers alive,
//! and a million views may share one string. So the bytes of each row are added
//! up from lengths and offsets, before anything is copied.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{ArrowNativeType, DataType},
    downcast_dictionary_array,
};

/// What the values of each row weigh, as Arrow has them: so many bytes for a
/// number, its length and four more for a text or a list.
pub fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut rows = vec![0; batch.num_rows()];
    for column in batch.columns() {
        add_bytes(column, &mut rows);
    }
    rows
}

/// Adds the weight of each value of `array` to `rows`, which has its length.
fn add_bytes(array: &ArrayRef, rows: &mut [u64]) {
    let data_type = array.data_type();
    match data_type {
        DataType::Null => {}
        DataType::Utf8 => add_offsets(array.as_string::<i32>().value_offsets(), rows),
        DataType::LargeUtf8 => add_offsets(array.as_string::<i64>().value_offsets(), rows),
        DataType::Binary => add_offsets(array.as_binary::<i32>().value_offsets(), rows),
        DataType::LargeBinary => add_offsets(array.as_binary::<i64>().value_offsets(), rows),
        DataType::Utf8View => add_views(array.as_string_view().views(), rows),
        DataType::BinaryView => add_views(array.as_binary_view().views(), rows),
        DataType::FixedSizeBinary(width) => add_constant(width.unsigned_abs().into(), rows),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_list(list.values(), list.value_offsets(), rows);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            add_list(list.values(), list.value_offsets(), rows);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            add_list(&entries, map.value_offsets(), rows);
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            add_list_view(
                list.values(),
                list.value_offsets(),
                list.value_sizes(),
                rows,
            );
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            add_list_view(
                list.values(),
                list.value_offsets(),
                list.value_sizes(),
                rows,
            );
        }
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let length = length.unsigned_abs() as usize;
            let sums = prefix_sums(list.values());
            for (row, bytes) in rows.iter_mut().enumerate() {
                *bytes += between(&sums, row * length, (row + 1) * length);
            }
        }
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                add_bytes(column, rows);
            }
        }
        DataType::Dictionary(_, _) => {
            let array: &dyn Array = array.as_ref();
            downcast_dictionary_array!(
                array => {
                    let sizes = value_bytes(array.values());
                    for (bytes, key) in rows.iter_mut().zip(array.keys().iter()) {
                        let size = key.and_then(|key| sizes.get(key.as_usize()));
                        *bytes += size.copied().unwrap_or(1);
                    }
                }
                _ => add_constant(8, rows)
            );
        }
        // Run-ends and unions are rare in results: spread what they hold.
        DataType::RunEndEncoded(_, _) | DataType::Union(_, _) => {
            let rows_held = u64::try_from(rows.len().max(1)).unwrap_or(u64::MAX);
            let held = u64::try_from(array.get_buffer_memory_size()).unwrap_or(u64::MAX);
            add_constant(held / rows_held, rows);
        }
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(_, _)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => {
            let width = data_type.primitive_width().unwrap_or(1);
            add_constant(u64::try_from(width).unwrap_or(32), rows);
        }
    }
}

fn add_constant(width: u64, rows: &mut [u64]) {
    for bytes in rows {
        *bytes += width;
    }
}

fn add_offsets<O: ArrowNativeType>(offsets: &[O], rows: &mut [u64]) {
    let ends = offsets.iter().skip(1);
    for (bytes, (start, end)) in rows.iter_mut().zip(offsets.iter().zip(ends)) {
        let length = end.as_usize().saturating_sub(start.as_usize());
        *bytes += 4 + u64::try_from(length).unwrap_or(u64::MAX / 2);
    }
}

fn add_views(views: &[u128], rows: &mut [u64]) {
    for (bytes, view) in rows.iter_mut().zip(views) {
        // The low 32 bits of a view are its length.
        *bytes += 4 + u64::try_from(view & u128::from(u32::MAX)).unwrap_or_default();
    }
}

fn add_list<O: ArrowNativeType>(values: &ArrayRef, offsets: &[O], rows: &mut [u64]) {
    let sums = prefix_sums(values);
    let ends = offsets.iter().skip(1);
    for (bytes, (start, end)) in rows.iter_mut().zip(offsets.iter().zip(ends)) {
        *bytes += 4 + between(&sums, start.as_usize(), end.as_usize());
    }
}

fn add_list_view<O: ArrowNativeType>(
    values: &ArrayRef,
    offsets: &[O],
    sizes: &[O],
    rows: &mut [u64],
) {
    let sums = prefix_sums(values);
    for (bytes, (offset, size)) in rows.iter_mut().zip(offsets.iter().zip(sizes)) {
        let start = offset.as_usize();
        *bytes += 4 + between(&sums, start, start.saturating_add(size.as_usize()));
    }
}

fn value_bytes(values: &ArrayRef) -> Vec<u64> {
    let mut sizes = vec![0; values.len()];
    add_bytes(values, &mut sizes);
    sizes
}

/// `sums[i]` weighs the first `i` values.
fn prefix_sums(values: &ArrayRef) -> Vec<u64> {
    let mut total = 0_u64;
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push(0);
    for bytes in value_bytes(values) {
        total = total.saturating_add(bytes);
        sums.push(total);
    }
    sums
}

fn between(sums: &[u64], start: usize, end: usize) -> u64 {
    match (sums.get(start), sums.get(end)) {
        (Some(start), Some(end)) => end.saturating_sub(*start),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{Int64Array, ListArray, StringArray},
        datatypes::Int32Type,
    };

    use super::*;

    #[test]
    fn a_row_weighs_what_its_values_do() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "a", "abc"]));
        let columns = [("n", numbers, true), ("t", texts, true)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        assert_eq!(row_bytes(&batch), [12, 13, 15]);
        assert_eq!(row_bytes(&batch.slice(2, 1)), [15]);
    }

    #[test]
    fn lists_weigh_their_items_also_when_sliced() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![Some(3)]),
        ]);
        let array: ArrayRef = Arc::new(list.slice(1, 2));
        assert_eq!(value_bytes(&array), vec![4, 8]);
    }
}
