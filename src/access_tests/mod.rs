//! Access tests of owners: checked, run with the real engine, and reported.
//!
//! `weft_mesh` reads them. Here their values get types, and a mesh held still
//! ([`weft_catalog::LiveMesh::still`]) answers them.

mod check;
mod compare;
mod difference;
mod problem;
pub(crate) mod report;
mod run;
mod shown;
mod typed;
mod viewer;

pub(crate) use check::{faults, faults_of_values, untested};
pub(crate) use problem::Problem;
pub(crate) use run::{TestResult, run};
