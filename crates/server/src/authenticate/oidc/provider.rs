//! One provider: its keys, fetched from where its metadata says (OpenID Connect
//! Discovery 1.0).
//!
//! Keys are kept for a while. A token that names another key than those makes us
//! look again, because providers change their keys; but not more often than every
//! few seconds, because anybody can write such a token. While a provider is out of
//! reach its last keys count, for a day.

use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
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
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Fetched>,
    /// When the last fetch was begun or ended.
    tried: Option<Instant>,
    /// A task of its own: a caller that goes away does not take it along.
    running: Option<Fetching>,
    tasks: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<Keys>,
    at: Instant,
}

/// How a fetch ends, for all who wait for it.
type Fetching = Shared<BoxFuture<'static, Result<(), String>>>;

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
            state: Mutex::default(),
        }
    }

    /// The keys that may have made a signature; there is at least one.
    pub(super) async fn keys(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<DecodingKey>, Refused> {
        let known = self.last();
        let age = known.as_ref().map(|fetched| fetched.at.elapsed());
        let found = usable(known.as_ref(), id, algorithm);
        if !found.is_empty() {
            if age.is_some_and(|age| age >= FRESH) {
                // Nobody who has a key waits for newer ones.
                drop(self.fetch(known.as_ref()));
            }
            return Ok(found);
        }
        let tried = match self.fetch(known.as_ref()) {
            Some(fetching) => fetching.await,
            None if known.is_some() => Ok(()),
            None => Err(format!("`{}` was out of reach just now", self.issuer)),
        };
        let found = usable(self.last().as_ref(), id, algorithm);
        match tried {
            _ if !found.is_empty() => Ok(found),
            // Whether the provider has such a key nobody can say.
            Err(reason) => Err(Refused::Unavailable(reason)),
            Ok(()) => Err(invalid("its provider has no such key")),
        }
    }

    pub(super) async fn prepare(self: &Arc<Self>) {
        if self.last().is_none()
            && let Some(fetching) = self.fetch(None)
        {
            // The log has said what is wrong.
            let _ = fetching.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> Option<Fetched> {
        self.state().last.clone()
    }

    /// Fetches keys unless somebody has since `known` was, or tried just now.
    fn fetch(self: &Arc<Self>, known: Option<&Fetched>) -> Option<Fetching> {
        let mut state = self.state();
        let is_known = state.last.as_ref().map(|it| it.at) == known.map(|it| it.at);
        if !is_known {
            return Some(ready(Ok(())).boxed().shared());
        }
        if let Some(running) = &state.running {
            return Some(running.clone());
        }
        if state.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return None;
        }
        state.tried = Some(Instant::now());
        while state.tasks.try_join_next().is_some() {}
        let (ended, end) = oneshot::channel();
        let provider = Arc::clone(self);
        state.tasks.spawn(async move {
            let fetched = AssertUnwindSafe(provider.fetch_keys()).catch_unwind().await;
            let fetched = fetched.unwrap_or_else(|_| Err("reading its keys panicked".to_owned()));
            // An error says that nobody waits.
            let _ = ended.send(provider.keep(fetched));
        });
        let end = end.map(|end| end.unwrap_or_else(|_| Err("the server is stopping".to_owned())));
        let fetching = end.boxed().shared();
        state.running = Some(fetching.clone());
        Some(fetching)
    }

    fn keep(&self, fetched: Result<Keys, String>) -> Result<(), String> {
        let mut state = self.state();
        state.running = None;
        state.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                info!(issuer = self.issuer, "keys of the OpenID provider fetched");
                state.last = Some(Fetched {
                    keys: Arc::new(keys),
                    at: Instant::now(),
                });
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

/// The keys of `fetched` that may have made a signature, unless they are too old.
fn usable(fetched: Option<&Fetched>, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
    fetched
        .filter(|fetched| fetched.at.elapsed() < USABLE)
        .map(|fetched| fetched.keys.find(id, algorithm))
        .unwrap_or_default()
}
