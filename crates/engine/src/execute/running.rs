//! Which queries run, and whose they are.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use uuid::Uuid;
use weft_catalog::MeshSnapshot;
use weft_policy::Owner;

use super::{interrupt::Interrupt, revocation::Claim};

/// The running queries of an engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningQueries(Arc<Running>);

#[derive(Debug, Default)]
struct Running {
    queries: Mutex<HashMap<Uuid, Vec<Entry>>>,
    /// The snapshot that claims were last held against.
    latest: Mutex<Option<Arc<MeshSnapshot>>>,
    /// A query with a claim has begun.
    watched: Notify,
    /// How many streams there are.
    count: Arc<AtomicUsize>,
}

/// One of the streams of a query id: a ticket may be redeemed more than once.
#[derive(Debug)]
struct Entry {
    stream: Uuid,
    owner: Owner,
    interrupt: Interrupt,
    /// What it rests on, where it has to end with that.
    claim: Option<Claim>,
}

impl RunningQueries {
    pub(super) fn register(
        &self,
        query_id: Uuid,
        owner: &Owner,
        interrupt: &Interrupt,
        mut claim: Option<Claim>,
    ) -> Registered {
        let stream = Uuid::new_v4();
        if let Some(rests_on) = &mut claim {
            // Planned before the last reload, it does not even begin.
            let latest = self.latest().clone();
            if latest.is_some_and(|latest| rests_on.holds(&latest, Utc::now()).is_err()) {
                interrupt.revoke();
            }
        }
        let is_watched = claim.is_some();
        let entry = Entry {
            stream,
            owner: owner.clone(),
            interrupt: interrupt.clone(),
            claim,
        };
        self.lock().entry(query_id).or_default().push(entry);
        self.0.count.fetch_add(1, Ordering::Relaxed);
        if is_watched {
            self.0.watched.notify_one();
        }
        Registered {
            queries: self.clone(),
            query_id,
            stream,
        }
    }

    /// How many there are, at any time.
    pub(crate) fn count(&self) -> &Arc<AtomicUsize> {
        &self.0.count
    }

    /// Cancels every stream of `query_id` that is of `owner`.
    pub(crate) fn cancel(&self, query_id: Uuid, owner: &Owner) -> bool {
        let queries = self.lock();
        let own = queries
            .get(&query_id)
            .into_iter()
            .flatten()
            .filter(|entry| entry.owner == *owner);
        own.inspect(|entry| entry.interrupt.cancel()).count() > 0
    }

    /// Ends every query whose claim does not hold. Returns when to look again.
    pub(super) fn end_what_is_revoked(
        &self,
        snapshot: &Arc<MeshSnapshot>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        *self.latest() = Some(Arc::clone(snapshot));
        let mut next: Option<DateTime<Utc>> = None;
        for (query_id, entries) in self.lock().iter_mut() {
            for entry in entries {
                let Some(claim) = &mut entry.claim else {
                    continue;
                };
                match claim.holds(snapshot, now) {
                    Ok(()) => next = next.into_iter().chain(claim.valid_until()).min(),
                    Err(reason) => {
                        entry.interrupt.revoke();
                        entry.claim = None;
                        let Owner { principal, acting } = &entry.owner;
                        let acting = acting.as_ref().map(tracing::field::display);
                        tracing::info!(
                            %query_id, %principal, acting, reason,
                            "access was revoked while the query ran"
                        );
                    }
                }
            }
        }
        next
    }

    /// Comes when a query was registered that has a claim.
    pub(super) async fn more_are_watched(&self) {
        self.0.watched.notified().await;
    }

    fn latest(&self) -> MutexGuard<'_, Option<Arc<MeshSnapshot>>> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Entry>>> {
        self.0
            .queries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the list when dropped.
#[derive(Debug)]
pub(super) struct Registered {
    queries: RunningQueries,
    query_id: Uuid,
    stream: Uuid,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.queries.0.count.fetch_sub(1, Ordering::Relaxed);
        let mut queries = self.queries.lock();
        if let Some(entries) = queries.get_mut(&self.query_id) {
            entries.retain(|entry| entry.stream != self.stream);
            if entries.is_empty() {
                queries.remove(&self.query_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use weft_policy::PrincipalId;

    use super::*;
    use crate::error::Error;

    #[test]
    fn only_the_owner_cancels_and_only_what_runs() {
        let queries = RunningQueries::default();
        let ana = PrincipalId::user("ana");
        let service = |name: &str| Some(PrincipalId::service(name));
        let of = |acting| Owner {
            principal: ana.clone(),
            acting,
        };
        let (query_id, interrupt) = (Uuid::new_v4(), Interrupt::default());
        let owner = of(service("bi"));
        let registered = queries.register(query_id, &owner, &interrupt, None);
        for other in [
            of(None),
            of(service("etl")),
            PrincipalId::user("bob").into(),
            PrincipalId::service("bi").into(),
        ] {
            assert!(!queries.cancel(query_id, &other), "{other}");
        }
        assert!(!queries.cancel(Uuid::new_v4(), &owner));
        assert_eq!(interrupt.interrupted().now_or_never(), None);
        assert!(queries.cancel(query_id, &owner));
        let reason = interrupt.interrupted().now_or_never();
        assert_eq!(reason, Some(Error::Cancelled));
        assert_eq!(queries.count().load(Ordering::Relaxed), 1);
        drop(registered);
        assert_eq!(queries.count().load(Ordering::Relaxed), 0);
        assert!(!queries.cancel(query_id, &owner));
        assert!(queries.lock().is_empty());
    }
}
