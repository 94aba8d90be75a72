//! The server: listening, transport settings, and stopping without hurry.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::MapRequestLayer;
use tracing::{info, warn};
use weft_engine::Engine;

use crate::audit::Audit;
use crate::authenticate::{Bearers, Gate, Oidc};
use crate::bindings::Bindings;
use crate::config::ServerConfig;
use crate::connections::{self, Connection, Times};
use crate::error::{Error, Result};
use crate::handle::Handles;
use crate::metadata::ServerInfo;
use crate::metrics::{Metrics, MetricsPort};
use crate::planned::Planned;
use crate::reflection;
use crate::seal::{Purpose, Sealer};
use crate::service::{FlightSql, FlightSqlService};
use crate::session::{Carried, Sessions};
use crate::tls;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// JDBC sends every property that it does not know as a header.
const HEADER_LIST_BYTES: u32 = 64 * 1024;
const CONCURRENT_STREAMS: u32 = 200;
const DECODED_BYTES: usize = 16 * 1024 * 1024;
/// One row as large as it may be, and what surrounds it.
const ENCODED_BYTES: usize = 72 * 1024 * 1024;
/// How long calls on a connection that is of age may go on.
const AGE_GRACE: Duration = Duration::from_secs(12 * 60 * 60);
/// Connections that were made at one moment end at as many, spread over a fifth of their age.
const AGES: u32 = 16;
/// How long cancelled streams have to tell their clients.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What every request passes first.
type Layers = tower::layer::util::Stack<
    MapRequestLayer<fn(http::Request<Body>) -> http::Request<Body>>,
    tower::layer::util::Identity,
>;

/// A bound Flight SQL server.
pub struct Server {
    flight_sql: Arc<FlightSql>,
    /// One for each age that connections reach.
    routers: Vec<Router<Layers>>,
    listener: TcpListener,
    metrics_port: Option<MetricsPort>,
    connections: usize,
    /// Of a connection, whatever it does.
    life: Duration,
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
    /// When an address cannot be bound or certificate and key cannot be used.
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
        let metrics = Arc::new(Metrics::default());
        let flight_sql = Arc::new(FlightSql {
            engine,
            audit: Audit::new(config.audit.clone(), Arc::clone(&metrics)),
            metrics: Arc::clone(&metrics),
            gate: Gate::new(Bearers::new(sealer(Purpose::Bearer)), oidc),
            handles: Handles::new(sealer(Purpose::Handle)),
            sessions: Sessions::default(),
            carried: Carried::new(sealer(Purpose::Options)),
            bindings: Bindings::default(),
            planned: Planned::default(),
            info: ServerInfo::new().map_err(|error| Error::Transport(error.to_string()))?,
            reader_timeout: config.reader_timeout,
            draining: draining.clone(),
            stop: stop.clone(),
        });
        let (health, health_service) = tonic_health::server::health_reporter();
        health
            .set_serving::<FlightServiceServer<FlightSqlService>>()
            .await;

        let router = |age: Duration| -> Result<Router<Layers>> {
            let mut transport = transport().max_connection_age(age);
            if let Some(tls) = &config.tls {
                transport = transport
                    .tls_config(tls::server_config(tls))
                    .map_err(|error| Error::Tls(tls::describe(&error)))?;
            }
            let flight = FlightServiceServer::new(FlightSqlService(Arc::clone(&flight_sql)))
                .max_decoding_message_size(DECODED_BYTES)
                .max_encoding_message_size(ENCODED_BYTES);
            let receive: fn(_) -> _ = connections::receive;
            let mut router = transport
                .layer(MapRequestLayer::new(receive))
                .add_service(health_service.clone())
                .add_service(flight);
            if config.reflection {
                router = router
                    .add_service(reflection::newest()?)
                    .add_service(reflection::usual()?);
            }
            Ok(router)
        };
        let routers = ages(config.connection_age)
            .map(router)
            .collect::<Result<_>>()?;

        let bind = |source| Error::Bind {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let metrics_port = match config.metrics {
            Some(address) => {
                let registry = metrics.registry(&flight_sql.engine);
                Some(MetricsPort::bind(address, registry).await?)
            }
            None => None,
        };
        Ok(Self {
            flight_sql,
            routers,
            listener,
            metrics_port,
            connections: config.connections,
            // Tonic's own grace would keep it from asking connections of age to end at all.
            life: config.connection_age.saturating_add(AGE_GRACE),
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
            routers,
            listener,
            metrics_port,
            connections,
            life,
            address,
            health,
            drain,
            draining,
            stop,
        } = self;
        info!(%address, "listening");
        let _early = fetch_keys(&flight_sql);
        // Until the end: how it stops is worth knowing. Dropping the set ends it.
        let mut telling = JoinSet::new();
        if let Some(port) = metrics_port {
            telling.spawn(port.serve());
        }
        let mut serving = JoinSet::new();
        let mut takers = Vec::new();
        for router in routers {
            let (taker, taken) = mpsc::channel(1);
            takers.push(taker);
            let signal = draining.clone().cancelled_owned();
            let incoming = ReceiverStream::new(taken);
            serving.spawn(router.serve_with_incoming_shutdown(incoming, signal));
        }
        let times = Times::new(life);
        let open = flight_sql.metrics.connections.clone();
        let accepted = connections::accept(listener, connections, times, open);
        tokio::select! {
            served = all(&mut serving) => return served,
            () = deal(accepted, takers) => {}
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
        if let Ok(served) = tokio::time::timeout(drain, all(&mut serving)).await {
            return served;
        }
        warn!("cancelling queries that still run");
        stop.cancel();
        match tokio::time::timeout(LAST_WORDS, all(&mut serving)).await {
            Ok(served) => served,
            // Connections that stay open have nothing left to say.
            Err(_) => Ok(()),
        }
    }
}

fn transport() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .max_concurrent_streams(CONCURRENT_STREAMS)
}

/// The ages that connections reach, about `age`: what lives in one server ends at
/// one age, so there is a server for each.
fn ages(age: Duration) -> impl Iterator<Item = Duration> {
    (0..AGES).map(move |step| age.mul_f64(0.9 + 0.2 * f64::from(step) / f64::from(AGES)))
}

/// Deals connections out among `takers`.
async fn deal(
    incoming: impl Stream<Item = io::Result<Connection>>,
    takers: Vec<mpsc::Sender<io::Result<Connection>>>,
) {
    let mut incoming = std::pin::pin!(incoming);
    let mut turn = takers.iter().cycle();
    while let (Some(connection), Some(taker)) = (incoming.next().await, turn.next()) {
        // A server that has ended takes none.
        let _ = taker.send(connection).await;
    }
}

/// Waits until all have ended.
async fn all(
    serving: &mut JoinSet<std::result::Result<(), tonic::transport::Error>>,
) -> Result<()> {
    while let Some(served) = serving.join_next().await {
        let served = served.map_err(|error| Error::Transport(error.to_string()))?;
        served.map_err(|error| Error::Transport(tls::describe(&error)))?;
    }
    Ok(())
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
