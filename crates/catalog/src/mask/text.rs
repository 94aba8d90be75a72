//! The masks of text that keep its length: `show_last`, `show_first` and
//! `alphanum`. A character is a Unicode scalar value.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, GenericStringBuilder, OffsetSizeTrait,
    StringViewBuilder,
};

/// The end of a text whose characters stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    First,
    Last,
}

/// Replaces all but `count` characters at one end by `*`, or all of them where
/// there are no more than `count`.
pub(super) fn show(values: &dyn Array, end: End, count: u32) -> Option<ArrayRef> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    map(values, |text, out| {
        let length = text.chars().count();
        let shown = if length > count { count } else { 0 };
        let starred = length - shown;
        match end {
            End::First => {
                out.extend(text.chars().take(shown));
                out.extend(std::iter::repeat_n('*', starred));
            }
            End::Last => {
                out.extend(std::iter::repeat_n('*', starred));
                out.extend(text.chars().skip(starred));
            }
        }
    })
}

/// Replaces letters by `x` and digits by `9`, in every script.
pub(super) fn alphanum(values: &dyn Array) -> Option<ArrayRef> {
    map(values, |text, out| {
        out.extend(text.chars().map(|c| match c {
            c if c.is_alphabetic() => 'x',
            c if c.is_numeric() => '9',
            c => c,
        }));
    })
}

/// Writes every text anew, in the layout that it has. No text grows in bytes,
/// so that offsets cannot overflow.
fn map(values: &dyn Array, each: impl Fn(&str, &mut String)) -> Option<ArrayRef> {
    if let Some(values) = values.as_string_opt::<i32>() {
        return Some(map_offsets(values, each));
    }
    if let Some(values) = values.as_string_opt::<i64>() {
        return Some(map_offsets(values, each));
    }
    let values = values.as_string_view_opt()?;
    let mut out = StringViewBuilder::with_capacity(values.len());
    let mut masked = String::new();
    for value in values {
        out.append_option(value.map(|text| {
            masked.clear();
            each(text, &mut masked);
            masked.as_str()
        }));
    }
    Some(Arc::new(out.finish()))
}

fn map_offsets<O: OffsetSizeTrait>(
    values: &GenericStringArray<O>,
    each: impl Fn(&str, &mut String),
) -> ArrayRef {
    let bytes = values
        .value_offsets()
        .last()
        .zip(values.value_offsets().first());
    let bytes = bytes.map_or(0, |(end, start)| end.as_usize() - start.as_usize());
    let mut out = GenericStringBuilder::<O>::with_capacity(values.len(), bytes);
    let mut masked = String::new();
    for value in values {
        out.append_option(value.map(|text| {
            masked.clear();
            each(text, &mut masked);
            masked.as_str()
        }));
    }
    Arc::new(out.finish())
}
