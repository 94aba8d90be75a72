//! The rows that somebody sees before and after, counted by the engine.
//!
//! Both counts read the data of the new mesh, the first under the old policy.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, Int64Array};
use futures::TryStreamExt as _;
use weft_engine::{CatalogConfig, Engine, EngineConfig, LiveMesh, MeshSnapshot, SessionOptions};
use weft_mesh::{Domain, Purpose, StorageUrl, TableId};
use weft_policy::diff::{AccessChange, MeshDiff, Presence, Stated, Subject};
use weft_policy::{PolicySnapshot, Principal};

use super::words::plural;
use crate::error::{Error, Result};

/// Rows before and after, by access change; only of those that could be counted.
#[derive(Debug, Default)]
pub(super) struct Counts(Vec<(AccessChange, (u64, u64))>);

impl Counts {
    /// Counts for the first principal of each change of a table whose files lie
    /// in a local folder of the new mesh.
    ///
    /// # Errors
    /// The new mesh cannot be opened.
    pub(super) async fn of(
        diff: &MeshDiff,
        old: PolicySnapshot,
        domains: &[Arc<Domain>],
        file: &Path,
    ) -> Result<Self> {
        let failed = |cause: String| {
            Error::Failed(format!("cannot count rows: {cause}; leave `--data` out"))
        };
        let live = Box::pin(LiveMesh::open(file, CatalogConfig::default()))
            .await
            .map_err(|cause| failed(cause.to_string()))?;
        let engine = Engine::new(Arc::clone(&live), EngineConfig::default())
            .map_err(|cause| failed(cause.to_string()))?;
        let new = engine.snapshot();
        let old = Arc::new(new.under(old));
        let changed: HashSet<&TableId> = diff.contracts.iter().map(|it| &it.table).collect();
        let mut counts = Vec::new();
        for access in &diff.accesses {
            // The old policy reads the columns of its own contract, and looks
            // up in tables as they were.
            let looks_up = access.change.rows.iter().any(|rows| {
                let texts = rows.old.iter().chain(&rows.new);
                texts.into_iter().any(|text| text.contains("IN (SELECT"))
            });
            let comparable = if looks_up {
                changed.is_empty()
            } else {
                access.tables.iter().all(|table| !changed.contains(table))
            };
            let local = access.tables.iter().all(|table| is_local(table, domains));
            if access.from.is_some() || access.change.rows.is_none() || !comparable || !local {
                continue;
            }
            let before = Box::pin(rows(&engine, &old, access, access.change.presence.0)).await;
            let after = Box::pin(rows(&engine, &new, access, access.change.presence.1)).await;
            if let (Some(before), Some(after)) = (before, after) {
                counts.push((access.clone(), (before, after)));
            }
        }
        Ok(Self(counts))
    }

    pub(super) fn of_change(&self, access: &AccessChange) -> Option<(u64, u64)> {
        let found = self.0.iter().find(|(counted, _)| counted == access);
        found.map(|(_, counts)| *counts)
    }

    pub(super) fn said(&self, access: &AccessChange) -> Option<String> {
        let (before, after) = self.of_change(access)?;
        let rows = |count: u64| plural(usize::try_from(count).unwrap_or(usize::MAX), "row");
        Some(format!("{} before, {} after", rows(before), rows(after)))
    }
}

/// How many rows of all tables of a change one of its subjects sees; `None`
/// where that cannot be counted.
async fn rows(
    engine: &Engine,
    snapshot: &Arc<MeshSnapshot>,
    access: &AccessChange,
    presence: Presence,
) -> Option<u64> {
    if presence != Presence::Granted {
        return Some(0);
    }
    let principal = somebody(snapshot, access)?;
    let purpose = match access.purposes.first() {
        None | Some(Stated::Nothing) => None,
        Some(Stated::Named(purpose)) => Some(purpose.clone()),
        Some(Stated::Other) => Purpose::parse("any-other").ok(),
    };
    let mut total = 0_u64;
    for table in &access.tables {
        let options = SessionOptions {
            purpose: purpose.clone(),
            ..SessionOptions::default()
        };
        let caller = Arc::clone(&principal).into();
        let session = engine
            .session_on(Arc::clone(snapshot), caller, options)
            .ok()?;
        let sql = format!(
            "SELECT count(*) FROM \"{}\".\"{}@{}\"",
            table.domain, table.table, table.major
        );
        let query = Box::pin(session.plan(&sql)).await.ok()?;
        let running = Box::pin(query.execute()).await.ok()?;
        let batches: Vec<_> = running.try_collect().await.ok()?;
        for batch in batches {
            let counts = batch.columns().first()?;
            let counts = counts.as_any().downcast_ref::<Int64Array>()?;
            for at in 0..counts.len() {
                total = total.saturating_add(u64::try_from(counts.value(at)).ok()?);
            }
        }
    }
    Some(total)
}

/// Of several, all see the same: a principal of the mesh, or whoever else, where
/// nothing of them matters.
fn somebody(snapshot: &MeshSnapshot, access: &AccessChange) -> Option<Arc<Principal>> {
    access.subjects.iter().find_map(|subject| match subject {
        Subject::Principal(id) => snapshot.policy().authenticator().principal(id),
        Subject::Group(_) | Subject::Everyone => None,
    })
}

fn is_local(table: &TableId, domains: &[Arc<Domain>]) -> bool {
    domains.iter().any(|domain| {
        let mut tables = domain.tables.iter();
        domain.name == table.domain
            && tables.any(|it| {
                it.id(&domain.name) == *table
                    && domain
                        .storage(&it.source.storage)
                        .is_some_and(|storage| matches!(storage.url, StorageUrl::Local { .. }))
            })
    })
}
