//! How large the planner believes a governed table to be.
//!
//! The planner puts the smaller side of a join into memory, so it needs sizes.
//! They must not be a channel: footers count hidden rows, and stored bytes
//! count columns that no contract declares. What is told is the number of rows
//! that this principal has been shown by this very access before, and may count
//! anyway, how many of them passed the very filters of a statement, and between which values a
//! clear column of them lies; of a table that hides no row, what the footers of those files say
//! that a query of the principal has read. Until then every table is in one class
//! ([`super::estimate`]).

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path;
use weft_policy::PrincipalId;

use super::entitlement::EntitlementTables;
use crate::product::{ProductTable, Ranges, ranges};

/// What is known of the visible rows of one data snapshot.
#[derive(Clone, Default)]
pub(crate) struct VisibleCounts(Arc<Mutex<HashMap<Seen, Counts>>>);

/// What one principal has been shown by one access.
#[derive(Default)]
struct Counts {
    known: Option<Arc<Known>>,
    /// How many rows passed the filters of a statement; the oldest make room.
    passing: VecDeque<(Filters, usize)>,
}

/// Filters of a user that run inside of a seal, all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filters(u64);

impl Filters {
    /// As they are written, literals and types included. Whoever finds two of one key misleads
    /// their own planner alone.
    pub(crate) fn new(pushed: &[String]) -> Self {
        let mut key = DefaultHasher::new();
        pushed.hash(&mut key);
        Self(key.finish())
    }
}

/// What one principal may know of the rows that it sees.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(super) rows: usize,
    /// By a run that has read all of them.
    is_counted: bool,
    /// Of columns that are clear.
    pub(super) ranges: Ranges,
}

/// Who looked, through which access: a plan tells its principal nothing of what others have read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    principal: PrincipalId,
    digest: [u8; 32],
    /// The files in which the access looks membership up.
    members: Vec<Option<u64>>,
}

/// How many are remembered of one table.
const REMEMBERED: usize = 4096;

/// And how many filters of one of them.
const FILTERS: usize = 64;

impl VisibleCounts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Seen, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have something to know.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Adds to what is known for `seen`, if there is room.
    fn learn(&self, seen: &Seen, add: impl FnOnce(&mut Counts)) {
        let mut all = self.lock();
        if !all.contains_key(seen) {
            // What other files of membership let be seen is over.
            let is_same = |it: &Seen| it.principal == seen.principal && it.digest == seen.digest;
            all.retain(|it, _| !is_same(it));
        }
        if all.len() < REMEMBERED || all.contains_key(seen) {
            add(all.entry(seen.clone()).or_default());
        }
    }
}

impl Counts {
    /// What was counted stays before what footers tell, and a range before none.
    fn learn(&mut self, mut new: Known) {
        if let Some(before) = &self.known {
            if !new.is_counted {
                (new.rows, new.is_counted) = (before.rows, before.is_counted);
            }
            for (column, range) in &before.ranges {
                let known = new.ranges.entry(column.clone()).or_default();
                if known.is_none() {
                    known.clone_from(range);
                }
            }
        }
        self.known = Some(Arc::new(new));
    }

    fn learn_passing(&mut self, filters: Filters, rows: usize) {
        self.passing.retain(|(it, _)| *it != filters);
        if self.passing.len() == FILTERS {
            self.passing.pop_front();
        }
        self.passing.push_back((filters, rows));
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
    /// `digest` is that of the principal's access, which looks membership up in `members`.
    pub(crate) fn new(
        counts: &VisibleCounts,
        principal: PrincipalId,
        digest: [u8; 32],
        members: &EntitlementTables,
    ) -> Self {
        Self {
            counts: counts.clone(),
            seen: Seen {
                principal,
                digest,
                members: members.listings(),
            },
        }
    }

    /// What is known of them by now.
    pub(crate) fn known(&self) -> Option<Arc<Known>> {
        self.counts.lock().get(&self.seen)?.known.clone()
    }

    /// How many of them pass `filters`, where a run has shown that.
    pub(crate) fn passing(&self, filters: Filters) -> Option<usize> {
        let all = self.counts.lock();
        let mut passing = all.get(&self.seen)?.passing.iter();
        passing
            .find(|(it, _)| *it == filters)
            .map(|(_, rows)| *rows)
    }

    /// Counts one partition of a run over `partitions`; only a complete run is learned. `told` says
    /// once for all of them what there is to learn of it.
    pub(crate) fn counter(
        &self,
        run: &Arc<RunCount>,
        partitions: usize,
        told: impl FnOnce() -> Option<Told>,
    ) -> Option<RowCounter> {
        run.told.get_or_init(told).as_ref()?;
        Some(RowCounter {
            rows: self.clone(),
            run: Arc::clone(run),
            partitions,
            seen: 0,
            ranges: Ranges::new(),
        })
    }
}

/// What there is to learn of a run.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// It reads every row that is seen: how many, and the ranges of these columns, by position.
    pub(crate) all: Option<Vec<(usize, String)>>,
    /// It reads every row that passes them.
    pub(crate) passing: Option<Filters>,
    /// It may leave rows out, of a table that hides none.
    pub(crate) footers: Option<Footers>,
}

