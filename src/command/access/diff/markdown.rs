//! A difference for a pull request: what counts at a glance, the rest folded.

use std::fmt::Write as _;

use weft_policy::diff::{Direction, MeshDiff};

use super::count::Counts;
use super::{text, words};

/// How many names stand in a row of the table.
const NAMES: usize = 4;

/// How many rows the table has; a comment has a limit.
const ROWS: usize = 50;

pub(super) fn text(diff: &MeshDiff, counts: &Counts) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut out, diff, counts);
    out
}

fn write(out: &mut String, diff: &MeshDiff, counts: &Counts) -> std::fmt::Result {
    writeln!(out, "**Access: {}**", words::summary(diff))?;
    let rows = rows(diff, counts);
    if !rows.is_empty() {
        writeln!(out, "\n| | who | what | change |\n|---|---|---|---|")?;
        for row in rows.iter().take(ROWS) {
            writeln!(out, "{row}")?;
        }
        if rows.len() > ROWS {
            writeln!(out, "| | | | and {} more |", rows.len() - ROWS)?;
        }
    }
    if !diff.is_empty() {
        let mut details = String::new();
        text::details(&mut details, diff, counts)?;
        // A fence longer than any inside: predicates are text of others.
        let longest = details
            .split(|it| it != '`')
            .map(str::len)
            .max()
            .unwrap_or(0);
        let fence = "`".repeat((longest + 1).max(3));
        writeln!(
            out,
            "\n<details><summary>Details</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>",
            details.trim()
        )?;
    }
    writeln!(out, "\n<sub>{}</sub>", escaped(&words::compared(diff)))
}

fn rows(diff: &MeshDiff, counts: &Counts) -> Vec<String> {
    let row = |direction, who: &str, what: &str, change: &str| {
        let cells = [who, what, change].map(|it| escaped(&text::short(it)));
        format!("| {} | {} |", name(direction), cells.join(" | "))
    };
    let mut rows = Vec::new();
    for access in &diff.accesses {
        let mut who = words::names(&access.subjects, NAMES);
        if let Some(occasion) = words::occasion(access) {
            write!(who, ", {occasion}").unwrap_or_default();
        }
        let lines: Vec<String> = words::lines(access, counts)
            .iter()
            .map(|line| format!("{} {}", words::sign(line.direction), line.text))
            .collect();
        rows.push(row(
            access.change.direction(),
            &who,
            &words::tables(&access.tables, NAMES),
            &lines.join("; "),
        ));
    }
    for right in &diff.rights {
        let who = words::names(&right.subjects, NAMES);
        rows.push(row(right.direction, &who, "", &right.what));
    }
    rows
}

fn name(direction: Direction) -> &'static str {
    match (direction.gain, direction.loss) {
        (true, true) => "gain and loss",
        (true, false) => "**gain**",
        (false, true) => "loss",
        (false, false) => "",
    }
}

/// Text of manifests, so that it is text here.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '@' | '!' | '~' => {
                out.push('\\');
                out.push(char);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            plain => out.push(plain),
        }
    }
    out
}
