//! Prepared statements: planned once so that failures come early, then handed
//! back as a sealed handle.
//!
//! Binding seals a new handle with the parameters inside. Clients that go on
//! with the old one find what they bound in a small map of this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{ActionCreatePreparedStatementRequest, DoPutPreparedStatementResult};
use arrow_flight::{FlightData, FlightInfo, PutResult};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::{Request, Status, Streaming};
use weft_policy::PrincipalId;

use crate::command::{FlightCommand, refuse_transaction};
use crate::handle::{self, Content, Statement, StatementHandle};
use crate::messages::CreatePreparedStatementResult;
use crate::parameters;
use crate::service::{Call, FlightSql, encode_schema};
use crate::statement::{hash, plan, schema_changed};
use crate::status;
use crate::stream::FlightDataStream;
use crate::wire::wire_schema;

impl FlightSql {
    /// Plans a statement and answers with its handle and its two schemas.
    pub(crate) async fn prepare(
        &self,
        call: &Call,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<CreatePreparedStatementResult, Status> {
        refuse_transaction(request.transaction_id.as_ref())?;
        let session = self.open(call, call.options.clone())?;
        let planned = plan(&session, &request.query).await?;
        let parameters = planned
            .parameters()
            .map_err(|error| status::of_engine(&error, Some(planned.query_id())))?;
        let schema = wire_schema(&planned.schema());
        let statement = Statement {
            sql: request.query,
            parameters: Bytes::new(),
            options: call.options.clone(),
            schema_hash: hash(&schema)?,
        };
        let handle = StatementHandle {
            content: Content::Prepared(statement),
            epoch: session.epoch().0,
            query_id: planned.query_id(),
        };
        let (sealed, _) = self.handles.seal(call.owner(), &handle, call.now)?;
        let parameter_schema = wire_schema(&parameters);
        Ok(CreatePreparedStatementResult {
            prepared_statement_handle: sealed,
            dataset_schema: encode_schema(&schema)?,
            parameter_schema: encode_schema(&parameter_schema)?,
            is_update: Some(false),
        })
    }

    /// Plans a prepared statement with what is bound to it.
    pub(crate) async fn prepared_info(
        &self,
        call: &Call,
        sealed: &Bytes,
    ) -> Result<FlightInfo, Status> {
        let (call, statement) = self.current(call, sealed).await?;
        let session = self.open(&call, call.options.clone())?;
        self.info_of(&call, &session, statement.sql, statement.parameters)
            .await
    }

    /// The wire schema of a prepared statement's result.
    pub(crate) async fn prepared_schema(
        &self,
        call: &Call,
        sealed: &Bytes,
    ) -> Result<SchemaRef, Status> {
        let (call, statement) = self.current(call, sealed).await?;
        self.statement_schema(&call, &statement.sql).await
    }

    /// Runs a prepared statement whose handle is used as a ticket.
    pub(crate) async fn prepared_stream(
        &self,
        call: &Call,
        sealed: &Bytes,
    ) -> Result<FlightDataStream, Status> {
        let info = self.prepared_info(call, sealed).await?;
        let ticket = info
            .endpoint
            .into_iter()
            .next()
            .and_then(|endpoint| endpoint.ticket)
            .ok_or_else(|| status::internal("a flight info without a ticket"))?;
        let FlightCommand::Ticket { handle } = FlightCommand::decode(&ticket.ticket)? else {
            return Err(status::internal("a ticket that is none"));
        };
        let opened = self.handles.open(call.owner(), &handle, call.now)?;
        let Content::Ticket(statement) = opened.content else {
            return Err(status::internal("a ticket that is none"));
        };
        self.run(call, statement, opened.query_id).await
    }

    /// Binds parameters; every other upload is refused.
    pub(crate) async fn put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<PutResult, Status> {
        let call = self.enter(request.metadata()).await?;
        self.accept()?;
        let mut messages = request.into_inner();
        let first = messages
            .message()
            .await?
            .ok_or_else(|| Status::invalid_argument("DoPut without a message"))?;
        let descriptor = first
            .flight_descriptor
            .as_ref()
            .ok_or_else(|| Status::invalid_argument("DoPut without a flight descriptor"))?;
        let sealed = match FlightCommand::of_descriptor(descriptor)? {
            FlightCommand::Prepared { handle } => handle,
            FlightCommand::Refused(refusal) => return Err(refusal.status()),
            FlightCommand::Statement { .. }
            | FlightCommand::Ticket { .. }
            | FlightCommand::Metadata(_) => {
                return Err(Status::invalid_argument(
                    "DoPut takes the parameters of a prepared statement",
                ));
            }
        };
        let opened = self.open_prepared(&call, &sealed)?;
        let all = stream::iter([Ok(first)])
            .chain(messages)
            .map_err(|status| FlightError::Tonic(Box::new(status)));
        let parameters = parameters::read(all).await?;
        let bound = StatementHandle {
            content: Content::Prepared(Statement {
                parameters: parameters.clone(),
                ..opened.statement
            }),
            epoch: opened.epoch,
            query_id: opened.query_id,
        };
        let (bound, _) = self.handles.seal(call.owner(), &bound, call.now)?;
        self.bindings.store(call.owner(), &sealed, parameters);
        let result = DoPutPreparedStatementResult {
            prepared_statement_handle: Some(bound),
        };
        Ok(PutResult {
            app_metadata: result.encode_to_vec().into(),
        })
    }

    /// Forgets what was bound to a handle; every handle may be closed twice.
    pub(crate) fn close(&self, call: &Call, sealed: &Bytes) {
        self.bindings.remove(call.owner(), sealed);
    }

    /// A prepared statement that still means what it meant when it was prepared,
    /// with what is bound to it, and the call under its own options.
    async fn current(&self, call: &Call, sealed: &Bytes) -> Result<(Call, Statement), Status> {
        let opened = self.open_prepared(call, sealed)?;
        let mut statement = opened.statement;
        if let Some(bound) = self.bindings.get(call.owner(), sealed) {
            statement.parameters = bound;
        }
        let call = Call {
            options: statement.options.clone(),
            ..call.clone()
        };
        if hash(&self.statement_schema(&call, &statement.sql).await?)? != statement.schema_hash {
            return Err(schema_changed());
        }
        Ok((call, statement))
    }

    fn open_prepared(&self, call: &Call, sealed: &Bytes) -> Result<Opened, Status> {
        let handle = self.handles.open(call.owner(), sealed, call.now)?;
        match handle.content {
            Content::Prepared(statement) => Ok(Opened {
                statement,
                epoch: handle.epoch,
                query_id: handle.query_id,
            }),
            Content::Ticket(_) | Content::Metadata(_) => Err(handle::unknown()),
        }
    }
}

struct Opened {
    statement: Statement,
    epoch: u64,
    query_id: uuid::Uuid,
}

const BINDINGS: usize = 1024;
const BINDINGS_BYTES: usize = 64 * 1024 * 1024;
const BINDING_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Parameters by the handle that a client presented when it bound them.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    entries: Mutex<HashMap<[u8; 32], Binding>>,
}

