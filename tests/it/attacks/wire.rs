//! Attacks that need a connection.
