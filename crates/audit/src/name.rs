//! Names of journals and of the files that they become.
//!
//! A file has its journal's name, so that archiving a journal twice makes one file. Names sort
//! by the time of the journal's beginning, and no two servers have one.

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) const JOURNAL: &str = ".journal";
pub(crate) const ARCHIVE: &str = ".parquet";

/// `20261127T001912.123456Z-3f2a9c0b41de-000017`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(now: DateTime<Utc>, run: Uuid, sequence: u64) -> Self {
        let time = now.format("%Y%m%dT%H%M%S%.6fZ");
        let run = run.simple().to_string();
        let run = run.get(..12).unwrap_or(&run);
        Self(format!("{time}-{run}-{sequence:06}"))
    }

    /// The name in the name of a file; `None` for files that are not ours.
    pub(crate) fn of_file(file: &str, ending: &str) -> Option<Self> {
        let name = file.strip_suffix(ending)?;
        let mut parts = name.split('-');
        let (time, run, sequence) = (parts.next()?, parts.next()?, parts.next()?);
        let is_ours = parts.next().is_none()
            && time.len() == 23
            && time.ends_with('Z')
            && run.len() == 12
            && run.bytes().all(|byte| byte.is_ascii_hexdigit())
            && sequence.len() >= 6
            && sequence.bytes().all(|byte| byte.is_ascii_digit());
        is_ours.then(|| Self(name.to_owned()))
    }

    /// Which server wrote it.
    pub(crate) fn run(&self) -> &str {
        self.0.split('-').nth(1).unwrap_or_default()
    }

    /// The how manieth journal of its server: clocks are set back, this is not.
    pub(crate) fn sequence(&self) -> u64 {
        let last = self.0.rsplit('-').next();
        last.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn journal(&self) -> String {
        format!("{}{JOURNAL}", self.0)
    }

    pub(crate) fn archive(&self) -> String {
        format!("{}{ARCHIVE}", self.0)
    }

    /// While it is being written; readers do not look at it.
    pub(crate) fn unfinished(&self) -> String {
        format!(".{}{ARCHIVE}.tmp", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_are_found_again() {
        let run = Uuid::new_v4();
        let early = "2026-11-27T09:59:59Z".parse().unwrap();
        let late = "2026-11-27T10:00:00.5Z".parse().unwrap();
        let (one, two, three) = (
            Name::new(early, run, 9),
            Name::new(late, run, 10),
            Name::new(late, run, 11),
        );
        assert!(one < two && two < three);
        assert_eq!(Name::of_file(&one.journal(), JOURNAL), Some(one.clone()));
        assert_eq!(Name::of_file(&one.archive(), ARCHIVE), Some(one.clone()));
        assert_eq!(Name::of_file(&one.unfinished(), ARCHIVE), None);
        assert_eq!(Name::of_file("orders.parquet", ARCHIVE), None);
        assert_eq!(one.run().len(), 12);
        assert_eq!(
            Name::new(early, run, 1_000_000).archive().len(),
            23 + 14 + 7 + 8
        );
    }
}
