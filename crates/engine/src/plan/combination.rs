//! Tables that a guardrail keeps apart are not read by one query.

use std::collections::BTreeSet;

use datafusion::{
    common::tree_node::TreeNodeRecursion, datasource::source_as_provider, logical_expr::LogicalPlan,
};
use weft_catalog::GovernedTable;
use weft_mesh::TableId;

use crate::{
    error::{Error, Result, classify},
    session::GovernedSession,
};

/// The governed tables of a plan. Refuses a plan, as it was written and before any rule removes a table from
/// it, that reads what a guardrail keeps apart.
///
/// The text names only tables that the principal sees: it has named them.
pub(super) fn refuse_forbidden(
    plan: &LogicalPlan,
    session: &GovernedSession,
) -> Result<BTreeSet<TableId>> {
    let tables = governed_tables(plan)?;
    let policy = session.snapshot().policy();
    match policy.forbidden_combination(session.viewer(), &tables) {
        None => Ok(tables),
        Some(found) => Err(Error::PermissionDenied(found.to_string())),
    }
}

/// Every governed table that a plan or a subquery of it reads.
fn governed_tables(plan: &LogicalPlan) -> Result<BTreeSet<TableId>> {
    let mut tables = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<GovernedTable>()
        {
            tables.insert(table.id().clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;
    Ok(tables)
}
