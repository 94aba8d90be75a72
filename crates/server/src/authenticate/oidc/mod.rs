//! Tokens of OpenID providers: JSON Web Tokens (RFC 7519, RFC 9068, OpenID
//! Connect Core 1.0) that are presented as bearers.
//!
//! A token is read twice. First without belief, for its issuer and its key; then,
//! with a key that we fetched from that issuer, for who it lets in. Nothing that a
//! token says of its own key (`jwk`, `jku`, `x5u`) counts.

mod claims;
mod keys;
mod provider;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::{Map, Value};
use weft_mesh::{OidcIssuer, SignatureAlgorithm};
use weft_policy::{Authenticator, Principal};

use self::claims::principal;
use self::provider::Provider;

/// With all the groups that people are in, a token is a few thousand bytes long.
const LIMIT_BYTES: usize = 32 * 1024;

type Claims = Map<String, Value>;

/// Why a token does not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nobody in particular is told more than that: the reason is for the log.
    Invalid(String),
    /// Its provider signed it, and may be told what is wrong with it.
    Unfit(&'static str),
    /// The keys of its provider cannot be had now.
    Unavailable(String),
}

/// Verifies tokens of all providers of the mesh.
#[derive(Debug)]
pub(crate) struct Oidc {
    client: reqwest::Client,
    providers: Mutex<HashMap<String, Arc<Provider>>>,
}

impl Oidc {
    /// # Errors
    /// When there can be no HTTP client on this machine.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: provider::client()?,
            providers: Mutex::default(),
        })
    }

    /// Whether `token` has the form of a JSON Web Token.
    pub(crate) fn is_token(token: &str) -> bool {
        token.starts_with("eyJ") && token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Whom `token` lets in now.
    pub(crate) async fn verify(
        &self,
        token: &str,
        authenticator: &Authenticator,
        now: DateTime<Utc>,
    ) -> Result<Arc<Principal>, Refused> {
        if token.len() > LIMIT_BYTES {
            return Err(invalid("it is too long"));
        }
        let unbelieved = jsonwebtoken::dangerous::insecure_decode::<Claims>(token)
            .map_err(|error| invalid(error.to_string()))?;
        let header = unbelieved.header;
        let issuer = unbelieved.claims.get("iss").and_then(Value::as_str);
        let (issuer, tag) = issuer
            .and_then(|issuer| authenticator.issuer(issuer))
            .ok_or_else(|| invalid("the mesh knows no such issuer"))?;
        check_header(&header, issuer)?;
        let claims = self.believed(token, &header, issuer).await?;
        let principal = Arc::new(principal(issuer, tag, &claims)?);
        authenticator.stands(&principal, now).ok_or_else(|| {
            let name = principal.id();
            invalid(format!("{name} is in the mesh's own identity file"))
        })
    }

    /// Fetches what will be needed, so that nobody waits for it and the log says
    /// early what is wrong.
    pub(crate) async fn prepare(&self, issuer: &Arc<OidcIssuer>) {
        self.provider(issuer).prepare().await;
    }

    async fn believed(
        &self,
        token: &str,
        header: &Header,
        issuer: &Arc<OidcIssuer>,
    ) -> Result<Claims, Refused> {
        let keys = self
            .provider(issuer)
            .keys(header.kid.as_deref(), header.alg)
            .await?;
        let validation = validation(header.alg, issuer);
        let mut reason = ErrorKind::InvalidSignature;
        for key in keys {
            match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => reason = error.into_kind(),
            }
            if !matches!(reason, ErrorKind::InvalidSignature) {
                break;
            }
        }
        let has_no_audience =
            matches!(&reason, ErrorKind::MissingRequiredClaim(claim) if claim == "aud");
        if has_no_audience || matches!(reason, ErrorKind::InvalidAudience) {
            return Err(Refused::Unfit(
                "the token is not meant for this server: ask the provider for one with its audience",
            ));
        }
        if matches!(reason, ErrorKind::ExpiredSignature) {
            return Err(Refused::Unfit("the token has expired: get a new one"));
        }
        if matches!(reason, ErrorKind::ImmatureSignature) {
            return Err(Refused::Unfit("the token is not valid yet"));
        }
        Err(invalid(format!("{reason:?}")))
    }

    fn provider(&self, issuer: &Arc<OidcIssuer>) -> Arc<Provider> {
        let mut providers = self
            .providers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let provider = providers
            .entry(issuer.issuer.value.clone())
            .or_insert_with(|| {
                Arc::new(Provider::new(
                    self.client.clone(),
                    issuer.issuer.value.clone(),
                    issuer.url.clone(),
                ))
            });
        Arc::clone(provider)
    }
}

/// What may be asked of a header before any key is looked for.
fn check_header(header: &Header, issuer: &OidcIssuer) -> Result<(), Refused> {
    if header.crit.is_some() {
        return Err(invalid("its header has critical parameters"));
    }
    // A token for another purpose, such as a log-out or a proof of possession.
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    if !["jwt", "at+jwt"].contains(&kind) {
        return Err(invalid(format!("it is of the type `{kind}`")));
    }
    let is_allowed = |allowed: &SignatureAlgorithm| algorithm(*allowed) == header.alg;
    if !issuer.algorithms.iter().any(is_allowed) {
        return Err(invalid(format!("it is signed with {:?}", header.alg)));
    }
    Ok(())
}

fn validation(algorithm: Algorithm, issuer: &OidcIssuer) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = issuer.clock_skew.as_secs();
    validation.validate_nbf = true;
    validation.set_audience(&issuer.audiences.iter().collect::<Vec<_>>());
    validation.set_issuer(&[&issuer.issuer.value]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

fn algorithm(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::RS256 => Algorithm::RS256,
        SignatureAlgorithm::RS384 => Algorithm::RS384,
        SignatureAlgorithm::RS512 => Algorithm::RS512,
        SignatureAlgorithm::PS256 => Algorithm::PS256,
        SignatureAlgorithm::PS384 => Algorithm::PS384,
        SignatureAlgorithm::PS512 => Algorithm::PS512,
        SignatureAlgorithm::ES256 => Algorithm::ES256,
        SignatureAlgorithm::ES384 => Algorithm::ES384,
        SignatureAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

fn invalid(reason: impl Into<String>) -> Refused {
    Refused::Invalid(reason.into())
}
