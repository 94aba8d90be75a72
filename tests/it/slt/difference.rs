//! What differs from a bare DataFusion, and why.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::PathBuf;

use regex::Regex;

/// One query whose outcome is another.
#[derive(Debug)]
pub(super) enum Difference {
    /// Weft refuses what DataFusion answers, with this message.
    Refused(String),
    /// Weft answers what DataFusion refuses, with that message.
    Answered(String),
    /// Weft has no answer in a minute.
    Late,
    /// The columns' names are others.
    Names(Vec<String>, Vec<String>),
    /// The rows are others.
    Rows(Vec<String>, Vec<String>),
}

/// Why weft refuses: a part of its message, and the reason.
const REFUSALS: &[(&str, &str)] = &[
    (
        "a type of a fixed size may have",
        "types of a fixed size are bounded, as their nulls are as large",
    ),
    (
        "Invalid function 'file_row_index'",
        "how data lies in files is not told",
    ),
    (
        "Invalid function 'input_file_name'",
        "how data lies in files is not told",
    ),
    (
        "does not satisfy order requirements",
        "DataFusion's planner fails at ACOSH outside of its domain with more than one partition",
    ),
    (
        "a call to '||' function",
        "`||` does not join binaries of different fixed sizes",
    ),
];

/// Not a difference to list: the next run may find another.
pub(super) const OPEN: &str = "SQL leaves open which rows a LIMIT takes";
const STATISTICS: &str = "DataFusion takes a column for constant when the file's statistics, which leave NaN out, have one value";

impl Difference {
    /// The rule that explains it.
    pub(super) fn reason(&self, sql: &str) -> Option<&'static str> {
        match self {
            Self::Refused(message) => REFUSALS
                .iter()
                .find(|(part, _)| message.contains(part))
                .map(|(_, reason)| *reason),
            Self::Names(_, weft) => weft
                .iter()
                .any(|name| name.contains("||("))
                .then_some("inside of functions `||` is named like a function"),
            Self::Rows(bare, weft) => {
                let says = |rows: &[String], word| rows.iter().any(|row| row.contains(word));
                if same_numbers(bare, weft) {
                    Some("a decimal has the scale that was announced, where DataFusion changes it")
                } else if sql.contains("arrow_field(") || (says(weft, "NaN") && !says(bare, "NaN"))
                {
                    Some(STATISTICS)
                } else if says(weft, "Utf8View") {
                    Some("texts are Utf8View inside of weft")
                } else if sql.contains("Float16") || sql.contains("Date64") {
                    Some("Float16 and Date64 go over the wire as Float32 and Date32")
                } else if sql.to_uppercase().contains("LIMIT") && bare.len() == weft.len() {
                    Some(OPEN)
                } else {
                    None
                }
            }
            Self::Answered(_) | Self::Late => None,
        }
    }
}

/// Whether they differ in how numbers are written.
fn same_numbers(bare: &[String], weft: &[String]) -> bool {
    let plain = |row: &String| {
        let cells = row.split('|').map(|cell| match cell.parse::<f64>() {
            Ok(number) => number.to_string(),
            Err(_) => cell.to_owned(),
        });
        cells.collect::<Vec<_>>()
    };
    bare.iter().map(plain).eq(weft.iter().map(plain))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) => write!(f, "weft refuses: {message}"),
            Self::Answered(message) => write!(f, "weft answers, DataFusion refuses: {message}"),
            Self::Late => f.write_str("weft has no answer in a minute"),
            Self::Names(bare, weft) => write!(f, "names {bare:?}, weft {weft:?}"),
            Self::Rows(bare, weft) => {
                let only = |these: &[String], those: &[String]| {
                    let rows: Vec<_> = these
                        .iter()
                        .filter(|row| !those.contains(row))
                        .take(5)
                        .cloned()
                        .collect();
                    format!("{} rows, of its own {rows:?}", these.len())
                };
                write!(
                    f,
                    "without weft {}; weft {}",
                    only(bare, weft),
                    only(weft, bare)
                )
            }
        }
    }
}

/// What differs between sorted rows; the last digits of floats do not.
pub(super) fn rows(bare: Vec<String>, weft: Vec<String>) -> Option<Difference> {
    if bare == weft {
        return None;
    }
    let mut rounded =
        [&bare, &weft].map(|rows| rows.iter().map(|row| round(row)).collect::<Vec<_>>());
    for rows in &mut rounded {
        rows.sort_unstable();
    }
    (rounded[0] != rounded[1]).then_some(Difference::Rows(bare, weft))
}

fn round(row: &str) -> String {
    let cells = row.split('|').map(|cell| match cell.parse::<f64>() {
        Ok(number) if cell.contains('.') || cell.contains('e') => format!("{number:.9e}"),
        _ => cell.to_owned(),
    });
    cells.collect::<Vec<_>>().join("|")
}

/// # Panics
/// When what was found is not what `differences.txt` says of the files that were
/// asked.
pub(super) fn compare(found: &BTreeMap<String, &'static str>, wanted: &Regex) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/slt/differences.txt");
    let mut text = String::new();
    for (place, reason) in found {
        writeln!(text, "{place}\t{reason}").unwrap();
    }
    if std::env::var("WEFT_SLT").is_ok_and(|word| word == "update") {
        fs::write(&path, text).unwrap();
        return;
    }
    let listed = fs::read_to_string(&path).unwrap();
    let listed: String = listed
        .lines()
        .filter(|line| {
            line.split(':')
                .next()
                .is_some_and(|file| wanted.is_match(file))
        })
        .fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
    assert_eq!(listed, text, "tests/it/slt/differences.txt says otherwise");
}
