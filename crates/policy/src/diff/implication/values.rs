//! Sets of values of one type, NULL among them or not.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what no predicate reads is not told apart"
)]

use arrow_schema::DataType;
use datafusion_common::ScalarValue;

/// A value, so that order and equality are those of its type. All values of
/// one operand have one variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Value {
    /// Whatever is counted: numbers, days, instants, truth values; a float by
    /// its place in the total order of IEEE 754.
    Int(i128),
    /// Text and bytes, which compare byte by byte, and wide decimals.
    Bytes(Vec<u8>),
}

/// From the first, inclusive, to the second, exclusive; `None` is without end.
type Range = (Option<Value>, Option<Value>);

/// Some values, and NULL or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueSet {
    null: bool,
    /// Ascending, apart, none of them empty.
    ranges: Vec<Range>,
}

impl Value {
    /// `None` for NULL, and for a type that no predicate reads.
    pub(super) fn of(scalar: &ScalarValue) -> Option<Self> {
        use ScalarValue::*;
        let int = |value: Option<i128>| value.map(Self::Int);
        match scalar {
            Boolean(value) => int(value.map(i128::from)),
            Int8(value) => int(value.map(i128::from)),
            Int16(value) => int(value.map(i128::from)),
            Int32(value) | Date32(value) | Time32Second(value) | Time32Millisecond(value) => {
                int(value.map(i128::from))
            }
            Int64(value)
            | Date64(value)
            | Time64Microsecond(value)
            | Time64Nanosecond(value)
            | TimestampSecond(value, _)
            | TimestampMillisecond(value, _)
            | TimestampMicrosecond(value, _)
            | TimestampNanosecond(value, _) => int(value.map(i128::from)),
            UInt8(value) => int(value.map(i128::from)),
            UInt16(value) => int(value.map(i128::from)),
            UInt32(value) => int(value.map(i128::from)),
            UInt64(value) => int(value.map(i128::from)),
            Float32(value) => int(value.map(|value| total_order(f64::from(value)))),
            Float64(value) => int(value.map(total_order)),
            Decimal128(value, _, _) => int(*value),
            Decimal256(value, _, _) => value.map(|value| {
                let mut bytes = value.to_be_bytes().to_vec();
                // Negative ones come first.
                if let Some(sign) = bytes.first_mut() {
                    *sign ^= 0x80;
                }
                Self::Bytes(bytes)
            }),
            Utf8(text) | LargeUtf8(text) | Utf8View(text) => {
                text.as_ref().map(|text| Self::text(text))
            }
            Binary(bytes) | LargeBinary(bytes) | BinaryView(bytes) | FixedSizeBinary(_, bytes) => {
                bytes.clone().map(Self::Bytes)
            }
            _ => None,
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    /// The text, of a value that is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Int(_) => None,
        }
    }

    /// The least value above; `None` where there is none.
    fn next(&self) -> Option<Self> {
        Some(match self {
            Self::Int(value) => Self::Int(value.checked_add(1)?),
            Self::Bytes(bytes) => {
                let mut longer = bytes.clone();
                longer.push(0);
                Self::Bytes(longer)
            }
        })
    }

    /// Whether there is no value below.
    fn is_least(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }
}

impl ValueSet {
    /// Every value, and NULL.
    pub(super) fn all() -> Self {
        Self {
            null: true,
            ranges: vec![(None, None)],
        }
    }

