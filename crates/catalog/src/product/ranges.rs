//! Between which values the columns of a table lie, by the footers of its files or by what was
//! read of it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};
use datafusion::execution::cache::cache_manager::CachedFileMetadataEntry;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use weft_mesh::Table;

use super::formats;
use super::layout::Layout;

/// The least and the greatest value of a column, by its name in the contract; `None` for one of
/// which the files do not say it.
pub(crate) type Ranges = HashMap<String, Option<Range>>;

type Range = (ScalarValue, ScalarValue);

/// So many columns of so many files are looked at, and no more: it takes microseconds for each,
/// those included that nobody asks for.
const MOST: usize = 20_000;

/// The ranges of `columns`, which all of `footers` together bound.
pub(super) fn of(
    footers: &[CachedFileMetadataEntry],
    columns: &[String],
    table: &Table,
    layout: &Layout,
) -> Ranges {
    let unknown = columns.iter().map(|column| (column.clone(), None));
    let mut ranges: Ranges = unknown.collect();
    let widths = footers.iter().map(formats::columns_by_footer);
    if widths.fold(0, usize::saturating_add) > MOST {
        return ranges;
    }
    let stored = columns.iter().filter_map(|name| {
        let column = table.columns.iter().find(|column| column.name == *name)?;
        let file = layout.stored().file_schema();
        let field = file.field_with_name(&column.physical_name).ok()?;
        Some((name, field.clone()))
    });
    let (names, fields): (Vec<_>, Vec<_>) = stored.unzip();
    let fields: SchemaRef = Arc::new(Schema::new(fields));
    let told = footers
        .iter()
        .map(|footer| formats::ranges_by_footer(footer, &fields));
    let Some(told) = told.collect::<Option<Vec<_>>>() else {
        return ranges;
    };
    for (place, name) in names.into_iter().enumerate() {
        // One file that does not say it is enough.
        let of_files = told
            .iter()
            .map(|columns| columns.get(place).and_then(range));
        let of_files: Option<Vec<_>> = of_files.collect();
        let range = of_files.and_then(|it| it.into_iter().reduce(both));
        ranges.insert(name.clone(), range);
    }
    ranges
}

fn range(column: &ColumnStatistics) -> Option<Range> {
    match (&column.min_value, &column.max_value) {
        (Precision::Absent, _) | (_, Precision::Absent) => None,
        (min, max) => {
            let (min, max) = (min.get_value()?, max.get_value()?);
            (!min.is_null() && !max.is_null()).then(|| (min.clone(), max.clone()))
        }
    }
}

fn both((min, max): Range, (other_min, other_max): Range) -> Range {
    (
        if other_min < min { other_min } else { min },
        if other_max > max { other_max } else { max },
    )
}

/// `None` where all values are NULL, and for types without an order.
pub(crate) fn of_values(values: &ArrayRef) -> Option<Range> {
    let mut min = MinAccumulator::try_new(values.data_type()).ok()?;
    let mut max = MaxAccumulator::try_new(values.data_type()).ok()?;
    let values = std::slice::from_ref(values);
    min.update_batch(values).ok()?;
    max.update_batch(values).ok()?;
    let (min, max) = (min.evaluate().ok()?, max.evaluate().ok()?);
    (!min.is_null() && !max.is_null()).then_some((min, max))
}

/// Takes `range` in, where there is one.
pub(crate) fn widen(ranges: &mut Ranges, column: &str, range: Option<Range>) {
    let Some(range) = range else {
        return;
    };
    let widened = match ranges.remove(column).flatten() {
        Some(before) => both(before, range),
        None => range,
    };
    ranges.insert(column.to_owned(), Some(widened));
}
