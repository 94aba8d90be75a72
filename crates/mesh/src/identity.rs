//! The mesh and who may use it: `mesh.yaml` as values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use crate::access_test::Requirements;
use crate::audit::AuditManifest;
use crate::fault::Spanned;
use crate::grant::Grantee;
use crate::guardrail::GuardrailManifest;
use crate::limit::LimitManifest;
use crate::name::MeshName;
use crate::oidc::OidcIssuer;
use crate::secret::SecretRef;
use crate::token::AccessToken;

/// A mesh, without its domains: those are loaded each on its own.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// The SQL catalog.
    pub name: MeshName,
    /// Picks the server of each contract; without it, or where none matches, the first is taken.
    pub environment: Option<String>,
    /// Keys the hash masks and seals handles.
    pub secret: Option<SecretRef>,
    pub identity: Identity,
    /// Who answers for the whole mesh: they read what everybody did, and ask
    /// why anybody sees what they see.
    pub auditors: Vec<Grantee>,
    /// Where the audit trail is kept; without it there is none.
    pub audit: Option<AuditManifest>,
    /// What the mesh asks of its domains.
    pub require: Requirements,
    /// What statements may take of the server.
    pub limits: Vec<LimitManifest>,
    /// The federation's limits.
    pub guardrails: Vec<GuardrailManifest>,
    /// `mesh.yaml`, absolute.
    pub file: PathBuf,
}

/// The identities that the mesh itself knows, and who else knows some.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    pub users: Vec<IdentityUser>,
    /// Providers that know more people and services.
    pub issuers: Vec<OidcIssuer>,
    /// What people of the identity file let programs of theirs in with.
    pub tokens: Vec<AccessToken>,
}

/// A user or a service: the credential says which.
#[derive(Debug, Clone)]
pub struct IdentityUser {
    pub name: Spanned<String>,
    pub credential: IdentityCredential,
    pub groups: BTreeSet<String>,
    /// What row predicates read as `session.attr('x')`.
    pub attributes: BTreeMap<String, String>,
    /// The groups for whose members a service may act.
    pub impersonates: BTreeSet<String>,
}

/// How a principal shows who it is.
#[derive(Debug, Clone)]
pub enum IdentityCredential {
    /// A person's password.
    Password(PasswordSource),
    /// A service's bearer token.
    Token(SecretRef),
    /// A service's name in its certificate: a subject alternative name (RFC 5280), a
    /// URI where it has a `://`, else a DNS name.
    Certificate(String),
}

/// Where the hash of a password is.
#[derive(Clone)]
pub enum PasswordSource {
    /// An argon2 hash in PHC form, `$argon2id$…`; it parses as one.
    Phc(String),
    /// A reference to such a hash, which has not been read yet.
    Ref(SecretRef),
}

/// A hash can be guessed at by whoever reads it, so it is not printed.
impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phc(_) => f.write_str("Phc(..)"),
            Self::Ref(reference) => f.debug_tuple("Ref").field(reference).finish(),
        }
    }
}
