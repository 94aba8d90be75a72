//! A difference in words, for whatever is written of it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use weft_mesh::TableId;
use weft_policy::diff::{
    AccessChange, Cause, CauseKind, ColumnChange, ColumnView, Direction, Fate, MeshDiff, Presence,
    Stated, Subject, TableChange,
};

use super::count::Counts;

/// A line about one thing that changes.
pub(super) struct Line {
    pub(super) direction: Direction,
    pub(super) text: String,
}

pub(super) fn sign(direction: Direction) -> &'static str {
    match (direction.gain, direction.loss) {
        (true, true) => "±",
        (true, false) => "+",
        (false, true) => "-",
        (false, false) => "~",
    }
}

/// `2 principals and 1 group gain access, nobody loses any`.
pub(super) fn summary(diff: &MeshDiff) -> String {
    if diff.is_empty() {
        return "nothing changes".to_owned();
    }
    let whose = |which: fn(Direction) -> bool| {
        let accesses = diff.accesses.iter();
        let accesses = accesses.map(|it| (it.change.direction(), &it.subjects));
        let rights = diff.rights.iter().map(|it| (it.direction, &it.subjects));
        let mut subjects = BTreeSet::new();
        for (direction, whom) in accesses.chain(rights) {
            if which(direction) {
                subjects.extend(whom.iter().cloned());
            }
        }
        subjects
    };
    let (gaining, losing) = (whose(|it| it.gain), whose(|it| it.loss));
    let direction = diff.direction();
    let said = |subjects: &BTreeSet<Subject>, happens: bool, verb: &str| {
        match (subjects.is_empty(), happens) {
            // Of a right that is nobody's own.
            (true, true) => format!("domains {verb}"),
            (true, false) => format!("nobody {verb}s"),
            (false, _) => format!("{} {verb}", counted(subjects)),
        }
    };
    format!(
        "{}, {}",
        said(&gaining, direction.gain, "gain"),
        said(&losing, direction.loss, "lose")
    )
}

/// `2 principals, 1 group and everyone`.
fn counted(subjects: &BTreeSet<Subject>) -> String {
    let count = |is: fn(&Subject) -> bool| subjects.iter().filter(|it| is(it)).count();
    let mut parts = Vec::new();
    let principals = count(|it| matches!(it, Subject::Principal(_)));
    if principals > 0 {
        parts.push(plural(principals, "principal"));
    }
    let groups = count(|it| matches!(it, Subject::Group(_)));
    if groups > 0 {
        parts.push(plural(groups, "group"));
    }
    if subjects.contains(&Subject::Everyone) {
        parts.push("everyone".to_owned());
    }
    match parts.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => parts.concat(),
    }
}

/// How much was compared.
pub(super) fn compared(diff: &MeshDiff) -> String {
    let compared = diff.compared;
    format!(
        "compared: {} for {}, {} and everyone, with {} and without",
        plural(compared.tables, "table"),
        plural(compared.principals, "principal"),
        plural(compared.groups, "group"),
        plural(diff.purposes.len(), "purpose"),
    )
}

/// The subjects by name, no more than `most` of them.
pub(super) fn names(subjects: &BTreeSet<Subject>, most: usize) -> String {
    let shown: Vec<String> = subjects
        .iter()
        .take(most)
        .map(ToString::to_string)
        .collect();
    let shown = shown.join(", ");
    match subjects.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more ({} in all)", subjects.len()),
    }
}

pub(super) fn tables(tables: &BTreeSet<TableId>, most: usize) -> String {
    // Two versions of one product are told apart.
    let name = |table: &TableId| {
        let versions = tables
            .iter()
            .filter(|it| (&it.domain, &it.table) == (&table.domain, &table.table));
        if versions.count() > 1 || table.major > 1 {
            format!("{table}@{}", table.major)
        } else {
            table.to_string()
        }
    };
    let shown: Vec<String> = tables.iter().take(most).map(name).collect();
    let shown = shown.join(", ");
    match tables.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more ({} in all)", tables.len()),
    }
}

