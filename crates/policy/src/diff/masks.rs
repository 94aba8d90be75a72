//! Which of two ways to show a cell tells more.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "masks that are not named together tell different things"
)]

use arrow_schema::DataType;
use datafusion_common::ScalarValue;

use crate::{ColumnMask, Reveal};

/// Whether `one` tells nothing that `other` does not: neither by the order of
/// the masks, which decides where two meet, nor in fact. A mask of another kind
/// mostly tells something else, whatever the order says.
pub(super) fn tells_no_more(one: &Reveal, other: &Reveal) -> bool {
    match (one, other) {
        (_, Reveal::Clear) => true,
        (Reveal::Clear, Reveal::Masked(_)) => false,
        (Reveal::Masked(one), Reveal::Masked(other)) => {
            one == other || (one.cmp_revealing(other).is_ge() && follows(one, other))
        }
    }
}

/// Whether every cell masked by `one` can be told from the same cell masked by
/// `other`.
fn follows(one: &ColumnMask, other: &ColumnMask) -> bool {
    use ColumnMask::*;
    match (one, other) {
        (Nullify, _) => true,
        // Where a cell is NULL is told by all masks but `nullify`.
        (Fixed(_), other) => *other != Nullify,
        (Bucket(wide), Bucket(narrow)) => is_multiple(wide, narrow),
        (TruncateYear, TruncateMonth) => true,
        // Of `show_last(2)` and `show_last(4)` each tells more of some text: one
        // of four characters is wholly replaced by the second.
        _ => one == other,
    }
}

/// Of exact types only: of floats the edges of buckets need not meet.
fn is_multiple(wide: &ScalarValue, narrow: &ScalarValue) -> bool {
    let (Some(wide), Some(narrow)) = (exact(wide), exact(narrow)) else {
        return false;
    };
    narrow > 0 && wide % narrow == 0
}

fn exact(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Decimal128(value, _, _) => *value,
        other if other.data_type().is_integer() => match other.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(value)) => value.map(i128::from),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn more(one: ColumnMask, other: ColumnMask) -> (bool, bool) {
        let (one, other) = (Reveal::Masked(one), Reveal::Masked(other));
        (!tells_no_more(&one, &other), !tells_no_more(&other, &one))
    }

    fn bucket(width: i64) -> ColumnMask {
        ColumnMask::Bucket(ScalarValue::Int64(Some(width)))
    }

    #[test]
    fn what_tells_more_is_known() {
        use ColumnMask::*;
        let fixed = || Fixed(ScalarValue::Utf8(Some("x".into())));
        // Does the first tell more than the second, does the second than the first?
        for (one, other, expected) in [
            (bucket(10), bucket(100), (true, false)),
            (bucket(10), bucket(15), (true, true)),
            (bucket(10), bucket(10), (false, false)),
            (TruncateMonth, TruncateYear, (true, false)),
            (ShowLast(2), ShowLast(4), (true, true)),
            (Hash, Token("a".into()), (true, true)),
            (Token("a".into()), Token("b".into()), (true, true)),
            (Hash, Nullify, (true, false)),
            (Alphanum, fixed(), (true, false)),
            (fixed(), Nullify, (true, false)),
        ] {
            let shown = format!("{one} {other}");
            assert_eq!(more(one, other), expected, "{shown}");
        }
    }
}
