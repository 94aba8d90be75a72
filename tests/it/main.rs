//! Integration tests: one binary, a module for each topic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "tests may fail loudly"
)]

mod access;
mod admission;
mod attacks;
mod audit;
mod cli;
mod docs;
mod edges;
mod for_whom;
mod governance;
mod hostile;
mod identity;
mod limits;
mod object_storage;
mod operations;
mod proof;
mod protocol;
mod seal;
mod slt;
mod support;
mod system;
mod upgrade_gate;
