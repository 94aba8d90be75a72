//! The keys of the digesting masks, derived from the mesh's secret.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// HMAC-SHA-256 (RFC 2104, FIPS 180-4), keyed.
pub(super) type Keyed = Hmac<Sha256>;

/// What the keys of all digesting masks are derived from: the mesh's secret.
pub(crate) struct MaskKeys {
    secret: Zeroizing<Vec<u8>>,
}

impl MaskKeys {
    /// Takes a copy of the secret, which is wiped when dropped.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self {
            secret: Zeroizing::new(secret.to_vec()),
        }
    }

    /// The key of `hash`: equal values have equal hashes in all of the mesh.
    pub(super) fn hash(&self) -> MaskKey {
        self.derive(&[b"weft mask hash"])
    }

    /// The key of `token(scope)`: equal values have equal tokens within it.
    pub(super) fn token(&self, scope: &str) -> MaskKey {
        self.derive(&[b"weft mask token:", scope.as_bytes()])
    }

    fn derive(&self, label: &[&[u8]]) -> MaskKey {
        MaskKey(Arc::new(Zeroizing::new(hmac(&self.secret, label))))
    }
}

impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKeys(..)")
    }
}

/// A derived key: it tells functions apart and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct MaskKey(Arc<Zeroizing<[u8; 32]>>);

impl MaskKey {
    /// A digest that has consumed the key and nothing else.
    pub(super) fn keyed(&self) -> Keyed {
        keyed(self.0.as_slice())
    }
}

impl Hash for MaskKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC takes a key of any length.
#[expect(
    clippy::unwrap_used,
    reason = "the only error is a key's length, and HMAC takes every length"
)]
fn keyed(key: &[u8]) -> Keyed {
    Keyed::new_from_slice(key).unwrap()
}