/// For which purposes and when, if not always.
pub(super) fn occasion(access: &AccessChange) -> Option<String> {
    let mut parts = Vec::new();
    if !access.purposes.is_empty() {
        let stated = |stated: &Stated| match stated {
            Stated::Nothing => "without a purpose".to_owned(),
            Stated::Named(purpose) => format!("for {purpose}"),
            Stated::Other => "for any other purpose".to_owned(),
        };
        let purposes: Vec<String> = access.purposes.iter().map(stated).collect();
        parts.push(purposes.join(", "));
    }
    if let Some(from) = access.from {
        parts.push(format!("from {}", moment(from)));
    }
    if let Some(until) = access.until {
        parts.push(format!("until {}", moment(until)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A day where it begins, otherwise to the second.
pub(super) fn moment(time: DateTime<Utc>) -> String {
    let midnight = time.time() == chrono::NaiveTime::MIN;
    let form = if midnight {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    time.format(form).to_string()
}

/// `because grant sales.analysts changed`.
pub(super) fn because(causes: &BTreeSet<Cause>, most: usize) -> Option<String> {
    let said = |cause: &Cause| {
        let kind = match cause.kind {
            CauseKind::Grant => "grant ",
            CauseKind::Guardrail => "guardrail ",
            CauseKind::Contract => "the contract of ",
            CauseKind::Identity => "",
        };
        let fate = match (cause.kind, cause.fate) {
            (CauseKind::Grant | CauseKind::Guardrail, Fate::Added) => "applies now",
            (CauseKind::Grant | CauseKind::Guardrail, Fate::Removed) => "applies no longer",
            (CauseKind::Contract | CauseKind::Identity, Fate::Added) => "is new",
            (CauseKind::Contract | CauseKind::Identity, Fate::Removed) => "is gone",
            (_, Fate::Changed) => "is otherwise",
        };
        format!("{kind}{} {fate}", cause.name)
    };
    let shown: Vec<String> = causes.iter().take(most).map(said).collect();
    let more = match causes.len().saturating_sub(most) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty()).then(|| format!("because {}{more}", shown.join(", ")))
}

/// All that changes, a line each, the gravest first.
pub(super) fn lines(access: &AccessChange, counts: &Counts) -> Vec<Line> {
    let change = &access.change;
    let mut lines = Vec::new();
    lines.extend(presence(change));
    for (direction, names, verb) in [
        (Direction::GAIN, &change.found.0, "can be found"),
        (Direction::LOSS, &change.found.1, "can no longer be found"),
    ] {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            lines.push(Line {
                direction,
                text: format!("columns that {verb}: {}", names.join(", ")),
            });
        }
    }
    if let Some((old, new)) = &change.moved {
        lines.push(Line {
            direction: Direction::BOTH,
            text: format!("other data: {new}, was {old}"),
        });
    }
    lines.extend(rows(change, access, counts));
    lines.extend(columns(change));
    lines
}

fn presence(change: &TableChange) -> Option<Line> {
    use Presence::{Found, Granted, Hidden};
    let (before, after) = change.presence;
    let direction = if after > before {
        Direction::GAIN
    } else {
        Direction::LOSS
    };
    let text = match (before, after) {
        (Hidden, Granted) => "the table, which did not exist for them",
        (Hidden, Found) => "the table can be found and asked for",
        (Found, Granted) => "the table, which could only be found",
        (Granted, Hidden) => "the table: it no longer exists for them",
        (Granted, Found) => "the table: it can only be found",
        (Found, Hidden) => "the table can no longer be found",
        (Hidden, Hidden) | (Found, Found) | (Granted, Granted) => return None,
    };
    Some(Line {
        direction,
        text: text.to_owned(),
    })
}

fn rows(change: &TableChange, access: &AccessChange, counts: &Counts) -> Option<Line> {
    let rows = change.rows.as_ref()?;
    let where_true = |rows: &str| match rows {
        "TRUE" => "all rows".to_owned(),
        "FALSE" => "no rows".to_owned(),
        rows => format!("rows where {rows}"),
    };
    let mut text = match (&rows.old, &rows.new) {
        (None, Some(new)) => where_true(new),
        (Some(old), None) => where_true(old),
        (Some(old), Some(new)) => {
            let kind = match (rows.direction.gain, rows.direction.loss) {
                (true, false) => "more rows",
                (false, true) => "fewer rows",
                (true, true) | (false, false) => {
                    "other rows, neither condition is known to imply the other"
                }
            };
            format!("{kind}: {}, was {}", where_true(new), where_true(old))
        }
        (None, None) => return None,
    };
    if let Some(counted) = counts.said(access) {
        text.push_str(&format!(" ({counted})"));
    }
    Some(Line {
        direction: rows.direction,
        text,
    })
}

/// Columns that are only there, or no longer, in one line where they are alike.
fn columns(change: &TableChange) -> Vec<Line> {
    let mut lines = Vec::new();
    for (direction, side) in [
        (
            Direction::GAIN,
            (|it| it.new.as_ref()) as fn(&ColumnChange) -> Option<&ColumnView>,
        ),
        (Direction::LOSS, |it| it.old.as_ref()),
    ] {
        let alone = change.columns.iter();
        let alone = alone.filter(|it| it.old.is_none() != it.new.is_none());
        let shown: Vec<String> = alone
            .filter_map(side)
            .map(|view| match view.shown.as_str() {
                "clear" => view.name.clone(),
                shown => format!("{} ({shown})", view.name),
            })
            .collect();
        if !shown.is_empty() {
            lines.push(Line {
                direction,
                text: format!("columns {}", shown.join(", ")),
            });
        }
    }
    for column in &change.columns {
        if let (Some(old), Some(new)) = (&column.old, &column.new) {
            lines.push(Line {
                direction: column.direction,
                text: column_text(old, new, column.direction),
            });
        }
    }
    lines
}

fn column_text(old: &ColumnView, new: &ColumnView, direction: Direction) -> String {
    let mut parts = Vec::new();
    if old.name != new.name {
        parts.push(format!("called {}", old.name));
    }
    if old.data_type != new.data_type {
        parts.push(old.data_type.clone());
    }
    if old.nullable != new.nullable {
        parts.push(
            if old.nullable {
                "nullable"
            } else {
                "never NULL"
            }
            .to_owned(),
        );
    }
    if direction != Direction::NEITHER && old.shown != new.shown || parts.is_empty() {
        parts.push(old.shown.clone());
    }
    let typed = if old.data_type == new.data_type {
        String::new()
    } else {
        format!("{}, ", new.data_type)
    };
    let nullable = match (old.nullable, new.nullable) {
        (true, false) => "never NULL, ",
        (false, true) => "nullable, ",
        (true, true) | (false, false) => "",
    };
    format!(
        "column {}: {typed}{nullable}{}, was {}",
        new.name,
        new.shown,
        parts.join(", ")
    )
}

pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