struct Binding {
    parameters: Bytes,
    stored: Instant,
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binding")
            .field("bytes", &self.parameters.len())
            .finish_non_exhaustive()
    }
}

impl Bindings {
    fn get(&self, owner: &PrincipalId, sealed: &[u8]) -> Option<Bytes> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(&key(owner, sealed))
            .filter(|binding| binding.stored.elapsed() < BINDING_LIFE)
            .map(|binding| binding.parameters.clone())
    }

    /// The oldest make room.
    fn store(&self, owner: &PrincipalId, sealed: &[u8], parameters: Bytes) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(owner, sealed);
        entries.remove(&key);
        let mut bytes: usize = entries.values().map(|entry| entry.parameters.len()).sum();
        while entries.len() >= BINDINGS || bytes + parameters.len() > BINDINGS_BYTES {
            let oldest = entries
                .iter()
                .min_by_key(|(_, entry)| entry.stored)
                .map(|(key, _)| *key);
            let Some(removed) = oldest.and_then(|oldest| entries.remove(&oldest)) else {
                break;
            };
            bytes -= removed.parameters.len();
        }
        let stored = Instant::now();
        entries.insert(key, Binding { parameters, stored });
    }

    fn remove(&self, owner: &PrincipalId, sealed: &[u8]) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&key(owner, sealed));
    }
}

fn key(owner: &PrincipalId, sealed: &[u8]) -> [u8; 32] {
    let owner = owner.to_string();
    Sha256::new()
        .chain_update(owner.len().to_le_bytes())
        .chain_update(owner)
        .chain_update(sealed)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_belong_to_their_owner_and_are_bounded() {
        let bindings = Bindings::default();
        let (ana, bo) = (PrincipalId::user("ana"), PrincipalId::user("bo"));
        bindings.store(&ana, b"h", Bytes::from_static(b"1"));
        bindings.store(&ana, b"h", Bytes::from_static(b"2"));
        assert_eq!(bindings.get(&ana, b"h").unwrap(), "2");
        assert_eq!(bindings.get(&bo, b"h"), None);
        bindings.remove(&bo, b"h");
        for other in 0..BINDINGS {
            bindings.store(&ana, &other.to_le_bytes(), Bytes::from_static(b"3"));
        }
        assert_eq!(bindings.get(&ana, b"h"), None);
        assert_eq!(bindings.entries.lock().unwrap().len(), BINDINGS);
        bindings.remove(&ana, &1_usize.to_le_bytes());
        bindings.remove(&ana, &1_usize.to_le_bytes());
        assert_eq!(bindings.get(&ana, &1_usize.to_le_bytes()), None);
    }
}
