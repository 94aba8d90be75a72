//! Actions: what is neither a query nor an upload.

use std::collections::BTreeMap;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightEndpoint, FlightInfo, RenewFlightEndpointRequest, Ticket,
};
use bytes::Bytes;
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};
use uuid::Uuid;
use weft_audit::Kind;

use crate::audit::Asked;
use crate::authenticate::Presented;
use crate::call::Call;
use crate::command::{FlightCommand, Refusal};
use crate::handle::{self, Content};
use crate::messages::{
    CloseSessionResult, CloseStatus, GetSessionOptionsResult, SessionOptionValue,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::service::{FlightSql, guard};
use crate::session::{self, SessionId};

/// What an action answers with.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) body: std::vec::IntoIter<Bytes>,
    /// A session that the client learns of by cookie.
    pub(crate) new_session: Option<SessionId>,
    /// What the client is to carry as a cookie.
    pub(crate) carried: Option<MetadataValue<Ascii>>,
}

impl Answer {
    fn of(body: impl Into<Bytes>) -> Self {
        Self {
            body: vec![body.into()].into_iter(),
            ..Self::default()
        }
    }
}

/// The actions that work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    CancelFlightInfo,
    RenewFlightEndpoint,
    SetSessionOptions,
    GetSessionOptions,
    CloseSession,
    CreatePreparedStatement,
    ClosePreparedStatement,
    CancelQuery,
}

impl Known {
    const ALL: [Self; 8] = [
        Self::CancelFlightInfo,
        Self::RenewFlightEndpoint,
        Self::SetSessionOptions,
        Self::GetSessionOptions,
        Self::CloseSession,
        Self::CreatePreparedStatement,
        Self::ClosePreparedStatement,
        Self::CancelQuery,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CancelFlightInfo => "CancelFlightInfo",
            Self::RenewFlightEndpoint => "RenewFlightEndpoint",
            Self::SetSessionOptions => "SetSessionOptions",
            Self::GetSessionOptions => "GetSessionOptions",
            Self::CloseSession => "CloseSession",
            Self::CreatePreparedStatement => "CreatePreparedStatement",
            Self::ClosePreparedStatement => "ClosePreparedStatement",
            Self::CancelQuery => "CancelQuery",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::CancelFlightInfo => "Cancels a running query.",
            Self::RenewFlightEndpoint => "Extends the life of a ticket.",
            Self::SetSessionOptions => {
                "Sets catalog, schema, purpose, timezone, statement_timeout, ipc_compression or wire_types for the session."
            }
            Self::GetSessionOptions => "Gets the options of the session.",
            Self::CloseSession => "Forgets the options of the session.",
            Self::CreatePreparedStatement => "Plans a statement to be run, often more than once.",
            Self::ClosePreparedStatement => "Forgets a prepared statement.",
            Self::CancelQuery => "Cancels a running query; CancelFlightInfo does the same.",
        }
    }

    /// # Errors
    /// `UNIMPLEMENTED` for every other name.
    fn of(name: &str) -> Result<Self, Status> {
        if let Some(known) = Self::ALL.into_iter().find(|known| known.name() == name) {
            return Ok(known);
        }
        Err(match name {
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                Refusal::Transaction.status()
            }
            "CreatePreparedSubstraitPlan" => Refusal::Substrait.status(),
            other => {
                let name: String = other.chars().take(200).collect();
                Status::unimplemented(format!("unknown action `{name}`"))
            }
        })
    }
}

/// The answer of `ListActions`.
pub(crate) fn action_types() -> Vec<ActionType> {
    Known::ALL
        .into_iter()
        .map(|known| ActionType {
            r#type: known.name().to_owned(),
            description: known.description().to_owned(),
        })
        .collect()
}

impl FlightSql {
    /// Does what `request` asks for.
    pub(crate) async fn act(&self, request: Request<Action>) -> Result<Answer, Status> {
        let mut asked = self.audit.asked(Kind::Call, &request).by("DoAction");
        let answer = guard(self.answer(&mut asked, request)).await;
        self.audit.settle(asked, answer).await
    }

