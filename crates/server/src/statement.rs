//! Statements: planned for their `FlightInfo`, run for `DoGet`: as planned before, where this
//! server did and nothing has changed, else planned again.

use arrow::datatypes::SchemaRef;
use arrow_flight::FlightInfo;
use bytes::Bytes;
use datafusion_common::ScalarValue;
use futures::StreamExt;
use tonic::Status;
use uuid::Uuid;
use weft_audit::Kind;
use weft_engine::{GovernedSession, PlannedQuery, RunningQuery};

use crate::audit::Asked;
use crate::call::Call;
use crate::handle::{self, Content, Statement, StatementHandle};
use crate::parameters;
use crate::planned;
use crate::service::FlightSql;
use crate::status;
use crate::stream::{self, FlightDataStream, Sink, Stopped};
use crate::wire::{Types, schema_hash, wire_schema_of};

impl FlightSql {
    /// Plans `sql` and answers with a ticket; runs nothing.
    pub(crate) async fn statement_info(
        &self,
        asked: &mut Asked,
        call: &Call,
        sql: String,
    ) -> Result<FlightInfo, Status> {
        asked.statement(&sql);
        let session = self.open_for(asked, call, call.options.query.clone())?;
        self.info_of(asked, call, &session, sql, Bytes::new(), None)
            .await
    }

    /// The wire schema of a statement's result.
    pub(crate) async fn statement_schema(
        &self,
        asked: &mut Asked,
        call: &Call,
        sql: &str,
    ) -> Result<SchemaRef, Status> {
        asked.statement(sql);
        let session = self.open_for(asked, call, call.options.query.clone())?;
        let planned = plan(&session, sql, None)
            .await
            .inspect_err(|_| asked.names(&session))?;
        Ok(wire_schema_of(&planned.schema(), call.options.wire.types))
    }

    /// The `FlightInfo` of a statement with its bound `parameters`.
    pub(crate) async fn info_of(
        &self,
        asked: &mut Asked,
        call: &Call,
        session: &GovernedSession,
        sql: String,
        parameters: Bytes,
        prepared: Option<Prepared>,
    ) -> Result<FlightInfo, Status> {
        asked.statement(&sql);
        let rows = parameters::rows(&parameters)?;
        let (told, planned) = prepared.map_or((None, None), |prepared| {
            let told = (prepared.schema_hash, call.options.wire.types);
            (Some(told), prepared.planned)
        });
        let planned = match planned.filter(|_| rows.is_empty()) {
            Some(planned) => as_told(planned, told),
            None => plan_bound(session, &sql, rows.first(), told).await,
        };
        let planned = planned.inspect_err(|_| {
            asked.parameters(&rows);
            asked.names(session);
        })?;
        let schema = wire_schema_of(&planned.schema(), call.options.wire.types);
        let statement = Statement {
            schema_hash: hash(&schema)?,
            sql,
            parameters,
            options: call.options.clone(),
        };
        let handle = StatementHandle {
            content: Content::Ticket(statement),
            epoch: session.epoch().0,
            query_id: planned.query_id(),
        };
        let info = self.info_with_ticket(call, &handle, &schema)?;
        // Results of several rows of parameters are ordered only one by one.
        let is_ordered = planned.is_ordered() && rows.len() <= 1;
        if rows.len() <= 1 {
            self.planned.keep(planned, planned::TICKET);
        }
        Ok(info.with_ordered(is_ordered))
    }

    /// A `FlightInfo` with one endpoint at this server.
    pub(crate) fn info_with_ticket(
        &self,
        call: &Call,
        handle: &StatementHandle,
        schema: &SchemaRef,
    ) -> Result<FlightInfo, Status> {
        let (sealed, expires) = self.handles.seal(call.owner(), handle, call.now)?;
        let endpoint = handle::endpoint(sealed, expires);
        FlightInfo::new()
            .try_with_schema(schema)
            .map_err(|error| status::of_arrow(&error))
            .map(|info| {
                info.with_endpoint(endpoint)
                    .with_app_metadata(handle.query_id.to_string())
            })
    }

