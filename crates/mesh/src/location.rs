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
/// it as a folder. Names that begin with `.` or `_` (`.crc`, `_SUCCESS`,
/// `_temporary`) are what other tools leave behind: only a segment that begins
/// so itself matches them. A partition's folder, `_day=1`, is no such name.
///
/// ```
/// use weft_mesh::Location;
///
/// let location = Location::parse("orders/**/*.parquet").unwrap();
/// assert_eq!(location.prefix(), ["orders"]);
/// assert!(location.matches("orders/month=2026-01/a.parquet"));
/// assert!(!location.matches("orders/a.csv"));
/// assert!(!location.matches("orders/_temporary/a.parquet"));
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
    One { glob: GlobMatcher, hidden: bool },
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
                pattern.push(Segment::One {
                    glob: glob.compile_matcher(),
                    hidden: is_hidden(segment),
                });
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
            return !rest.iter().any(|segment| is_hidden(segment));
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
    if ["%2e", "%2f", "%5c"]
        .iter()
        .any(|code| lower.contains(code))
    {
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

/// Whether a name is one that other tools leave behind.
fn is_hidden(segment: &str) -> bool {
    segment.starts_with(['_', '.']) && !segment.contains('=')
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
            (Some(Segment::One { glob, hidden }), Some(segment))
                if glob.is_match(segment) && (*hidden || !is_hidden(segment)) =>
            {
                at += 1;
                place += 1;
                continue;
            }
            _ => {}
        }
        match retry.and_then(|(after, from)| Some((after, from, path.get(from)?))) {
            Some((after, from, skipped)) if !is_hidden(skipped) => {
                at = after;
                place = from + 1;
                retry = Some((after, from + 1));
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_segment_by_segment() {
        for (pattern, path, expected) in [
            ("a/*.csv", "a/x.csv", true),
            ("a/*.csv", "a/b/x.csv", false),
            ("a/**/*.csv", "a/x.csv", true),
            ("a/**/*.csv", "a/b/c/x.csv", true),
            ("**/x/**/y", "x/x/z/y", true),
            ("**/x/**/y", "z/y", false),
            ("**", "a/b/c", true),
            ("a/**", "a/b/c", true),
            ("a/**", "b", false),
            ("a/{x,y}/[0-9]?.csv", "a/y/07.csv", true),
            ("a/{x,y}/[0-9]?.csv", "a/z/07.csv", false),
            ("a/[!b]", "a/b", false),
            ("a/b[!x]c", "a/b/c", false),
            ("a", "a", true),
            ("a", "a/b/c.csv", true),
            ("a/", "a/b/c.csv", true),
            ("a", "ab", false),
            ("", "a", true),
            ("a/*", "a/../b", false),
            ("a/**", "a//b", false),
            ("a", "a/_SUCCESS", false),
            ("a", "a/_day=1/x", true),
            ("a/*", "a/.x.crc", false),
            ("a/.*", "a/.x.crc", true),
            ("a/**/*", "a/_temporary/x", false),
            ("a/**/_t/*", "a/b/_t/x", true),
            ("a/**/month=*/*", "a/year=1/month=2/x", true),
        ] {
            let location = Location::parse(pattern).unwrap();
            assert_eq!(location.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hard_pattern_takes_no_time() {
        let pattern = "**/a/".repeat(50) + "b";
        let path = "a/".repeat(5_000) + "c";
        let started = std::time::Instant::now();
        assert!(!Location::parse(&pattern).unwrap().matches(&path));
        assert!(started.elapsed().as_secs() < 2);
    }

    #[test]
    fn the_prefix_ends_at_the_first_wildcard() {
        let location = Location::parse("a/b/*/c/d.csv").unwrap();
        assert_eq!(location.prefix(), ["a", "b"]);
        assert!(location.is_pattern());
        assert!(Location::parse("").unwrap().prefix().is_empty());
    }
}
