//! Handshake: a login, answered with a session bearer.
//!
//! Clients disagree about it. Go sends no message and reads the answer's headers
//! before it closes its side; Java sends one empty message; both put `Basic` or
//! `Bearer` into the headers. Others send a `BasicAuth` message instead. All find
//! `authorization: Bearer …` in the headers of the answer, and whoever sent a
//! message gets one back.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use bytes::Bytes;
use chrono::Utc;
use futures::stream::{self, BoxStream, StreamExt};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;
use weft_audit::Kind;

use crate::audit::Asked;
use crate::authenticate::{self, Credentials, Presented};
use crate::service::FlightSql;
use crate::session::SessionId;
use crate::status;

/// The answer of Handshake.
type Answer = Response<BoxStream<'static, Result<HandshakeResponse, Status>>>;

/// How long a client may take for its first message.
const PATIENCE: Duration = Duration::from_secs(10);

impl FlightSql {
    /// Verifies credentials and begins a session.
    pub(crate) async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Answer, Status> {
        let mut asked = self.audit.asked(Kind::Login, &request);
        let answer = self.log_in(&mut asked, request).await;
        self.audit.settle(asked, answer).await
    }

    async fn log_in(
        &self,
        asked: &mut Asked,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Answer, Status> {
        let (headers, extensions, mut messages) = request.into_parts();
        let request = Request::from_parts(headers, extensions, ());
        let presented = Presented::of(&request);
        let headers = presented.headers;
        let snapshot = self.engine.snapshot();
        let mut first = None;
        let credentials = match Credentials::of_headers(headers)? {
            Some(given) => Some(given),
            None => {
                // Who has a certificate may have nothing to say.
                let said = first_message(&mut messages).await;
                first = if presented.has_certificate() {
                    said.unwrap_or_default()
                } else {
                    said?
                };
                of_payload(first.as_ref())?
            }
        };
        let caller = match &credentials {
            Some(given) => {
                let caller = self.gate.verify(given, &presented, &snapshot).await;
                caller.inspect_err(|_| asked.not_let_in(Some(given), snapshot.policy()))?
            }
            None => self.gate.certified(&presented, &snapshot)?.ok_or_else(|| {
                Status::unauthenticated(
                    "no credentials: send `authorization: Basic …` or `Bearer …` with the handshake",
                )
            })?,
        };
        presented.is_let_in(caller.principal.id())?;
        // Said now rather than with the first query. The session is the service's
        // own all the same: every call says for whom it is.
        let id = caller.principal.id();
        let owner = authenticate::caller(Arc::clone(&caller.principal), headers, &snapshot)
            .inspect_err(|_| asked.not_acting_for(&id.to_string(), headers, snapshot.policy()))?
            .owner();
        asked.owned_by(&owner);
        let session = caller.session.unwrap_or_else(SessionId::new);
        let authenticator = snapshot.policy().authenticator();
        let mint = || {
            let now = Utc::now();
            let bearers = &self.gate.bearers;
            bearers.mint(&caller.principal, authenticator, session, now)
        };
        let bearer = match credentials {
            // A session does not prolong itself.
            Some(Credentials::Bearer(token)) if self.gate.bearers.open(&token).is_some() => token,
            // What a provider says of somebody may be more than we can seal: its own token
            // does as well.
            Some(Credentials::Bearer(token)) if caller.principal.voucher().is_some() => {
                mint().unwrap_or(token)
            }
            Some(Credentials::Bearer(_) | Credentials::Basic { .. }) | None => {
                mint().ok_or_else(|| status::internal("a session bearer could not be minted"))?
            }
        };
        let acting = owner.acting.as_ref().map(tracing::field::display);
        info!(principal = %owner.principal, acting, "login");

        let authorization = MetadataValue::try_from(format!("Bearer {bearer}"))
            .map_err(|_| status::internal("a session bearer is no header"))?;
        let payload = Bytes::from(bearer);
        let answer = stream::once(async move {
            let asked = match first {
                Some(first) => Some(first),
                None => first_message(&mut messages).await?,
            };
            Ok(asked.map(|request| HandshakeResponse {
                protocol_version: request.protocol_version,
                payload,
            }))
        })
        .filter_map(|answer| async { answer.transpose() })
        .boxed();
        let mut response = Response::new(answer);
        response
            .metadata_mut()
            .insert("authorization", authorization);
        session.set_cookie(response.metadata_mut());
        Ok(response)
    }
}

async fn first_message(
    messages: &mut Streaming<HandshakeRequest>,
) -> Result<Option<HandshakeRequest>, Status> {
    tokio::time::timeout(PATIENCE, messages.message())
        .await
        .map_err(|_| Status::unauthenticated("the handshake took too long"))?
}

/// What a client says in its first message, if anything.
fn of_payload(message: Option<&HandshakeRequest>) -> Result<Option<Credentials>, Status> {
    let Some(message) = message.filter(|message| !message.payload.is_empty()) else {
        return Ok(None);
    };
    let auth = BasicAuth::decode(message.payload.clone())
        .map_err(|_| Status::unauthenticated("the message of the handshake is no login"))?;
    Ok(Some(Credentials::Basic {
        user: auth.username,
        password: auth.password,
    }))
}
