//! What contracts say otherwise, in words.

use std::collections::{BTreeMap, BTreeSet};

use weft_mesh::{Column, Table, TableId};

use super::{ground::Ground, report::ContractChange};

pub(super) fn changes(grounds: &BTreeMap<TableId, Ground<'_>>) -> Vec<ContractChange> {
    let mut changes = Vec::new();
    for (table, ground) in grounds {
        let told = match (ground.old, ground.new) {
            (Some(old), Some(new)) => of_both(ground, old, new),
            (None, Some(new)) => vec![format!("is new, version {}", new.major)],
            (Some(old), None) => vec![format!("is gone, version {}", old.major)],
            (None, None) => Vec::new(),
        };
        changes.extend(told.into_iter().map(|what| ContractChange {
            table: table.clone(),
            what,
        }));
    }
    changes
}

fn of_both(ground: &Ground<'_>, old: &Table, new: &Table) -> Vec<String> {
    let mut told = Vec::new();
    if let Some((before, after)) = &ground.moved {
        told.push(format!("reads {after}, no longer {before}"));
    }
    if old.newest != new.newest {
        told.push(if new.newest {
            format!("is what the bare name means: version {}", new.major)
        } else {
            format!("is called `{}@{}` alone", new.name, new.major)
        });
    }
    marks(&mut told, "the table", "tag", &old.tags, &new.tags);
    for pair in &ground.columns {
        let column = |table: &'_ Table, at: Option<usize>| table.columns.get(at?).cloned();
        match (column(old, pair.old), column(new, pair.new)) {
            (Some(old), Some(new)) => of_column(&mut told, &old, &new),
            (None, Some(new)) => {
                told.push(format!("column `{}` is new{}", new.name, physical(&new)))
            }
            (Some(old), None) => {
                told.push(format!("column `{}` is gone{}", old.name, physical(&old)))
            }
            (None, None) => {}
        }
    }
    told
}

fn of_column(told: &mut Vec<String>, old: &Column, new: &Column) {
    let name = &new.name;
    if old.name != new.name {
        told.push(format!("column `{}` is called `{name}`", old.name));
    }
    if old.data_type != new.data_type {
        told.push(format!(
            "column `{name}` is {}, no longer {}",
            new.data_type, old.data_type
        ));
    }
    if old.required != new.required {
        let what = if new.required { "required" } else { "optional" };
        told.push(format!("column `{name}` is {what}"));
    }
    let column = format!("column `{name}`");
    marks(told, &column, "tag", &old.tags, &new.tags);
    let class = |column: &Column| column.classification.iter().cloned().collect();
    marks(told, &column, "classification", &class(old), &class(new));
    let (before, after) = (&old.inside, &new.inside);
    marks(told, &column, "inner tag", &before.tags, &after.tags);
    marks(
        told,
        &column,
        "inner classification",
        &before.classifications,
        &after.classifications,
    );
}

fn marks(
    told: &mut Vec<String>,
    of: &str,
    what: &str,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
) {
    told.extend(
        new.difference(old)
            .map(|mark| format!("{of} has {what} `{mark}`")),
    );
    told.extend(
        old.difference(new)
            .map(|mark| format!("{of} has {what} `{mark}` no longer")),
    );
}

fn physical(column: &Column) -> String {
    if column.physical_name == column.name {
        String::new()
    } else {
        format!(", over `{}`", column.physical_name)
    }
}
