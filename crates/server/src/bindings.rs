//! Parameters of clients that go on with the handle they bound to, instead of the
//! bound one that they got back. Kept in this process, bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use weft_policy::Owner;

const CAPACITY: usize = 1024;
const CAPACITY_BYTES: usize = 64 * 1024 * 1024;
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Parameters by the handle that a client presented when it bound them.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    entries: Mutex<HashMap<[u8; 32], Binding>>,
}

struct Binding {
    parameters: Bytes,
    stored: Instant,
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binding")
            .field("bytes", &self.parameters.len())
            .finish_non_exhaustive()
    }
}

impl Bindings {
    pub(crate) fn get(&self, owner: &Owner, sealed: &[u8]) -> Option<Bytes> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(&key(owner, sealed))
            .filter(|binding| binding.stored.elapsed() < LIFE)
            .map(|binding| binding.parameters.clone())
    }

    /// The oldest make room.
    pub(crate) fn store(&self, owner: &Owner, sealed: &[u8], parameters: Bytes) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(owner, sealed);
        entries.remove(&key);
        let mut bytes: usize = entries.values().map(|entry| entry.parameters.len()).sum();
        while entries.len() >= CAPACITY || bytes + parameters.len() > CAPACITY_BYTES {
            let oldest = entries
                .iter()
                .min_by_key(|(_, entry)| entry.stored)
                .map(|(key, _)| *key);
            let Some(removed) = oldest.and_then(|oldest| entries.remove(&oldest)) else {
                break;
            };
            bytes -= removed.parameters.len();
        }
        let stored = Instant::now();
        entries.insert(key, Binding { parameters, stored });
    }

    pub(crate) fn remove(&self, owner: &Owner, sealed: &[u8]) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&key(owner, sealed));
    }
}

fn key(owner: &Owner, sealed: &[u8]) -> [u8; 32] {
    let owner = owner.binding();
    Sha256::new()
        .chain_update(owner.len().to_le_bytes())
        .chain_update(owner)
        .chain_update(sealed)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use weft_policy::PrincipalId;

    use super::*;

    fn owner(user: &str, acting: Option<&str>) -> Owner {
        Owner {
            principal: PrincipalId::user(user),
            acting: acting.map(PrincipalId::service),
        }
    }

    #[test]
    fn bindings_belong_to_their_owner_and_are_bounded() {
        let bindings = Bindings::default();
        let (ana, bo) = (owner("ana", None), owner("bo", None));
        bindings.store(&ana, b"h", Bytes::from_static(b"1"));
        bindings.store(&ana, b"h", Bytes::from_static(b"2"));
        assert_eq!(bindings.get(&ana, b"h").unwrap(), "2");
        for other in [
            bo.clone(),
            owner("ana", Some("bi")),
            owner("bo", Some("bi")),
        ] {
            assert_eq!(bindings.get(&other, b"h"), None);
        }
        bindings.remove(&bo, b"h");
        for other in 0..CAPACITY {
            bindings.store(&ana, &other.to_le_bytes(), Bytes::from_static(b"3"));
        }
        assert_eq!(bindings.get(&ana, b"h"), None);
        assert_eq!(bindings.entries.lock().unwrap().len(), CAPACITY);
        bindings.remove(&ana, &1_usize.to_le_bytes());
        bindings.remove(&ana, &1_usize.to_le_bytes());
        assert_eq!(bindings.get(&ana, &1_usize.to_le_bytes()), None);
    }
}
