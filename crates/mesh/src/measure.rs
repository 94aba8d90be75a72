//! Sizes and durations as people write them: a whole number and its unit.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};

const SECOND: u64 = 1;
const DURATIONS: [(&str, u64); 4] = [
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
];
const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A number of bytes, at least one.
///
/// ```
/// use weft_mesh::ByteSize;
///
/// let size = ByteSize::parse("64MiB").unwrap();
/// assert_eq!(size.bytes(), 64 << 20);
/// assert_eq!(size.to_string(), "64MiB");
/// assert!(ByteSize::parse("64MB").is_err());
/// assert!(ByteSize::parse("0KiB").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Reads `512KiB`, `64MiB` or `1GiB`.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = measured(text, &SIZES);
        bytes
            .map(Self)
            .ok_or_else(|| Error::ByteSize(text.to_owned()))
    }

    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// In the largest unit that needs no fraction.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = SIZES.iter().rev();
        match units.find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// Reads `30s`, `15m`, `12h` or `400d`; more than no time.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    measured(text, &DURATIONS).map(Duration::from_secs)
}

/// A positive number with one of `units`.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    number.checked_mul(*factor).filter(|product| *product > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for text in ["1KiB", "512KiB", "1MiB", "3GiB", "4096GiB"] {
            assert_eq!(ByteSize::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ByteSize::parse("2048KiB").unwrap().to_string(), "2MiB");
        for bad in [
            "",
            "KiB",
            "1",
            "0MiB",
            "-1MiB",
            "1.5GiB",
            "1 GiB",
            "1GB",
            "1gib",
            "18446744073709551615GiB",
        ] {
            let error = ByteSize::parse(bad).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{bad}`")), "{bad}");
        }
    }
}
