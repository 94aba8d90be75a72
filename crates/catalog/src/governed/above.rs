//! A user's filters that are not leakproof: above the seal, on authorised rows only.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::lower;

/// `sealed` filtered by `rest`, of which the first `projected` columns are left.
pub(super) fn filtered(
    state: &dyn Session,
    sealed: Arc<dyn ExecutionPlan>,
    schema: &SchemaRef,
    rest: Vec<Expr>,
    projected: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let rest: Vec<Expr> = rest
        .into_iter()
        .map(lower::unqualified)
        .collect::<Result<_>>()?;
    let Some(filter) = conjunction(rest) else {
        return Ok(sealed);
    };
    let filter = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(schema))?)?;
    let filtered: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(filter, sealed)?);
    if projected == schema.fields().len() {
        return Ok(filtered);
    }
    let columns = schema
        .fields()
        .iter()
        .take(projected)
        .enumerate()
        .map(|(i, f)| {
            (
                Arc::new(PhysicalColumn::new(f.name(), i)) as Arc<dyn PhysicalExpr>,
                f.name().clone(),
            )
        });
    Ok(Arc::new(ProjectionExec::try_new(
        columns.collect::<Vec<_>>(),
        filtered,
    )?))
}

/// `projected` and behind it the columns that `rest` reads.
pub(super) fn with_columns_of(projected: &[usize], rest: &[Expr], schema: &Schema) -> Vec<usize> {
    let read: BTreeSet<usize> = rest
        .iter()
        .flat_map(Expr::column_refs)
        .filter_map(|column| schema.index_of(&column.name).ok())
        .filter(|index| !projected.contains(index))
        .collect();
    projected.iter().copied().chain(read).collect()
}
