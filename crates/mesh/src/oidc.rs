//! OpenID providers whose tokens let people and services in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use crate::fault::Spanned;

/// One provider, and what of its tokens counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcIssuer {
    /// As its tokens have it in `iss`; compared letter by letter.
    pub issuer: Spanned<String>,
    /// The same, parsed: where its metadata is found.
    pub url: Url,
    /// A token must be meant for one of these (`aud`).
    pub audiences: BTreeSet<String>,
    /// Holds the name of a person.
    pub name_claim: ClaimPath,
    /// Holds the names of groups.
    pub groups_claim: ClaimPath,
    /// Attributes, and what holds them.
    pub attributes: BTreeMap<String, ClaimPath>,
    /// Put before the names of its people, services and groups, so that they are
    /// nobody else's; empty for the one provider that needs none.
    pub prefix: String,
    /// What its tokens may be signed with.
    pub algorithms: BTreeSet<SignatureAlgorithm>,
    /// How far its clock may be from ours.
    pub clock_skew: Duration,
    /// How long a session lasts that a token began; none: as long as the token.
    pub sessions: Option<Duration>,
}

/// Where in a token a value is: the name of a claim, or a JSON Pointer (RFC 6901)
/// where it begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// A claim's name, or a pointer into the claims.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a token may be signed with: public keys only (RFC 7518, RFC 8037), so
/// that nobody but the provider can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum SignatureAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl SignatureAlgorithm {
    /// All of them, as they are allowed where a manifest names none.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}
