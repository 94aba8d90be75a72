//! A difference for people, at a terminal.

use std::fmt::Write as _;

use weft_policy::diff::MeshDiff;

use super::count::Counts;
use super::words;

/// How many names are written out.
const NAMES: usize = 8;

/// The longest line of what is compared; predicates can be long.
const WIDTH: usize = 400;

pub(super) fn text(diff: &MeshDiff, counts: &Counts) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut out, diff, counts);
    out
}

fn write(out: &mut String, diff: &MeshDiff, counts: &Counts) -> std::fmt::Result {
    writeln!(out, "{}", words::summary(diff))?;
    details(out, diff, counts)?;
    writeln!(out, "\n{}", words::compared(diff))?;
    if !diff.is_empty() {
        writeln!(out, "+ more, - less, ± both or not known, ~ otherwise")?;
    }
    Ok(())
}

/// All but the summary.
pub(super) fn details(out: &mut String, diff: &MeshDiff, counts: &Counts) -> std::fmt::Result {
    for access in &diff.accesses {
        let occasion = words::occasion(access).map_or(String::new(), |it| format!(", {it}"));
        writeln!(
            out,
            "\n{}\n  {}{occasion}",
            words::tables(&access.tables, NAMES),
            words::names(&access.subjects, NAMES)
        )?;
        for line in words::lines(access, counts) {
            writeln!(
                out,
                "    {} {}",
                words::sign(line.direction),
                short(&line.text)
            )?;
        }
        if let Some(because) = words::because(&access.because, NAMES) {
            writeln!(out, "    {because}")?;
        }
    }
    if !diff.rights.is_empty() {
        writeln!(out, "\nrights")?;
        for right in &diff.rights {
            let sign = words::sign(right.direction);
            if right.subjects.is_empty() {
                writeln!(out, "  {sign} {}", right.what)?;
            } else {
                let names = words::names(&right.subjects, NAMES);
                writeln!(out, "  {sign} {names}: {}", right.what)?;
            }
        }
    }
    if !diff.contracts.is_empty() {
        writeln!(out, "\ncontracts")?;
        for contract in &diff.contracts {
            writeln!(out, "  ~ {}: {}", contract.table, contract.what)?;
        }
    }
    Ok(())
}

pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
