//! The options of the sessions that set any, in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_engine::SessionOptions;
use weft_policy::PrincipalId;

use super::SessionId;

const CAPACITY: usize = 10_000;
/// As long as a session bearer lives.
const IDLE: Duration = Duration::from_secs(12 * 60 * 60);

/// Sessions by id; each belongs to the principal that first set an option.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    entries: Mutex<HashMap<SessionId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    owner: PrincipalId,
    options: SessionOptions,
    used: Instant,
}

impl Sessions {
    /// The options of `session`; the defaults if it is unknown or of another.
    pub(crate) fn options(
        &self,
        session: Option<SessionId>,
        owner: &PrincipalId,
    ) -> SessionOptions {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        session
            .and_then(|session| entries.get_mut(&session))
            .filter(|entry| entry.owner == *owner && entry.used.elapsed() < IDLE)
            .map(|entry| {
                entry.used = Instant::now();
                entry.options.clone()
            })
            .unwrap_or_default()
    }

    /// Keeps `options` for the session; the one idle for longest makes room.
    pub(crate) fn store(&self, session: SessionId, owner: &PrincipalId, options: SessionOptions) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries
            .get(&session)
            .is_some_and(|entry| entry.owner != *owner)
        {
            return;
        }
        if entries.len() >= CAPACITY && !entries.contains_key(&session) {
            entries.retain(|_, entry| entry.used.elapsed() < IDLE);
            let idlest = entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(session, _)| *session);
            if let Some(idlest) = idlest.filter(|_| entries.len() >= CAPACITY) {
                entries.remove(&idlest);
            }
        }
        let entry = Entry {
            owner: owner.clone(),
            options,
            used: Instant::now(),
        };
        entries.insert(session, entry);
    }

    /// Forgets the options of `session`.
    pub(crate) fn close(&self, session: Option<SessionId>, owner: &PrincipalId) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session
            && entries
                .get(&session)
                .is_some_and(|entry| entry.owner == *owner)
        {
            entries.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(name: &str) -> SessionOptions {
        SessionOptions {
            schema: Some(name.to_owned()),
            ..SessionOptions::default()
        }
    }

    #[test]
    fn a_session_belongs_to_its_principal() {
        let sessions = Sessions::default();
        let (ana, bo) = (PrincipalId::user("ana"), PrincipalId::user("bo"));
        let session = SessionId::new();
        sessions.store(session, &ana, schema("sales"));
        assert_eq!(sessions.options(Some(session), &ana), schema("sales"));
        assert_eq!(
            sessions.options(Some(session), &bo),
            SessionOptions::default()
        );
        sessions.store(session, &bo, schema("hr"));
        sessions.close(Some(session), &bo);
        assert_eq!(sessions.options(Some(session), &ana), schema("sales"));
        sessions.close(Some(session), &ana);
        assert_eq!(
            sessions.options(Some(session), &ana),
            SessionOptions::default()
        );
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::default();
        let ana = PrincipalId::user("ana");
        let first = SessionId::new();
        sessions.store(first, &ana, schema("sales"));
        for _ in 0..CAPACITY {
            sessions.store(SessionId::new(), &ana, schema("hr"));
        }
        assert_eq!(sessions.entries.lock().unwrap().len(), CAPACITY);
        assert_eq!(
            sessions.options(Some(first), &ana),
            SessionOptions::default()
        );
    }
}
