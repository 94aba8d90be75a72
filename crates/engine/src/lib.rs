//! Sessions, planning, verifying and running: the only place that runs plans.
//!
//! [`Engine::session`] pins a principal to one [`MeshSnapshot`];
//! [`GovernedSession::plan`] turns SQL into a [`PlannedQuery`] whose every
//! source is sealed; [`PlannedQuery::execute`] turns that into a
//! [`RunningQuery`], a stream that stops when it is dropped.
//!
//! SQL is hostile until proven otherwise. Its size, nesting and statement are
//! checked before anything walks it, it is planned on a stack of its own, and
//! every function that can make much out of little is capped, because constant
//! folding runs it while planning, where no memory pool counts.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::large_futures,
        clippy::print_stderr,
        reason = "tests may fail loudly"
    )
)]

mod admission;
mod config;
mod error;

mod engine;
mod memory;
mod metrics;
mod runtime;
mod session;

mod explain;
mod footprint;
mod functions;
mod named;
mod offline;
mod plan;
mod row_bytes;
mod sql;
mod system;
mod trace;
mod verify;

mod execute;

#[cfg(test)]
mod tests;

pub use config::{EngineConfig, SessionOptions};
pub use engine::{Caller, Engine};
pub use error::{Error, Result, Timeout};
pub use execute::{CancelHandle, RunningQuery};
pub use footprint::{NamedTable, TableRead};
pub use functions::{FunctionNames, functions};
pub use metrics::SECONDS;
pub use named::named_tables;
pub use offline::{OfflineTable, Read, reads, reads_as};
pub use plan::{ColumnLineage, Lineage, Part, PlannedQuery, SourceColumn};
pub use row_bytes::row_bytes;
pub use session::GovernedSession;
pub use system::{Look, SystemColumn, SystemTable, audit_tables};
pub use weft_catalog::{
    CatalogConfig, Epoch, LiveMesh, MeshSnapshot, TRACES, VisibleColumn, VisibleTable, counted,
};
