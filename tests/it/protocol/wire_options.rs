//! Results as a client asks for them: types, compression. Faults as clients read them.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow_flight::sql::{Any, CommandGetTables};
use arrow_flight::{FlightData, FlightInfo};
use futures::TryStreamExt;
use prost::Message;
use tonic::Code;

use super::start;
use crate::support::TestClient;

const SQL: &str = "SELECT id, note, placed_at, NULL AS nothing FROM sales.orders ORDER BY id";

async fn messages(client: &TestClient, info: &FlightInfo) -> Vec<FlightData> {
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = client.flight.inner().clone();
    let stream = flight.do_get(client.request(ticket)).await.unwrap();
    stream.into_inner().try_collect().await.unwrap()
}

fn compressed(message: &FlightData) -> bool {
    let header = arrow::ipc::root_as_message(&message.data_header).unwrap();
    let batch = header.header_as_record_batch();
    batch.is_some_and(|batch| batch.compression().is_some())
}

fn whole(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).unwrap()
}

#[tokio::test]
async fn native_types_are_sent_to_those_who_ask() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let native = bo.clone().with_header("x-weft-wire-types", "native");
    let (usual, own) = (
        bo.query(SQL).await.unwrap(),
        native.query(SQL).await.unwrap(),
    );
    let (usual, own) = (whole(&usual), whole(&own));
    let type_of = |batch: &RecordBatch, name: &str| {
        let schema = batch.schema();
        schema.field_with_name(name).unwrap().data_type().clone()
    };
    assert_eq!(type_of(&usual, "note"), DataType::Utf8);
    assert_eq!(type_of(&own, "note"), DataType::Utf8View);
    assert_eq!(type_of(&usual, "nothing"), DataType::Utf8);
    assert_eq!(type_of(&own, "nothing"), DataType::Null);
    let texts = usual
        .column_by_name("note")
        .unwrap()
        .as_string::<i32>()
        .iter();
    let views = own.column_by_name("note").unwrap().as_string_view().iter();
    assert!(texts.eq(views));

    // The schema that was told is the one that is sent, prepared as well.
    let info = native.info(SQL).await.unwrap();
    let told = info.clone().try_decode_schema().unwrap();
    assert_eq!(&told, own.schema().as_ref());
    let mut prepared = native.prepare(SQL).await.unwrap();
    assert_eq!(prepared.dataset_schema().unwrap(), &told);
    let info = prepared.execute().await.unwrap();
    // What a handle says holds, whatever the call that redeems it does.
    assert_eq!(bo.fetch(&info).await.unwrap()[0].schema().as_ref(), &told);

    // Tables are described in what everybody reads.
    let tables = CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let (theirs, ours) = (native.metadata(&tables).await, bo.metadata(&tables).await);
    assert_eq!(theirs.unwrap(), ours.unwrap());
}

#[tokio::test]
async fn few_views_of_large_buffers_travel_alone() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let native = bo.clone().with_header("x-weft-wire-types", "native");
    let sql = "SELECT repeat(note, 200) AS long FROM sales.orders ORDER BY id LIMIT 3";
    let info = native
        .info(&format!("SELECT arrow_cast(long, 'Utf8View') FROM ({sql})"))
        .await;
    let sent = messages(&native, &info.unwrap()).await;
    let bytes: usize = sent.iter().map(|message| message.data_body.len()).sum();
    assert!(bytes < 64 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn messages_are_compressed_for_those_who_ask() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo.info(SQL).await.unwrap();
    let plain = messages(&bo, &info).await;
    assert!(!plain.iter().any(compressed));
    let bytes = |messages: &[FlightData]| -> usize {
        messages.iter().map(|message| message.data_body.len()).sum()
    };
    for codec in ["lz4", "zstd"] {
        let asking = bo.clone().with_header("x-weft-ipc-compression", codec);
        let info = asking.info(SQL).await.unwrap();
        let sent = messages(&asking, &info).await;
        assert!(sent.iter().any(compressed), "{codec}");
        assert!(bytes(&sent) * 2 < bytes(&plain), "{codec}");
        let rows = asking.fetch(&info).await.unwrap();
        assert_eq!(whole(&rows), whole(&bo.query(SQL).await.unwrap()));
    }
    let odd = bo.clone().with_header("x-weft-ipc-compression", "gzip");
    let status = odd.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("x-weft-ipc-compression"),
        "{status:?}"
    );
}

/// `google.rpc.Status` and `google.rpc.BadRequest`, as far as they matter.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Message)]
struct Violation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

#[tokio::test]
async fn a_fault_says_where_it_is() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    for (sql, place) in [
        ("SELEC 1", "line 1, column 1"),
        ("SELECT id,\n  colour FROM sales.orders", "line 2, column 3"),
    ] {
        let status = bo.fails(sql).await;
        let details = Details::decode(status.details()).unwrap();
        let detail = &details.details[0];
        assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.BadRequest");
        let request = BadRequest::decode(detail.value.clone()).unwrap();
        let violation = &request.violations[0];
        assert_eq!(
            (violation.field.as_str(), violation.description.as_str()),
            ("query", place)
        );
    }
}

#[tokio::test]
async fn one_value_of_twenty_megabytes_is_one_message() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let mut flight = bo
        .flight
        .inner()
        .clone()
        .max_decoding_message_size(100 << 20);
    let info = bo
        .info("SELECT string_agg(repeat('x', 5000000), '') AS long FROM generate_series(1, 4)")
        .await
        .unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let sent = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    let sent: Vec<_> = sent.try_collect().await.unwrap();
    let batches = arrow_flight::utils::flight_data_to_batches(&sent).unwrap();
    assert_eq!(
        whole(&batches).column(0).as_string::<i32>().value(0).len(),
        20_000_000
    );
}
