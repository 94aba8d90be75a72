//! TLS of the listener: PEM texts in, ALPN `h2` out.

use std::error::Error;

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::config::TlsConfig;

/// What tonic serves TLS with; it offers `h2` alone.
pub(crate) fn server_config(config: &TlsConfig) -> ServerTlsConfig {
    // Two providers are linked, and tonic takes the process's: an error means
    // that `main` has chosen already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls =
        ServerTlsConfig::new().identity(Identity::from_pem(&config.cert_pem, &config.key_pem));
    match &config.client_ca_pem {
        None => tls,
        Some(authority) => tls
            .client_ca_root(Certificate::from_pem(authority))
            .client_auth_optional(true),
    }
}

/// An error with its causes; tonic's own text is only "transport error".
pub(crate) fn describe(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
