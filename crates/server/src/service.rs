//! The Flight service: every RPC, and where it goes.
//!
//! Each call authenticates first, decodes its command once, and decides access
//! anew. What is planned for one call is run by the next only while the decisions
//! in it are the same (`planned.rs`).

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use weft_audit::Kind;
use weft_engine::Engine;

use crate::audit::{Asked, Audit};
use crate::authenticate::{Gate, Presented};
use crate::bindings::Bindings;
use crate::call::Call;
use crate::command::FlightCommand;
use crate::handle::{self, Handles};
use crate::metadata::ServerInfo;
use crate::metrics::Metrics;
use crate::planned::Planned;
use crate::session::{Carried, Sessions};
use crate::stream::{FlightDataStream, Terms};
use crate::wire::{WireOptions, schema_message};
use crate::{action, status};

type BoxedStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// Flight SQL over one engine.
#[derive(Debug)]
pub(crate) struct FlightSql {
    pub(crate) engine: Arc<Engine>,
    pub(crate) audit: Audit,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gate: Gate,
    pub(crate) handles: Handles,
    pub(crate) sessions: Sessions,
    pub(crate) carried: Carried,
    pub(crate) bindings: Bindings,
    pub(crate) planned: Planned,
    pub(crate) info: ServerInfo,
    /// How long a result waits for a client that takes nothing of it.
    pub(crate) reader_timeout: Duration,
    /// The server takes no new statement.
    pub(crate) draining: CancellationToken,
    /// What still runs must end.
    pub(crate) stop: CancellationToken,
}

impl FlightSql {
    /// Refuses what would start work that a stopping server cannot finish, or
    /// that could not be recorded.
    pub(crate) fn accept(&self) -> Result<(), Status> {
        if self.draining.is_cancelled() {
            return Err(status::unavailable("the server is stopping"));
        }
        self.audit.check()
    }

    /// On what terms results are sent.
    pub(crate) fn terms(&self, call: &Call, wire: WireOptions) -> Terms {
        Terms {
            stop: self.stop.clone(),
            patience: self.reader_timeout,
            room: Arc::clone(&call.room),
            compression: wire.compression,
            metrics: Arc::clone(&self.metrics),
        }
    }

    async fn flight_info(&self, request: Request<FlightDescriptor>) -> Result<FlightInfo, Status> {
        let mut asked = self.audit.asked(Kind::Plan, &request).by("GetFlightInfo");
        let info = guard(self.info_of_command(&mut asked, request)).await;
        self.audit.settle(asked, info).await
    }

    async fn info_of_command(
        &self,
        asked: &mut Asked,
        request: Request<FlightDescriptor>,
    ) -> Result<FlightInfo, Status> {
        let call = self.enter(asked, Presented::of(&request)).await?;
        self.accept()?;
        let descriptor = request.into_inner();
        let info = match FlightCommand::of_descriptor(&descriptor)? {
            FlightCommand::Statement { sql } => self.statement_info(asked, &call, sql).await?,
            FlightCommand::Prepared { handle } => self.prepared_info(asked, &call, &handle).await?,
            FlightCommand::Metadata(command) => {
                asked.kind(Kind::Metadata);
                self.metadata_info(&call, &command, &descriptor.cmd)?
            }
            FlightCommand::Ticket { .. } => return Err(ticket_misplaced()),
            FlightCommand::Refused(refusal) => return Err(refusal.status()),
        };
        Ok(info.with_descriptor(descriptor))
    }

    async fn schema(&self, request: Request<FlightDescriptor>) -> Result<SchemaResult, Status> {
        let mut asked = self.audit.asked(Kind::Plan, &request).by("GetSchema");
        let schema = guard(self.schema_of_command(&mut asked, request)).await;
        self.audit.settle(asked, schema).await
    }

    async fn schema_of_command(
        &self,
        asked: &mut Asked,
        request: Request<FlightDescriptor>,
    ) -> Result<SchemaResult, Status> {
        let call = self.enter(asked, Presented::of(&request)).await?;
        self.accept()?;
        let schema = match FlightCommand::of_descriptor(request.get_ref())? {
            FlightCommand::Statement { sql } => self.statement_schema(asked, &call, &sql).await?,
            FlightCommand::Prepared { handle } => {
                self.prepared_schema(asked, &call, &handle).await?
            }
            FlightCommand::Metadata(command) => {
                asked.kind(Kind::Metadata);
                self.info.schema(&command)
            }
            FlightCommand::Ticket { .. } => return Err(ticket_misplaced()),
            FlightCommand::Refused(refusal) => return Err(refusal.status()),
        };
        Ok(SchemaResult {
            schema: encode_schema(&schema)?,
        })
    }

    async fn stream(&self, request: Request<Ticket>) -> Result<FlightDataStream, Status> {
        let mut asked = self.audit.asked(Kind::Statement, &request).by("DoGet");
        let stream = guard(self.stream_of_ticket(&mut asked, request)).await;
        self.audit.settle(asked, stream).await
    }

