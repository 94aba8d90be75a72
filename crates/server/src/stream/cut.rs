//! Cutting a batch into slices of about one message by the real size of its rows.

use std::ops::Range;

use arrow::array::RecordBatch;
use weft_engine::row_bytes;

/// Target weight of one message.
pub(crate) const TARGET_BYTES: u64 = 1024 * 1024;
/// Above this a single row is refused.
pub(crate) const ROW_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// One row that no message can carry; its number in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowTooLarge {
    pub(crate) bytes: u64,
}

/// Row ranges that cover the batch in order, each of about `target` bytes and
/// at least one row; one empty range for a batch of no rows.
pub(crate) fn cut(batch: &RecordBatch, target: u64) -> Result<Vec<Range<usize>>, RowTooLarge> {
    let rows = row_bytes(batch);
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut weight = 0_u64;
    for (row, bytes) in rows.iter().enumerate() {
        if *bytes > ROW_LIMIT_BYTES {
            return Err(RowTooLarge { bytes: *bytes });
        }
        if weight.saturating_add(*bytes) > target && row > start {
            ranges.push(start..row);
            start = row;
            weight = 0;
        }
        weight = weight.saturating_add(*bytes);
    }
    ranges.push(start..rows.len());
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, DictionaryArray, Int32Array, Int64Array, StringArray, StringViewArray,
        StringViewBuilder,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn one_column(array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("c", array, true)]).unwrap()
    }

    #[test]
    fn ranges_cover_the_batch_in_order() {
        let batch = one_column(Arc::new(Int64Array::from_iter_values(0..100)));
        let ranges = cut(&batch, 80).unwrap();
        assert_eq!(ranges.len(), 10);
        assert!(ranges.iter().all(|range| range.len() == 10));
        assert_eq!(ranges.first().unwrap().start, 0);
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(ranges.last().unwrap().end, 100);
        assert_eq!(cut(&batch.slice(0, 0), 80).unwrap(), vec![0..0]);
    }

    #[test]
    fn a_row_above_the_target_travels_alone() {
        let long = "x".repeat(1_000);
        let batch = one_column(Arc::new(StringArray::from(vec!["a", long.as_str(), "b"])));
        assert_eq!(cut(&batch, 100).unwrap(), vec![0..1, 1..2, 2..3]);
    }

    #[test]
    fn views_weigh_what_they_show_not_what_they_hold() {
        let mut views = StringViewBuilder::new().with_fixed_block_size(8 * 1024 * 1024);
        for _ in 0..2_000 {
            views.append_value("x".repeat(1_000));
        }
        let held = views.finish();
        let few: ArrayRef = Arc::new(held.slice(10, 3));
        let batch = one_column(few);
        assert_eq!(row_bytes(&batch), vec![1_004; 3]);
        assert_eq!(cut(&batch, TARGET_BYTES).unwrap().len(), 1);
    }

    #[test]
    fn one_shared_string_weighs_in_every_row() {
        let long = "x".repeat(1024 * 1024);
        let dictionary = DictionaryArray::<Int32Type>::try_new(
            Int32Array::from(vec![0; 50]),
            Arc::new(StringViewArray::from(vec![long.as_str()])),
        )
        .unwrap();
        let ranges = cut(&one_column(Arc::new(dictionary)), TARGET_BYTES).unwrap();
        assert_eq!(ranges.len(), 50);
    }

    #[test]
    fn a_row_above_the_limit_is_refused() {
        let huge = "x".repeat(65 * 1024 * 1024);
        let batch = one_column(Arc::new(StringArray::from(vec!["a", huge.as_str()])));
        let error = cut(&batch, TARGET_BYTES).unwrap_err();
        assert!(error.bytes > ROW_LIMIT_BYTES);
    }
}
