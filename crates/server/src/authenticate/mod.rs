//! Authentication: from the headers of a call to a [`Principal`], or
//! `UNAUTHENTICATED`.
//!
//! Every call proves who it is: with `Basic` (users), with `Bearer` (the token
//! of a service, that of an OpenID provider, or the session bearer that Handshake
//! minted). A session bearer is only a short cut around the password: it names a
//! principal, and that principal is looked up anew in the identity file of the
//! moment; the provider behind a principal, likewise.

mod bearer;
mod credentials;
mod failures;
mod oidc;
mod on_behalf;
mod presented;
mod queue;
mod verified;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::{info, warn};
use weft_engine::MeshSnapshot;
use weft_policy::{Authenticator, Principal, PrincipalId, VouchedBy, Voucher};

pub(crate) use self::bearer::Bearers;
pub(crate) use self::credentials::{Credentials, cookie};
use self::failures::{Failures, Guesser};
pub(crate) use self::oidc::Oidc;
use self::oidc::Refused;
pub(crate) use self::on_behalf::{HEADER as ON_BEHALF_OF, caller};
pub(crate) use self::presented::Presented;
use self::queue::Queue;
use self::verified::VerifiedLogins;
use crate::session::SessionId;
use crate::status;

/// How long a login waits for its turn at hashing.
const HASHING_WAIT: Duration = Duration::from_secs(10);
/// Longer than any name that the mesh can give.
const LONGEST_NAME: usize = 256;

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
    pub(crate) oidc: Oidc,
    verified: VerifiedLogins,
    logins: Logins,
}

/// What keeps passwords from being guessed, and the guessing from taking the machine.
#[derive(Debug)]
struct Logins {
    failures: Arc<Failures>,
    /// Argon2 takes tens of milliseconds and megabytes: a few at a time.
    hashing: Arc<Semaphore>,
    queue: Arc<Queue>,
}

impl Gate {
    pub(crate) fn new(bearers: Bearers, oidc: Oidc) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            bearers,
            oidc,
            verified: VerifiedLogins::new(),
            logins: Logins {
                failures: Arc::default(),
                hashing: Arc::new(Semaphore::new(cores.div_ceil(2))),
                queue: Arc::default(),
            },
        }
    }

    /// Who sent a call that presents this. A certificate counts where there is no
    /// header: whoever sends one says who they want to be.
    pub(crate) async fn authenticate(
        &self,
        presented: &Presented<'_>,
        snapshot: &Arc<MeshSnapshot>,
    ) -> Result<Authenticated, Status> {
        if let Some(credentials) = Credentials::of_headers(presented.headers)? {
            return self.verify(&credentials, presented, snapshot).await;
        }
        self.certified(presented, snapshot)?.ok_or_else(|| {
            Status::unauthenticated(
                "no credentials: send `authorization: Basic …` or `Bearer …`, or log in with Handshake",
            )
        })
    }

    /// The service of the connection's certificate; none where there is none.
    pub(crate) fn certified(
        &self,
        presented: &Presented<'_>,
        snapshot: &MeshSnapshot,
    ) -> Result<Option<Authenticated>, Status> {
        let Some(names) = presented.certificate_names() else {
            return Ok(None);
        };
        let authenticator = snapshot.policy().authenticator();
        match authenticator.service_with_certificate(&names) {
            Some(principal) => Ok(Some(Authenticated {
                principal,
                session: SessionId::of_cookie(presented.headers),
            })),
            None => {
                info!(?names, "a certificate is nobody's");
                Err(Status::unauthenticated(
                    "no service has the name in the client's certificate, and no other credentials were sent",
                ))
            }
        }
    }

    /// Who holds these credentials.
    pub(crate) async fn verify(
        &self,
        credentials: &Credentials,
        presented: &Presented<'_>,
        snapshot: &Arc<MeshSnapshot>,
    ) -> Result<Authenticated, Status> {
        let headers = presented.headers;
        match credentials {
            Credentials::Basic { user, password } => {
                let login = self.login(user, password, presented.address(), snapshot);
                Ok(Authenticated {
                    principal: login.await?,
                    session: SessionId::of_cookie(headers),
                })
            }
            Credentials::Bearer(token) => self.bearer(token, headers, snapshot).await,
        }
    }

    async fn bearer(
        &self,
        token: &str,
        headers: &MetadataMap,
        snapshot: &MeshSnapshot,
    ) -> Result<Authenticated, Status> {
        let authenticator = snapshot.policy().authenticator();
        let now = Utc::now();
        if let Some(bearer) = self.bearers.open(token) {
            let ended = || Status::unauthenticated("the session has ended: log in again");
            let principal = bearer.principal(authenticator, now).ok_or_else(ended)?;
            if !is_kept(&principal, authenticator).await {
                return Err(ended());
            }
            return Ok(Authenticated {
                principal,
                session: Some(bearer.session),
            });
        }
        let known = authenticator
            .verify_access_token(token, now)
            .or_else(|| authenticator.verify_token(token));
        let principal = match known {
            Some(principal) if is_kept(&principal, authenticator).await => principal,
            Some(_) => return Err(not_let_in(&Refused::Invalid("it is taken back".to_owned()))),
            None if Oidc::is_token(token) && authenticator.issuers().next().is_some() => {
                let verified = self.oidc.verify(token, authenticator, now).await;
                verified.map_err(|refused| not_let_in(&refused))?
            }
            None => return Err(not_let_in(&Refused::Invalid("nobody has it".to_owned()))),
        };
        Ok(Authenticated {
            principal,
            session: SessionId::of_cookie(headers),
        })
    }

    async fn login(
        &self,
        user: &str,
        password: &str,
        from: Option<IpAddr>,
        snapshot: &Arc<MeshSnapshot>,
    ) -> Result<Arc<Principal>, Status> {
        let authenticator = snapshot.policy().authenticator();
        if let Some(principal) = self.verified.recall(user, password, authenticator) {
            return Ok(principal);
        }
        // Nobody's name is as long: nothing of it is kept.
        if user.len() > LONGEST_NAME {
            return Err(wrong());
        }
        let guesser = Guesser::new(user, from);
        self.logins.may_try(&guesser)?;
        let turn = self.logins.turn(from).await?;
        // The calls of a new client come in bursts: its first one may have paid.
        if let Some(principal) = self.verified.recall(user, password, authenticator) {
            return Ok(principal);
        }
        // And so do guesses: those that waited together are not let off together.
        self.logins.may_try(&guesser)?;
        let failures = Arc::clone(&self.logins.failures);
        let (name, secret) = (user.to_owned(), password.to_owned());
        let then = Arc::clone(snapshot);
        // Hashing goes on when the caller goes away: with it its turn, and what comes of it.
        let verified = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let authenticator = then.policy().authenticator();
            let verified = authenticator.verify_password(&name, &secret);
            match &verified {
                Some(_) => failures.forget(&guesser),
                None => failures.record(&guesser, Instant::now()),
            }
            verified
        });
        let verified = verified.await;
        match verified.map_err(|error| status::internal(&format!("password check: {error}")))? {
            Some(principal) => {
                self.verified
                    .remember(user, password, principal.id(), authenticator);
                Ok(principal)
            }
            None => {
                // In the place of a name may stand a password.
                let known = authenticator.principal(&PrincipalId::user(user)).is_some();
                warn!(user = if known { user } else { "unknown" }, "login failed");
                Err(wrong())
            }
        }
    }
}