    /// Every value of the type, and NULL.
    pub(super) fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::truths(),
            _ => Self::all(),
        }
    }

    /// FALSE, TRUE and NULL.
    pub(super) fn truths() -> Self {
        let ends = (Some(Value::Int(0)), Some(Value::Int(2)));
        Self::new(true, vec![ends])
    }

    /// Less, equal, greater and NULL.
    pub(super) fn orders() -> Self {
        let ends = (Some(Value::Int(-1)), Some(Value::Int(2)));
        Self::new(true, vec![ends])
    }

    pub(super) fn only_null() -> Self {
        Self::new(true, Vec::new())
    }

    pub(super) fn point(value: Value) -> Self {
        Self::points([value])
    }

    pub(super) fn points(values: impl IntoIterator<Item = Value>) -> Self {
        let ranges = values.into_iter().map(|value| {
            let next = value.next();
            (Some(value), next)
        });
        Self::new(false, ranges.collect())
    }

    pub(super) fn below(value: Value) -> Self {
        Self::new(false, vec![(None, Some(value))])
    }

    pub(super) fn above(value: &Value) -> Self {
        match value.next() {
            Some(next) => Self::new(false, vec![(Some(next), None)]),
            None => Self::new(false, Vec::new()),
        }
    }

    /// Texts that begin so: in the order of bytes they stand together.
    pub(super) fn beginning_with(prefix: &str) -> Self {
        let mut after = prefix.as_bytes().to_vec();
        // The bytes of UTF-8 end below 0xFF, so the last one has a next.
        if let Some(last) = after.last_mut() {
            *last = last.saturating_add(1);
        }
        let end = (!after.is_empty()).then_some(Value::Bytes(after));
        Self::new(false, vec![(Some(Value::text(prefix)), end)])
    }

    fn new(null: bool, mut ranges: Vec<Range>) -> Self {
        ranges.retain(|(from, to)| !is_empty(from.as_ref(), to.as_ref()));
        ranges.sort_by(|a, b| a.0.cmp(&b.0));
        let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            if let Some((_, end)) = joined.last_mut() {
                let touches = match (&*end, &from) {
                    (None, _) | (_, None) => true,
                    (Some(end), Some(from)) => from <= end,
                };
                if touches {
                    let reaches = match (&*end, &to) {
                        (None, _) | (_, None) => None,
                        (Some(end), Some(to)) => Some(end.max(to).clone()),
                    };
                    *end = reaches;
                    continue;
                }
            }
            joined.push((from, to));
        }
        Self {
            null,
            ranges: joined,
        }
    }

    #[must_use]
    pub(super) fn with_null(mut self, null: bool) -> Self {
        self.null = null;
        self
    }

    pub(super) fn has_null(&self) -> bool {
        self.null
    }

    pub(super) fn has_values(&self) -> bool {
        !self.ranges.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.null && self.ranges.is_empty()
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let (mut mine, mut theirs) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        while let (Some((a, b)), Some((c, d))) = (mine.peek(), theirs.peek()) {
            let from = a.as_ref().max(c.as_ref());
            let (to, mine_ends) = match (b, d) {
                (None, None) => (None, true),
                (Some(end), None) => (Some(end), true),
                (None, Some(end)) => (Some(end), false),
                (Some(b), Some(d)) => (Some(b.min(d)), b <= d),
            };
            if !is_empty(from, to) {
                ranges.push((from.cloned(), to.cloned()));
            }
            if mine_ends {
                mine.next();
            } else {
                theirs.next();
            }
        }
        Self {
            null: self.null && other.null,
            ranges,
        }
    }

    /// All that is not in it, NULL too.
    pub(super) fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut from = None;
        let mut open = true;
        for (begin, end) in &self.ranges {
            if begin.is_some() {
                ranges.push((from.clone(), begin.clone()));
            }
            from.clone_from(end);
            open = end.is_some();
        }
        if open {
            ranges.push((from, None));
        }
        Self::new(!self.null, ranges)
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.intersection(&other.complement()).is_empty()
    }

    /// Its values, where they are no more than `limit`.
    pub(super) fn few(&self, limit: usize) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        for (from, to) in &self.ranges {
            let (mut at, to) = (from.clone()?, to.as_ref()?);
            while at < *to {
                if values.len() == limit {
                    return None;
                }
                let next = at.next()?;
                values.push(at);
                at = next;
            }
        }
        Some(values)
    }
}

fn is_empty(from: Option<&Value>, to: Option<&Value>) -> bool {
    match (from, to) {
        (Some(from), Some(to)) => from >= to,
        (None, Some(to)) => to.is_least(),
        (_, None) => false,
    }
}

/// The place of a float in IEEE 754's total order, by which Arrow compares.
fn total_order(value: f64) -> i128 {
    let bits = value.to_bits().cast_signed();
    let flipped = bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed();
    i128::from(flipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[i128]) -> ValueSet {
        ValueSet::points(values.iter().map(|value| Value::Int(*value)))
    }

    #[test]
    fn a_set_and_its_complement_share_nothing_and_leave_nothing_out() {
        let sets = [
            ints(&[1, 2, 5]),
            ints(&[]),
            ValueSet::all(),
            ValueSet::only_null(),
            ValueSet::below(Value::text("b")),
            ValueSet::above(&Value::Int(7)).with_null(true),
            ValueSet::beginning_with("ab"),
        ];
        for set in sets {
            let other = set.complement();
            assert!(set.intersection(&other).is_empty(), "{set:?}");
            assert_eq!(other.complement(), set);
            assert!(set.is_within(&ValueSet::all()));
        }
    }

    #[test]
    fn neighbours_leave_no_gap() {
        let above = ValueSet::above(&Value::Int(5));
        assert!(
            above
                .intersection(&ValueSet::below(Value::Int(6)))
                .is_empty()
        );
        assert_eq!(ints(&[5, 6, 7]).few(3).map(|it| it.len()), Some(3));
        assert_eq!(ints(&[5, 6, 7]).few(2), None);
        let text = ValueSet::above(&Value::text("a"));
        let next = ValueSet::below(Value::Bytes(b"a\0".to_vec()));
        assert!(text.intersection(&next).is_empty());
        assert!(ValueSet::below(Value::text("")).is_empty());
    }

    #[test]
    fn floats_keep_their_total_order() {
        let ordered = [
            f64::NEG_INFINITY,
            -1.5,
            -0.0,
            0.0,
            1e-300,
            2.0,
            f64::INFINITY,
            f64::NAN,
        ];
        assert!(ordered.map(total_order).is_sorted());
        assert_ne!(total_order(-0.0), total_order(0.0));
    }

    #[test]
    fn a_prefix_holds_what_begins_so() {
        let set = ValueSet::beginning_with("aé");
        for (text, inside) in [("aé", true), ("aéz", true), ("aê", false), ("a", false)] {
            let point = ValueSet::point(Value::text(text));
            assert_eq!(point.is_within(&set), inside, "{text}");
        }
    }
}
