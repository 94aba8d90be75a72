//! A Flight SQL client for tests, over arrow-flight's own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    CommandPreparedStatementQuery, DoPutPreparedStatementResult, ProstMessageExt,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, Ticket};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// A principal's connection. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct TestClient {
    pub(crate) flight: FlightSqlServiceClient<Channel>,
    headers: Vec<(String, String)>,
}

impl TestClient {
    pub(crate) fn basic(channel: Channel, user: &str, password: &str) -> Self {
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Self::anonymous(channel).with_header("authorization", &format!("Basic {encoded}"))
    }

    pub(crate) fn bearer(channel: Channel, token: &str) -> Self {
        Self::anonymous(channel).with_header("authorization", &format!("Bearer {token}"))
    }

    /// A client without credentials.
    pub(crate) fn anonymous(channel: Channel) -> Self {
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(32 << 20);
        Self {
            flight: FlightSqlServiceClient::new_from_inner(inner),
            headers: Vec::new(),
        }
    }

    /// The same client with one more header on every call.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.flight.set_header(name, value);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// All rows of a statement.
    pub(crate) async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, Status> {
        let info = self.info(sql).await?;
        self.fetch(&info).await
    }

    /// All rows of a statement, as a table of text.
    pub(crate) async fn table(&self, sql: &str) -> String {
        pretty(&self.query(sql).await.unwrap())
    }

    /// All rows of a statement, each as its cells with `|` between them.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        match self.query(sql).await {
            Ok(batches) => cells(&batches),
            Err(status) => panic!("`{sql}` fails: {status}"),
        }
    }

    /// The status that a statement fails with, wherever it does.
    pub(crate) async fn fails(&self, sql: &str) -> Status {
        match self.query(sql).await {
            Err(status) => status,
            Ok(rows) => panic!("`{sql}` should fail, it answers\n{}", pretty(&rows)),
        }
    }

    /// The one value of a statement's one row.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.query(sql).await.unwrap();
        let values: Vec<_> = rows
            .iter()
            .filter(|batch| batch.num_rows() > 0)
            .map(|batch| {
                assert_eq!((batch.num_rows(), batch.num_columns()), (1, 1), "`{sql}`");
                arrow::util::display::array_value_to_string(batch.column(0), 0).unwrap()
            })
            .collect();
        assert_eq!(values.len(), 1, "`{sql}` has one row");
        values[0].clone()
    }

    pub(crate) async fn info(&self, sql: &str) -> Result<FlightInfo, Status> {
        let mut flight = self.flight.clone();
        flight.execute(sql.to_owned(), None).await.map_err(status)
    }

    /// The `FlightInfo` of any Flight SQL command.
    pub(crate) async fn command(
        &self,
        command: &impl ProstMessageExt,
    ) -> Result<FlightInfo, Status> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let request = self.request(descriptor);
        let mut flight = self.flight.inner().clone();
        Ok(flight.get_flight_info(request).await?.into_inner())
    }

    /// Command, ticket and rows in one; empty batches are left out.
    pub(crate) async fn metadata(
        &self,
        command: &impl ProstMessageExt,
    ) -> Result<Vec<RecordBatch>, Status> {
        let info = self.command(command).await?;
        self.fetch(&info).await
    }

    /// The rows behind the one endpoint of `info`; at least one batch, which may
    /// be empty, so that the schema is there.
    pub(crate) async fn fetch(&self, info: &FlightInfo) -> Result<Vec<RecordBatch>, Status> {
        assert_eq!(info.endpoint.len(), 1, "one endpoint");
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        self.redeem(ticket).await
    }

    pub(crate) async fn redeem(&self, ticket: Ticket) -> Result<Vec<RecordBatch>, Status> {
        let mut flight = self.flight.clone();
        let mut stream = flight.do_get(ticket).await.map_err(status)?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(status)? {
            batches.push(batch);
        }
        if batches.is_empty() {
            let schema = Arc::clone(stream.schema().expect("a schema message"));
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }

    pub(crate) async fn prepare(&self, sql: &str) -> Result<PreparedStatement<Channel>, Status> {
        let mut flight = self.flight.clone();
        flight.prepare(sql.to_owned(), None).await.map_err(status)
    }

    /// The handle of a statement that is prepared by hand.
    pub(crate) async fn prepared_handle(&self, sql: &str) -> Result<Bytes, Status> {
        let request = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let created = self.sql_action("CreatePreparedStatement", &request).await?;
        let created: ActionCreatePreparedStatementResult = created[0].unpack().unwrap().unwrap();
        Ok(created.prepared_statement_handle)
    }

    /// Binds one row to a prepared statement; the bound handle.
    pub(crate) async fn bind(&self, handle: &Bytes, row: RecordBatch) -> Result<Bytes, Status> {
        let command = CommandPreparedStatementQuery {
            prepared_statement_handle: handle.clone(),
        };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let messages: Vec<_> = FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .with_schema(row.schema())
            .build(futures::stream::iter([Ok(row)]))
            .try_collect()
            .await
            .unwrap();
        let mut flight = self.flight.inner().clone();
        let results = flight
            .do_put(self.request(futures::stream::iter(messages)))
            .await?;
        let results: Vec<_> = results.into_inner().try_collect().await?;
        let result = DoPutPreparedStatementResult::decode(results[0].app_metadata.clone()).unwrap();
        Ok(result.prepared_statement_handle.unwrap())
    }

    /// Runs an action of Flight SQL, whose body is wrapped in `Any`.
    pub(crate) async fn sql_action(
        &self,
        name: &str,
        body: &impl ProstMessageExt,
    ) -> Result<Vec<Any>, Status> {
        let bodies = self.action(name, body.as_any().encode_to_vec()).await?;
        Ok(bodies
            .iter()
            .map(|body| Any::decode(body.as_slice()).unwrap())
            .collect())
    }

    /// Runs an action with a bare body.
    pub(crate) async fn action(&self, name: &str, body: Vec<u8>) -> Result<Vec<Vec<u8>>, Status> {
        let request = self.request(Action::new(name, body));
        let mut flight = self.flight.inner().clone();
        let results = flight.do_action(request).await?.into_inner();
        let results: Vec<_> = results.try_collect().await?;
        Ok(results
            .into_iter()
            .map(|result| result.body.to_vec())
            .collect())
    }

    /// A request with this client's headers, for calls that have no helper.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        for (name, value) in &self.headers {
            let name: tonic::metadata::AsciiMetadataKey = name.parse().unwrap();
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        request
    }
}

/// Rows as a table of text.
pub(crate) fn pretty(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

/// Rows as their cells with `|` between them; NULL is `∅`.
pub(crate) fn cells(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("∅");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        let row = |at| {
            columns
                .iter()
                .map(move |column| column.value(at).to_string())
        };
        rows.extend((0..batch.num_rows()).map(|at| row(at).collect::<Vec<_>>().join("|")));
    }
    rows
}

/// The gRPC status inside a client's error.
pub(crate) fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::new(Code::Unknown, other.to_string()),
    }
}
