//! Queries that run while access changes, and end when theirs does.
//!
//! A query is planned on one snapshot and reads to its end on it. Where the
//! operator asks for it, what a running query rests on is decided anew whenever
//! the manifests are read again and whenever a decision ends by the clock; a
//! query that would not be planned as it was ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use weft_catalog::{LiveMesh, MeshSnapshot};
use weft_mesh::{Purpose, TableId};
use weft_policy::{Access, Owner, PolicySnapshot, Principal, Viewer};

use super::RunningQueries;
use crate::session::GovernedSession;

/// Decisions end by the clock on the wall, which may be set while we sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What a running query rests on.
#[derive(Debug)]
pub(crate) struct Claim {
    owner: Owner,
    /// Who called, where somebody vouches for them.
    vouched: Option<Arc<Principal>>,
    /// Of the credential that made the call.
    credential_tag: Option<[u8; 16]>,
    purpose: Option<Purpose>,
    /// The digest of the decision on each table that the statement reads.
    tables: BTreeMap<TableId, Option<[u8; 32]>>,
    /// Whether it reads the schema `system`, which tells of all manifests.
    reads_system: bool,
    /// The last snapshot that it was held against.
    checked: Arc<MeshSnapshot>,
    /// When a decision ends by the clock.
    valid_until: Option<DateTime<Utc>>,
}

impl Claim {
    pub(super) fn new(
        session: &GovernedSession,
        tables: &BTreeSet<TableId>,
        reads_system: bool,
    ) -> Self {
        let (snapshot, viewer) = (session.snapshot(), session.viewer());
        let policy = snapshot.policy();
        let voucher = viewer.principal.voucher();
        let mut valid_until = voucher.map(|voucher| voucher.until);
        let decide = |table: &TableId| {
            let decision = decide(policy, viewer, table);
            valid_until = earliest(valid_until, decision.valid_until);
            (table.clone(), decision.digest)
        };
        let tables = tables.iter().map(decide).collect();
        Self {
            owner: session.owner().clone(),
            vouched: voucher.map(|_| Arc::clone(&viewer.principal)),
            credential_tag: policy
                .authenticator()
                .credential_tag(session.owner().caller()),
            purpose: viewer.purpose.clone(),
            tables,
            reads_system,
            checked: Arc::clone(snapshot),
            valid_until,
        }
    }

    /// When to look again if the manifests stay as they are.
    pub(super) fn valid_until(&self) -> Option<DateTime<Utc>> {
        self.valid_until
    }

    /// Whether the query would be planned now as it was; if not, why: for the
    /// log. A panic is a no.
    pub(super) fn holds(
        &mut self,
        snapshot: &Arc<MeshSnapshot>,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let is_over = self.valid_until.is_some_and(|until| until <= now);
        if !is_over && self.checked.is_governed_as(snapshot) {
            return Ok(());
        }
        if self.reads_system && self.checked.epoch() != snapshot.epoch() {
            return Err("the manifests have changed".to_owned());
        }
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(snapshot.policy(), now)));
        self.valid_until = decided.unwrap_or_else(|_| Err("the decision panicked".to_owned()))?;
        self.checked = Arc::clone(snapshot);
        Ok(())
    }

    /// When the decisions end by the clock, if they are what they were.
    fn decide(
        &self,
        policy: &PolicySnapshot,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, String> {
        let principal = self
            .principal(policy, now)
            .ok_or("the caller would not be let in")?;
        let mut valid_until = principal.voucher().map(|voucher| voucher.until);
        let viewer = Viewer::new(principal, now).with_purpose(self.purpose.clone());
        for (table, digest) in &self.tables {
            let decision = decide(policy, &viewer, table);
            if decision.digest.is_none() || decision.digest != *digest {
                return Err(format!("access to `{table}` has changed"));
            }
            valid_until = earliest(valid_until, decision.valid_until);
        }
        let tables: BTreeSet<TableId> = self.tables.keys().cloned().collect();
        match policy.forbidden_combination(&viewer, &tables) {
            Some(found) => Err(format!("guardrail `{}` keeps apart", found.guardrail)),
            None => Ok(valid_until),
        }
    }

    /// Whose rights count, as the identity file has them now: the credential of
    /// the call is still in force, and who acts for another still may.
    fn principal(&self, policy: &PolicySnapshot, now: DateTime<Utc>) -> Option<Arc<Principal>> {
        let authenticator = policy.authenticator();
        if let Some(vouched) = &self.vouched {
            return authenticator.stands(vouched, now);
        }
        let tag = authenticator.credential_tag(self.owner.caller());
        if tag.is_none() || tag != self.credential_tag {
            return None;
        }
        match &self.owner.acting {
            None => authenticator.principal(&self.owner.principal),
            Some(service) => authenticator.impersonated(service, &self.owner.principal.name),
        }
    }
}

struct Decision {
    /// `None` where the table is not granted.
    digest: Option<[u8; 32]>,
    valid_until: Option<DateTime<Utc>>,
}

fn decide(policy: &PolicySnapshot, viewer: &Viewer, table: &TableId) -> Decision {
    match policy.decide(viewer, table) {
        Access::Granted(access) => Decision {
            digest: Some(access.digest()),
            valid_until: access.valid_until,
        },
        Access::Denied(denial) => Decision {
            digest: None,
            valid_until: denial.valid_until,
        },
    }
}

fn earliest(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}

/// Holds every running query against each new reading of the manifests, and
/// against the clock. Never returns.
pub(crate) async fn end_what_is_revoked(live: Arc<LiveMesh>, running: RunningQueries) {
    let mut reloads = live.reloads();
    loop {
        // The snapshot is taken after the sign that there is a new one.
        reloads.borrow_and_update();
        let now = Utc::now();
        let next = running.end_what_is_revoked(&live.snapshot(), now);
        let clock = async {
            match next {
                Some(next) => {
                    let left = (next - now).to_std().unwrap_or_default();
                    sleep(left.min(LONGEST_SLEEP)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // An error would say that the mesh is gone, and we hold it.
            _ = reloads.changed() => {}
            // A query may have been planned before the last reload.
            () = running.more_are_watched() => {}
            () = clock => {}
        }
    }
}
