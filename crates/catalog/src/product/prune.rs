//! Files that a query cannot need, by what their folders say.

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::logical_expr::Expr;

use super::files::DataSnapshot;

/// The files whose partition values can make every one of `filters` true.
///
/// A filter that reads other columns too, or that cannot be evaluated here,
/// leaves all files in: pruning saves work, it never decides.
pub(crate) fn files_for(
    state: &dyn Session,
    data: &DataSnapshot,
    filters: &[Expr],
) -> Vec<PartitionedFile> {
    let Some(partitions) = data.partitions() else {
        return data.files().to_vec();
    };
    let schema = partitions.schema();
    let masks: Vec<BooleanArray> = filters
        .iter()
        .filter(|filter| {
            let columns = filter.column_refs();
            !columns.is_empty()
                && columns
                    .iter()
                    .all(|column| schema.field_with_name(&column.name).is_ok())
                && !filter.is_volatile()
        })
        .filter_map(|filter| {
            let evaluated: Result<_> = (|| {
                let expr = unqualified(filter.clone())?;
                let expr =
                    state.create_physical_expr(expr, &DFSchema::try_from(partitions.schema())?)?;
                expr.evaluate(partitions)?.into_array(partitions.num_rows())
            })();
            evaluated
                .ok()
                .and_then(|values| values.as_boolean_opt().cloned())
        })
        .collect();
    data.files()
        .iter()
        .enumerate()
        .filter(|(row, _)| {
            masks
                .iter()
                .all(|mask| *row < mask.len() && mask.is_valid(*row) && mask.value(*row))
        })
        .map(|(_, file)| file.clone())
        .collect()
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
