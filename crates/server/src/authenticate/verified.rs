//! Passwords verified not long ago, so that clients that send `Basic` with every
//! call do not pay for hashing with every call.
//!
//! Kept is an HMAC of user and password under a key of this process, together
//! with the tag of the credential that accepted it: once the identity file holds
//! another credential, the memory is worth nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use weft_policy::{Authenticator, Principal, PrincipalId};

const CAPACITY: usize = 10_000;

type Key = [u8; 32];

pub(crate) struct VerifiedLogins {
    mac: Hmac<Sha256>,
    entries: Mutex<HashMap<Key, Entry>>,
}

struct Entry {
    principal: PrincipalId,
    credential_tag: [u8; 16],
}

impl std::fmt::Debug for VerifiedLogins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedLogins").finish_non_exhaustive()
    }
}

impl VerifiedLogins {
    pub(crate) fn new() -> Self {
        let key: [u8; 64] = std::array::from_fn(|_| rand::random());
        Self {
            mac: Hmac::new((&key).into()),
            entries: Mutex::default(),
        }
    }

    /// The principal, if this password was verified against the credential that
    /// is in force now.
    pub(crate) fn recall(
        &self,
        user: &str,
        password: &str,
        authenticator: &Authenticator,
    ) -> Option<Arc<Principal>> {
        let key = self.key(user, password);
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&key)?;
        if authenticator.credential_tag(&entry.principal) != Some(entry.credential_tag) {
            return None;
        }
        authenticator.principal(&entry.principal)
    }

    pub(crate) fn remember(
        &self,
        user: &str,
        password: &str,
        principal: &PrincipalId,
        authenticator: &Authenticator,
    ) {
        let Some(credential_tag) = authenticator.credential_tag(principal) else {
            return;
        };
        let key = self.key(user, password);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        let principal = principal.clone();
        entries.insert(
            key,
            Entry {
                principal,
                credential_tag,
            },
        );
    }

    fn key(&self, user: &str, password: &str) -> Key {
        let mut mac = self.mac.clone();
        // The length keeps `ab` + `c` from reading like `a` + `bc`.
        mac.update(&user.len().to_le_bytes());
        mac.update(user.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }
}
