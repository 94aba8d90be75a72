//! The bucket of finished files. It is written to, so it is none of the read-only storages of
//! domains; what a manifest may say of it is the same.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use weft_mesh::{AuditManifest, Credentials};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Of one request, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The reason for a failure names the reference to a secret, never its value.
pub(crate) fn client(bucket: &str, manifest: &AuditManifest) -> Result<AmazonS3, String> {
    let mut secrets = Vec::new();
    let mut builder = match &manifest.credentials {
        Credentials::Ambient => AmazonS3Builder::from_env(),
        Credentials::Anonymous => AmazonS3Builder::new().with_skip_signature(true),
        Credentials::None => return Err("no credentials are given".to_owned()),
        Credentials::Secrets(references) => {
            for (key, reference) in references {
                let secret = reference.resolve();
                let secret = secret
                    .map_err(|error| format!("cannot resolve the secret `{key}`: {error}"))?;
                secrets.push((key, secret));
            }
            AmazonS3Builder::new()
        }
    };
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
    };
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT);
    builder = builder
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_client_options(options);
    for (key, value) in &manifest.options {
        builder = builder.with_config(known(key)?, value);
    }
    for (key, value) in &secrets {
        builder = builder.with_config(known(key)?, value.expose());
    }
    builder.build().map_err(|error| error.to_string())
}

fn known(key: &str) -> Result<AmazonS3ConfigKey, String> {
    key.parse()
        .map_err(|_| format!("`{key}` is not an option of S3"))
}