    /// Runs a statement for a ticket, under the query id that the client was told:
    /// access is decided now, and the result must still be what it was told.
    pub(crate) async fn run(
        &self,
        asked: &mut Asked,
        call: &Call,
        statement: Statement,
        query_id: Uuid,
    ) -> Result<FlightDataStream, Status> {
        asked.kind(Kind::Statement);
        asked.statement(&statement.sql);
        asked.query_id(query_id);
        let wire = statement.options.wire;
        let session = self.open_for(asked, call, statement.options.query)?;
        let rows = parameters::rows(&statement.parameters)?;
        asked.parameters(&rows);
        let mut rows = rows.into_iter();
        let sql = statement.sql;
        let row = rows.next();
        let first = match self.planned.take(query_id, &session) {
            Some(planned) => planned,
            None => plan_bound(&session, &sql, row.as_ref(), None)
                .await
                .inspect_err(|_| asked.names(&session))?,
        };
        let schema = wire_schema_of(&first.schema(), wire.types);
        if hash(&schema)? != statement.schema_hash {
            asked.names(&session);
            return Err(schema_changed());
        }
        let first = first.with_query_id(query_id);
        let begun = self.audit.begin(asked, &first, &self.stop);
        stream::spawn(schema, self.terms(call, wire), move |mut sink| async move {
            sink.record(begun);
            let ran = run_all(first, &session, &sql, rows, query_id, &mut sink);
            let ran = Box::pin(ran).await;
            sink.end(ran).await
        })
    }
}

/// Runs a statement with each of its rows of parameters; the last run is kept,
/// so that it can be revoked until the last of its answer is sent.
async fn run_all(
    first: PlannedQuery,
    session: &GovernedSession,
    sql: &str,
    rows: impl Iterator<Item = Vec<ScalarValue>>,
    query_id: Uuid,
    sink: &mut Sink,
) -> Result<RunningQuery, Stopped> {
    let mut running = execute(first, sink).await?;
    for row in rows {
        let next = plan_bound(session, sql, Some(&row), None).await?;
        running = execute(next.with_query_id(query_id), sink).await?;
    }
    Ok(running)
}

/// What preparing a statement left of it.
pub(crate) struct Prepared {
    /// Of the schema that the client was told.
    pub(crate) schema_hash: [u8; 32],
    /// Where it is here still.
    pub(crate) planned: Option<PlannedQuery>,
}

/// The hash of the schema that a client was told, and the types in it.
pub(crate) type Told = ([u8; 32], Types);

/// Plans a statement whose parameters, if any, stay open. It must have the
/// columns that it was `prepared` with.
pub(crate) async fn plan(
    session: &GovernedSession,
    sql: &str,
    prepared: Option<Told>,
) -> Result<PlannedQuery, Status> {
    let planned = Box::pin(session.plan(sql))
        .await
        .map_err(|error| status::of_engine(&error, None))?;
    as_told(planned, prepared)
}

/// `planned`, if it has the columns that the client was `told`.
fn as_told(planned: PlannedQuery, told: Option<Told>) -> Result<PlannedQuery, Status> {
    match told {
        Some((told, types)) if hash(&wire_schema_of(&planned.schema(), types))? != told => {
            Err(schema_changed())
        }
        Some(_) | None => Ok(planned),
    }
}

/// The hash of a result's schema, as handles keep it.
pub(crate) fn hash(schema: &SchemaRef) -> Result<[u8; 32], Status> {
    schema_hash(schema).map_err(|error| status::of_arrow(&error))
}

/// The caller sees another schema than the one it was told.
fn schema_changed() -> Status {
    Status::failed_precondition(
        "the columns of the result have changed: prepare or run the statement again",
    )
}

/// Plans a statement and gives each of its parameters a value.
pub(crate) async fn plan_bound(
    session: &GovernedSession,
    sql: &str,
    row: Option<&Vec<ScalarValue>>,
    prepared: Option<Told>,
) -> Result<PlannedQuery, Status> {
    let planned = plan(session, sql, prepared).await?;
    let query_id = planned.query_id();
    let expected = planned
        .parameters()
        .map_err(|error| status::of_engine(&error, Some(query_id)))?
        .fields()
        .len();
    let given = row.map_or(0, Vec::len);
    if given != expected {
        return Err(Status::invalid_argument(format!(
            "the statement has {expected} parameters, {given} are bound (query {query_id})"
        )));
    }
    match row {
        Some(row) => Box::pin(planned.bind(row))
            .await
            .map_err(|error| status::of_engine(&error, Some(query_id))),
        None => Ok(planned),
    }
}

async fn execute(planned: PlannedQuery, sink: &mut Sink) -> Result<RunningQuery, Stopped> {
    let query_id = planned.query_id();
    let failed = |error: weft_engine::Error| Stopped::of_engine(&error, query_id);
    let mut running = sink
        .wait_for(Box::pin(planned.execute()))
        .await?
        .map_err(failed)?;
    while let Some(batch) = sink.wait_for(running.next()).await? {
        let batch = batch.map_err(failed)?;
        tokio::select! {
            biased;
            // A slow client does not get the rest of the batch.
            reason = running.revoked() => return Err(failed(reason)),
            sent = sink.send(&batch) => sent?,
        }
    }
    Ok(running)
}