/// The rows that the partitions of one run have shown so far.
#[derive(Debug, Default)]
pub(crate) struct RunCount {
    told: OnceLock<Option<Told>>,
    rows: AtomicUsize,
    finished: AtomicUsize,
    ranges: Mutex<Ranges>,
}

/// One partition's part in a [`RunCount`].
#[derive(Debug)]
pub(crate) struct RowCounter {
    rows: VisibleRows,
    run: Arc<RunCount>,
    partitions: usize,
    seen: usize,
    ranges: Ranges,
}

impl RowCounter {
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.seen += batch.num_rows();
        let told = self.run.told.get().and_then(Option::as_ref);
        for (at, name) in told
            .and_then(|told| told.all.as_ref())
            .into_iter()
            .flatten()
        {
            let range = batch.columns().get(*at).and_then(ranges::of_values);
            ranges::widen(&mut self.ranges, name, range);
        }
    }

    /// Called at the end of the partition's stream.
    pub(crate) fn finish(self) {
        self.run.rows.fetch_add(self.seen, Ordering::AcqRel);
        {
            let ranges = self.run.ranges.lock();
            let mut ranges = ranges.unwrap_or_else(PoisonError::into_inner);
            for (name, range) in self.ranges {
                ranges::widen(&mut ranges, &name, range);
            }
        }
        let finished = self.run.finished.fetch_add(1, Ordering::AcqRel) + 1;
        let told = self.run.told.get().and_then(Option::as_ref);
        let Some(told) = told.filter(|_| finished == self.partitions) else {
            return;
        };
        let rows = self.run.rows.load(Ordering::Acquire);
        let known = match &told.all {
            Some(columns) => {
                let ranges = self.run.ranges.lock();
                let mut ranges = ranges.unwrap_or_else(PoisonError::into_inner).clone();
                for (_, name) in columns {
                    ranges.entry(name.clone()).or_default();
                }
                Some(Known {
                    rows,
                    is_counted: true,
                    ranges,
                })
            }
            None => told.footers.as_ref().and_then(Footers::ask),
        };
        if known.is_none() && told.passing.is_none() {
            return;
        }
        let VisibleRows { counts, seen } = &self.rows;
        counts.learn(seen, |counts| {
            if let Some(known) = known {
                counts.learn(known);
            }
            if let Some(filters) = told.passing {
                counts.learn_passing(filters, rows);
            }
        });
    }
}

/// The footers of the files that one run reads of a table that hides no row.
#[derive(Debug)]
pub(crate) struct Footers {
    pub(crate) product: Arc<ProductTable>,
    /// The plan that reads them.
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// Columns that are clear, and read.
    pub(crate) columns: Vec<String>,
}

impl Footers {
    /// More than these are not worth the look.
    const MOST: usize = 1_000;

    fn ask(&self) -> Option<Known> {
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
        let (rows, ranges) = self.product.told_by_footers(&read, &self.columns)?;
        Some(Known {
            rows,
            is_counted: false,
            ranges,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_by(name: &str, counts: &VisibleCounts, listing: u64) -> VisibleRows {
        VisibleRows {
            counts: counts.clone(),
            seen: Seen {
                principal: PrincipalId::user(name),
                digest: [1; 32],
                members: vec![Some(listing)],
            },
        }
    }

    /// Runs to its end, over one partition, and shows so many rows.
    fn show(rows: &VisibleRows, filters: Filters, count: usize) {
        let told = Told {
            passing: Some(filters),
            ..Told::default()
        };
        let mut counter = rows.counter(&Arc::default(), 1, || Some(told)).unwrap();
        counter.seen = count;
        counter.finish();
    }

    #[test]
    fn what_others_saw_or_other_files_of_membership_let_be_seen_is_not_known() {
        let counts = VisibleCounts::default();
        let filters = Filters::new(&["id < 7".to_owned()]);
        let before = seen_by("ana", &counts, 1);
        show(&before, filters, 40);
        assert_eq!(before.passing(filters), Some(40));
        assert!(before.known().is_none());
        let after = seen_by("ana", &counts, 2);
        for other in [&after, &seen_by("ben", &counts, 1)] {
            assert_eq!(other.passing(filters), None);
        }
        show(&after, filters, 50);
        assert_eq!(after.passing(filters), Some(50));
        assert_eq!((before.passing(filters), counts.len()), (None, 1));
    }

    #[test]
    fn of_so_many_filters_the_oldest_make_room() {
        let counts = VisibleCounts::default();
        let ana = seen_by("ana", &counts, 1);
        let filters = |number: usize| Filters::new(&[format!("id < {number}")]);
        for number in 0..=FILTERS {
            show(&ana, filters(number), number);
        }
        assert_eq!(ana.passing(filters(0)), None);
        assert_eq!(ana.passing(filters(1)), Some(1));
        assert_eq!(ana.passing(filters(FILTERS)), Some(FILTERS));
    }
}
