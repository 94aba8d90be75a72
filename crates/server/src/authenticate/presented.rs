//! What a call presents of its caller: headers, and the certificate of its connection.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::metadata::MetadataMap;
use tonic::transport::CertificateDer;
use tonic::transport::server::TlsConnectInfo;
use tonic::{Request, Status};
use tracing::info;
use weft_policy::PrincipalId;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::connections::{self, Peer};

/// Nobody is called so many things.
const MOST_NAMES: usize = 100;

/// What a call presents.
#[derive(Clone, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) headers: &'a MetadataMap,
    /// Verified by TLS, the client's own first.
    certificates: Option<Arc<Vec<CertificateDer<'static>>>>,
    peer: Option<&'a Peer>,
}

impl<'a> Presented<'a> {
    pub(crate) fn of<T>(request: &'a Request<T>) -> Self {
        let tls = request.extensions().get::<TlsConnectInfo<Peer>>();
        Self {
            headers: request.metadata(),
            certificates: tls.and_then(TlsConnectInfo::peer_certs),
            peer: Peer::of(request.extensions()),
        }
    }

    /// What was presented is believed.
    ///
    /// # Errors
    /// When `principal` has as many connections as one may have.
    pub(crate) fn is_let_in(&self, principal: &PrincipalId) -> Result<(), Status> {
        match self.peer {
            Some(peer) => peer.is_let_in(principal),
            None => Ok(()),
        }
    }

    /// For results, on this connection.
    pub(crate) fn room(&self) -> Arc<Semaphore> {
        self.peer.map_or_else(connections::room, Peer::room)
    }

    /// The other end of the connection.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let address = self.peer?.tcp.remote_addr()?;
        Some(address.ip())
    }

    pub(crate) fn has_certificate(&self) -> bool {
        self.certificates.is_some()
    }

    /// The subject alternative names of the client's certificate (RFC 5280, section
    /// 4.2.1.6) that are URIs or DNS names; none without a certificate.
    pub(crate) fn certificate_names(&self) -> Option<Vec<String>> {
        let certificate = self.certificates.as_ref()?.first()?;
        let names = names(certificate.as_ref());
        if names.is_none() {
            info!("the client's certificate has no subject alternative names that can be read");
        }
        names
    }
}

fn names(der: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let names = names.value.general_names.iter().take(MOST_NAMES);
    // In mesh.yaml a URI is what has a `://`: the one kind is never taken for the other.
    let names = names.filter_map(|name| {
        if let GeneralName::URI(name) = name {
            name.contains("://").then(|| (*name).to_owned())
        } else if let GeneralName::DNSName(name) = name {
            (!name.contains("://")).then(|| name.to_ascii_lowercase())
        } else {
            None
        }
    });
    Some(names.collect())
}
