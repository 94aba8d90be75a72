//! Personal access tokens: what is kept of them.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::fault::Spanned;

/// Every token of this kind begins so, and is found by it where it was left behind.
pub const TOKEN_PREFIX: &str = "weftpat_";

/// A token that lets in as a person of the identity file. It is `weftpat_ID_SECRET`;
/// kept is its digest. The secret is as random as the digest is long, so that nobody
/// can guess it and it needs no slow hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Names it in public: the stem of its file.
    pub id: Spanned<String>,
    /// The user that it lets in as.
    pub user: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the whole token.
    pub digest: [u8; 32],
    /// From then on it is as if it were not there.
    pub expires: DateTime<Utc>,
    /// Absolute. Once it is gone the token is taken back, whatever else is wrong with the
    /// mesh and keeps it from being read again.
    pub file: PathBuf,
}

/// Whether a token may be called so: lower-case letters and digits.
pub fn is_token_id(id: &str) -> bool {
    (8..=32).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
