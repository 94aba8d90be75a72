//! One provider: its keys, fetched from where its metadata says (OpenID Connect
//! Discovery 1.0).
//!
//! Keys are kept for a while. A token that names another key than those makes us
//! look again, because providers change their keys; but not more often than every
//! few seconds, because anybody can write such a token. While a provider is out of
//! reach its last keys count, for a day.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect;
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::{info, warn};
use url::Url;

use super::keys::Keys;
use super::{Refused, invalid};

/// After so long keys are looked for again.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// So long they count while the provider is out of reach.
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
/// So long lies between two attempts.
const PAUSE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);
const LIMIT_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Provider {
    client: reqwest::Client,
    issuer: String,
    url: Url,
    last: RwLock<Option<Fetched>>,
    /// One fetch at a time; when the last one ended.
    fetching: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<Keys>,
    at: Instant,
}

/// A client that goes where it is sent, and nowhere else.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Provider {
    pub(super) fn new(client: reqwest::Client, issuer: String, url: Url) -> Self {
        Self {
            client,
            issuer,
            url,
            last: RwLock::new(None),
            fetching: Mutex::new(None),
        }
    }

    /// The keys that may have made a signature; there is at least one.
    pub(super) async fn keys(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<DecodingKey>, Refused> {
        let known = self.last();
        if let Some(fetched) = &known {
            let found = fetched.keys.find(id, algorithm);
            let age = fetched.at.elapsed();
            // Of those who find old keys one looks for new ones.
            let is_looked_after = age < USABLE && self.fetching.try_lock().is_err();
            if !found.is_empty() && (age < FRESH || is_looked_after) {
                return Ok(found);
            }
        }
        let tried = self.fetch(known.map(|fetched| fetched.at)).await;
        let found = self
            .last()
            .filter(|fetched| fetched.at.elapsed() < USABLE)
            .map(|fetched| fetched.keys.find(id, algorithm));
        match (found, tried) {
            (Some(found), _) if !found.is_empty() => Ok(found),
            // Whether the provider has such a key nobody can say.
            (_, Err(reason)) => Err(Refused::Unavailable(reason)),
            (Some(_), Ok(())) | (None, Ok(())) => Err(invalid("its provider has no such key")),
        }
    }

    pub(super) async fn prepare(&self) {
        if self.last().is_none() {
            // The log has said what is wrong.
            let _ = self.fetch(None).await;
        }
    }

    fn last(&self) -> Option<Fetched> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// Fetches keys unless somebody has since those that were fetched at `known`,
    /// or has tried just now.
    async fn fetch(&self, known: Option<Instant>) -> Result<(), String> {
        let mut tried = self.fetching.lock().await;
        if self.last().map(|fetched| fetched.at) != known {
            return Ok(());
        }
        if tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return match known {
                Some(_) => Ok(()),
                None => Err(format!("`{}` was out of reach just now", self.issuer)),
            };
        }
        let fetched = self.fetch_keys().await;
        *tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                info!(issuer = self.issuer, "keys of the OpenID provider fetched");
                let fetched = Fetched {
                    keys: Arc::new(keys),
                    at: Instant::now(),
                };
                let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
                *last = Some(fetched);
                Ok(())
            }
            Err(reason) => {
                warn!(
                    issuer = self.issuer,
                    reason, "the keys of the OpenID provider cannot be fetched"
                );
                Err(reason)
            }
        }
    }

    async fn fetch_keys(&self) -> Result<Keys, String> {
        let mut metadata = self.url.clone();
        let path = metadata.path().trim_end_matches('/').to_owned();
        metadata.set_path(&format!("{path}/.well-known/openid-configuration"));
        let metadata = self.get(metadata).await?;
        let metadata: Value =
            serde_json::from_slice(&metadata).map_err(|error| error.to_string())?;
        let named = metadata.get("issuer").and_then(Value::as_str);
        if named != Some(&self.issuer) {
            let named = named.unwrap_or("nobody");
            return Err(format!(
                "its metadata is that of `{named}`: write `issuer` in mesh.yaml exactly so"
            ));
        }
        let place = metadata.get("jwks_uri").and_then(Value::as_str);
        let place = place.ok_or("its metadata has no `jwks_uri`")?;
        let place = Url::parse(place).map_err(|error| format!("its `jwks_uri`: {error}"))?;
        // Of a provider on this machine the manifest has said so.
        if place.scheme() != "https" && place.origin() != self.url.origin() {
            return Err("its `jwks_uri` is not under `https://`".to_owned());
        }
        let keys = self.get(place).await?;
        Keys::parse(&keys)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            text
        };
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("`{url}` answers {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > LIMIT_BYTES {
                return Err(format!(
                    "`{url}` answers with more than {LIMIT_BYTES} bytes"
                ));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}
