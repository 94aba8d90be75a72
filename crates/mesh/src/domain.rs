//! A domain: who owns it, where its data lies, what it offers and to whom.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::fault::{Span, Spanned};
use crate::grant::{GrantManifest, Grantee};
use crate::name::{DomainName, StorageName};
use crate::secret::SecretRef;
use crate::table::Table;

/// A domain all of whose manifests are sound.
#[derive(Debug, Clone)]
pub struct Domain {
    /// The SQL schema.
    pub name: DomainName,
    /// Where it is named.
    pub span: Span,
    pub owner: Option<String>,
    pub stewards: Vec<Grantee>,
    pub storages: Vec<Storage>,
    /// The tables that are served, sorted by name and then by major version.
    pub tables: Vec<Table>,
    /// The grants in the order of their file.
    pub grants: Vec<GrantManifest>,
    /// The tables that row predicates of other domains may look membership up
    /// in, by their SQL names.
    pub entitlements: Vec<Spanned<String>>,
    /// Where its access tests are: paths and globs, as written.
    pub access_tests: Vec<Spanned<String>>,
}

impl Domain {
    /// The storage of that name.
    pub fn storage(&self, name: &StorageName) -> Option<&Storage> {
        self.storages.iter().find(|storage| storage.name == *name)
    }

    /// The table that SQL calls `name`: `orders` or `orders@1`.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.is_called(name))
    }
}

/// A place that a domain's data lies under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub name: StorageName,
    pub url: StorageUrl,
    /// object_store's own configuration keys (`region`, `endpoint`, …), all of them harmless.
    pub options: BTreeMap<String, String>,
    pub credentials: Credentials,
    /// Whether a server may keep what it reads here on a disk of its own.
    pub cache: bool,
}

/// The root of a storage. No two roots of one domain are equal; where they nest, a
/// location belongs to the innermost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageUrl {
    /// A folder, absolute and canonical: no symlinks in it.
    Local { root: PathBuf },
    /// A bucket and the segments of a prefix in it.
    S3 { bucket: String, prefix: Vec<String> },
}

/// How a storage is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A local folder needs none.
    None,
    /// Requests are not signed.
    Anonymous,
    /// The server's own environment.
    Ambient,
    /// object_store's keys (`access_key_id`, `secret_access_key`, `token`), by reference.
    Secrets(BTreeMap<String, SecretRef>),
}
