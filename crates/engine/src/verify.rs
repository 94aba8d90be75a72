//! The last look at a plan before it runs: every source is sealed, and no dynamic filter is in a
//! seal where it could be heard.
//!
//! Raw tables have no name, so a plan that reads one cannot be written; this
//! check is there for the day when that is no longer true. What it does not
//! know, it refuses.

use std::sync::Arc;

use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::sink::DataSinkExec;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use weft_catalog::{GovernedScanExec, MeshSnapshot, QuietFilters};
use weft_policy::Viewer;

use crate::system::SystemScanExec;

/// Refuses a plan with a source that is not sealed for `viewer` on `snapshot`, and one that
/// [`QuietFilters`] would change.
///
/// The reason is for the log: it may name what the principal must not know.
pub(crate) fn verify(
    plan: &Arc<dyn ExecutionPlan>,
    snapshot: &MeshSnapshot,
    viewer: &Viewer,
) -> Result<(), String> {
    match QuietFilters::are_in(plan) {
        Ok(true) => verify_sources(plan, snapshot, viewer),
        Ok(false) => Err("a dynamic filter could be heard".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn verify_sources(
    plan: &Arc<dyn ExecutionPlan>,
    snapshot: &MeshSnapshot,
    viewer: &Viewer,
) -> Result<(), String> {
    if plan.is::<DataSinkExec>() {
        return Err("the plan writes".to_owned());
    }
    if let Some(seal) = plan.downcast_ref::<GovernedScanExec>() {
        return seal
            .verify(snapshot, viewer)
            .map_err(|refused| refused.to_string());
    }
    if let Some(system) = plan.downcast_ref::<SystemScanExec>() {
        return system.verify(snapshot, viewer);
    }
    let children = plan.children();
    if children.is_empty() && !reads_no_data(plan) {
        return Err(format!("source `{}` is not sealed", plan.name()));
    }
    children
        .into_iter()
        .try_for_each(|child| verify_sources(child, snapshot, viewer))
}

/// Leaves that hold no data of the mesh: literals, `information_schema`,
/// generated series, the rows of a recursive query.
fn reads_no_data(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<PlaceholderRowExec>()
        || plan.is::<EmptyExec>()
        || plan.is::<WorkTableExec>()
        || plan.is::<LazyMemoryExec>()
        || plan.is::<StreamingTableExec>()
        || plan
            .downcast_ref::<DataSourceExec>()
            .is_some_and(|source| source.data_source().is::<MemorySourceConfig>())
}
