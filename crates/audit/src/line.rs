//! One line of a journal: a checksum, and what it is over.
//!
//! ```text
//! 1c291ca3 b 17 {"server":…}
//! ```
//! `b` is a statement that has begun, `e` one that has ended; each has the whole record. The
//! number ties the two together within one run of the server. JSON has no line breaks of its
//! own, so that half a line is never taken for one.

use std::io::Write as _;

use crate::record::AuditRecord;

/// Which half of a statement a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Begin,
    End,
}

/// A line whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) mark: Mark,
    pub(crate) number: u64,
    json: &'a [u8],
}

const CHECKSUM: usize = 8;

/// Adds the line of `record` to `out`; nothing where it cannot be written as JSON.
pub(crate) fn append(
    out: &mut Vec<u8>,
    mark: Mark,
    number: u64,
    record: &AuditRecord,
) -> Result<(), serde_json::Error> {
    let start = out.len();
    let mark = match mark {
        Mark::Begin => 'b',
        Mark::End => 'e',
    };
    out.extend_from_slice(b"00000000 ");
    let written = write!(out, "{mark} {number} ")
        .map_err(serde_json::Error::io)
        .and_then(|()| serde_json::to_writer(&mut *out, record));
    if let Err(error) = written {
        out.truncate(start);
        return Err(error);
    }
    let checksum = crc32fast::hash(out.get(start + CHECKSUM + 1..).unwrap_or_default());
    if let Some(place) = out.get_mut(start..start + CHECKSUM) {
        place.copy_from_slice(format!("{checksum:08x}").as_bytes());
    }
    out.push(b'\n');
    Ok(())
}

/// A line without its line break; `None` for what is damaged.
pub(crate) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let (checksum, rest) = line.split_at_checked(CHECKSUM)?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    let rest = rest.strip_prefix(b" ")?;
    if crc32fast::hash(rest) != checksum {
        return None;
    }
    let (mark, rest) = match rest {
        [b'b', b' ', rest @ ..] => (Mark::Begin, rest),
        [b'e', b' ', rest @ ..] => (Mark::End, rest),
        _ => return None,
    };
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let (number, json) = rest.split_at_checked(space)?;
    Some(Line {
        mark,
        number: std::str::from_utf8(number).ok()?.parse().ok()?,
        json: json.strip_prefix(b" ")?,
    })
}

impl Line<'_> {
    pub(crate) fn record(&self) -> Option<AuditRecord> {
        serde_json::from_slice(self.json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kind;

    fn line() -> Vec<u8> {
        let mut record = AuditRecord::new(Kind::Statement);
        record.sql = Some("SELECT 'a\nb' -- ü".to_owned());
        let mut out = Vec::new();
        append(&mut out, Mark::End, 17, &record).unwrap();
        out
    }

    #[test]
    fn what_was_written_is_read() {
        let text = line();
        let (last, line) = text.split_last().unwrap();
        assert_eq!(*last, b'\n');
        assert!(!line.contains(&b'\n'));
        let parsed = parse(line).unwrap();
        assert_eq!((parsed.mark, parsed.number), (Mark::End, 17));
        let sql = parsed.record().unwrap().sql.unwrap();
        assert_eq!(sql, "SELECT 'a\nb' -- ü");
    }

    #[test]
    fn no_part_of_a_line_and_no_changed_line_is_one() {
        let text = line();
        let line = &text[..text.len() - 1];
        for end in 0..line.len() {
            assert!(parse(&line[..end]).is_none(), "{end}");
        }
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 1;
            // A digit of the checksum may be written in another case, and mean the same.
            if !changed.eq_ignore_ascii_case(line) {
                assert!(parse(&changed).is_none(), "{at}");
            }
        }
    }
}
