//! Why a server does not start or stops.

use std::net::SocketAddr;

/// An error of [`Server`](crate::Server). What goes wrong in a call is a gRPC
/// status of that call instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or is none of this machine's.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// The same, of the port for metrics.
    #[error("cannot serve metrics on `{address}`: {source}")]
    BindMetrics {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// Certificate or key are not PEM, or do not belong together.
    #[error("cannot use the TLS certificate and key: {0}")]
    Tls(String),
    /// The transport failed while serving.
    #[error("the server failed: {0}")]
    Transport(String),
}

/// What starting and serving return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
