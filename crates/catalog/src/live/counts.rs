//! What a mesh counts for its operator.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{FooterCounts, LiveMesh, ReloadReport};
use crate::mesh_snapshot::Epoch;
use crate::store::{BlockCounts, DomainReads};

/// A mesh in numbers. It names domains, and nothing that is below them.
#[derive(Clone, Debug)]
pub struct MeshCounts {
    pub epoch: Epoch,
    /// Tables whose last refresh failed, or that have never been listed.
    pub stale_tables: usize,
    /// Of every domain that was ever served, by name.
    pub reads: Vec<DomainReads>,
    pub footers: FooterCounts,
    /// None where no blocks are kept.
    pub blocks: Option<BlockCounts>,
    pub reloads: ReloadCounts,
}

/// What a mesh keeps so as not to read it again.
#[derive(Clone, Copy, Debug)]
pub struct KeptCounts {
    pub footers: FooterCounts,
    /// None where they are not.
    pub blocks: Option<BlockCounts>,
    /// Files of all tables, as they were listed last.
    pub listed_files: u64,
    /// How many principals are known to see how large a table, of all tables together.
    pub known_sizes: u64,
}

/// How reloads of the manifests ended, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    pub applied: u64,
    /// Some domain had a fault: it is served as it was last without one, or not at all.
    pub partial: u64,
    /// Everything stayed as it was.
    pub refused: u64,
}

#[derive(Debug, Default)]
pub(super) struct Reloads {
    applied: AtomicU64,
    partial: AtomicU64,
    refused: AtomicU64,
}

impl Reloads {
    pub(super) fn count(&self, report: &ReloadReport) {
        let counter = if !report.applied {
            &self.refused
        } else if report.kept.is_empty() && report.absent.is_empty() {
            &self.applied
        } else {
            &self.partial
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> ReloadCounts {
        ReloadCounts {
            applied: self.applied.load(Ordering::Relaxed),
            partial: self.partial.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl LiveMesh {
    /// What it keeps, now.
    pub fn kept(&self) -> KeptCounts {
        let snapshot = self.snapshot();
        KeptCounts {
            footers: self.caches.footers.counts(),
            blocks: self.block_counts(),
            listed_files: snapshot.listed_files(),
            known_sizes: snapshot.known_sizes(),
        }
    }

    fn block_counts(&self) -> Option<BlockCounts> {
        self.caches.blocks.as_ref().map(|blocks| blocks.counts())
    }

    /// The mesh in numbers, now.
    pub fn counts(&self) -> MeshCounts {
        let snapshot = self.snapshot();
        MeshCounts {
            epoch: snapshot.epoch(),
            stale_tables: snapshot.stale_tables().count(),
            reads: snapshot.store().traffic().reads(),
            footers: self.caches.footers.counts(),
            blocks: self.block_counts(),
            reloads: self.reload_counts.counts(),
        }
    }
}
