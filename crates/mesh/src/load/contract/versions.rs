//! Versions: which major version of a table has the bare name.

use std::cmp::Reverse;

use super::TableDraft;
use crate::fault::{Fault, Span};
use crate::table::{Table, TableStatus};

/// Marks the newest version of each table, and refuses names that two contracts
/// claim. The tables come back sorted by name and version.
pub(crate) fn settle_versions(drafts: Vec<TableDraft>) -> (Vec<Table>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut kept: Vec<TableDraft> = Vec::new();
    for draft in drafts {
        match kept.iter().find_map(|other| conflict(&draft, other)) {
            Some(fault) => faults.push(fault),
            None => kept.push(draft),
        }
    }
    let mut tables: Vec<Table> = kept.into_iter().map(|draft| draft.table).collect();
    // The bare name goes to the newest active version; to a deprecated one only
    // where nothing else is left.
    tables.sort_by(|a, b| {
        let rank = |table: &Table| {
            (
                table.status == TableStatus::Deprecated,
                Reverse(table.major),
            )
        };
        a.name.cmp(&b.name).then(rank(a).cmp(&rank(b)))
    });
    let mut previous = None;
    for table in &mut tables {
        table.newest = previous.as_ref() != Some(&table.name);
        previous = Some(table.name.clone());
    }
    tables.sort_by(|a, b| (&a.name, a.major).cmp(&(&b.name, b.major)));
    (tables, faults)
}

/// Why `draft` cannot be served beside `other`.
fn conflict(draft: &TableDraft, other: &TableDraft) -> Option<Fault> {
    let (table, first) = (&draft.table, &other.table);
    if !table
        .name
        .as_str()
        .eq_ignore_ascii_case(first.name.as_str())
    {
        return None;
    }
    let same_product = table.product == first.product || draft.contract_id == other.contract_id;
    if table.name != first.name {
        return Some(refuse(
            table,
            format!(
                "table `{}` differs from `{}` in {} by case alone",
                table.name,
                first.name,
                place(&first.span)
            ),
            "rename one of the two",
        ));
    }
    if !same_product {
        return Some(refuse(
            table,
            format!(
                "table `{}` is declared twice, first in {}",
                table.name,
                place(&first.span)
            ),
            "rename one of the two; versions of one product share their `dataProduct`",
        ));
    }
    (table.major == first.major).then(|| {
        refuse(
            table,
            format!(
                "table `{}` is declared twice in version {}, first in {}",
                table.name,
                table.major,
                place(&first.span)
            ),
            "keep one contract for each major version, or retire the older",
        )
    })
}

fn refuse(table: &Table, message: String, help: &str) -> Fault {
    Fault::error(table.span.clone(), "duplicate-table", message).with_help(help)
}

fn place(span: &Span) -> String {
    format!("{}:{}", span.file.display(), span.line)
}
