//! Between which values the columns of each file of a listing lie, by the footers that were read.
//!
//! A query over ten thousand files that wants one of them should not open the others to find out.
//! The footer of a file is decoded once, by the first query that reads the file; what it says of a
//! column is kept for as long as the listing is, which the footer's own place in the cache is not.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::cache::cache_manager::CacheManager;

use super::formats;

/// So many footers are looked at for one statement at most: it takes microseconds for each.
const MOST: usize = 20_000;

/// Of one listing, by the name of a column in its files.
#[derive(Default)]
pub(super) struct FileBounds(Mutex<HashMap<String, Known>>);

/// The least and the greatest values of a column, a row a file; NULL where they are not known.
#[derive(Clone)]
pub(super) struct ColumnBounds {
    pub(super) min: ArrayRef,
    pub(super) max: ArrayRef,
}

/// What the footers have said of one column so far.
struct Known {
    bounds: ColumnBounds,
    /// The files whose footers were not at hand.
    missing: Vec<usize>,
}

impl FileBounds {
    /// Those of the column called `field` in the files; `None` where no file has any.
    pub(super) fn of(
        &self,
        field: &Field,
        shown: &DataType,
        files: &[PartitionedFile],
        caches: &CacheManager,
    ) -> Option<ColumnBounds> {
        if !is_bounded(shown) {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all
            .entry(field.name().clone())
            .or_insert_with(|| Known::nothing(shown, files.len()));
        known.learn(field, shown, files, caches).ok()?;
        let is_known = known.bounds.min.null_count() < files.len();
        is_known.then(|| known.bounds.clone())
    }
}

impl Known {
    fn nothing(shown: &DataType, files: usize) -> Self {
        let nulls = new_null_array(shown, files);
        Self {
            bounds: ColumnBounds {
                min: Arc::clone(&nulls),
                max: nulls,
            },
            missing: (0..files).collect(),
        }
    }

    fn learn(
        &mut self,
        field: &Field,
        shown: &DataType,
        files: &[PartitionedFile],
        caches: &CacheManager,
    ) -> Result<()> {
        let cache = caches.get_file_metadata_cache();
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for at in self.missing.iter().copied() {
            let Some(file) = files.get(at).map(|file| &file.object_meta) else {
                continue;
            };
            // A look at the cache for what is not there would count as a miss.
            let is_there = found.len() < MOST && cache.contains_key(&file.location);
            let footer = is_there.then(|| cache.get(&file.location)).flatten();
            match footer.filter(|footer| footer.is_valid_for(file)) {
                Some(footer) => {
                    found.insert(at, formats::bounds_by_footer(&footer, field.name(), shown));
                }
                None => missing.push(at),
            }
        }
        self.missing = missing;
        if found.values().any(Option::is_some) {
            let null = ScalarValue::try_from(shown)?;
            let with = |before: &ArrayRef, bound: fn(&Bounds) -> &ScalarValue| {
                let values = (0..files.len()).map(|at| match found.get(&at) {
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
        Ok(())
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
