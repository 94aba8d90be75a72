//! What a change of a mesh's manifests does to what everybody sees.
//!
//! [`compare`] decides for everybody on both sides and holds the decisions
//! against each other, a cell at a time. It never misses a gain: whatever is
//! not shown to be the same or less is told as one. It reads manifests only.
//!
//! Whom: every principal that either state knows or names, a member of each
//! group whose name and attributes are left open, and anybody at all. For what:
//! no purpose, each that either state names, and one that none does. When: now,
//! and at every later moment at which a grant begins or ends.

mod access;
mod combinations;
mod contracts;
mod ground;
mod implication;
mod masks;
mod mentions;
mod report;
mod rights;
mod signatures;
mod subjects;
mod tables;
mod timeline;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use weft_mesh::{Domain, Mesh, TableId};

use self::{
    ground::{Ground, Placed},
    subjects::Subjects,
    tables::Comparison,
};
use crate::PolicySnapshot;

pub use report::{
    AccessChange, Cause, CauseKind, ColumnChange, ColumnView, Compared, ContractChange, Direction,
    Fate, MeshDiff, Presence, RightChange, RightKind, RowsChange, Stated, Subject, TableChange,
};

/// One state of a mesh.
#[derive(Debug, Clone, Copy)]
pub struct MeshState<'a> {
    /// The mesh, with its identities.
    pub mesh: &'a Mesh,
    /// The folder of its manifest, canonical: another state may lie elsewhere.
    pub folder: &'a Path,
    /// All of its domains.
    pub domains: &'a [Arc<Domain>],
    /// What they grant.
    pub policy: &'a PolicySnapshot,
}

/// All that differs from `old` to `new`, from `now` on.
pub fn compare(old: &MeshState<'_>, new: &MeshState<'_>, now: DateTime<Utc>) -> MeshDiff {
    let subjects = Subjects::of(old, new);
    let grounds = grounds(old, new);
    let others: BTreeSet<TableId> = grounds
        .iter()
        .filter(|(_, ground)| !ground.answers_the_same)
        .map(|(table, _)| table.clone())
        .collect();
    let comparison = Comparison {
        old: old.policy,
        new: new.policy,
        subjects: &subjects,
        others: &others,
        now,
    };
    let groups = subjects.candidates.iter();
    let groups = groups
        .filter(|it| matches!(it.subject, Subject::Group(_)))
        .count();
    MeshDiff {
        rights: rights::changes(old, new, &subjects, &grounds),
        contracts: contracts::changes(&grounds),
        accesses: tables::changes(&comparison, &grounds),
        compared: Compared {
            tables: grounds.len(),
            principals: subjects.candidates.len().saturating_sub(groups + 1),
            groups,
        },
        purposes: subjects.purposes,
    }
}

/// Every table of either state.
fn grounds<'a>(old: &MeshState<'a>, new: &MeshState<'a>) -> BTreeMap<TableId, Ground<'a>> {
    let mut placed: BTreeMap<TableId, (Option<Placed<'a>>, Option<Placed<'a>>)> = BTreeMap::new();
    let mut note = |state: &MeshState<'a>, is_new: bool| {
        for domain in state.domains {
            for table in &domain.tables {
                let sides = placed.entry(table.id(&domain.name)).or_default();
                let side = if is_new { &mut sides.1 } else { &mut sides.0 };
                *side = Some(Placed {
                    table,
                    domain,
                    folder: state.folder,
                });
            }
        }
    };
    note(old, false);
    note(new, true);
    let sides = placed.into_iter();
    sides
        .map(|(table, (old, new))| (table, Ground::of(old, new)))
        .collect()
}
