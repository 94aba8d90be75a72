//! S3 clients, from a manifest and nothing else.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::SpawnedReqwestConnector;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::runtime::Handle;
use weft_mesh::{Credentials, Secret};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Of one request, its body included: larger files are read in parts.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);

/// The secrets that a storage names, in the order of their keys. The reason for
/// a failure names the reference, never a value.
pub(crate) fn resolve(credentials: &Credentials) -> Result<Vec<(String, Secret)>, String> {
    match credentials {
        Credentials::Secrets(references) => references
            .iter()
            .map(|(key, reference)| match reference.resolve() {
                Ok(secret) => Ok((key.clone(), secret)),
                Err(e) => Err(format!("cannot resolve the secret `{key}`: {e}")),
            })
            .collect(),
        Credentials::None | Credentials::Anonymous | Credentials::Ambient => Ok(Vec::new()),
    }
}

/// A client for one bucket. The server's own environment is read for
/// `credentials: ambient` alone: it belongs to the server, not to a domain.
pub(crate) fn client(
    bucket: &str,
    manifest: &weft_mesh::Storage,
    secrets: &[(String, Secret)],
) -> Result<AmazonS3, String> {
    let builder = match manifest.credentials {
        Credentials::Ambient => AmazonS3Builder::from_env(),
        Credentials::Anonymous => AmazonS3Builder::new().with_skip_signature(true),
        // Without a key the builder would ask the machine for its own role.
        Credentials::None => return Err("no credentials are given".to_owned()),
        Credentials::Secrets(_) => AmazonS3Builder::new(),
    };
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT);
    let mut builder = builder
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_client_options(options);
    for (key, value) in &manifest.options {
        builder = builder.with_config(known(key)?, value);
    }
    for (key, value) in secrets {
        builder = builder.with_config(known(key)?, value.expose());
    }
    if matches!(manifest.credentials, Credentials::Secrets(_)) {
        for key in [
            AmazonS3ConfigKey::AccessKeyId,
            AmazonS3ConfigKey::SecretAccessKey,
        ] {
            if builder.get_config_value(&key).is_none() {
                return Err(format!("the secret `{}` is missing", key.as_ref()));
            }
        }
    }
    // A connection is driven where it was opened: by the threads that serve the network, not by
    // those of the statement that happened to open it, which may be busy.
    if let Ok(runtime) = Handle::try_current() {
        builder = builder.with_http_connector(SpawnedReqwestConnector::new(runtime));
    }
    builder.build().map_err(|e| e.to_string())
}

fn known(key: &str) -> Result<AmazonS3ConfigKey, String> {
    key.parse()
        .map_err(|_| format!("`{key}` is not an option of S3"))
}
