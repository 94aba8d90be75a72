//! `range` and `generate_series`, as lists and as tables: how long they get.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, AsArray},
        datatypes::{DataType, IntervalMonthDayNanoType, TimeUnit},
    },
    catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider},
    common::plan_err,
    error::Result,
    logical_expr::{ColumnarValue, Expr},
};

use super::{caps::exceeded, size::Rows};

/// Rows of one series as a table.
const MOST_ROWS: usize = 10_000_000;

const HOUR: f64 = 3600e9;

/// Bytes of a series as a list.
pub(super) fn list_bytes(rows: &Rows, row: usize) -> usize {
    elements(rows, row).saturating_mul(16)
}

/// Values of a series; an upper bound where calendars are irregular.
fn elements(rows: &Rows, row: usize) -> usize {
    let (Some(first), second) = (position(rows, 0, row), position(rows, 1, row)) else {
        return 0;
    };
    let (start, stop) = match second {
        Some(stop) => (first, stop),
        None if rows.arguments() == 1 => (0.0, first),
        None => return 0,
    };
    let step = if rows.arguments() < 3 {
        Some(1.0)
    } else {
        step(rows, row)
    };
    match step {
        Some(step) if step != 0.0 && (stop - start) / step >= 0.0 => {
            let count = (stop - start) / step + 2.0;
            if count >= 1e18 {
                usize::MAX
            } else {
                count as usize
            }
        }
        // A step of nothing is an error, one that leads away an empty series.
        _ => 0,
    }
}

/// A number, or a point in time as nanoseconds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all else is cast to an integer before the call"
)]
fn position(rows: &Rows, argument: usize, row: usize) -> Option<f64> {
    let value = rows.value(argument, row)?;
    let number = rows.integer(argument, row).map(|number| number as f64);
    match value.data_type() {
        DataType::Date32 => number.map(|days| days * 24.0 * HOUR),
        DataType::Timestamp(TimeUnit::Second, _) => number.map(|n| n * 1e9),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => number.map(|n| n * 1e6),
        DataType::Timestamp(TimeUnit::Microsecond, _) => number.map(|n| n * 1e3),
        _ => number,
    }
}

/// A number, or the shortest that an interval can be, as nanoseconds.
fn step(rows: &Rows, row: usize) -> Option<f64> {
    let value = rows.value(2, row)?;
    let Some(interval) = value.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return rows.integer(2, row).map(|number| number as f64);
    };
    let interval = (!interval.is_empty()).then(|| interval.value(0))?;
    let days = f64::from(interval.months) * 28.0 + f64::from(interval.days);
    Some(days * 23.0 * HOUR + interval.nanoseconds as f64)
}

/// A table function with a limit on its rows.
#[derive(Debug)]
struct CappedSeries {
    inner: Arc<TableFunction>,
}

/// `inner`, refusing more than ten million rows.
pub(super) fn capped(inner: Arc<TableFunction>) -> Arc<TableFunction> {
    let name = inner.name().to_owned();
    Arc::new(TableFunction::new(name, Arc::new(CappedSeries { inner })))
}

impl TableFunctionImpl for CappedSeries {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no constant could not be folded"
    )]
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let constants = args.exprs().iter().map(|expr| match expr {
            Expr::Literal(value, _) => Some(ColumnarValue::Scalar(value.clone())),
            _ => None,
        });
        let Some(constants) = constants.collect::<Option<Vec<_>>>() else {
            return plan_err!(
                "the arguments of `{}` cannot be computed",
                self.inner.name()
            );
        };
        let rows = Rows::new(&constants, 1)?;
        if elements(&rows, 0) > MOST_ROWS + 2 {
            return Err(exceeded(format!(
                "{}: over {MOST_ROWS} rows",
                self.inner.name()
            )));
        }
        self.inner.create_table_provider_with_args(args)
    }
}
