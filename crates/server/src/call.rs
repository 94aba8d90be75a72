//! One call: who makes it, for whom and for what, and what it may use.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tonic::Status;
use weft_engine::{Caller, GovernedSession, MeshSnapshot, SessionOptions};
use weft_mesh::Purpose;
use weft_policy::Owner;

use crate::audit::Asked;
use crate::authenticate::{self, Credentials, Presented};
use crate::handle::StatementHandle;
use crate::service::FlightSql;
use crate::session::{Options, SessionId, options_of_call, purpose_of_call};
use crate::status;

/// One authenticated call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    caller: Caller,
    /// What the call makes belongs to it, and only that can be used in the call.
    owner: Owner,
    pub(crate) session: Option<SessionId>,
    /// Of the session.
    pub(crate) stored: Options,
    /// Those of the session, overridden by the headers of the call.
    pub(crate) options: Options,
    /// What a header of the call says that the data is for.
    stated_purpose: Option<Purpose>,
    /// That the caller was verified on; access is decided on it.
    pub(crate) snapshot: Arc<MeshSnapshot>,
    pub(crate) now: DateTime<Utc>,
    /// For results, on the connection of the call.
    pub(crate) room: Arc<Semaphore>,
}

impl Call {
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// With the options that a statement was prepared with. How long it may run is said
    /// when it runs.
    pub(crate) fn running(&self, mut options: Options) -> Self {
        options.query.statement_timeout = self.options.query.statement_timeout;
        Self {
            options,
            ..self.clone()
        }
    }
}

impl FlightSql {
    /// Who calls, and with which options; the first thing that every RPC asks.
    pub(crate) async fn enter(
        &self,
        asked: &mut Asked,
        presented: Presented<'_>,
    ) -> Result<Call, Status> {
        let headers = presented.headers;
        let (authenticated, snapshot) = loop {
            let snapshot = self.engine.snapshot();
            let authenticated = self.gate.authenticate(&presented, &snapshot).await;
            let authenticated = authenticated.inspect_err(|_| {
                let credentials = Credentials::of_headers(headers).ok().flatten();
                asked.not_let_in(credentials.as_ref(), snapshot.policy());
            })?;
            // Hashing takes its time, and manifests change.
            if snapshot.is_governed_as(&self.engine.snapshot()) {
                break (authenticated, snapshot);
            }
        };
        presented.is_let_in(authenticated.principal.id())?;
        let name = authenticated.principal.id().to_string();
        let caller = authenticate::caller(authenticated.principal, headers, &snapshot)
            .inspect_err(|_| asked.not_acting_for(&name, headers, snapshot.policy()))?;
        let owner = caller.owner();
        asked.owned_by(&owner);
        let now = Utc::now();
        let session = authenticated.session;
        let stored = self.carried.options(session, &owner, headers, now);
        let stored = stored.unwrap_or_else(|| self.sessions.options(session, &owner));
        let mut options = options_of_call(stored.clone(), headers)?;
        let stated_purpose = purpose_of_call(headers)?;
        if stated_purpose.is_some() {
            options.query.purpose.clone_from(&stated_purpose);
        }
        let call = Call {
            caller,
            owner,
            session,
            stored,
            options,
            stated_purpose,
            snapshot,
            now,
            room: presented.room(),
        };
        asked.entered(&call);
        Ok(call)
    }

    /// What is behind a handle of the caller's. Its purpose is that of the call
    /// which made it, so that a call which states another is a mistake.
    pub(crate) fn open_handle(
        &self,
        call: &Call,
        sealed: &[u8],
    ) -> Result<StatementHandle, Status> {
        let opened = self.handles.open(call.owner(), sealed, call.now)?;
        match &call.stated_purpose {
            Some(stated) if opened.purpose() != Some(stated) => {
                let made_for = match opened.purpose() {
                    Some(purpose) => format!("the purpose `{purpose}`"),
                    None => "no purpose".to_owned(),
                };
                Err(Status::failed_precondition(format!(
                    "the statement was planned for {made_for}, the call states `{stated}`: \
                     run or prepare the statement again"
                )))
            }
            Some(_) | None => Ok(opened),
        }
    }

    /// The caller's view of the mesh, for the statement that was asked for.
    pub(crate) fn open_for(
        &self,
        asked: &Asked,
        call: &Call,
        options: SessionOptions,
    ) -> Result<GovernedSession, Status> {
        let session = self.open(call, options)?;
        Ok(session.traced(asked.span().clone()))
    }

    /// The caller's view of the mesh.
    pub(crate) fn open(
        &self,
        call: &Call,
        options: SessionOptions,
    ) -> Result<GovernedSession, Status> {
        let snapshot = Arc::clone(&call.snapshot);
        self.engine
            .session_on(snapshot, call.caller.clone(), options)
            .map_err(|error| status::of_engine(&error, None))
    }
}
