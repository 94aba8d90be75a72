//! What a running server tells its operator.

mod metrics;
