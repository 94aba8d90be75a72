//! A mesh, opened and served in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{info, warn};
use weft_audit::Trail;
use weft_catalog::{Background, BlockCacheConfig, CatalogConfig, LiveMesh};
use weft_engine::{Engine, EngineConfig, audit_tables};
use weft_mesh::{ByteSize, Secret, SecretRef};
use weft_server::{Server, ServerConfig, TlsConfig};

use crate::config::{self, TlsFiles};
use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mesh: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) refresh: Duration,
    pub(crate) block_cache: Option<BlockCacheConfig>,
    pub(crate) tls: Option<TlsFiles>,
    /// Whether running queries end when their access changes.
    pub(crate) kill_on_revoke: bool,
    /// What handles are sealed with; the secret of the mesh where there are none.
    pub(crate) handle_secrets: Vec<SecretRef>,
    pub(crate) transport: Transport,
    pub(crate) capacity: Capacity,
}

/// What statements may take, as [`EngineConfig`] has it, and its default where nothing is said.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    pub(crate) statements: Option<usize>,
    pub(crate) waiting_statements: Option<usize>,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) memory: Option<ByteSize>,
    pub(crate) query_memory: Option<ByteSize>,
}

impl Capacity {
    fn of(self, engine: EngineConfig) -> EngineConfig {
        /// A moment beyond is one that no clock can tell.
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
        let bytes = |size: ByteSize| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        let memory_limit = self.memory.map_or(engine.memory_limit, bytes);
        EngineConfig {
            statements: self.statements.unwrap_or(engine.statements),
            waiting_statements: self.waiting_statements.unwrap_or(engine.waiting_statements),
            queue_timeout: self.queue_timeout.unwrap_or(engine.queue_timeout),
            statement_timeout: self
                .statement_timeout
                .map_or(engine.statement_timeout, |asked| asked.min(LONGEST)),
            memory_limit,
            query_memory_limit: self.query_memory.map_or(memory_limit / 2, bytes),
            ..engine
        }
    }
}

/// As [`ServerConfig`] has them.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) connections: usize,
    pub(crate) connection_age: Duration,
    pub(crate) reader_timeout: Duration,
    pub(crate) reflection: bool,
    pub(crate) metrics: Option<SocketAddr>,
}

impl Default for Transport {
    fn default() -> Self {
        let defaults = ServerConfig::default();
        Self {
            connections: defaults.connections,
            connection_age: defaults.connection_age,
            reader_timeout: defaults.reader_timeout,
            reflection: defaults.reflection,
            metrics: defaults.metrics,
        }
    }
}

/// Listening already: a connection made now is answered as soon as [`Running::until_stopped`] runs.
#[derive(Debug)]
pub(crate) struct Running {
    live: Arc<LiveMesh>,
    server: Server,
    tls: bool,
    signals: Signals,
    audit: Option<Arc<Trail>>,
    /// Watches files and storages until it is dropped.
    _background: Background,
}

impl Running {
    pub(crate) async fn start(options: Options) -> Result<Self> {
        let signals = Signals::listen()?;
        let tls = match &options.tls {
            Some(files) => Some(TlsConfig {
                cert_pem: config::read(&files.cert)?,
                key_pem: config::read(&files.key)?,
                client_ca_pem: files.client_ca.as_deref().map(config::read).transpose()?,
            }),
            None => None,
        };
        let read = |secret: &SecretRef| secret.resolve();
        let secrets = options.handle_secrets.iter().map(read);
        let secrets: Vec<Secret> = secrets
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::Usage(format!("`--handle-secret`: {cause}")))?;
        let catalog = CatalogConfig {
            refresh: options.refresh,
            block_cache: options.block_cache,
            ..CatalogConfig::default()
        };
        let live = LiveMesh::open(&options.mesh, catalog)
            .await
            .map_err(|cause| Error::Failed(cause.to_string()))?;
        let audit = open_trail(&live)?;
        let background = live.spawn_background();
        let engine = EngineConfig {
            kill_on_revoke: options.kill_on_revoke,
            system_tables: audit.as_ref().map(audit_tables).unwrap_or_default(),
            ..options.capacity.of(EngineConfig::default())
        };
        let engine = Engine::new(Arc::clone(&live), engine)
            .map_err(|cause| Error::Failed(cause.to_string()))?;
        let config = ServerConfig {
            listen: options.listen,
            tls,
            secrets,
            connections: connections_within_limits(options.transport.connections),
            connection_age: options.transport.connection_age,
            reader_timeout: options.transport.reader_timeout,
            reflection: options.transport.reflection,
            metrics: options.transport.metrics,
            audit: audit.clone(),
            ..ServerConfig::default()
        };
        let encrypted = config.tls.is_some();
        let server = Server::bind(engine, config)
            .await
            .map_err(|error| not_started(&error))?;
        Ok(Self {
            live,
            server,
            tls: encrypted,
            signals,
            audit,
            _background: background,
        })
    }

    pub(crate) fn live(&self) -> &Arc<LiveMesh> {
        &self.live
    }

    /// The address as clients write it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "grpc+tls" } else { "grpc" };
        format!("{scheme}://{}", self.server.local_addr())
    }

    /// Serves until SIGTERM or Ctrl-C, and lets running queries finish. A second signal does not
    /// wait for them.
    pub(crate) async fn until_stopped(self) -> Result<()> {
        let Signals {
            hangup,
            mut terminate,
            mut interrupt,
        } = self.signals;
        // Dropping the set ends its tasks.
        let mut tasks = JoinSet::new();
        tasks.spawn(reload_on_hangup(Arc::clone(&self.live), hangup));
        tasks.spawn(say_what_needs_a_restart(Arc::clone(&self.live)));

        let (stop, stopped) = oneshot::channel();
        tasks.spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            let _ = stop.send(());
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(130);
        });
        let stopped = async move {
            let _ = stopped.await;
        };
        let served = self.server.serve(stopped).await;
        if let Some(audit) = self.audit {
            // An error means that a thread of the trail panicked, which has been said.
            let _ = tokio::task::spawn_blocking(move || audit.close()).await;
        }
        served.map_err(|cause| Error::Failed(cause.to_string()))
    }
}

