//! A server in this process, on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use weft_audit::Trail;
use weft_catalog::BlockCacheConfig;
use weft_engine::{CatalogConfig, Engine, EngineConfig, LiveMesh};
use weft_server::{Server, ServerConfig, TlsConfig};

use super::client::TestClient;
use super::mesh_dir::MeshDir;

/// What a test may set; the defaults serve plaintext and refresh nothing.
#[derive(Debug, Default)]
pub(crate) struct TestServerConfig {
    /// Refreshes and watches the mesh in the background, this often.
    pub(crate) refresh: Option<Duration>,
    /// Serves TLS with a certificate for `localhost` that only the clients of
    /// this server trust.
    pub(crate) tls: bool,
    /// With TLS, who may vouch for clients: a certificate, PEM.
    pub(crate) client_authority: Option<String>,
    pub(crate) engine: EngineConfig,
    /// How long streams may run on after [`TestServer::stop`].
    pub(crate) drain: Option<Duration>,
    /// Keeps no audit trail, whatever the mesh says.
    pub(crate) unaudited: bool,
    pub(crate) block_cache: Option<BlockCacheConfig>,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct TestServer {
    pub(crate) live: Arc<LiveMesh>,
    pub(crate) engine: Arc<Engine>,
    /// Where the mesh has one.
    pub(crate) audit: Option<Arc<Trail>>,
    address: SocketAddr,
    authority: Option<String>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<weft_server::Result<()>>,
    _background: Option<Box<dyn std::any::Any + Send + Sync>>,
}

impl TestServer {
    pub(crate) async fn start(mesh: &MeshDir) -> Self {
        Self::start_with(mesh, TestServerConfig::default()).await
    }

    /// # Panics
    /// When the mesh does not load or the server does not start.
    pub(crate) async fn start_with(mesh: &MeshDir, config: TestServerConfig) -> Self {
        super::setup();
        let catalog = CatalogConfig {
            refresh: config.refresh.unwrap_or(Duration::from_secs(3600)),
            block_cache: config.block_cache,
            ..CatalogConfig::default()
        };
        let live = LiveMesh::open(&mesh.mesh_file(), catalog)
            .await
            .expect("the mesh loads");
        let snapshot = live.snapshot();
        let audit = snapshot.audit().filter(|_| !config.unaudited);
        let audit = audit.map(|manifest| Trail::open(manifest).expect("the trail opens"));
        let background = config.refresh.map(|_| {
            let background: Box<dyn std::any::Any + Send + Sync> =
                Box::new(live.spawn_background());
            background
        });
        let tables = audit.as_ref().map(weft_engine::audit_tables);
        let mut settings = config.engine;
        settings.system_tables.extend(tables.unwrap_or_default());
        let engine = Engine::new(Arc::clone(&live), settings).expect("the engine starts");
        let (tls, authority) = if config.tls {
            let (mut tls, authority) = certificate();
            tls.client_ca_pem = config.client_authority.map(String::into_bytes);
            (Some(tls), Some(authority))
        } else {
            (None, None)
        };
        let defaults = ServerConfig::default();
        let server = Server::bind(
            Arc::clone(&engine),
            ServerConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                tls,
                audit: audit.clone(),
                drain: config.drain.unwrap_or(defaults.drain),
                ..defaults
            },
        )
        .await
        .expect("the server binds");
        let address = server.local_addr();
        let (shutdown, stopped) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "dropping the server ends it")]
        let serving = tokio::spawn(server.serve(async {
            // A dropped sender is a stop as well.
            let _ = stopped.await;
        }));
        Self {
            live,
            engine,
            audit,
            address,
            authority,
            shutdown: Some(shutdown),
            serving,
            _background: background,
        }
    }

    /// A client with its own connection that sends `Basic` with every call.
    pub(crate) async fn client(&self, user: &str, password: &str) -> TestClient {
        TestClient::basic(self.channel().await, user, password)
    }

    /// A client with its own connection that sends a bearer token.
    pub(crate) async fn service(&self, token: &str) -> TestClient {
        TestClient::bearer(self.channel().await, token)
    }

    /// A connection without credentials.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = self.endpoint();
        endpoint.connect().await.expect("the server answers")
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint_as(None)
    }

    /// For a client that shows a certificate.
    pub(crate) fn endpoint_as(&self, identity: Option<Identity>) -> Endpoint {
        match &self.authority {
            None => Endpoint::from_shared(format!("http://{}", self.address)).unwrap(),
            Some(authority) => {
                let tls = ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(authority))
                    .domain_name("localhost");
                let tls = match identity {
                    Some(identity) => tls.identity(identity),
                    None => tls,
                };
                Endpoint::from_shared(format!("https://localhost:{}", self.address.port()))
                    .unwrap()
                    .tls_config(tls)
                    .unwrap()
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server and waits for its end.
    pub(crate) async fn stop(mut self) -> weft_server::Result<()> {
        self.begin_stop();
        self.serving.await.expect("the server does not panic")
    }

    /// Tells the server to stop, and goes on.
    pub(crate) fn begin_stop(&mut self) {
        drop(self.shutdown.take());
    }
}

fn certificate() -> (TlsConfig, String) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    let authority = cert.pem();
    let tls = TlsConfig {
        cert_pem: authority.clone().into_bytes(),
        key_pem: signing_key.serialize_pem().into_bytes(),
        client_ca_pem: None,
    };
    (tls, authority)
}
