//! The port that answers `GET /metrics`, and nothing else.
//!
//! It asks nobody who they are: it belongs on an address that operators alone can reach. Those
//! who can all the same get few connections, none of them for long.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::error::{Error, Result};

/// At a time; others wait in the system's queue.
const CONNECTIONS: usize = 16;
/// For the headers of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// For all of a connection, which is for one request.
const LIFE: Duration = Duration::from_secs(20);
const HEADER_BYTES: usize = 16 * 1024;
/// After an error that does not pass by itself, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A bound port.
#[derive(Debug)]
pub(crate) struct MetricsPort {
    listener: TcpListener,
    registry: Arc<Registry>,
}

impl MetricsPort {
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn bind(address: SocketAddr, registry: Registry) -> Result<Self> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| Error::BindMetrics { address, source })?;
        Ok(Self {
            listener,
            registry: Arc::new(registry),
        })
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve(self) {
        if let Ok(address) = self.listener.local_addr() {
            info!(%address, "metrics");
        }
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        // Dropping the set ends its tasks.
        let mut connections = JoinSet::new();
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let tcp = match self.listener.accept().await {
                Ok((tcp, _)) => tcp,
                Err(error) => {
                    warn!(%error, "a connection for metrics could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let registry = Arc::clone(&self.registry);
            connections.spawn(async move {
                serve_one(tcp, registry).await;
                drop(place);
            });
        }
    }
}

async fn serve_one(tcp: TcpStream, registry: Arc<Registry>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &registry);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(tcp), service);
    match tokio::time::timeout(LIFE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection for metrics failed"),
        Err(_) => debug!("a connection for metrics took too long"),
    }
}

/// The body of the request is not read.
fn answer<B>(request: &Request<B>, registry: &Registry) -> Response<Full<Bytes>> {
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "there is GET /metrics\n");
    }
    let mut body = String::new();
    if let Err(error) = text::encode(&mut body, registry) {
        warn!(%error, "metrics could not be written");
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n");
    }
    let mut response = Response::new(Full::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_thing_to_get() {
        let registry = Registry::default();
        let status = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path);
            answer(&request.body(()).unwrap(), &registry).status()
        };
        assert_eq!(status(Method::GET, "/metrics"), StatusCode::OK);
        assert_eq!(status(Method::GET, "/metrics?x=1"), StatusCode::OK);
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, "/metrics/"),
            (Method::GET, "/metrics/../x"),
            (Method::POST, "/metrics"),
        ] {
            assert_eq!(status(method, path), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
