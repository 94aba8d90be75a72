//! The options of the sessions that set any, in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_policy::Owner;

use super::{Options, SessionId};

const CAPACITY: usize = 10_000;
/// As long as a session bearer lives.
const IDLE: Duration = Duration::from_secs(12 * 60 * 60);

/// Options by session and owner: a service that acts for several users in one
/// session sets options for each of them, and none sees another's.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    entries: Mutex<HashMap<(SessionId, Owner), Entry>>,
}

#[derive(Debug)]
struct Entry {
    options: Options,
    used: Instant,
}

impl Sessions {
    /// The options of `session`; the defaults if it is unknown or of another.
    pub(crate) fn options(&self, session: Option<SessionId>, owner: &Owner) -> Options {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        session
            .and_then(|session| entries.get_mut(&(session, owner.clone())))
            .filter(|entry| entry.used.elapsed() < IDLE)
            .map(|entry| {
                entry.used = Instant::now();
                entry.options.clone()
            })
            .unwrap_or_default()
    }

    /// Keeps `options` for the session; the one idle for longest makes room.
    pub(crate) fn store(&self, session: SessionId, owner: &Owner, options: Options) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (session, owner.clone());
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            entries.retain(|_, entry| entry.used.elapsed() < IDLE);
            let idlest = entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| key.clone());
            if let Some(idlest) = idlest.filter(|_| entries.len() >= CAPACITY) {
                entries.remove(&idlest);
            }
        }
        let used = Instant::now();
        entries.insert(key, Entry { options, used });
    }

    /// Forgets the options of `session`.
    pub(crate) fn close(&self, session: Option<SessionId>, owner: &Owner) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session {
            entries.remove(&(session, owner.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use weft_policy::PrincipalId;

    use super::*;

    fn schema(name: &str) -> Options {
        let mut options = Options::default();
        options.query.schema = Some(name.to_owned());
        options
    }

    fn owner(user: &str, acting: Option<&str>) -> Owner {
        Owner {
            principal: PrincipalId::user(user),
            acting: acting.map(PrincipalId::service),
        }
    }

    #[test]
    fn a_session_belongs_to_its_owner() {
        let sessions = Sessions::default();
        let (ana, session) = (owner("ana", None), SessionId::new());
        let others = [
            owner("bo", None),
            owner("ana", Some("bi")),
            owner("bo", Some("bi")),
            PrincipalId::service("bi").into(),
        ];
        sessions.store(session, &ana, schema("sales"));
        for other in &others {
            let none = Options::default();
            assert_eq!(sessions.options(Some(session), other), none, "{other}");
        }
        for other in &others {
            sessions.store(session, other, schema("hr"));
            sessions.close(Some(session), other);
        }
        assert_eq!(sessions.options(Some(session), &ana), schema("sales"));
        sessions.close(Some(session), &ana);
        assert_eq!(sessions.options(Some(session), &ana), Options::default());
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::default();
        let ana = owner("ana", None);
        let first = SessionId::new();
        sessions.store(first, &ana, schema("sales"));
        for _ in 0..CAPACITY {
            sessions.store(SessionId::new(), &ana, schema("hr"));
        }
        assert_eq!(sessions.entries.lock().unwrap().len(), CAPACITY);
        assert_eq!(sessions.options(Some(first), &ana), Options::default());
    }
}
