//! What the operator sets for the server.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use weft_audit::Trail;
use weft_mesh::Secret;

/// How the server listens; every field has a default.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Port 0 takes a free one, see [`Server::local_addr`](crate::Server::local_addr).
    pub listen: SocketAddr,
    /// Without it the server speaks plaintext.
    pub tls: Option<TlsConfig>,
    /// Handles and session bearers are sealed under a key of the first, and opened
    /// under keys of all; replicas share them. The secret of the mesh where there
    /// are none.
    pub secrets: Vec<Secret>,
    /// How long running streams may go on after the server was told to stop.
    pub drain: Duration,
    /// How many connections there may be at a time. Beyond, new ones take the places
    /// of those that have not logged in.
    pub connections: usize,
    /// After about so long a connection takes no new call, and its client makes
    /// another: so that load comes to servers that were added. Running calls go on.
    pub connection_age: Duration,
    /// How long a result waits for a client that takes nothing of it.
    pub reader_timeout: Duration,
    /// Whether clients can ask for the protocol's messages by `grpc.reflection`.
    pub reflection: bool,
    /// Where `GET /metrics` is answered, to whoever asks; nowhere when absent.
    pub metrics: Option<SocketAddr>,
    /// Where statements and refusals are recorded; nowhere when absent.
    pub audit: Option<Arc<Trail>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051)),
            tls: None,
            secrets: Vec::new(),
            drain: Duration::from_secs(20),
            connections: 10_000,
            connection_age: Duration::from_secs(60 * 60),
            reader_timeout: Duration::from_secs(5 * 60),
            reflection: false,
            metrics: None,
            audit: None,
        }
    }
}

/// A certificate chain and its private key, as PEM texts.
#[derive(Clone)]
pub struct TlsConfig {
    pub cert_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
    /// Who may vouch for clients: services that have a certificate of theirs need
    /// no token. Clients without a certificate are let in to log in otherwise.
    pub client_ca_pem: Option<Vec<u8>>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}