impl Logins {
    /// Whether the next guess is free.
    fn may_try(&self, guesser: &Guesser) -> Result<(), Status> {
        match self.failures.wait(guesser, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(Status::unauthenticated(format!(
                "too many failed logins: wait {} s",
                wait.as_secs() + 1
            ))),
        }
    }

    /// A turn at hashing.
    async fn turn(&self, from: Option<IpAddr>) -> Result<OwnedSemaphorePermit, Status> {
        let too_many = || status::unavailable("too many logins at once");
        let _waiting = self.queue.join(from).ok_or_else(too_many)?;
        let turn = Arc::clone(&self.hashing).acquire_owned();
        let turn = tokio::time::timeout(HASHING_WAIT, turn).await;
        turn.ok().and_then(Result::ok).ok_or_else(too_many)
    }
}

fn wrong() -> Status {
    Status::unauthenticated("user name or password is wrong")
}

/// Whether the personal access token behind `principal`, if one is, has not been taken
/// back. A fault anywhere in `mesh.yaml` keeps the manifests from being read again; it
/// must not keep a token alive.
async fn is_kept(principal: &Principal, authenticator: &Authenticator) -> bool {
    let Some(Voucher {
        by: VouchedBy::Token(id),
        ..
    }) = principal.voucher()
    else {
        return true;
    };
    match authenticator.access_token_file(id) {
        Some(file) => tokio::fs::try_exists(file).await.unwrap_or(false),
        None => false,
    }
}

fn not_let_in(refused: &Refused) -> Status {
    match refused {
        Refused::Invalid(reason) => {
            info!(reason, "a bearer token was refused");
            Status::unauthenticated("the bearer token is not valid")
        }
        Refused::Unfit(reason) => {
            info!(reason, "a bearer token was refused");
            Status::unauthenticated(*reason)
        }
        Refused::Unavailable(reason) => {
            warn!(reason, "a bearer token cannot be checked");
            status::unavailable("the OpenID provider of the token is out of reach")
        }
    }
}
