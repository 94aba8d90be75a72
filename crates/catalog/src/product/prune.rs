//! Files that a query cannot need, by what their folders and their footers say.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::Field;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::cache::cache_manager::CacheManager;
use datafusion::logical_expr::Expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::file_bounds::{ColumnBounds, Look};
use super::files::DataSnapshot;
use super::layout::Layout;

/// What is known of the files of one table, for one scan of it.
pub(super) struct Listed<'a> {
    layout: &'a Layout,
    data: &'a DataSnapshot,
    /// At their footers, if they have any.
    look: Option<Look<'a>>,
    /// What that has found, by the place of a column in the contract.
    bounds: RefCell<HashMap<usize, Option<ColumnBounds>>>,
}

/// Of fewer files the reader finds out as soon.
const MANY: usize = 16;
/// So many filters are held against footers.
const MOST_FILTERS: usize = 64;

impl<'a> Listed<'a> {
    /// Files with footers have them in `footers`, once they were read.
    pub(super) fn new(
        layout: &'a Layout,
        data: &'a DataSnapshot,
        footers: Option<&'a CacheManager>,
    ) -> Self {
        let files = data.files();
        let footers = footers.filter(|_| files.len() >= MANY);
        Self {
            layout,
            data,
            look: footers.map(|caches| Look::new(layout, files, caches)),
            bounds: RefCell::default(),
        }
    }

    /// The files in which every one of `filters` can be true, by folders, and of those by footers,
    /// unless that leaves none: whether there is anything to read does not depend on what is in
    /// files.
    ///
    /// A filter that cannot be evaluated here leaves all files in: pruning saves work, it never
    /// decides.
    pub(super) fn files_for(&self, state: &dyn Session, filters: &[Expr]) -> Vec<PartitionedFile> {
        let files = self.data.files();
        let (mut by_folders, mut by_footers) = (vec![true; files.len()], vec![true; files.len()]);
        let mut held = 0;
        for filter in filters {
            if filter.is_volatile() || filter.column_refs().is_empty() {
                continue;
            }
            if let Some(can_be_true) = self.by_folders(state, filter) {
                both(&mut by_folders, &can_be_true);
            } else if held < MOST_FILTERS {
                held += 1;
                if let Ok(Some(can_be_true)) = self.by_footers(state, filter) {
                    both(&mut by_footers, &can_be_true);
                }
            }
        }
        let all = || files.iter().zip(&by_folders).zip(&by_footers);
        let in_folders = all().filter(|((_, in_folder), _)| **in_folder);
        let (mut wanted, mut first) = (Vec::new(), None);
        for ((file, _), can_have_rows) in in_folders {
            if *can_have_rows {
                wanted.push(file.clone());
            } else {
                first = first.or(Some(file));
            }
        }
        if wanted.is_empty() {
            wanted.extend(first.cloned());
        }
        wanted
    }

    /// What a filter that reads partition columns alone comes to in each file.
    fn by_folders(&self, state: &dyn Session, filter: &Expr) -> Option<Vec<bool>> {
        let partitions = self.data.partitions()?;
        let schema = partitions.schema();
        let mut columns = filter.column_refs().into_iter();
        if !columns.all(|column| schema.field_with_name(&column.name).is_ok()) {
            return None;
        }
        let evaluated: Result<ArrayRef> = (|| {
            let expr = unqualified(filter.clone())?;
            let expr = state.create_physical_expr(expr, &DFSchema::try_from(schema)?)?;
            expr.evaluate(partitions)?.into_array(partitions.num_rows())
        })();
        let values = evaluated.ok()?;
        let values = values.as_boolean_opt()?;
        let is_true = |row| values.is_valid(row) && values.value(row);
        Some((0..values.len()).map(is_true).collect())
    }

    /// Whether there can be a row in each file for which a filter is true.
    fn by_footers(&self, state: &dyn Session, filter: &Expr) -> Result<Option<Vec<bool>>> {
        if self.look.is_none() {
            return Ok(None);
        }
        let schema = self.layout.schema();
        let expr = unqualified(filter.clone())?;
        let expr = state.create_physical_expr(expr, &DFSchema::try_from(Arc::clone(schema))?)?;
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(schema))
            .try_build(expr)?;
        if predicate.always_true() {
            return Ok(None);
        }
        predicate.prune(self).map(Some)
    }

    fn bounds(&self, column: &Column) -> Option<ColumnBounds> {
        let (place, field) = self.layout.schema().column_with_name(&column.name)?;
        let mut bounds = self.bounds.borrow_mut();
        let bounds = bounds
            .entry(place)
            .or_insert_with(|| self.bounds_of(place, field));
        bounds.clone()
    }

    fn bounds_of(&self, place: usize, field: &Field) -> Option<ColumnBounds> {
        let folders = self.data.partitions();
        if let Some(values) = folders.and_then(|it| it.column_by_name(field.name())) {
            return Some(ColumnBounds {
                min: Arc::clone(values),
                max: Arc::clone(values),
            });
        }
        let (stored, shown) = (self.layout.stored_field(place)?, field.data_type());
        self.data.bounds().of(self.look.as_ref()?, stored, shown)
    }
}

impl PruningStatistics for Listed<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(self.bounds(column)?.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(self.bounds(column)?.max)
    }

    fn num_containers(&self) -> usize {
        self.data.files().len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

fn both(wanted: &mut [bool], can_be_true: &[bool]) {
    for (wanted, can_be_true) in wanted.iter_mut().zip(can_be_true) {
        *wanted &= can_be_true;
    }
}

fn unqualified(filter: Expr) -> Result<Expr> {
    let bare = |expr| {
        let Expr::Column(Column { name, .. }) = expr else {
            return Ok(Transformed::no(expr));
        };
        Ok(Transformed::yes(Expr::Column(Column::new_unqualified(
            name,
        ))))
    };
    Ok(filter.transform(bare)?.data)
}
