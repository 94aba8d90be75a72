//! What a running server tells its operator.

mod log;
mod metrics;
mod traces;
