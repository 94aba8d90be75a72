//! What the planner is told of a scan: rows, bytes, and how many values a column has.
//!
//! Only what [`super::visible_rows`] knows goes in, and it never leaves as a bound: an inexact
//! bound would be promoted to a literal by the optimizer. A range becomes a number of values,
//! which sizes joins, and the share of rows that the user's filters leave.

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::intervals::utils::check_support;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{
    AnalysisContext, PhysicalExprRef, analyze, conjunction, split_conjunction,
};

use super::visible_rows::Known;

/// The class of every table that has not been counted: that of a fact table,
/// so that what is known to be small is put into memory before it. Two of them
/// are joined in the order written.
const UNTOLD: usize = 64 * 16 * 16 * 16;

/// What a filter leaves of which nothing is known, as the engine has it.
const A_FIFTH: f64 = 0.2;

/// What `column = value` leaves of a column of which nothing is known (Selinger et al., "Access
/// path selection in a relational database management system", 1979).
const A_TENTH: f64 = 0.1;

/// No filter is taken to leave less: values do not lie evenly in their range.
const AT_LEAST: f64 = 0.001;

/// The size of one scan.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    rows: usize,
    /// Values of each output column, where that is known.
    values: Vec<Option<usize>>,
}

impl Estimate {
    /// Of the columns of `wanted`, and of the rows that pass `filters` over the columns of `all`:
    /// as many as a run has shown to be `passing`, or a guess.
    pub(super) fn new(
        known: Option<&Known>,
        passing: Option<usize>,
        all: &SchemaRef,
        wanted: &Schema,
        filters: &[PhysicalExprRef],
        limit: Option<usize>,
    ) -> Self {
        let mut rows = known.map_or(UNTOLD, |known| known.rows);
        if !filters.is_empty() {
            let guess = scaled(rows, share(known, all, filters));
            rows = match passing {
                // Of what is in one class with all that has not been counted nobody may seem larger.
                Some(passing) if known.is_none() => passing.min(guess),
                Some(passing) => passing,
                None => guess,
            };
        }
        if let Some(limit) = limit {
            rows = rows.min(limit);
        }
        let rows = rows.max(1);
        let values = wanted.fields().iter().map(|field| {
            let (min, max) = range(known?, field.name())?;
            Some(values(min, max)?.clamp(1, rows))
        });
        Self {
            rows,
            values: values.collect(),
        }
    }

    /// Inexact and never 0; of one of `partitions`, if there are any.
    pub(super) fn statistics(&self, schema: &Schema, partitions: Option<usize>) -> Statistics {
        let rows = (self.rows / partitions.unwrap_or(1).max(1)).max(1);
        let column = |values: &Option<usize>| ColumnStatistics {
            distinct_count: values.map_or(Precision::Absent, |it| Precision::Inexact(it.min(rows))),
            ..ColumnStatistics::new_unknown()
        };
        Statistics {
            num_rows: Precision::Inexact(rows),
            total_byte_size: Precision::Inexact(rows.saturating_mul(row_width(schema))),
            column_statistics: self.values.iter().map(column).collect(),
        }
    }
}

/// Whether the range of a column of this type says how many values it may have, or what a
/// filter leaves of it. Floats are missing on purpose: a range leaves NaN aside.
pub(super) fn has_range(data_type: &DataType) -> bool {
    let is_moment = matches!(
        data_type,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    );
    data_type.is_integer() || is_moment
}

/// How many values there are between two.
fn values(min: &ScalarValue, max: &ScalarValue) -> Option<usize> {
    let range = Interval::try_new(min.clone(), max.clone()).ok()?;
    Some(usize::try_from(range.cardinality()?).unwrap_or(usize::MAX))
}

fn range<'a>(known: &'a Known, column: &str) -> Option<&'a (ScalarValue, ScalarValue)> {
    known.ranges.get(column)?.as_ref()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, of a share between 0 and 1"
)]
fn scaled(rows: usize, share: f64) -> usize {
    (rows as f64 * share) as usize
}

/// The share of rows that `filters` leave: by interval arithmetic over those whose columns have
/// known ranges, a tenth of that for each comparison with one value, and a fifth of it if there are
/// others.
fn share(known: Option<&Known>, all: &SchemaRef, filters: &[PhysicalExprRef]) -> f64 {
    let Some(known) = known else {
        return A_FIFTH;
    };
    let is_ranged = |filter: &PhysicalExprRef| {
        let columns = collect_columns(filter);
        !columns.is_empty()
            && columns
                .iter()
                .all(|column| range(known, column.name()).is_some())
            && check_support(filter, all)
    };
    let (ranged, others): (Vec<_>, Vec<_>) = filters.iter().cloned().partition(is_ranged);
    let (mut share, mut is_mixed) = (1.0, false);
    for filter in others.iter().flat_map(split_conjunction) {
        match is_equality(filter) {
            true => share *= A_TENTH,
            false => is_mixed = true,
        }
    }
    if is_mixed {
        share *= A_FIFTH;
    }
    if !ranged.is_empty() {
        share *= ranged_share(known, all, ranged).unwrap_or(A_FIFTH);
    }
    share.max(AT_LEAST)
}

/// `column = value`.
fn is_equality(filter: &PhysicalExprRef) -> bool {
    filter.downcast_ref::<BinaryExpr>().is_some_and(|it| {
        let sides = [it.left(), it.right()];
        *it.op() == Operator::Eq
            && sides.iter().any(|side| side.is::<Column>())
            && sides.iter().any(|side| side.is::<Literal>())
    })
}

fn ranged_share(known: &Known, all: &SchemaRef, filters: Vec<PhysicalExprRef>) -> Option<f64> {
    let columns = all.fields().iter().map(|field| {
        let mut column = ColumnStatistics::new_unknown();
        if let Some((min, max)) = range(known, field.name()) {
            column.min_value = Precision::Inexact(min.clone());
            column.max_value = Precision::Inexact(max.clone());
            let values = values(min, max).map(|values| values.min(known.rows).max(1));
            column.distinct_count = values.map_or(Precision::Absent, Precision::Inexact);
        }
        column
    });
    let columns: Vec<_> = columns.collect();
    let context = AnalysisContext::try_from_statistics(all, &columns).ok()?;
    let filter = conjunction(filters);
    analyze(&filter, context, all).ok()?.selectivity
}

/// Bytes of a row in memory, from declared types alone.
fn row_width(schema: &Schema) -> usize {
    schema
        .fields()
        .iter()
        .map(|f| type_width(f.data_type()))
        .sum::<usize>()
        .max(8)
}

fn type_width(data_type: &DataType) -> usize {
    match data_type.primitive_width() {
        Some(width) => width,
        None if matches!(data_type, DataType::Boolean) => 1,
        None => 32,
    }
}
