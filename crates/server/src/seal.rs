//! Sealing of what clients carry for us: statement handles and session bearers.
//!
//! ```text
//! version (1) | key id (4) | nonce (12) | AES-256-GCM-SIV ciphertext and tag
//! ```
//! The key is derived from the server's secret for one purpose, so that a bearer
//! never opens as a handle. A seal proves only that we wrote it for the owner
//! named in the associated data; it carries no authority.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 12;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH;

/// What a sealer's key is for; two purposes never share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Handle,
    Bearer,
    Options,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Handle => b"weft statement handle 2",
            Self::Bearer => b"weft session bearer 1",
            Self::Options => b"weft session options 1",
        }
    }
}

/// Seals bytes under one key, and opens what was sealed under any of several: so that
/// secrets can be replaced while what clients hold goes on working.
pub(crate) struct Sealer {
    /// The first seals.
    keys: Vec<Key>,
}

struct Key {
    cipher: Aes256GcmSiv,
    header: [u8; HEADER_LENGTH],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    /// Derives the keys for `purpose`; servers with a secret in common open what
    /// was sealed under it.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>, purpose: Purpose) -> Self {
        let keys = secrets.into_iter().map(|secret| Key::new(secret, purpose));
        Self {
            keys: keys.collect(),
        }
    }

    /// Seals `plaintext` for `owner`; `None` only for absurd lengths.
    pub(crate) fn seal(&self, owner: &str, plaintext: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload {
            msg: plaintext,
            aad: &key.associated_data(owner),
        };
        let nonce = Nonce::from_slice(&nonce);
        let ciphertext = key.cipher.encrypt(nonce, payload).ok()?;
        Some([key.header.as_slice(), nonce, &ciphertext].concat())
    }

    /// The plaintext, if `sealed` was sealed under one of the keys for `owner`.
    pub(crate) fn open(&self, owner: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.keys.iter().find_map(|key| key.open(owner, sealed))
    }
}

impl Key {
    fn new(secret: &[u8], purpose: Purpose) -> Self {
        let mut okm = [0_u8; 32 + KEY_ID_LENGTH];
        // 36 bytes are far below HKDF's limit of 255 blocks, its only error.
        let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose.label(), &mut okm);
        debug_assert!(expanded.is_ok(), "36 bytes are a valid HKDF length");
        let (key, key_id) = okm.split_at(32);
        let mut header = [VERSION; HEADER_LENGTH];
        for (to, from) in header.iter_mut().skip(1).zip(key_id) {
            *to = *from;
        }
        Self {
            cipher: Aes256GcmSiv::new(key.into()),
            header,
        }
    }

    fn open(&self, owner: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let body = sealed.strip_prefix(self.header.as_slice())?;
        let (nonce, ciphertext) = body.split_at_checked(NONCE_LENGTH)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &self.associated_data(owner),
        };
        self.cipher.decrypt(Nonce::from_slice(nonce), payload).ok()
    }

    fn associated_data(&self, owner: &str) -> Vec<u8> {
        [self.header.as_slice(), owner.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealer = Sealer::new([b"secret".as_slice()], Purpose::Handle);
        let sealed = sealer.seal("user:ana", b"select 1").unwrap();
        assert_eq!(sealer.open("user:ana", &sealed).unwrap(), b"select 1");
        assert_eq!(sealer.open("user:bo", &sealed), None);
        assert_eq!(
            Sealer::new([b"secret".as_slice()], Purpose::Bearer).open("user:ana", &sealed),
            None
        );
        assert_eq!(
            Sealer::new([b"other".as_slice()], Purpose::Handle).open("user:ana", &sealed),
            None
        );
        for position in 0..sealed.len() {
            let mut tampered = sealed.clone();
            tampered[position] ^= 1;
            assert_eq!(sealer.open("user:ana", &tampered), None, "byte {position}");
        }
        for length in 0..sealed.len() {
            assert_eq!(sealer.open("user:ana", &sealed[..length]), None);
        }
    }

    #[test]
    fn servers_with_one_secret_open_each_others_seals() {
        let sealed = Sealer::new([b"secret".as_slice()], Purpose::Handle)
            .seal("user:ana", b"x")
            .unwrap();
        let other = Sealer::new([b"secret".as_slice()], Purpose::Handle);
        assert_eq!(other.open("user:ana", &sealed).unwrap(), b"x");
    }

    #[test]
    fn a_secret_is_replaced_in_three_steps() {
        let with =
            |secrets: &[&'static [u8]]| Sealer::new(secrets.iter().copied(), Purpose::Handle);
        let (old, new) = (b"old".as_slice(), b"new".as_slice());
        let steps = [
            with(&[old]),
            with(&[old, new]),
            with(&[new, old]),
            with(&[new]),
        ];
        for pair in steps.windows(2) {
            for (one, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let sealed = one.seal("user:ana", b"x").unwrap();
                assert_eq!(other.open("user:ana", &sealed).unwrap(), b"x");
                assert_eq!(other.open("user:bo", &sealed), None);
            }
        }
        let sealed = steps[0].seal("user:ana", b"x").unwrap();
        assert_eq!(steps[3].open("user:ana", &sealed), None);
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let sealer = Sealer::new([b"secret".as_slice()], Purpose::Handle);
        assert_ne!(sealer.seal("a", b"x"), sealer.seal("a", b"x"));
    }
}
