//! Tables that a guardrail keeps apart are not read by one query.

use datafusion::logical_expr::LogicalPlan;

use crate::{
    error::{Error, Result},
    footprint::{self, Footprint},
    session::GovernedSession,
};

/// The governed tables of a plan. Refuses a plan, as it was written and before any rule removes a table from
/// it, that reads what a guardrail keeps apart.
///
/// The text names only tables that the principal sees: it has named them.
pub(super) fn refuse_forbidden(plan: &LogicalPlan, session: &GovernedSession) -> Result<Footprint> {
    let tables = footprint::tables(plan)?;
    let policy = session.snapshot().policy();
    let names = tables.keys().cloned().collect();
    match policy.forbidden_combination(session.viewer(), &names) {
        None => Ok(tables),
        Some(found) => Err(Error::PermissionDenied(found.to_string())),
    }
}
