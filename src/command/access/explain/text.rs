//! An explanation for people: the verdict first, then why.

use std::fmt::Write as _;

use weft_policy::{Access, ColumnFinding, Viewer};

use super::{Finding, Findings};

pub(super) fn page(findings: &Findings, is_query: bool) -> String {
    let mut out = who(&findings.viewer);
    for finding in &findings.tables {
        out.push_str("\n\n");
        table(&mut out, finding, is_query);
    }
    if findings.tables.is_empty() {
        out.push_str("\n\nThe query reads no table of a domain.");
    }
    if let Some(refused) = &findings.refused {
        let _ = write!(out, "\n\nThe query is refused: {refused}");
    }
    if let Some(apart) = &findings.apart {
        let _ = write!(out, "\n\nThe query is refused: {apart}");
    }
    out
}

fn who(viewer: &Viewer) -> String {
    let principal = &viewer.principal;
    let mut about = Vec::new();
    if !principal.groups().is_empty() {
        let groups: Vec<_> = principal.groups().iter().map(String::as_str).collect();
        about.push(format!("in {}", groups.join(", ")));
    }
    for (name, value) in principal.attributes() {
        about.push(format!("{name} is {value}"));
    }
    about.push(match &viewer.purpose {
        Some(purpose) => format!("for {purpose}"),
        None => "for no stated purpose".to_owned(),
    });
    format!("{}: {}", principal.id(), about.join("; "))
}

fn table(out: &mut String, finding: &Finding, is_query: bool) {
    let explanation = &finding.explanation;
    let _ = writeln!(out, "{}: {}", finding.name, explanation.access_words());
    let missing = finding.missing();
    if is_query && matches!(explanation.access, Access::Granted(_)) && !missing.is_empty() {
        let _ = writeln!(
            out,
            "  the query reads what does not exist for them: {}",
            missing.join(", ")
        );
    }
    let read = |column: &&ColumnFinding| finding.read.contains(&column.name);
    let rows = explanation.columns.iter().filter(read).map(|column| {
        let name = column.name.clone();
        vec![name, column.outcome.words(), column.because()]
    });
    let title = if is_query {
        "column it reads"
    } else {
        "column"
    };
    aligned(out, &[title, "shown", "by"], rows.collect());
    let grants = explanation.grants.iter().map(|grant| {
        vec![
            grant.name.clone(),
            grant.standing_words(),
            grant.gives_words(),
        ]
    });
    aligned(out, &["grant", "counts", "gives"], grants.collect());
    let guardrails = explanation
        .guardrails
        .iter()
        .map(|it| vec![it.name.clone(), it.binds_words(), it.takes_words()]);
    aligned(out, &["guardrail", "binds", "takes"], guardrails.collect());
    let _ = write!(out, "\n  ask {}", explanation.whom_to_ask());
}

/// A table with its titles, or nothing where it has no rows. The last column is
/// as long as it is.
fn aligned(out: &mut String, titles: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let titles = titles.iter().map(|it| (*it).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        for (at, cell) in row.iter().enumerate() {
            let wide = cell.chars().count();
            match widths.get_mut(at) {
                Some(width) => *width = wide.max(*width),
                None => widths.push(wide),
            }
        }
    }
    out.push('\n');
    for row in rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
