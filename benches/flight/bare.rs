//! What the protocol costs by itself: a Flight server that answers `SELECT 1` with a constant
//! and every other statement with a Parquet file that it holds in memory, prepared or not. It asks
//! nobody who they are, parses no SQL and plans nothing.
//!
//! `bare-flight HOST:PORT FILE`

use std::error::Error;
use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery, CommandStatementQuery,
    ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult, SchemaAsIpc,
    SchemaResult, Ticket,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prost::Message;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>>, Status>;

#[derive(Clone)]
struct Rows {
    schema: SchemaRef,
    batches: Arc<Vec<RecordBatch>>,
}

impl Rows {
    fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self {
            schema,
            batches: Arc::new(batches),
        }
    }
}

struct Bare {
    one: Rows,
    file: Rows,
}

impl Bare {
    /// What a statement is answered with, and its name.
    fn answer(&self, sql: &str) -> (&'static str, &Rows) {
        match sql {
            "SELECT 1" => ("one", &self.one),
            _ => ("file", &self.file),
        }
    }

    fn prepared(&self, name: &[u8]) -> (&'static str, &Rows) {
        match name {
            b"one" => ("one", &self.one),
            _ => ("file", &self.file),
        }
    }
}

fn garbled(_: prost::DecodeError) -> Status {
    Status::invalid_argument("no command")
}

fn unpacked<M: ProstMessageExt>(command: &Any) -> Option<M> {
    command.unpack().ok().flatten()
}

#[tonic::async_trait]
impl FlightService for Bare {
    type HandshakeStream = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>;
    type ListFlightsStream = Pin<Box<dyn Stream<Item = Result<FlightInfo, Status>> + Send>>;
    type DoGetStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;
    type DoPutStream = Pin<Box<dyn Stream<Item = Result<PutResult, Status>> + Send>>;
    type DoExchangeStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;
    type DoActionStream = Pin<Box<dyn Stream<Item = Result<arrow_flight::Result, Status>> + Send>>;
    type ListActionsStream = Pin<Box<dyn Stream<Item = Result<ActionType, Status>> + Send>>;

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let descriptor = request.into_inner();
        let command = Any::decode(descriptor.cmd.clone()).map_err(garbled)?;
        let (ticket, rows) = if let Some(statement) = unpacked::<CommandStatementQuery>(&command) {
            self.answer(&statement.query)
        } else if let Some(prepared) = unpacked::<CommandPreparedStatementQuery>(&command) {
            self.prepared(&prepared.prepared_statement_handle)
        } else {
            return Err(Status::unimplemented("only statements"));
        };
        let info = FlightInfo::new()
            .try_with_schema(&rows.schema)
            .map_err(|error| Status::internal(error.to_string()))?
            .with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(ticket)))
            .with_descriptor(descriptor);
        Ok(Response::new(info))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<FlightData> {
        let rows = self.prepared(&request.into_inner().ticket).1.clone();
        let schema = Arc::clone(&rows.schema);
        let batches = (0..rows.batches.len()).map(move |at| Ok(rows.batches[at].clone()));
        let messages = FlightDataEncoderBuilder::new()
            .with_schema(schema)
            .with_max_flight_data_size(16 << 20)
            .build(stream::iter(batches))
            .map_err(|error: FlightError| Status::internal(error.to_string()));
        Ok(Response::new(messages.boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<HandshakeResponse> {
        Err(Status::unimplemented("nobody need log in"))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<FlightInfo> {
        Err(Status::unimplemented("list_flights"))
    }

    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("poll_flight_info"))
    }

    async fn get_schema(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented("get_schema"))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<PutResult> {
        Err(Status::unimplemented("do_put"))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Answer<FlightData> {
        Err(Status::unimplemented("do_exchange"))
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<arrow_flight::Result> {
        let command = Any::decode(request.into_inner().body).map_err(garbled)?;
        let results = if let Some(it) = unpacked::<ActionCreatePreparedStatementRequest>(&command) {
            let (ticket, rows) = self.answer(&it.query);
            let IpcMessage(dataset_schema) = SchemaAsIpc::new(&rows.schema, &Default::default())
                .try_into()
                .map_err(|error: ArrowError| Status::internal(error.to_string()))?;
            let created = ActionCreatePreparedStatementResult {
                prepared_statement_handle: ticket.into(),
                dataset_schema,
                ..Default::default()
            };
            let body = created.as_any().encode_to_vec().into();
            vec![Ok(arrow_flight::Result { body })]
        } else if unpacked::<ActionClosePreparedStatementRequest>(&command).is_some() {
            vec![]
        } else {
            return Err(Status::unimplemented("only prepared statements"));
        };
        Ok(Response::new(stream::iter(results).boxed()))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<ActionType> {
        Err(Status::unimplemented("list_actions"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bare-flight HOST:PORT FILE".into());
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let reader = reader.with_batch_size(8192).build()?;
    let schema = reader.schema();
    let file = Rows::new(schema, reader.collect::<Result<_, _>>()?);
    let schema = Arc::new(Schema::new(vec![Field::new(
        "Int64(1)",
        DataType::Int64,
        false,
    )]));
    let one = Arc::new(Int64Array::from(vec![1]));
    let one = RecordBatch::try_new(Arc::clone(&schema), vec![one])?;
    let bare = Bare {
        one: Rows::new(schema, vec![one]),
        file,
    };
    Server::builder()
        .add_service(FlightServiceServer::new(bare).max_encoding_message_size(64 << 20))
        .serve(address.parse()?)
        .await?;
    Ok(())
}
