//! Dates, times and timestamps of ISO 8601, read strictly.

use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};
use chrono::NaiveDate;
use datafusion_common::ScalarValue;

use super::{per_second, short};

const SECONDS_A_DAY: i64 = 86_400;
const MILLISECONDS_A_DAY: i64 = 86_400_000;

/// `2026-01-31`.
pub(super) fn date(text: &str, data_type: &DataType) -> Result<ScalarValue, String> {
    let days = days(text)
        .ok_or_else(|| format!("`'{}'` is not a date; write it as 2026-01-31", short(text)))?;
    Ok(if *data_type == DataType::Date64 {
        ScalarValue::Date64(Some(i64::from(days) * MILLISECONDS_A_DAY))
    } else {
        ScalarValue::Date32(Some(days))
    })
}

/// `23:59`, `23:59:59` or `23:59:59.999999999`.
pub(super) fn time(text: &str, unit: TimeUnit) -> Result<ScalarValue, String> {
    let nanoseconds = nanoseconds_of_day(text)
        .ok_or_else(|| format!("`'{}'` is not a time; write it as 23:59:59", short(text)))?;
    let value = in_unit(text, i128::from(nanoseconds), unit)?;
    Ok(match unit {
        TimeUnit::Second => ScalarValue::Time32Second(i32::try_from(value).ok()),
        TimeUnit::Millisecond => ScalarValue::Time32Millisecond(i32::try_from(value).ok()),
        TimeUnit::Microsecond => ScalarValue::Time64Microsecond(Some(value)),
        TimeUnit::Nanosecond => ScalarValue::Time64Nanosecond(Some(value)),
    })
}

/// `2026-01-31`, `2026-01-31 23:59:59.5` or `2026-01-31T23:59:59Z`, also with
/// an offset. Without an offset it is UTC; with one the column has to have a
/// time zone.
pub(super) fn timestamp(
    text: &str,
    unit: TimeUnit,
    zone: Option<&Arc<str>>,
) -> Result<ScalarValue, String> {
    let malformed = || {
        format!(
            "`'{}'` is not a timestamp; write it as 2026-01-31T23:59:59Z",
            short(text)
        )
    };
    let (date, rest) = match text.split_at_checked(10) {
        Some((date, rest)) => (date, rest),
        None => return Err(malformed()),
    };
    let days = i128::from(days(date).ok_or_else(malformed)?);
    let (nanoseconds, offset) = if rest.is_empty() {
        (0, None)
    } else {
        let clock = rest.strip_prefix(['T', ' ']).ok_or_else(malformed)?;
        let (clock, offset) = split_offset(clock).ok_or_else(malformed)?;
        (nanoseconds_of_day(clock).ok_or_else(malformed)?, offset)
    };
    if offset.is_some() && zone.is_none() {
        return Err(format!(
            "`'{}'` names a time zone, and the column has none",
            short(text)
        ));
    }
    let seconds = days * i128::from(SECONDS_A_DAY) - i128::from(offset.unwrap_or(0));
    let value = in_unit(
        text,
        seconds * 1_000_000_000 + i128::from(nanoseconds),
        unit,
    )?;
    let zone = zone.map(Arc::clone);
    Ok(match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(value), zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(value), zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(value), zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(value), zone),
    })
}

fn in_unit(text: &str, nanoseconds: i128, unit: TimeUnit) -> Result<i64, String> {
    let each = 1_000_000_000 / i128::from(per_second(unit));
    if nanoseconds % each != 0 {
        return Err(format!(
            "`'{}'` is finer than the column's {unit}",
            short(text)
        ));
    }
    i64::try_from(nanoseconds / each)
        .map_err(|_| format!("`'{}'` is outside of what the column can hold", short(text)))
}

/// Days since 1970-01-01 of a date of exactly ten characters.
fn days(text: &str) -> Option<i32> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(digits(year, 4)?).ok()?,
        digits(month, 2)?,
        digits(day, 2)?,
    )?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn nanoseconds_of_day(text: &str) -> Option<i64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let (hour, minute, second) = match *clock.split(':').collect::<Vec<_>>().as_slice() {
        [hour, minute] if fraction.is_none() => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanoseconds = match fraction {
        None => 0,
        Some(fraction) if (1..=9).contains(&fraction.len()) => {
            digits(&format!("{fraction:0<9}"), 9)?
        }
        Some(_) => return None,
    };
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Some(seconds * 1_000_000_000 + i64::from(nanoseconds))
}

/// Splits `Z` or `+02:00` off a time of day, as seconds east of UTC.
fn split_offset(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, None));
    };
    let (clock, offset) = text.split_at_checked(at)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours) * 3_600 + i64::from(minutes) * 60;
    Some((
        clock,
        Some(if offset.starts_with('-') {
            -seconds
        } else {
            seconds
        }),
    ))
}

/// A number of exactly `count` decimal digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}