    async fn stream_of_ticket(
        &self,
        asked: &mut Asked,
        request: Request<Ticket>,
    ) -> Result<FlightDataStream, Status> {
        let call = self.enter(asked, Presented::of(&request)).await?;
        self.accept()?;
        match FlightCommand::decode(&request.get_ref().ticket)? {
            FlightCommand::Ticket { handle } => self.redeem(asked, &call, &handle).await,
            // Some clients redeem a command without asking for its ticket first.
            FlightCommand::Prepared { handle } => self.prepared_stream(asked, &call, &handle).await,
            FlightCommand::Metadata(command) => {
                asked.kind(Kind::Metadata);
                let purpose = call.options.query.purpose.clone();
                self.metadata_stream(&call, &command, purpose)
            }
            FlightCommand::Statement { .. } => Err(Status::invalid_argument(
                "a statement is no ticket: send it with GetFlightInfo first",
            )),
            FlightCommand::Refused(refusal) => Err(refusal.status()),
        }
    }

    async fn redeem(
        &self,
        asked: &mut Asked,
        call: &Call,
        sealed: &[u8],
    ) -> Result<FlightDataStream, Status> {
        let opened = self.open_handle(call, sealed)?;
        asked.purpose(opened.purpose());
        match opened.content {
            handle::Content::Ticket(statement) => {
                self.run(asked, call, statement, opened.query_id).await
            }
            handle::Content::Metadata(metadata) => {
                asked.kind(Kind::Metadata);
                match FlightCommand::decode(&metadata.command)? {
                    FlightCommand::Metadata(command) => {
                        self.metadata_stream(call, &command, metadata.purpose)
                    }
                    FlightCommand::Statement { .. }
                    | FlightCommand::Prepared { .. }
                    | FlightCommand::Ticket { .. }
                    | FlightCommand::Refused(_) => Err(handle::unknown()),
                }
            }
            handle::Content::Prepared(_) => Err(handle::unknown()),
        }
    }

    /// Refuses a call that nobody may make.
    async fn refuse<T, R>(&self, request: Request<T>, reason: Status) -> Result<R, Status> {
        let mut asked = self.audit.asked(Kind::Call, &request);
        let (headers, extensions, _) = request.into_parts();
        let request = Request::from_parts(headers, extensions, ());
        let entered = self.enter(&mut asked, Presented::of(&request)).await;
        let refused = entered.and_then(|_| Err(reason));
        self.audit.settle(asked, refused).await
    }

    async fn actions(&self, request: Request<Empty>) -> Result<Vec<ActionType>, Status> {
        let mut asked = self.audit.asked(Kind::Call, &request);
        let entered = self.enter(&mut asked, Presented::of(&request)).await;
        let actions = entered.map(|_| action::action_types());
        self.audit.settle(asked, actions).await
    }
}

#[tonic::async_trait]
impl FlightService for FlightSqlService {
    type HandshakeStream = BoxedStream<HandshakeResponse>;
    type ListFlightsStream = BoxedStream<FlightInfo>;
    type DoGetStream = FlightDataStream;
    type DoPutStream = BoxedStream<PutResult>;
    type DoActionStream = BoxedStream<arrow_flight::Result>;
    type ListActionsStream = BoxedStream<ActionType>;
    type DoExchangeStream = BoxedStream<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        guard(self.0.handshake(request)).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        let reason = "weft lists no flights: ask for tables with CommandGetTables";
        guard(self.0.refuse(request, Status::unimplemented(reason))).await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        guard(self.0.flight_info(request)).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let info = guard(self.0.flight_info(request)).await?;
        let mut poll = PollInfo::new().with_info(info);
        // No descriptor to poll again: the result can be fetched.
        poll.progress = Some(1.0);
        Ok(Response::new(poll))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        guard(self.0.schema(request)).await.map(Response::new)
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        guard(self.0.stream(request)).await.map(Response::new)
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let result = guard(self.0.put(request)).await?;
        Ok(Response::new(one(result)))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let reason = Status::unimplemented("weft exchanges no data");
        guard(self.0.refuse(request, reason)).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let answer = guard(self.0.act(request)).await?;
        let results = answer.body.map(|body| Ok(arrow_flight::Result::new(body)));
        let stream: Self::DoActionStream = Box::pin(futures::stream::iter(results));
        let mut response = Response::new(stream);
        let headers = response.metadata_mut();
        if let Some(session) = answer.new_session {
            session.set_cookie(headers);
        }
        if let Some(options) = answer.carried {
            headers.append("set-cookie", options);
        }
        Ok(response)
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = guard(self.0.actions(request)).await?.into_iter().map(Ok);
        Ok(Response::new(Box::pin(futures::stream::iter(actions))))
    }
}

/// The newtype that tonic serves.
#[derive(Clone, Debug)]
pub(crate) struct FlightSqlService(pub(crate) Arc<FlightSql>);

/// The IPC message of `schema`, for an answer.
pub(crate) fn encode_schema(schema: &Schema) -> Result<bytes::Bytes, Status> {
    schema_message(schema).map_err(|error| status::of_arrow(&error))
}

fn one<T: Send + 'static>(item: T) -> BoxedStream<T> {
    Box::pin(futures::stream::iter([Ok(item)]))
}

fn ticket_misplaced() -> Status {
    Status::invalid_argument("this is a ticket: redeem it with DoGet")
}

/// A panic in one call must end neither its connection nor the calls beside it.
pub(crate) fn guard<'a, T: 'a>(
    call: impl Future<Output = Result<T, Status>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Status>> {
    let call = AssertUnwindSafe(call).catch_unwind();
    let ended = call.map(|ended| {
        ended.unwrap_or_else(|panic| Err(status::internal(&format!("panic: {}", text_of(&*panic)))))
    });
    ended.boxed()
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