    async fn answer(&self, asked: &mut Asked, request: Request<Action>) -> Result<Answer, Status> {
        let call = self.enter(asked, Presented::of(&request)).await?;
        let Action { r#type, body } = request.into_inner();
        match Known::of(&r#type)? {
            Known::CreatePreparedStatement => {
                asked.kind(Kind::Prepare);
                self.accept()?;
                let request: ActionCreatePreparedStatementRequest = unpack(&body)?;
                let result = self.prepare(asked, &call, request).await?;
                Ok(Answer::of(result.to_any().encode_to_vec()))
            }
            Known::ClosePreparedStatement => {
                let request: ActionClosePreparedStatementRequest = unpack(&body)?;
                self.close(&call, &request.prepared_statement_handle);
                Ok(Answer::default())
            }
            Known::CancelFlightInfo => {
                let request = CancelFlightInfoRequest::decode(body).map_err(undecodable)?;
                let status = self.cancel(&call, request.info.as_ref());
                let result = CancelFlightInfoResult::new(status);
                Ok(Answer::of(result.encode_to_vec()))
            }
            Known::CancelQuery => {
                let request: ActionCancelQueryRequest = unpack(&body)?;
                let info = FlightInfo::decode(request.info).map_err(undecodable)?;
                // The two enumerations have the same numbers.
                let result = ActionCancelQueryResult {
                    result: self.cancel(&call, Some(&info)).into(),
                };
                Ok(Answer::of(result.as_any().encode_to_vec()))
            }
            Known::RenewFlightEndpoint => {
                let request = RenewFlightEndpointRequest::decode(body).map_err(undecodable)?;
                let endpoint = self.renew(&call, request.endpoint)?;
                Ok(Answer::of(endpoint.encode_to_vec()))
            }
            Known::SetSessionOptions => {
                let request = SetSessionOptionsRequest::decode(body).map_err(undecodable)?;
                self.set_session_options(&call, &request.session_options)
            }
            Known::GetSessionOptions => {
                let result = GetSessionOptionsResult {
                    session_options: session::describe(&call.options, call.snapshot.mesh_name()),
                };
                Ok(Answer::of(result.encode_to_vec()))
            }
            Known::CloseSession => {
                self.sessions.close(call.session, call.owner());
                let result = CloseSessionResult {
                    status: CloseStatus::Closed.into(),
                };
                let carried = call
                    .session
                    .and_then(|id| self.carried.cookie(id, call.owner(), None, call.now));
                Ok(Answer {
                    carried,
                    ..Answer::of(result.encode_to_vec())
                })
            }
        }
    }

    fn set_session_options(
        &self,
        call: &Call,
        changes: &BTreeMap<String, SessionOptionValue>,
    ) -> Result<Answer, Status> {
        let changed = session::change(call.stored.clone(), changes, |options| {
            self.open(call, options).map(drop)
        })?;
        let id = call.session.unwrap_or_else(SessionId::new);
        let (owner, options) = (call.owner(), changed.options);
        let carried = self.carried.cookie(id, owner, Some(&options), call.now);
        self.sessions.store(id, owner, options);
        let result = SetSessionOptionsResult {
            errors: changed.errors,
        };
        Ok(Answer {
            new_session: call.session.is_none().then_some(id),
            carried,
            ..Answer::of(result.encode_to_vec())
        })
    }

    /// Cancels what runs for a flight of the caller.
    fn cancel(&self, call: &Call, info: Option<&FlightInfo>) -> CancelStatus {
        let query_id = info.and_then(|info| self.query_id_of(call, info));
        if query_id.is_some_and(|query_id| self.engine.cancel(query_id, call.owner())) {
            CancelStatus::Cancelled
        } else {
            CancelStatus::NotCancellable
        }
    }

    /// The query id behind a flight's ticket, or the one in its metadata.
    fn query_id_of(&self, call: &Call, info: &FlightInfo) -> Option<Uuid> {
        let ticket = info
            .endpoint
            .iter()
            .find_map(|endpoint| endpoint.ticket.as_ref());
        let opened = ticket.and_then(|ticket| {
            let handle = handle_of(ticket).ok()?;
            self.handles.open(call.owner(), &handle, call.now).ok()
        });
        match opened {
            Some(opened) => Some(opened.query_id),
            None => Uuid::try_parse_ascii(&info.app_metadata).ok(),
        }
    }

    /// A new ticket for the same result, with a new life.
    fn renew(
        &self,
        call: &Call,
        endpoint: Option<FlightEndpoint>,
    ) -> Result<FlightEndpoint, Status> {
        let endpoint =
            endpoint.ok_or_else(|| Status::invalid_argument("no endpoint to renew was sent"))?;
        let ticket = endpoint
            .ticket
            .as_ref()
            .ok_or_else(|| Status::invalid_argument("the endpoint has no ticket"))?;
        let opened = self.open_handle(call, &handle_of(ticket)?)?;
        match opened.content {
            Content::Ticket(_) | Content::Metadata(_) => {}
            Content::Prepared(_) => return Err(handle::unknown()),
        }
        let (sealed, expires) = self.handles.seal(call.owner(), &opened, call.now)?;
        Ok(handle::endpoint(sealed, expires))
    }
}

fn handle_of(ticket: &Ticket) -> Result<Bytes, Status> {
    match FlightCommand::decode(&ticket.ticket)? {
        FlightCommand::Ticket { handle } => Ok(handle),
        FlightCommand::Statement { .. }
        | FlightCommand::Prepared { .. }
        | FlightCommand::Metadata(_)
        | FlightCommand::Refused(_) => Err(handle::unknown()),
    }
}

/// Flight SQL wraps the bodies of its actions in `Any`, Flight does not.
fn unpack<M: ProstMessageExt>(body: &Bytes) -> Result<M, Status> {
    let any = Any::decode(body.clone()).map_err(undecodable)?;
    if !any.is::<M>() {
        return Err(Status::invalid_argument(
            "the body of the action is another message",
        ));
    }
    M::decode(any.value).map_err(undecodable)
}

fn undecodable(_: prost::DecodeError) -> Status {
    Status::invalid_argument("the body of the action cannot be decoded")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn what_is_listed_works_and_the_rest_is_unimplemented() {
        for listed in action_types() {
            assert!(Known::of(&listed.r#type).is_ok());
            assert!(!listed.description.is_empty());
        }
        for name in [
            "BeginTransaction",
            "CreatePreparedSubstraitPlan",
            "nope",
            "",
        ] {
            assert_eq!(Known::of(name).unwrap_err().code(), Code::Unimplemented);
        }
    }

    #[test]
    fn bodies_must_be_of_their_action() {
        let close = ActionClosePreparedStatementRequest::default();
        let body: Bytes = close.as_any().encode_to_vec().into();
        assert!(unpack::<ActionClosePreparedStatementRequest>(&body).is_ok());
        let other = unpack::<ActionCreatePreparedStatementRequest>(&body).unwrap_err();
        assert_eq!(other.code(), Code::InvalidArgument);
        let garbage = Bytes::from_static(b"\xff\xff");
        let status = unpack::<ActionCancelQueryRequest>(&garbage).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}
