//! Flight SQL.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::large_futures, clippy::print_stderr, reason = "tests may fail loudly"))]

mod messages;
mod metadata { pub(crate) mod pattern; }
mod seal;
mod stream { pub(crate) mod cut; }
mod wire;
