//! The schema `system`: what a viewer may know about the mesh, as tables.
//!
//! A [`SystemTable`] makes its rows for one [`Look`]: one viewer on one
//! snapshot. A row that the viewer may not see is never made, so nothing that a
//! user writes, and no rule of the planner, comes before the governance; filters
//! run above the scan. Rows are made when the scan runs, not when it is planned.
//!
//! A table is added by a value in [`SystemTables::new`] or, from outside of the
//! engine, in [`EngineConfig::system_tables`](crate::EngineConfig::system_tables).

mod arrays;
mod audit;
mod caches;
mod columns;
mod consumers;
mod grants;
mod lineage;
mod products;
mod provider;
mod scan;
mod schema;
mod table;

pub use self::audit::audit_tables;
pub use self::table::{Look, SystemColumn, SystemTable};
pub(crate) use self::{
    caches::{Caches, KeptPlan, KeptPlans},
    scan::{SystemScanExec, reads_system},
    schema::{SystemSchema, SystemTables},
};

/// The name of the schema; no domain may have it.
pub(crate) const SYSTEM: &str = "system";
