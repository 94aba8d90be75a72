//! Which queries run, and whose they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weft_policy::PrincipalId;

/// The running queries of an engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningQueries(Arc<Mutex<HashMap<Uuid, Vec<Entry>>>>);

/// One of the streams of a query id: a ticket may be redeemed more than once.
#[derive(Debug)]
struct Entry {
    stream: Uuid,
    principal: PrincipalId,
    cancel: CancellationToken,
}

impl RunningQueries {
    pub(crate) fn register(
        &self,
        query_id: Uuid,
        principal: &PrincipalId,
        cancel: &CancellationToken,
    ) -> Registered {
        let stream = Uuid::new_v4();
        let entry = Entry {
            stream,
            principal: principal.clone(),
            cancel: cancel.clone(),
        };
        self.lock().entry(query_id).or_default().push(entry);
        Registered {
            queries: self.clone(),
            query_id,
            stream,
        }
    }

    /// Cancels every stream of `query_id` that is of `principal`.
    pub(crate) fn cancel(&self, query_id: Uuid, principal: &PrincipalId) -> bool {
        let queries = self.lock();
        let own = queries
            .get(&query_id)
            .into_iter()
            .flatten()
            .filter(|entry| entry.principal == *principal);
        own.inspect(|entry| entry.cancel.cancel()).count() > 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the list when dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    queries: RunningQueries,
    query_id: Uuid,
    stream: Uuid,
}

impl Drop for Registered {
    fn drop(&mut self) {
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
    use super::*;

    #[test]
    fn only_the_owner_cancels_and_only_what_runs() {
        let queries = RunningQueries::default();
        let (ana, bob) = (PrincipalId::user("ana"), PrincipalId::user("bob"));
        let (query_id, token) = (Uuid::new_v4(), CancellationToken::new());
        let registered = queries.register(query_id, &ana, &token);
        assert!(!queries.cancel(query_id, &bob));
        assert!(!queries.cancel(Uuid::new_v4(), &ana));
        assert!(!token.is_cancelled());
        assert!(queries.cancel(query_id, &ana));
        assert!(token.is_cancelled());
        drop(registered);
        assert!(!queries.cancel(query_id, &ana));
        assert!(queries.lock().is_empty());
    }
}
