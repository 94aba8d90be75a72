//! Authentication: from the headers of a call to a [`Principal`], or
//! `UNAUTHENTICATED`.
//!
//! Every call proves who it is: with `Basic` (users), with `Bearer` (the token
//! of a service, or the session bearer that Handshake minted). A session bearer
//! is only a short cut around the password: it names a principal, and that
//! principal is looked up anew in the identity file of the moment.

mod bearer;
mod credentials;
mod failures;
mod on_behalf;
mod verified;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::{info, warn};
use weft_engine::MeshSnapshot;
use weft_policy::Principal;

pub(crate) use self::bearer::Bearers;
pub(crate) use self::credentials::{Credentials, cookie};
use self::failures::Failures;
pub(crate) use self::on_behalf::{HEADER as ON_BEHALF_OF, caller};
use self::verified::VerifiedLogins;
use crate::session::SessionId;
use crate::status;

/// How long a login waits for its turn at hashing.
const HASHING_WAIT: Duration = Duration::from_secs(10);

/// Who presents credentials, and in which session if in one.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    pub(crate) principal: Arc<Principal>,
    pub(crate) session: Option<SessionId>,
}

/// Verifies credentials.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) bearers: Bearers,
    verified: VerifiedLogins,
    failures: Failures,
    /// Argon2 takes tens of milliseconds and megabytes: a few at a time.
    hashing: Semaphore,
}

impl Gate {
    pub(crate) fn new(bearers: Bearers) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            bearers,
            verified: VerifiedLogins::new(),
            failures: Failures::default(),
            hashing: Semaphore::new(cores.div_ceil(2)),
        }
    }

    /// Who sent a call with these headers.
    pub(crate) async fn authenticate(
        &self,
        headers: &MetadataMap,
        snapshot: &Arc<MeshSnapshot>,
    ) -> Result<Authenticated, Status> {
        let credentials = Credentials::of_headers(headers)?.ok_or_else(|| {
            Status::unauthenticated(
                "no credentials: send `authorization: Basic …` or `Bearer …`, or log in with Handshake",
            )
        })?;
        self.verify(&credentials, headers, snapshot).await
    }

    /// Who holds these credentials.
    pub(crate) async fn verify(
        &self,
        credentials: &Credentials,
        headers: &MetadataMap,
        snapshot: &Arc<MeshSnapshot>,
    ) -> Result<Authenticated, Status> {
        match credentials {
            Credentials::Basic { user, password } => Ok(Authenticated {
                principal: self.login(user, password, snapshot).await?,
                session: SessionId::of_cookie(headers),
            }),
            Credentials::Bearer(token) => self.bearer(token, headers, snapshot),
        }
    }

    fn bearer(
        &self,
        token: &str,
        headers: &MetadataMap,
        snapshot: &MeshSnapshot,
    ) -> Result<Authenticated, Status> {
        let authenticator = snapshot.policy().authenticator();
        if let Some(bearer) = self.bearers.open(token) {
            let alive = Utc::now() < bearer.expires
                && authenticator.credential_tag(&bearer.principal) == Some(bearer.credential_tag);
            return authenticator
                .principal(&bearer.principal)
                .filter(|_| alive)
                .map(|principal| Authenticated {
                    principal,
                    session: Some(bearer.session),
                })
                .ok_or_else(|| Status::unauthenticated("the session has ended: log in again"));
        }
        authenticator
            .verify_token(token)
            .map(|principal| Authenticated {
                principal,
                session: SessionId::of_cookie(headers),
            })
            .ok_or_else(|| {
                info!("a bearer token was refused");
                Status::unauthenticated("the bearer token is not valid")
            })
    }

    async fn login(
        &self,
        user: &str,
        password: &str,
        snapshot: &Arc<MeshSnapshot>,
    ) -> Result<Arc<Principal>, Status> {
        let authenticator = snapshot.policy().authenticator();
        if let Some(principal) = self.verified.recall(user, password, authenticator) {
            return Ok(principal);
        }
        if let Some(wait) = self.failures.wait(user, Instant::now()) {
            return Err(Status::unauthenticated(format!(
                "too many failed logins: wait {} s",
                wait.as_secs() + 1
            )));
        }
        let _turn = tokio::time::timeout(HASHING_WAIT, self.hashing.acquire())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| status::unavailable("too many logins at once"))?;
        // The calls of a new client come in bursts: its first one may have paid.
        if let Some(principal) = self.verified.recall(user, password, authenticator) {
            return Ok(principal);
        }
        match hash(Arc::clone(snapshot), user, password).await? {
            Some(principal) => {
                self.failures.forget(user);
                self.verified
                    .remember(user, password, principal.id(), authenticator);
                Ok(principal)
            }
            None => {
                self.failures.record(user, Instant::now());
                warn!(user, "login failed");
                Err(Status::unauthenticated("user name or password is wrong"))
            }
        }
    }
}

async fn hash(
    snapshot: Arc<MeshSnapshot>,
    user: &str,
    password: &str,
) -> Result<Option<Arc<Principal>>, Status> {
    let (user, password) = (user.to_owned(), password.to_owned());
    tokio::task::spawn_blocking(move || {
        let authenticator = snapshot.policy().authenticator();
        authenticator.verify_password(&user, &password)
    })
    .await
    .map_err(|error| status::internal(&format!("password check: {error}")))
}
