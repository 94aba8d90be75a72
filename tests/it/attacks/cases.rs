//! The table of cases: its text becomes values, and a slip in it a panic that
//! names the line.

use std::collections::HashSet;

use datafusion::common::ScalarValue;

use super::fixture::Format;

/// One attack.
#[derive(Debug)]
pub(super) struct Case {
    /// Heading and name.
    pub(super) name: String,
    pub(super) expectation: Expectation,
    /// The statement, with `{x}` where an NF case names its object.
    pub(super) sql: String,
    pub(super) parameters: Vec<ScalarValue>,
    /// Why the case is known to fail today.
    pub(super) known: Option<String>,
    only: Option<Format>,
}

#[derive(Debug)]
pub(super) enum Expectation {
    /// As on the authorised copy.
    Equal(Compare),
    /// The same words as for a name that never existed.
    NotFound(String),
    /// A refusal with this text, or one that begins so.
    Denied { text: String, whole: bool },
    /// No row, and no error.
    Empty,
    /// These rows, in any order.
    Rows(Vec<String>),
    /// The same on every mesh that differs in hidden data alone.
    Same,
}

/// How the answers of an EQ case are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compare {
    pub(super) rows: Rows,
    /// The plan reads the table: the answer is not taken from statistics.
    pub(super) scan: bool,
    /// Both fail; the copy has other words for it.
    pub(super) fails: bool,
    /// Several visible rows fail, and any of them may be met first.
    pub(super) any_error: bool,
    /// The engine itself plans the statement in one of several ways.
    pub(super) any_plan: bool,
    /// Weft says of one column that it may be NULL, of which DataFusion does not: that of a
    /// scalar subquery.
    pub(super) nullable: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rows {
    #[default]
    AsMultiset,
    InOrder,
    /// Any rows that fit will do.
    CountOnly,
    /// Numbers may differ a little.
    Nearly,
}

impl Case {
    pub(super) fn runs_on(&self, format: Format) -> bool {
        self.only.is_none_or(|only| only == format)
    }

    /// The statement, and for NF the same about an absent name, with that name.
    pub(super) fn statements(&self) -> (String, Option<(String, String)>) {
        let Expectation::NotFound(hidden) = &self.expectation else {
            return (self.sql.clone(), None);
        };
        let absent: String = hidden.chars().map(other_letter).collect();
        let with_absent = self.sql.replace("{x}", &absent);
        (self.sql.replace("{x}", hidden), Some((with_absent, absent)))
    }
}

/// A letter of the same case and, nearly, the same script.
fn other_letter(letter: char) -> char {
    match letter {
        'a'..='z' => 'q',
        'A'..='Z' => 'Q',
        letter if letter.is_alphabetic() => 'ж',
        other => other,
    }
}

/// All cases of the file.
pub(super) fn cases() -> Vec<Case> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/attacks/cases.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let mut heading = "";
    let mut cases: Vec<Case> = Vec::new();
    let mut names = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("cases.txt, line {}", number + 1);
        if let Some(text) = line.strip_prefix("## ") {
            heading = text.trim();
        } else if line.starts_with('#') || line.trim().is_empty() {
            continue;
        } else if let Some(rest) = line.strip_prefix('[') {
            let (name, expectation) = rest.split_once("] ").expect(&place);
            let name = format!("{heading} / {name}");
            assert!(names.insert(name.clone()), "{place}: a second `{name}`");
            cases.push(header(name, expectation, &place));
        } else {
            continuation(cases.last_mut().expect(&place), line, &place);
        }
    }
    for case in &cases {
        assert!(!case.sql.is_empty(), "`{}` has no statement", case.name);
        assert_eq!(
            case.sql.contains("{x}"),
            matches!(case.expectation, Expectation::NotFound(_)),
            "`{}`: `{{x}}` and NF go together",
            case.name
        );
    }
    cases
}

fn header(name: String, text: &str, place: &str) -> Case {
    let mut only = None;
    let expectation = if let Some(text) = text.strip_prefix("DENY") {
        let text = text.trim_start();
        match text.strip_suffix('…') {
            Some(start) => Expectation::Denied {
                text: start.to_owned(),
                whole: false,
            },
            None => Expectation::Denied {
                text: text.to_owned(),
                whole: true,
            },
        }
    } else {
        // A quoted name may hold a space, even its last.
        let (quoted, words) = match (text.find('"'), text.rfind('"')) {
            (Some(from), Some(to)) => (
                Some(text[from..=to].to_owned()),
                format!("{}{}", &text[..from], &text[to + 1..]),
            ),
            _ => (None, text.to_owned()),
        };
        let mut words = words.split_whitespace();
        let kind = words.next().unwrap();
        let mut compare = Compare::default();
        let mut hidden = quoted;
        for word in words {
            match (kind, word) {
                (_, "parquet") => only = Some(Format::Parquet),
                (_, "csv") => only = Some(Format::Csv),
                ("EQ", "ordered") => compare.rows = Rows::InOrder,
                ("EQ", "count") => compare.rows = Rows::CountOnly,
                ("EQ", "approx") => compare.rows = Rows::Nearly,
                ("EQ", "scan") => compare.scan = true,
                ("EQ", "fails") => compare.fails = true,
                ("EQ", "anyerror") => compare.any_error = true,
                ("EQ", "anyplan") => compare.any_plan = true,
                ("EQ", "nullable") => compare.nullable = true,
                ("NF", word) if hidden.is_none() => hidden = Some(word.to_owned()),
                (_, word) => panic!("{place}: `{word}` means nothing here"),
            }
        }
        match kind {
            "EQ" => Expectation::Equal(compare),
            "NF" => Expectation::NotFound(hidden.expect(place)),
            "EMPTY" => Expectation::Empty,
            "ROWS" => Expectation::Rows(Vec::new()),
            "SAME" => Expectation::Same,
            other => panic!("{place}: `{other}` is no expectation"),
        }
    };
    Case {
        name,
        expectation,
        sql: String::new(),
        parameters: Vec::new(),
        known: None,
        only,
    }
}

fn continuation(case: &mut Case, line: &str, place: &str) {
    if let Some(row) = line.strip_prefix("= ") {
        let Expectation::Rows(rows) = &mut case.expectation else {
            panic!("{place}: only ROWS has rows");
        };
        rows.push(row.to_owned());
    } else if let Some(value) = line.strip_prefix("$ ") {
        case.parameters.push(value_of(value, place));
    } else if let Some(why) = line.strip_prefix("! known: ") {
        case.known = Some(why.to_owned());
    } else {
        if !case.sql.is_empty() {
            case.sql.push('\n');
        }
        case.sql.push_str(&line.replace("{t}", "orders"));
    }
}

fn value_of(text: &str, place: &str) -> ScalarValue {
    if text == "null" {
        return ScalarValue::Utf8(None);
    }
    let quoted = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    match quoted {
        Some(text) => ScalarValue::Utf8(Some(text.to_owned())),
        None => ScalarValue::Int64(Some(text.parse().expect(place))),
    }
}
