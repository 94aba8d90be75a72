//! Files that a query cannot need, by what their folders and their footers say.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::cache::cache_manager::CacheManager;
use datafusion::logical_expr::Expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::file_bounds::ColumnBounds;
use super::files::DataSnapshot;
use super::layout::Layout;

/// What is known of the files of one table.
pub(crate) struct Listed<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) data: &'a DataSnapshot,
    /// Where their footers are, if they have any.
    pub(crate) footers: Option<&'a CacheManager>,
}

/// Of fewer files the reader finds out as soon.
const MANY: usize = 16;

impl Listed<'_> {
    /// The files in which every one of `filters` can be true.
    ///
    /// A filter that cannot be evaluated here leaves all files in: pruning saves work, it never
    /// decides.
    pub(crate) fn files_for(&self, state: &dyn Session, filters: &[Expr]) -> Vec<PartitionedFile> {
        let files = self.data.files();
        let mut wanted = vec![true; files.len()];
        for filter in filters {
            if filter.is_volatile() || filter.column_refs().is_empty() {
                continue;
            }
            let by_folders = self.by_folders(state, filter);
            let by_footers = || self.by_footers(state, filter).ok().flatten();
            let Some(can_be_true) = by_folders.or_else(by_footers) else {
                continue;
            };
            for (wanted, can_be_true) in wanted.iter_mut().zip(can_be_true) {
                *wanted &= can_be_true;
            }
        }
        let wanted = files.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        wanted.map(|(file, _)| file.clone()).collect()
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
        if self.footers.is_none() || self.data.files().len() < MANY {
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
        if let Some(values) = self.data.partitions() {
            let values = values.column_by_name(&column.name);
            if let Some(values) = values {
                return Some(ColumnBounds {
                    min: Arc::clone(values),
                    max: Arc::clone(values),
                });
            }
        }
        let (stored, shown) = (self.layout.stored_field(place)?, field.data_type());
        let (bounds, files) = (self.data.bounds(), self.data.files());
        bounds.of(stored, shown, files, self.footers?)
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
