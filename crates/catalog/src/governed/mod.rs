//! The seal: the one way to raw data, and all that a query sees of it.
//!
//! A policy that is merged into a query as a filter or a view leaks: rules and
//! operators of the engine reorder, and a failing expression on a hidden row
//! prints the hidden value. Here the policy runs in a plan of its own that no
//! rule can reach.
//!
//! [`GovernedCatalog`] resolves a name to a [`GovernedTable`], whose `scan`
//! plans the policy in a private session and returns a [`GovernedScanExec`].

mod above;
mod below_nulls;
mod catalog;
mod dynamic_filter;
mod entitlement;
mod estimate;
mod known;
mod leakproof;
mod lower;
mod partitions;
mod private_session;
mod quiet_filters;
mod row_filter;
mod scan;
mod stream;
mod table;
mod traced;
mod unparsed;
mod unpruned;
mod verify;
mod visible_rows;

pub use catalog::{GovernedCatalog, VisibleColumn, VisibleTable};
pub use known::{Freshness, KnownColumn, KnownTable, Reading, Shown, known_tables};
pub use quiet_filters::QuietFilters;
pub use scan::GovernedScanExec;
pub use table::{GovernedTable, UserPushdown};
pub use verify::SealRefused;
pub(crate) use visible_rows::VisibleCounts;
