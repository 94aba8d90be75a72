//! `truncate_month` and `truncate_year`: the first day of the month or year,
//! in UTC and the proleptic Gregorian calendar. What would begin before the
//! least value of the type begins there.
//!
//! The calendar is computed in 64 bits (Hinnant, "chrono-Compatible Low-Level
//! Date Algorithms"), since a timestamp reaches far beyond what date libraries
//! hold.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

/// What a date is truncated to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    Month,
    Year,
}

pub(super) fn fits(input: &DataType) -> bool {
    matches!(
        input,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    )
}

/// Truncates every date or timestamp.
pub(super) fn truncate(values: &dyn Array, unit: Unit) -> Option<ArrayRef> {
    const SECONDS: i64 = 86_400;
    let instant = move |value: i64, a_day: i64| {
        let days = first_day(value.div_euclid(a_day), unit);
        days.saturating_mul(a_day)
    };
    let data_type = values.data_type();
    if *data_type == DataType::Date32 {
        return map::<Date32Type>(values, |days| {
            i32::try_from(first_day(i64::from(days), unit)).unwrap_or(i32::MIN)
        });
    }
    if *data_type == DataType::Date64 {
        return map::<Date64Type>(values, |value| instant(value, SECONDS * 1_000));
    }
    let DataType::Timestamp(resolution, _) = data_type else {
        return None;
    };
    match resolution {
        TimeUnit::Second => map::<TimestampSecondType>(values, |value| instant(value, SECONDS)),
        TimeUnit::Millisecond => {
            map::<TimestampMillisecondType>(values, |value| instant(value, SECONDS * 1_000))
        }
        TimeUnit::Microsecond => {
            map::<TimestampMicrosecondType>(values, |value| instant(value, SECONDS * 1_000_000))
        }
        TimeUnit::Nanosecond => {
            map::<TimestampNanosecondType>(values, |value| instant(value, SECONDS * 1_000_000_000))
        }
    }
}

/// The first day of the month or year of a day, both in days since 1970-01-01.
fn first_day(days: i64, unit: Unit) -> i64 {
    /// Days from 0000-03-01, where the leap day ends the year, to 1970-01-01.
    const EPOCH: i64 = 719_468;
    const ERA: i64 = 146_097;
    let era = (days + EPOCH).div_euclid(ERA);
    let day_of_era = (days + EPOCH).rem_euclid(ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March, of 30.6 days on average.
    let month = (5 * day_of_year + 2) / 153;
    let start = |month: i64| (153 * month + 2) / 5;
    match unit {
        Unit::Month => days - (day_of_year - start(month)),
        // January and February belong to the year that began ten months after
        // its March; the others follow a January of 31 and a February.
        Unit::Year if month >= 10 => days - (day_of_year - start(10)),
        Unit::Year => {
            let year = era * 400 + year_of_era;
            let leap =
                year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
            days - day_of_year - 59 - i64::from(leap)
        }
    }
}

/// Applies a total function to values of one type and keeps that type.
fn map<T: ArrowPrimitiveType>(
    values: &dyn Array,
    each: impl Fn(T::Native) -> T::Native,
) -> Option<ArrayRef> {
    let values: &PrimitiveArray<T> = values.as_primitive_opt()?;
    let masked: PrimitiveArray<T> = values.unary(each);
    Some(Arc::new(masked.with_data_type(values.data_type().clone())))
}
