//! How large the planner believes a governed table to be.
//!
//! The planner puts the smaller side of a join into memory, so it needs sizes.
//! They must not be a channel: footers count hidden rows, and stored bytes
//! count columns that no contract declares. What is told is the number of rows
//! that this principal has been shown by this very access before, and may count
//! anyway; of a table that hides no row, what the footers of those files say that a
//! query of the principal has read. Until then every table is in one class.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path;
use weft_policy::PrincipalId;

use crate::product::ProductTable;

/// Visible rows learned from full scans of one data snapshot.
#[derive(Clone, Default)]
pub(crate) struct VisibleCounts(Arc<Mutex<HashMap<Seen, usize>>>);

/// Who looked, and the digest of the access through which: a plan tells its
/// principal nothing of what others have read.
type Seen = (PrincipalId, [u8; 32]);

/// How many are remembered of one table.
const REMEMBERED: usize = 4096;

impl VisibleCounts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Seen, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, seen: &Seen) -> Option<usize> {
        self.lock().get(seen).copied()
    }

    fn learn(&self, seen: Seen, rows: usize) {
        let mut counts = self.lock();
        if counts.len() < REMEMBERED || counts.contains_key(&seen) {
            counts.insert(seen, rows);
        }
    }
}

impl fmt::Debug for VisibleCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisibleCounts")
    }
}

/// The number of rows that one principal sees of one data snapshot.
#[derive(Clone, Debug)]
pub(crate) struct VisibleRows {
    counts: VisibleCounts,
    seen: Seen,
}

impl VisibleRows {
    /// `digest` is that of the principal's access.
    pub(crate) fn new(counts: &VisibleCounts, principal: PrincipalId, digest: [u8; 32]) -> Self {
        Self {
            counts: counts.clone(),
            seen: (principal, digest),
        }
    }

    /// Rows, never 0.
    pub(crate) fn estimate(&self) -> usize {
        self.counts.get(&self.seen).unwrap_or(UNTOLD).max(1)
    }

    /// Whether they have been counted.
    pub(crate) fn are_known(&self) -> bool {
        self.counts.get(&self.seen).is_some()
    }

    /// Counts one partition of a run over `partitions`; only a complete run is learned. Where
    /// that run does not read every row, but the table hides none, `footers` are asked.
    pub(crate) fn counter(
        &self,
        run: &Arc<RunCount>,
        partitions: usize,
        footers: Option<Footers>,
    ) -> RowCounter {
        RowCounter {
            rows: self.clone(),
            run: Arc::clone(run),
            partitions,
            footers,
            seen: 0,
        }
    }
}

/// The class of every table that has not been counted: that of a fact table,
/// so that what is known to be small is put into memory before it. Two of them
/// are joined in the order written.
const UNTOLD: usize = 64 * 16 * 16 * 16;

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
    footers: Option<Footers>,
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
            let total = match &self.footers {
                None => Some(self.run.rows.load(Ordering::Acquire)),
                Some(footers) => footers.rows(),
            };
            if let Some(total) = total {
                self.rows.counts.learn(self.rows.seen.clone(), total);
            }
        }
    }
}

/// The footers of the files that one run reads of a table that hides no row.
#[derive(Debug)]
pub(crate) struct Footers {
    pub(crate) product: Arc<ProductTable>,
    /// The plan that reads them.
    pub(crate) plan: Arc<dyn ExecutionPlan>,
}

impl Footers {
    /// More than these are not worth the look.
    const MOST: usize = 1_000;

    fn rows(&self) -> Option<usize> {
        let mut sources = Vec::new();
        self.plan
            .apply(|node| {
                if let Some(source) = node.downcast_ref::<DataSourceExec>()
                    && let Some(scan) = source.data_source().downcast_ref::<FileScanConfig>()
                {
                    sources.push(scan);
                }
                Ok(TreeNodeRecursion::Continue)
            })
            .ok()?;
        let groups = sources.iter().flat_map(|scan| &scan.file_groups);
        let paths = groups.flat_map(|group| group.iter().map(|file| &file.object_meta.location));
        // Those of an entitlement are read as well.
        let read: HashSet<&Path> = paths.filter(|path| self.product.contains(path)).collect();
        if read.len() > Self::MOST {
            return None;
        }
        self.product.rows_by_footers(&read)
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
