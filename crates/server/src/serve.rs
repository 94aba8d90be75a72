//! The server: listening, transport settings, and stopping without hurry.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};
use weft_engine::Engine;

use crate::audit::Audit;
use crate::authenticate::{Bearers, Gate, Oidc};
use crate::bindings::Bindings;
use crate::config::ServerConfig;
use crate::error::{Error, Result};
use crate::handle::Handles;
use crate::metadata::ServerInfo;
use crate::seal::{Purpose, Sealer};
use crate::service::{FlightSql, FlightSqlService};
use crate::session::Sessions;
use crate::tls;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// JDBC sends every property that it does not know as a header.
const HEADER_LIST_BYTES: u32 = 64 * 1024;
const CONCURRENT_STREAMS: u32 = 200;
const DECODED_BYTES: usize = 16 * 1024 * 1024;
/// One row of 16 MiB, and what surrounds it.
const ENCODED_BYTES: usize = 24 * 1024 * 1024;
/// How long cancelled streams have to tell their clients.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A bound Flight SQL server.
pub struct Server {
    flight_sql: Arc<FlightSql>,
    router: Router,
    incoming: TcpIncoming,
    address: SocketAddr,
    health: HealthReporter,
    drain: Duration,
    draining: CancellationToken,
    stop: CancellationToken,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the address and prepares to serve; connections wait until
    /// [`Server::serve`].
    ///
    /// # Errors
    /// When the address cannot be bound or certificate and key cannot be used.
    pub async fn bind(engine: Arc<Engine>, config: ServerConfig) -> Result<Self> {
        let draining = CancellationToken::new();
        let stop = CancellationToken::new();
        let snapshot = engine.snapshot();
        let secrets: Vec<&[u8]> = if config.secrets.is_empty() {
            vec![snapshot.secret().expose().as_bytes()]
        } else {
            let secrets = config.secrets.iter();
            secrets.map(|secret| secret.expose().as_bytes()).collect()
        };
        let sealer = |purpose| Sealer::new(secrets.iter().copied(), purpose);
        let oidc = Oidc::new().map_err(|error| Error::Transport(error.to_string()))?;
        let flight_sql = Arc::new(FlightSql {
            engine,
            audit: Audit::new(config.audit.clone()),
            gate: Gate::new(Bearers::new(sealer(Purpose::Bearer)), oidc),
            handles: Handles::new(sealer(Purpose::Handle)),
            sessions: Sessions::default(),
            bindings: Bindings::default(),
            info: ServerInfo::new().map_err(|error| Error::Transport(error.to_string()))?,
            draining: draining.clone(),
            stop: stop.clone(),
        });
        let flight = FlightServiceServer::new(FlightSqlService(Arc::clone(&flight_sql)))
            .max_decoding_message_size(DECODED_BYTES)
            .max_encoding_message_size(ENCODED_BYTES);
        let (health, health_service) = tonic_health::server::health_reporter();
        health
            .set_serving::<FlightServiceServer<FlightSqlService>>()
            .await;

        let mut transport = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .max_concurrent_streams(CONCURRENT_STREAMS);
        if let Some(tls) = &config.tls {
            transport = transport
                .tls_config(tls::server_config(tls))
                .map_err(|error| Error::Tls(tls::describe(&error)))?;
        }
        let router = transport.add_service(health_service).add_service(flight);

        let bind = |source| Error::Bind {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Ok(Self {
            flight_sql,
            router,
            incoming,
            address,
            health,
            drain: config.drain,
            draining,
            stop,
        })
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then lets running streams finish within
    /// the drain time and cancels the rest.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Self {
            flight_sql,
            router,
            incoming,
            address,
            health,
            drain,
            draining,
            stop,
        } = self;
        info!(%address, "listening");
        let _early = fetch_keys(&flight_sql);
        let signal = draining.clone();
        let serving = router.serve_with_incoming_shutdown(incoming, signal.cancelled_owned());
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            served = &mut serving => return served.map_err(|error| transport(&error)),
            () = shutdown => {}
        }
        info!("stopping: running queries may finish");
        health
            .set_not_serving::<FlightServiceServer<FlightSqlService>>()
            .await;
        health
            .set_service_status("", ServingStatus::NotServing)
            .await;
        draining.cancel();
        if let Ok(served) = tokio::time::timeout(drain, &mut serving).await {
            return served.map_err(|error| transport(&error));
        }
        warn!("cancelling queries that still run");
        stop.cancel();
        match tokio::time::timeout(LAST_WORDS, &mut serving).await {
            Ok(served) => served.map_err(|error| transport(&error)),
            // Connections that stay open have nothing left to say.
            Err(_) => Ok(()),
        }
    }
}

/// Fetches the keys of OpenID providers before somebody waits for them. Ends when
/// dropped.
fn fetch_keys(flight_sql: &Arc<FlightSql>) -> JoinSet<()> {
    let mut fetching = JoinSet::new();
    let snapshot = flight_sql.engine.snapshot();
    for issuer in snapshot.policy().authenticator().issuers() {
        let (flight_sql, issuer) = (Arc::clone(flight_sql), Arc::clone(issuer));
        fetching.spawn(async move { flight_sql.gate.oidc.prepare(&issuer).await });
    }
    fetching
}

fn transport(error: &tonic::transport::Error) -> Error {
    Error::Transport(tls::describe(error))
}
