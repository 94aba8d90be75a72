//! Prepared statements: planned once so that failures come early, then handed
//! back as a sealed handle.
//!
//! Binding seals a new handle with the parameters inside. Clients that go on
//! with the old one find what they bound in a small map of this process.

use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{ActionCreatePreparedStatementRequest, DoPutPreparedStatementResult};
use arrow_flight::{FlightData, FlightInfo, PutResult};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::{Request, Status, Streaming};
use uuid::Uuid;
use weft_audit::Kind;
use weft_engine::PlannedQuery;

use crate::audit::Asked;
use crate::authenticate::Presented;
use crate::call::Call;
use crate::command::{FlightCommand, refuse_transaction};
use crate::handle::{self, Content, Statement, StatementHandle};
use crate::messages::CreatePreparedStatementResult;
use crate::parameters;
use crate::planned;
use crate::service::{FlightSql, encode_schema, guard};
use crate::statement::{Prepared, hash, plan, plan_bound};
use crate::status;
use crate::stream::FlightDataStream;
use crate::wire::wire_schema_of;

impl FlightSql {
    /// Plans a statement and answers with its handle and its two schemas.
    pub(crate) async fn prepare(
        &self,
        asked: &mut Asked,
        call: &Call,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<CreatePreparedStatementResult, Status> {
        asked.statement(&request.query);
        refuse_transaction(request.transaction_id.as_ref())?;
        let session = self.open_for(asked, call, call.options.query.clone())?;
        let planned = plan(&session, &request.query, None)
            .await
            .inspect_err(|_| asked.names(&session))?;
        let parameters = planned
            .parameters()
            .map_err(|error| status::of_engine(&error, Some(planned.query_id())))?;
        let schema = wire_schema_of(&planned.schema(), call.options.wire.types);
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
        let parameter_schema = parameters::announced(&parameters);
        self.planned.keep(planned, planned::PREPARED);
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
        asked: &mut Asked,
        call: &Call,
        sealed: &Bytes,
    ) -> Result<FlightInfo, Status> {
        let (statement, query_id) = self.current(call, sealed)?;
        asked.statement(&statement.sql);
        let call = call.running(statement.options);
        asked.purpose(call.options.query.purpose.as_ref());
        let session = self.open_for(asked, &call, call.options.query.clone())?;
        let planned = self.planned.take(query_id, &session);
        let prepared = Prepared {
            schema_hash: statement.schema_hash,
            planned: planned.map(PlannedQuery::with_new_query_id),
        };
        self.info_of(
            asked,
            &call,
            &session,
            statement.sql,
            statement.parameters,
            Some(prepared),
        )
        .await
    }

    /// The wire schema of a prepared statement's result.
    pub(crate) async fn prepared_schema(
        &self,
        asked: &mut Asked,
        call: &Call,
        sealed: &Bytes,
    ) -> Result<SchemaRef, Status> {
        let (statement, _) = self.current(call, sealed)?;
        asked.statement(&statement.sql);
        asked.purpose(statement.options.query.purpose.as_ref());
        let types = statement.options.wire.types;
        let session = self.open_for(asked, call, statement.options.query)?;
        let rows = parameters::rows(&statement.parameters)?;
        let prepared = Some((statement.schema_hash, types));
        let planned = match rows.first() {
            Some(row) => plan_bound(&session, &statement.sql, Some(row), prepared).await,
            None => plan(&session, &statement.sql, prepared).await,
        };
        let planned = planned.inspect_err(|_| asked.names(&session))?;
        Ok(wire_schema_of(&planned.schema(), types))
    }

    /// Runs a prepared statement whose handle is used as a ticket.
    pub(crate) async fn prepared_stream(
        &self,
        asked: &mut Asked,
        call: &Call,
        sealed: &Bytes,
    ) -> Result<FlightDataStream, Status> {
        let info = self.prepared_info(asked, call, sealed).await?;
        let ticket = info
            .endpoint
            .into_iter()
            .next()
            .and_then(|endpoint| endpoint.ticket)
            .ok_or_else(|| status::internal("a flight info without a ticket"))?;
        let FlightCommand::Ticket { handle } = FlightCommand::decode(&ticket.ticket)? else {
            return Err(status::internal("a ticket that is none"));
        };
        let opened = self.open_handle(call, &handle)?;
        let Content::Ticket(statement) = opened.content else {
            return Err(status::internal("a ticket that is none"));
        };
        self.run(asked, call, statement, opened.query_id).await
    }

    /// Binds parameters; every other upload is refused.
    pub(crate) async fn put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<PutResult, Status> {
        let mut asked = self.audit.asked(Kind::Call, &request);
        let result = guard(self.bind(&mut asked, request)).await;
        self.audit.settle(asked, result).await
    }

    async fn bind(
        &self,
        asked: &mut Asked,
        request: Request<Streaming<FlightData>>,
    ) -> Result<PutResult, Status> {
        let call = self.enter(asked, Presented::of(&request)).await?;
        self.accept()?;
        let mut messages = request.into_inner();
        let late = |_| Status::deadline_exceeded("the parameters took too long to arrive");
        let first = tokio::time::timeout(self.reader_timeout, messages.message())
            .await
            .map_err(late)??
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
        let parameters = tokio::time::timeout(self.reader_timeout, parameters::read(all))
            .await
            .map_err(late)??;
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

    /// A prepared statement with what is bound to it, and the id it was prepared under.
    fn current(&self, call: &Call, sealed: &Bytes) -> Result<(Statement, Uuid), Status> {
        let Opened {
            mut statement,
            query_id,
            ..
        } = self.open_prepared(call, sealed)?;
        if let Some(bound) = self.bindings.get(call.owner(), sealed) {
            statement.parameters = bound;
        }
        Ok((statement, query_id))
    }

    fn open_prepared(&self, call: &Call, sealed: &Bytes) -> Result<Opened, Status> {
        let handle = self.open_handle(call, sealed)?;
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
    query_id: Uuid,
}
