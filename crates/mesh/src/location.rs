//! Locations: which files of a storage are a table's.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, Result};

/// What makes a segment a pattern.
pub(crate) const WILDCARDS: [char; 5] = ['*', '?', '[', '{', '}'];

/// A glob over the files of a storage, relative to the storage's root.
///
/// `*`, `?`, `{a,b}` and `[a-z]` match within one segment, `**` stands for any
/// number of segments. Without a wildcard it is that file, or everything under
/// it as a folder, apart from what begins with `_` or `.` (`_SUCCESS`, `.crc`).
///
/// ```
/// use weft_mesh::Location;
///
/// let location = Location::parse("orders/**/*.parquet").unwrap();
/// assert_eq!(location.prefix(), ["orders"]);
/// assert!(location.matches("orders/month=2026-01/a.parquet"));
/// assert!(!location.matches("orders/a.csv"));
/// assert!(Location::parse("../secrets").is_err());
/// ```
#[derive(Clone)]
pub struct Location {
    text: String,
    prefix: Vec<String>,
    /// What follows the prefix; empty for a file or a folder.
    pattern: Vec<Segment>,
}

#[derive(Clone)]
enum Segment {
    One(GlobMatcher),
    Any,
}

impl Location {
    /// Reads a location relative to a storage's root.
    ///
    /// # Errors
    /// An empty, `.` or `..` segment, a backslash, a percent-encoded dot or
    /// slash, or a glob that does not parse.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: &str| Error::Location {
            location: text.to_owned(),
            reason: reason.to_owned(),
        };
        check_segments(text).map_err(wrong)?;
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let mut prefix = Vec::new();
        let mut pattern = Vec::new();
        for segment in trimmed.split('/').filter(|segment| !segment.is_empty()) {
            if pattern.is_empty() && !segment.contains(WILDCARDS) {
                prefix.push(segment.to_owned());
            } else if segment == "**" {
                pattern.push(Segment::Any);
            } else if segment.contains("**") {
                return Err(wrong("has `**` beside other characters"));
            } else {
                let glob = GlobBuilder::new(segment)
                    .literal_separator(true)
                    .backslash_escape(false)
                    .build()
                    .map_err(|error| wrong(&format!("is no glob: {}", error.kind())))?;
                pattern.push(Segment::One(glob.compile_matcher()));
            }
        }
        Ok(Self {
            text: text.to_owned(),
            prefix,
            pattern,
        })
    }

    /// The segments before the first wildcard; all of them where there is none.
    pub fn prefix(&self) -> &[String] {
        &self.prefix
    }

    /// Whether it has a wildcard. Without one it names a file or a folder, and
    /// [`Self::prefix`] is the whole of it.
    pub fn is_pattern(&self) -> bool {
        !self.pattern.is_empty()
    }

    /// The location as text, relative to the storage's root.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a file is the table's; `path` is its raw segments below the
    /// storage's root, joined by `/`.
    pub fn matches(&self, path: &str) -> bool {
        let segments: Vec<&str> = path.split('/').collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "" | "." | ".."))
        {
            return false;
        }
        let Some((head, rest)) = segments.split_at_checked(self.prefix.len()) else {
            return false;
        };
        if head != self.prefix {
            return false;
        }
        if self.pattern.is_empty() {
            return rest
                .iter()
                .all(|segment| !segment.starts_with(['_', '.']) || segment.contains('='));
        }
        matches_pattern(&self.pattern, rest)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Location").field(&self.text).finish()
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Location {}

/// Refuses what could mean another place than it says.
pub(crate) fn check_segments(text: &str) -> Result<(), &'static str> {
    if text.contains('\\') {
        return Err("has a backslash");
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    let lower = text.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c"].iter().any(|code| lower.contains(code)) {
        return Err("has a percent-encoded dot or slash");
    }
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    if trimmed.is_empty() {
        // The storage's root itself.
        return if text.is_empty() {
            Ok(())
        } else {
            Err("has an empty segment")
        };
    }
    for segment in trimmed.split('/') {
        match segment {
            "" => return Err("has an empty segment"),
            "." => return Err("has a `.` segment"),
            ".." => return Err("has a `..` segment"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether `path` fits, in time linear in both (a later `**` never needs an
/// earlier one to give back what it took).
fn matches_pattern(pattern: &[Segment], path: &[&str]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), path.get(place)) {
            (None, None) => return true,
            (Some(Segment::Any), _) => {
                at += 1;
                retry = Some((at, place));
                continue;
            }
            (Some(Segment::One(glob)), Some(segment)) if glob.is_match(segment) => {
                at += 1;
                place += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((after, from)) if from < path.len() => {
                at = after;
                place = from + 1;
                retry = Some((after, from + 1));
            }
            _ => return false,
        }
    }
}
