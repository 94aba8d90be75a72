//! An explanation for people: the verdict first, then why.

use std::fmt::{Display, Write as _};

use weft_policy::{
    Access, ColumnFinding, GrantFinding, GuardrailFinding, Outcome, Reveal, Standing, Stands,
    Taken, Viewer,
};

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
    let _ = writeln!(out, "{}: {}", finding.name, verdict(finding));
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
        let mut cells = vec![column.name.clone(), outcome(&column.outcome)];
        cells.push(by(column));
        cells
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
            standing(grant, is_active(grant)),
            gives(grant),
        ]
    });
    aligned(out, &["grant", "counts", "gives"], grants.collect());
    let guardrails = explanation
        .guardrails
        .iter()
        .map(|it| vec![it.name.clone(), stands(it), takes(it)]);
    aligned(out, &["guardrail", "binds", "takes"], guardrails.collect());
    let owner = explanation
        .owner
        .as_deref()
        .unwrap_or("the owner of the domain");
    let _ = write!(out, "\n  ask {owner}");
    if !explanation.stewards.is_empty() {
        let _ = write!(out, "; stewards: {}", listed(&explanation.stewards));
    }
}

fn is_active(grant: &GrantFinding) -> bool {
    grant.standing == Standing::Active
}

fn verdict(finding: &Finding) -> String {
    let explanation = &finding.explanation;
    match &explanation.access {
        Access::Granted(access) => {
            let all = explanation.columns.len();
            let rows = match &access.rows {
                None => "every row".to_owned(),
                Some(rows) if rows.to_string() == "FALSE" => "no row".to_owned(),
                Some(rows) => format!("rows where {rows}"),
            };
            format!("sees {} of {all} columns, {rows}", access.columns.len())
        }
        Access::Denied(denial) if !denial.discovered_by.is_empty() => {
            "can be found and asked for, not read".to_owned()
        }
        Access::Denied(_) => "does not exist for them".to_owned(),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Clear => "clear".to_owned(),
        Outcome::Masked(mask) => mask.to_string(),
        Outcome::Hidden => "NULL on every row".to_owned(),
        Outcome::Found => "can be found, not read".to_owned(),
        Outcome::Denied => "does not exist: taken".to_owned(),
        Outcome::NotGranted => "does not exist: not granted".to_owned(),
        Outcome::Conditional(rules) => {
            let mut arms: Vec<String> = rules
                .iter()
                .map(|rule| {
                    let shown = match &rule.reveal {
                        Reveal::Clear => "clear".to_owned(),
                        Reveal::Masked(mask) => mask.to_string(),
                    };
                    match &rule.when {
                        Some(when) => format!("{shown} where {when}"),
                        None => format!("else {shown}"),
                    }
                })
                .collect();
            if rules.last().is_some_and(|rule| rule.when.is_some()) {
                arms.push("else NULL".to_owned());
            }
            arms.join(", ")
        }
    }
}

fn by(column: &ColumnFinding) -> String {
    let mut parts = Vec::new();
    if !column.given_by.is_empty() {
        parts.push(column.given_by.join(", "));
    }
    if !column.taken_by.is_empty() {
        parts.push(format!("guardrail {}", column.taken_by.join(", ")));
    }
    parts.join("; ")
}

fn standing(grant: &GrantFinding, active: bool) -> String {
    let to = if grant.matched.is_empty() {
        listed(&grant.to)
    } else {
        listed(&grant.matched)
    };
    match &grant.standing {
        _ if active => match grant.until {
            Some(until) => format!("yes, as {to}, until {}", until.to_rfc3339()),
            None => format!("yes, as {to}"),
        },
        Standing::OtherGrantee => format!("no: it is for {to}"),
        Standing::Expired => format!("no: it ended{}", moment(" at ", grant.until)),
        Standing::NotYet => format!("no: it begins{}", moment(" at ", grant.from)),
        Standing::OtherPurpose | Standing::Active => {
            format!("no: it is for the purpose {}", listed(&grant.purposes))
        }
    }
}

fn moment(before: &str, at: Option<chrono::DateTime<chrono::Utc>>) -> String {
    at.map_or_else(String::new, |at| format!("{before}{}", at.to_rfc3339()))
}

fn gives(grant: &GrantFinding) -> String {
    if grant.only_discovers() {
        return "that it can be found".to_owned();
    }
    let columns: Vec<String> = grant
        .gives
        .iter()
        .map(|(column, mask)| match mask {
            Some(mask) => format!("{column} as {mask}"),
            None => column.clone(),
        })
        .collect();
    let mut text = columns.join(", ");
    if let Some(rows) = &grant.rows {
        let _ = write!(text, "; rows where {rows}");
    }
    text
}

fn stands(guardrail: &GuardrailFinding) -> String {
    match &guardrail.stands {
        Stands::Binding => "yes".to_owned(),
        Stands::Excepted(as_whom) => format!("no: excepted as {}", listed(as_whom)),
        Stands::PurposeStated => "no: a purpose is stated".to_owned(),
    }
}

fn takes(guardrail: &GuardrailFinding) -> String {
    let mask = guardrail
        .mask
        .as_ref()
        .map_or_else(|| "a mask".to_owned(), ToString::to_string);
    match &guardrail.takes {
        Taken::Rows => match &guardrail.rows {
            Some(rows) => format!("rows except where {rows}"),
            None => "rows".to_owned(),
        },
        Taken::Masked(columns) => format!("{} beyond {mask}", columns.join(", ")),
        Taken::Denied(columns) => columns.join(", "),
        Taken::WithoutPurpose(columns) => {
            format!("{} where no purpose is stated", columns.join(", "))
        }
    }
}

fn listed(items: &[impl Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
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
