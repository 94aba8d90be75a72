//! What was read of each domain, counted for the operator.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the storages of one domain were asked for and what they gave, since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainReads {
    pub domain: String,
    /// Reads of objects or of parts of them, and heads.
    pub gets: u64,
    pub lists: u64,
    /// Of what reads gave.
    pub bytes: u64,
}

/// The counters of one domain.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    gets: AtomicU64,
    lists: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    pub(super) fn got(&self) {
        self.gets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn listed(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn gave(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The counters of every domain that was ever served. They outlive storages that are opened
/// anew and domains that go away: what is counted only grows.
#[derive(Debug, Default)]
pub(crate) struct DomainTraffic(Mutex<BTreeMap<String, Arc<Traffic>>>);

impl DomainTraffic {
    pub(crate) fn of(&self, domain: &str) -> Arc<Traffic> {
        let mut domains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(domains.entry(domain.to_owned()).or_default())
    }

    /// By domain.
    pub(crate) fn reads(&self) -> Vec<DomainReads> {
        let domains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = domains.iter().map(|(domain, traffic)| DomainReads {
            domain: domain.clone(),
            gets: traffic.gets.load(Ordering::Relaxed),
            lists: traffic.lists.load(Ordering::Relaxed),
            bytes: traffic.bytes.load(Ordering::Relaxed),
        });
        reads.collect()
    }
}
