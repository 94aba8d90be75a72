//! Weft's Flight SQL server: who calls, what they ask, and how the answer
//! travels.
//!
//! [`Server::bind`] takes an [`Engine`](weft_engine::Engine) and an address,
//! [`Server::serve`] answers until it is told to stop. Every call walks the same
//! way:
//!
//! ```text
//! authenticate   headers        -> Principal, or UNAUTHENTICATED
//! command        protobuf Any   -> FlightCommand, decoded once
//! engine         SQL            -> PlannedQuery, access decided now
//! stream, wire   RecordBatch    -> FlightData in types that clients read
//! status         engine::Error  -> the gRPC code
//! ```
//! No call leaves authority behind: handles and sessions are sealed or looked up
//! for the principal who presents them, and only say what to plan again.
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

mod config;
mod connections;
mod error;
mod metrics;
mod reflection;
mod serve;
mod tls;
mod trace;

mod audit;
mod call;
mod service;

mod authenticate;
mod handshake;
mod session;

mod command;
mod handle;
mod seal;

mod bindings;
mod metadata;
mod parameters;
mod planned;
mod prepared;
mod statement;

mod action;
mod messages;

mod status;
mod stream;
mod wire;

pub use config::{ServerConfig, TlsConfig};
pub use error::{Error, Result};
pub use serve::Server;
/// For `benches/engine`.
#[doc(hidden)]
pub use stream::messages;
