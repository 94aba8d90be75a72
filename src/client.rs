//! A client over the wire, as any other: Flight SQL, one address, one identity.

use std::path::PathBuf;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow_flight::HandshakeRequest;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt as _;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};
use weft_mesh::Purpose;

use crate::config;
use crate::error::{Error, Result};

const DEFAULT_PORT: u16 = 50051;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One message is about 1 MiB; a single huge row may reach this.
const MAX_MESSAGE: usize = 16 * 1024 * 1024 + 64 * 1024;

/// Where to connect.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `grpc://host:port` or `grpc+tls://host:port`.
    pub(crate) url: String,
    /// A certificate authority to trust besides the system's.
    pub(crate) tls_ca: Option<PathBuf>,
}

/// Who is asking. `Debug` shows no secret.
pub(crate) enum Credentials {
    Password { user: String, password: String },
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => f.debug_tuple("Password").field(user).finish(),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

/// What every call says about its question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers {
    /// Where an unqualified table name is looked up.
    pub(crate) catalog: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) purpose: Option<Purpose>,
    /// `user:NAME`, whose rights count instead of those of the service that asks.
    pub(crate) on_behalf_of: Option<String>,
}

/// An authenticated connection.
#[derive(Debug)]
pub(crate) struct Connection {
    client: FlightSqlServiceClient<Channel>,
}

/// A result as it arrives.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: FlightRecordBatchStream,
}

impl Connection {
    pub(crate) async fn open(target: &Target, credentials: &Credentials) -> Result<Self> {
        let channel = connect(target).await?;
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let mut client = FlightSqlServiceClient::new_from_inner(inner);
        let token = match credentials {
            Credentials::Token(token) => token.clone(),
            Credentials::Password { user, password } => {
                handshake(&mut client, user, password).await?
            }
        };
        client.set_token(token);
        Ok(Self { client })
    }

    /// Says with every call what the question depends on beside its text.
    pub(crate) fn set_headers(&mut self, headers: &Headers) {
        let purpose = headers.purpose.as_ref().map(ToString::to_string);
        for (header, value) in [
            ("catalog", &headers.catalog),
            ("schema", &headers.schema),
            ("x-weft-purpose", &purpose),
            ("x-weft-on-behalf-of", &headers.on_behalf_of),
        ] {
            if let Some(value) = value {
                self.client.set_header(header, value);
            }
        }
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Result<Answer> {
        let info = self.client.execute(sql.to_owned(), None).await?;
        let ticket = info
            .endpoint
            .first()
            .and_then(|endpoint| endpoint.ticket.clone())
            .ok_or_else(|| Error::Failed("the server sent no ticket for the result".to_owned()))?;
        let schema = info.try_decode_schema().map_err(|cause| {
            Error::Failed(format!("cannot read the schema of the result: {cause}"))
        })?;
        let batches = self.client.do_get(ticket).await?;
        Ok(Answer {
            schema: schema.into(),
            batches,
        })
    }
}

async fn connect(target: &Target) -> Result<Channel> {
    let (tls, uri) = parse_url(&target.url)?;
    let mut endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_while_idle(true);
    if tls {
        let mut config = ClientTlsConfig::new().with_native_roots();
        if let Some(path) = &target.tls_ca {
            config = config.ca_certificate(Certificate::from_pem(config::read(path)?));
        }
        endpoint = endpoint
            .tls_config(config)
            .map_err(|cause| connect_error(target, &cause))?;
    } else if target.tls_ca.is_some() {
        return Err(Error::Usage(
            "`--tls-ca` needs a `grpc+tls://` address".to_owned(),
        ));
    }
    endpoint
        .connect()
        .await
        .map_err(|cause| connect_error(target, &cause))
}

/// `(uses TLS, the address in HTTP's words)`.
fn parse_url(url: &str) -> Result<(bool, Uri)> {
    let malformed = |why: &str| {
        Error::Usage(format!(
            "`{url}` is not an address such as `grpc://127.0.0.1:50051` or `grpc+tls://mesh.example:50051`: {why}"
        ))
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| malformed("it has no scheme"))?;
    let tls = match scheme {
        "grpc" | "grpc+tcp" => false,
        "grpc+tls" => true,
        _ => return Err(malformed("the scheme is neither `grpc` nor `grpc+tls`")),
    };
    let authority = rest.trim_end_matches('/');
    if authority.contains('@') {
        return Err(malformed("credentials do not belong into an address"));
    }
    let http = if tls { "https" } else { "http" };
    let parse = |text: String| {
        text.parse::<Uri>()
            .map_err(|cause| malformed(&cause.to_string()))
    };
    let uri = parse(format!("{http}://{authority}"))?;
    if uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") {
        return Err(malformed("it is more or less than a host and a port"));
    }
    match uri.port_u16() {
        Some(_) => Ok((tls, uri)),
        None => Ok((tls, parse(format!("{http}://{authority}:{DEFAULT_PORT}"))?)),
    }
}

/// The standard Basic handshake. Done here because the client of `arrow-flight` turns a refusal
/// into text, and its status code is wanted.
async fn handshake(
    client: &mut FlightSqlServiceClient<Channel>,
    user: &str,
    password: &str,
) -> Result<String> {
    let basic = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut request = Request::new(futures::stream::iter([HandshakeRequest::default()]));
    let value = format!("Basic {basic}")
        .parse()
        .map_err(|_| Error::Usage("this user name cannot be sent".to_owned()))?;
    request.metadata_mut().insert("authorization", value);
    let response = client.inner_mut().handshake(request).await?;
    let token = response
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::to_owned);
    response.into_inner().try_collect::<Vec<_>>().await?;
    token.ok_or_else(|| {
        Error::from(Status::unauthenticated(
            "the server answered the handshake without a token",
        ))
    })
}

/// The innermost cause: the layers above it say `transport error` and no more.
fn connect_error(target: &Target, error: &tonic::transport::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Connect {
        url: target.url.clone(),
        cause: cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_arrows_scheme() {
        let (tls, uri) = parse_url("grpc://localhost:9000").unwrap();
        assert!(!tls);
        assert_eq!(uri.to_string(), "http://localhost:9000/");
        let (tls, uri) = parse_url("grpc+tls://mesh.example/").unwrap();
        assert!(tls);
        assert_eq!(uri.port_u16(), Some(DEFAULT_PORT));
        assert_eq!(
            parse_url("grpc://[::1]").unwrap().1.port_u16(),
            Some(DEFAULT_PORT)
        );
        for bad in [
            "localhost:9000",
            "http://x",
            "grpc://",
            "grpc://a:b@c",
            "grpc://x/y",
            "grpc://x:y",
        ] {
            assert!(matches!(parse_url(bad), Err(Error::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials::Password {
            user: "ana".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(format!("{credentials:?}"), r#"Password("ana")"#);
    }
}