/// As many connections as were asked for, if this process may have so many files open: each is
/// one, and data, the trail and storages want some as well.
fn connections_within_limits(asked: usize) -> usize {
    const OTHER_FILES: u64 = 512;
    // Most systems let a process raise its own limit, and begin it low for old programs.
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => files,
        Err(error) => {
            warn!(%error, "the limit of open files is not known");
            return asked;
        }
    };
    let within = files.saturating_sub(OTHER_FILES).max(files / 2).max(1);
    let within = usize::try_from(within).unwrap_or(usize::MAX);
    if within < asked {
        warn!(
            files,
            connections = within,
            "fewer connections than --max-connections: raise the limit of open files (ulimit -n)"
        );
    }
    asked.min(within)
}

fn open_trail(live: &LiveMesh) -> Result<Option<Arc<Trail>>> {
    let snapshot = live.snapshot();
    let Some(manifest) = snapshot.audit() else {
        info!("there is no audit trail: `audit` in mesh.yaml says where to keep one");
        return Ok(None);
    };
    let trail = Trail::open(manifest).map_err(|cause| Error::Failed(cause.to_string()))?;
    Ok(Some(trail))
}

/// The trail is opened once, with what the manifest said then.
async fn say_what_needs_a_restart(live: Arc<LiveMesh>) {
    let mut said = live.snapshot().audit().cloned();
    let mut reloads = live.reloads();
    while reloads.changed().await.is_ok() {
        let now = live.snapshot().audit().cloned();
        if now != said {
            warn!(
                "`audit` in mesh.yaml has changed: the trail goes on as it was until the server is restarted"
            );
            said = now;
        }
    }
}

/// What the operating system may tell us. Listened for before the server says that it is ready, so
/// that none ends it the hard way.
#[derive(Debug)]
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|cause| Error::io("listen for signals", &cause));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }
}

fn not_started(error: &weft_server::Error) -> Error {
    let taken = |source: &std::io::Error| source.kind() == std::io::ErrorKind::AddrInUse;
    let help = match error {
        weft_server::Error::Bind { source, .. } if taken(source) => {
            "; choose another address with `--listen`"
        }
        weft_server::Error::BindMetrics { source, .. } if taken(source) => {
            "; choose another address with `--metrics`"
        }
        weft_server::Error::Bind { .. }
        | weft_server::Error::BindMetrics { .. }
        | weft_server::Error::Tls(_)
        | weft_server::Error::Transport(_) => "",
    };
    Error::Failed(format!("{error}{help}"))
}

async fn reload_on_hangup(live: Arc<LiveMesh>, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        info!("reloading the mesh");
        live.reload().await;
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_ever() {
        let (none, ever) = (Capacity::default(), EngineConfig::default());
        let config = none.of(EngineConfig::default());
        assert_eq!(config.statements, ever.statements);
        assert_eq!(config.waiting_statements, ever.waiting_statements);
        assert_eq!(config.queue_timeout, ever.queue_timeout);
        assert_eq!(config.statement_timeout, ever.statement_timeout);
        assert_eq!(config.memory_limit, ever.memory_limit);
        assert_eq!(config.query_memory_limit, ever.query_memory_limit);
    }

    #[test]
    fn one_query_has_half_of_the_memory_that_is_said() {
        let size = |text| Some(ByteSize::parse(text).unwrap());
        let capacity = |query_memory| Capacity {
            statements: Some(3),
            memory: size("1GiB"),
            query_memory,
            ..Capacity::default()
        };
        let half = capacity(None).of(EngineConfig::default());
        assert_eq!(half.statements, 3);
        assert_eq!(
            (half.memory_limit, half.query_memory_limit),
            (1 << 30, 512 << 20)
        );
        let own = capacity(size("64MiB")).of(EngineConfig::default());
        assert_eq!(
            (own.memory_limit, own.query_memory_limit),
            (1 << 30, 64 << 20)
        );
    }
}
