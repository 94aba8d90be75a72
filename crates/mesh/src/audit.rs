//! Where the audit trail is kept, and for how long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::{Credentials, StorageUrl};

/// `audit:` of `mesh.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditManifest {
    /// Where finished files go. A local folder is made when the trail is opened.
    pub url: StorageUrl,
    /// The local folder of the journals that are being written, absolute.
    pub spool: PathBuf,
    /// As of a storage of a domain.
    pub options: BTreeMap<String, String>,
    pub credentials: Credentials,
    /// How old a finished file becomes; for ever where absent.
    pub retention: Option<Duration>,
    /// How long a journal is written before it becomes a finished file.
    pub rotate_every: Duration,
    /// How large a journal becomes before it does, in bytes.
    pub rotate_size: u64,
    pub when_unwritable: WhenUnwritable,
}

/// What becomes of statements while the trail cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnwritable {
    /// They are refused: nobody reads anything unaudited.
    Refuse,
    /// They run, and what is not recorded is counted.
    Serve,
}
