//! How large the planner believes a governed table to be.
//!
//! The planner puts the smaller side of a join into memory, so it needs sizes.
//! They must not be a channel: footers count hidden rows. What is told is the
//! number of rows that this very access has shown before, which its holder may
//! count anyway. Until then it is a size class of the stored bytes where
//! nothing of the table is hidden, and else one and the same class.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::datatypes::{DataType, Schema};

/// Visible rows learned from full scans of one data snapshot, by the digest of
/// the access that they were seen through.
#[derive(Clone, Default)]
pub(crate) struct VisibleCounts(Arc<Mutex<HashMap<[u8; 32], usize>>>);

/// Different accesses to one table that are remembered.
const REMEMBERED: usize = 4096;

impl VisibleCounts {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, digest: &[u8; 32]) -> Option<usize> {
        self.lock().get(digest).copied()
    }

    fn learn(&self, digest: [u8; 32], rows: usize) {
        let mut counts = self.lock();
        if counts.len() < REMEMBERED || counts.contains_key(&digest) {
            counts.insert(digest, rows);
        }
    }
}

impl fmt::Debug for VisibleCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisibleCounts")
    }
}

/// The number of rows one access sees of one data snapshot.
#[derive(Clone, Debug)]
pub(crate) struct VisibleRows {
    counts: VisibleCounts,
    digest: [u8; 32],
    size_class: usize,
}

impl VisibleRows {
    /// `bytes` is the stored size of the snapshot, given where all of it is
    /// visible; `width` the bytes of a row.
    pub(crate) fn new(
        counts: &VisibleCounts,
        digest: [u8; 32],
        bytes: Option<u64>,
        width: usize,
    ) -> Self {
        let rows = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX) / width.max(1);
        Self {
            counts: counts.clone(),
            digest,
            size_class: bytes.map_or(UNTOLD, |bytes| size_class(rows(bytes))),
        }
    }

    /// Rows, never 0.
    pub(crate) fn estimate(&self) -> usize {
        self.counts
            .get(&self.digest)
            .unwrap_or(self.size_class)
            .max(1)
    }

    /// Counts one partition of a run over `partitions`; only a complete run is learned.
    pub(crate) fn counter(&self, run: &Arc<RunCount>, partitions: usize) -> RowCounter {
        RowCounter {
            rows: self.clone(),
            run: Arc::clone(run),
            partitions,
            seen: 0,
        }
    }
}

/// The class of every table of which something is hidden: that of a fact
/// table, so that what is known to be small is put into memory before it.
const UNTOLD: usize = 64 * 16 * 16 * 16;

/// Powers of 16: two tables in one class are joined in the order written.
fn size_class(rows: usize) -> usize {
    let mut class = 64_usize;
    while class < rows {
        class = class.saturating_mul(16);
    }
    class
}

/// The rows that the partitions of one run have shown so far.
#[derive(Debug, Default)]
pub(crate) struct RunCount {
    rows: AtomicUsize,
    finished: AtomicUsize,
}

/// One partition's part in a [`RunCount`].
#[derive(Debug)]
pub(crate) struct RowCounter {
    rows: VisibleRows,
    run: Arc<RunCount>,
    partitions: usize,
    seen: usize,
}

impl RowCounter {
    pub(crate) fn add(&mut self, rows: usize) {
        self.seen += rows;
    }

    /// Called at the end of the partition's stream.
    pub(crate) fn finish(self) {
        self.run.rows.fetch_add(self.seen, Ordering::AcqRel);
        if self.run.finished.fetch_add(1, Ordering::AcqRel) + 1 == self.partitions {
            let total = self.run.rows.load(Ordering::Acquire);
            self.rows.counts.learn(self.rows.digest, total);
        }
    }
}

/// Bytes of a row in memory, from declared types alone.
pub(crate) fn row_width(schema: &Schema) -> usize {
    schema
        .fields()
        .iter()
        .map(|f| type_width(f.data_type()))
        .sum::<usize>()
        .max(8)
}

fn type_width(data_type: &DataType) -> usize {
    match data_type.primitive_width() {
        Some(width) => width,
        None if matches!(data_type, DataType::Boolean) => 1,
        None => 32,
    }
}
