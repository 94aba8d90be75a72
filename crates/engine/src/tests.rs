//! The engine over a small mesh of files: `sales.orders` is granted,
//! `hr.people` is not.

mod access;
mod caps;
mod errors;
mod execution;
mod limits;
mod lineage;
mod mesh;
mod parameters;
mod recent;
mod statements;
mod system;
