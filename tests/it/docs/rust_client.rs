use std::error::Error;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::FlightInfo;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::transport::{Channel, Endpoint};

type Client = FlightSqlServiceClient<Channel>;

async fn connect(address: &str) -> Result<Client, Box<dyn Error>> {
    let channel = Endpoint::from_shared(address.to_owned())?.connect().await?;
    // Without this, rows of more than 4 MB are refused.
    let inner = FlightServiceClient::new(channel).max_decoding_message_size(32 << 20);
    Ok(FlightSqlServiceClient::new_from_inner(inner))
}

async fn rows(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let endpoint = info.endpoint.into_iter().next().ok_or("no endpoint")?;
    let stream = client.do_get(endpoint.ticket.ok_or("no ticket")?).await?;
    Ok(stream.try_collect().await?)
}

pub(crate) async fn weft(address: &str) -> Result<(), Box<dyn Error>> {
    let mut client = connect(address).await?;
    client.handshake("ana", "ana-demo").await?;

    let sql = "SELECT region, count(*) AS orders FROM sales.orders GROUP BY region ORDER BY region";
    let info = client.execute(sql.to_owned(), None).await?;
    let batches = rows(&mut client, info).await?;
    println!("{}", pretty_format_batches(&batches)?);

    // Parameters, as one row of a batch.
    let sql = "SELECT count(*) AS n FROM sales.orders WHERE region = ? AND quantity > ?";
    let mut statement = client.prepare(sql.to_owned(), None).await?;
    let schema = Schema::new(vec![
        Field::new("$1", DataType::Utf8, true),
        Field::new("$2", DataType::Int64, true),
    ]);
    statement.set_parameters(RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(StringArray::from(vec!["EU"])),
            Arc::new(Int64Array::from(vec![3])),
        ],
    )?)?;
    let info = statement.execute().await?;
    let batches = rows(&mut client, info).await?;
    println!("{}", pretty_format_batches(&batches)?);

    // What is said of mistakes.
    for sql in ["SELECT * FROM hr.salaries", "DELETE FROM sales.orders"] {
        if let Err(error) = client.execute(sql.to_owned(), None).await {
            println!("{error}");
        }
    }
    let mut stranger = connect(address).await?;
    if let Err(error) = stranger.handshake("ana", "guess").await {
        println!("{error}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    weft(address.as_deref().unwrap_or("http://127.0.0.1:50051")).await
}
