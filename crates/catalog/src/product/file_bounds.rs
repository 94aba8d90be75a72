//! Between which values the columns of each file of a listing lie, by the footers that were read.
//!
//! A query over ten thousand files that wants one of them should not open the others to find out.
//! The footer of a file is decoded once, by the first query that reads the file; what it says of a
//! column is kept for as long as the listing is, which the footer's own place in the cache is not.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::cache::cache_manager::CacheManager;

use super::formats;
use super::layout::Layout;

/// So many footers are looked for at one scan, and columns of those that are there decoded: it
/// takes less than a microsecond for each.
const MOST_LOOKS: usize = 200_000;
/// What is kept of a listing, in bytes.
const MOST_KEPT: usize = 32 << 20;

/// Of one listing, by column; the one that was asked for last at the end.
#[derive(Default)]
pub(super) struct FileBounds(Mutex<VecDeque<Known>>);

/// The least and the greatest values of a column, a row a file; NULL where they are not known.
#[derive(Clone)]
pub(super) struct ColumnBounds {
    pub(super) min: ArrayRef,
    pub(super) max: ArrayRef,
}

/// What the footers have said of one column so far.
#[derive(Clone)]
struct Known {
    /// Its name in the files.
    column: String,
    bounds: ColumnBounds,
    /// The files whose footers were not at hand, those first that were not looked for.
    missing: Vec<usize>,
}

/// One scan's look at the footers.
pub(super) struct Look<'a> {
    layout: &'a Layout,
    files: &'a [PartitionedFile],
    caches: &'a CacheManager,
    left: Cell<usize>,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        files: &'a [PartitionedFile],
        caches: &'a CacheManager,
    ) -> Self {
        Self {
            layout,
            files,
            caches,
            left: Cell::new(MOST_LOOKS),
        }
    }
}

impl FileBounds {
    /// Those of the column that files have as `stored` and that is `shown` in another type; `None`
    /// where nothing is known of any file.
    pub(super) fn of(
        &self,
        look: &Look<'_>,
        stored: &Field,
        shown: &DataType,
    ) -> Option<ColumnBounds> {
        if !is_bounded(shown) {
            return None;
        }
        let is_it = |it: &Known| it.column == *stored.name();
        let known = {
            let mut all = self.lock();
            let known = all.iter().position(is_it).and_then(|at| all.remove(at));
            all.extend(known.clone());
            known
        };
        let mut known = known.unwrap_or_else(|| Known::nothing(stored, shown, look.files.len()));
        // Others may look meanwhile, and find the same.
        let has_learnt = known.learn(look, shown).ok()?;
        let is_known = known.bounds.min.null_count() < look.files.len();
        if has_learnt {
            let mut all = self.lock();
            all.retain(|it| !is_it(it));
            all.push_back(known.clone());
            while all.iter().map(Known::bytes).sum::<usize>() > MOST_KEPT {
                all.pop_front();
            }
        }
        is_known.then_some(known.bounds)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn nothing(stored: &Field, shown: &DataType, files: usize) -> Self {
        let nulls = new_null_array(shown, files);
        Self {
            column: stored.name().clone(),
            bounds: ColumnBounds {
                min: Arc::clone(&nulls),
                max: nulls,
            },
            missing: (0..files).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let bounds = [&self.bounds.min, &self.bounds.max];
        let bounds = bounds.iter().map(|it| it.get_array_memory_size());
        self.missing.len() * size_of::<usize>() + bounds.sum::<usize>()
    }

    /// Whether a footer was at hand that was not before.
    fn learn(&mut self, look: &Look<'_>, shown: &DataType) -> Result<bool> {
        let cache = look.caches.get_file_metadata_cache();
        let mut found = HashMap::new();
        let (mut absent, mut later) = (Vec::new(), Vec::new());
        for at in self.missing.iter().copied() {
            let Some(left) = look.left.get().checked_sub(1) else {
                later.push(at);
                continue;
            };
            look.left.set(left);
            let Some(file) = look.files.get(at).map(|file| &file.object_meta) else {
                continue;
            };
            // A look at the cache for what is not there would count as a miss.
            let is_there = cache.contains_key(&file.location);
            let footer = is_there.then(|| cache.get(&file.location)).flatten();
            let Some(footer) = footer.filter(|footer| footer.is_valid_for(file)) else {
                absent.push(at);
                continue;
            };
            // Each is held against the contract.
            let columns = formats::columns_by_footer(&footer);
            let work = columns.saturating_mul(1 + look.layout.schema().fields().len() / 16);
            look.left.set(left.saturating_sub(work));
            let bounds = formats::bounds_by_footer(&footer, look.layout, &self.column, shown);
            found.insert(at, bounds);
        }
        later.append(&mut absent);
        self.missing = later;
        if found.values().any(Option::is_some) {
            let null = ScalarValue::try_from(shown)?;
            let with = |before: &ArrayRef, bound: fn(&Bounds) -> &ScalarValue| {
                let values = (0..look.files.len()).map(|at| match found.get(&at) {
                    Some(bounds) => Ok(bounds.as_ref().map_or(&null, bound).clone()),
                    None => ScalarValue::try_from_array(before, at),
                });
                ScalarValue::iter_to_array(values.collect::<Result<Vec<_>>>()?)
            };
            self.bounds = ColumnBounds {
                min: with(&self.bounds.min, |(min, _)| min)?,
                max: with(&self.bounds.max, |(_, max)| max)?,
            };
        }
        Ok(!found.is_empty())
    }
}

type Bounds = (ScalarValue, ScalarValue);

/// The types whose bounds bound all values: the bounds of floats leave NaN out.
fn is_bounded(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_decimal()
        || data_type.is_string()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _)
        )
}

impl fmt::Debug for FileBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileBounds")
    }
}
