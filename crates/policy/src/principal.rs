//! Who asks: a user or a service, with groups and attributes that come only
//! from verified credentials or the mesh's own identity file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::{DateTime, Utc};
use weft_mesh::Grantee;

/// Whether a principal is a person or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// A person, who logs in with a password.
    User,
    /// A program, which presents a bearer token.
    Service,
}

/// The identity of a principal, unique in the mesh; displayed as `user:ana`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalId {
    /// The namespace of the name.
    pub kind: PrincipalKind,
    /// The name in the identity file, or the subject of a token.
    pub name: String,
}

impl PrincipalId {
    /// The identity of the user called `name`.
    pub fn user(name: impl Into<String>) -> Self {
        Self {
            kind: PrincipalKind::User,
            name: name.into(),
        }
    }

    /// The identity of the service called `name`.
    pub fn service(name: impl Into<String>) -> Self {
        Self {
            kind: PrincipalKind::Service,
            name: name.into(),
        }
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PrincipalKind::User => "user",
            PrincipalKind::Service => "service",
        };
        write!(f, "{kind}:{}", self.name)
    }
}

/// A verified identity with what policy may know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    id: PrincipalId,
    groups: BTreeSet<String>,
    attributes: BTreeMap<String, String>,
    voucher: Option<Voucher>,
    open: Open,
}

/// Who says that a principal is who it is, where it did not show a credential of
/// the identity file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Who says so.
    pub by: VouchedBy,
    /// Of what the mesh knows of that: with another the voucher is void.
    pub tag: [u8; 16],
    /// When it ends by the clock.
    pub until: DateTime<Utc>,
}

/// Whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VouchedBy {
    /// An OpenID provider, as its tokens have it in `iss`.
    Issuer(String),
    /// The personal access token of that id.
    Token(String),
}

/// What of a session is not known: binding leaves it in predicates as it
/// stands, for comparisons that have to hold whatever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// The name and the attributes.
    pub(crate) identity: bool,
    /// Which purpose is stated.
    pub(crate) purpose: bool,
}

impl Principal {
    /// A principal whose identity, groups and attributes the caller has
    /// verified.
    pub fn new(
        id: PrincipalId,
        groups: BTreeSet<String>,
        attributes: BTreeMap<String, String>,
    ) -> Self {
        Self {
            id,
            groups,
            attributes,
            voucher: None,
            open: Open::default(),
        }
    }

    /// The same, vouched for.
    #[must_use]
    pub fn with_voucher(mut self, voucher: Voucher) -> Self {
        self.voucher = Some(voucher);
        self
    }

    /// Who vouches for it; nobody for those who showed a credential of the
    /// identity file.
    pub fn voucher(&self) -> Option<&Voucher> {
        self.voucher.as_ref()
    }

    /// The same with some of a session left open. No decision for somebody
    /// who asks may be made of it.
    pub(crate) fn leaving_open(mut self, open: Open) -> Self {
        self.open = open;
        self
    }

    pub(crate) fn open(&self) -> Open {
        self.open
    }

    /// Kind and name.
    pub fn id(&self) -> &PrincipalId {
        &self.id
    }

    /// The name alone: `session.user` of a row predicate.
    pub fn name(&self) -> &str {
        &self.id.name
    }

    /// The groups that the principal is a member of.
    pub fn groups(&self) -> &BTreeSet<String> {
        &self.groups
    }

    /// All attributes by name.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// One attribute: `session.attr('name')` of a row predicate.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether the principal is the grantee, or a member of it.
    pub fn is(&self, grantee: &Grantee) -> bool {
        match grantee {
            Grantee::User(name) => self.id.kind == PrincipalKind::User && self.id.name == *name,
            Grantee::Service(name) => {
                self.id.kind == PrincipalKind::Service && self.id.name == *name
            }
            Grantee::Group(group) => self.is_in(group),
            Grantee::Everyone => true,
        }
    }

    /// Whether the principal is a member of `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.contains(group)
    }
}
