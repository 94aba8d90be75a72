//! Prepared statements: the way that JDBC and Python's ADBC take for everything.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeStringArray, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::FlightDescriptor;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, CommandPreparedStatementQuery, ProstMessageExt,
};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::Code;

use super::start;
use crate::support::{TestClient, pretty};

fn one(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("0", column, true)]).unwrap()
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

async fn run(client: &TestClient, sql: &str, parameters: RecordBatch) -> Vec<RecordBatch> {
    let mut prepared = client.prepare(sql).await.unwrap();
    prepared.set_parameters(parameters).unwrap();
    let info = prepared.execute().await.unwrap();
    client.fetch(&info).await.unwrap()
}

async fn create(client: &TestClient, sql: &str) -> ActionCreatePreparedStatementResult {
    let request = ActionCreatePreparedStatementRequest {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let created = client
        .sql_action("CreatePreparedStatement", &request)
        .await
        .unwrap();
    created[0].unpack().unwrap().unwrap()
}

fn by_handle(handle: &Bytes) -> CommandPreparedStatementQuery {
    CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    }
}

/// Binds as the C++ client does: without a look at the answer.
async fn bind(client: &TestClient, handle: &Bytes, parameters: RecordBatch) {
    let descriptor = FlightDescriptor::new_cmd(by_handle(handle).as_any().encode_to_vec());
    let messages: Vec<_> = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor))
        .with_schema(parameters.schema())
        .build(stream::iter([Ok(parameters)]))
        .try_collect()
        .await
        .unwrap();
    let mut flight = client.flight.inner().clone();
    let results = flight
        .do_put(client.request(stream::iter(messages)))
        .await
        .unwrap();
    let results: Vec<_> = results.into_inner().try_collect().await.unwrap();
    assert_eq!(results.len(), 1);
}

#[tokio::test]
async fn without_parameters() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let mut prepared = ana
        .prepare("SELECT id, region FROM sales.orders")
        .await
        .unwrap();
    assert_eq!(prepared.dataset_schema().unwrap().fields().len(), 2);
    assert!(prepared.parameter_schema().unwrap().fields().is_empty());
    let info = prepared.execute().await.unwrap();
    let told = arrow::datatypes::Schema::try_from(arrow_flight::IpcMessage(info.schema.clone()));
    assert_eq!(&told.unwrap(), prepared.dataset_schema().unwrap());
    assert_eq!(rows(&ana.fetch(&info).await.unwrap()), 500);
    prepared.close().await.unwrap();
}

#[tokio::test]
async fn parameters_are_numbered_as_they_are_written() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let sql = "SELECT id FROM sales.orders WHERE id > ? AND region = ? AND id <= ? ORDER BY id";
    let prepared = ana.prepare(sql).await.unwrap();
    let types: Vec<_> = prepared
        .parameter_schema()
        .unwrap()
        .fields()
        .iter()
        .map(|field| (field.data_type().clone(), field.is_nullable()))
        .collect();
    assert_eq!(
        types,
        [
            (DataType::Int64, true),
            (DataType::Utf8, true),
            (DataType::Int64, true)
        ]
    );
    let parameters = RecordBatch::try_from_iter([
        ("0", Arc::new(Int64Array::from(vec![10])) as ArrayRef),
        ("1", Arc::new(LargeStringArray::from(vec!["EU"])) as _),
        ("2", Arc::new(Int64Array::from(vec![14])) as _),
    ])
    .unwrap();
    let found = run(&ana, sql, parameters).await;
    let ids = found[0].column(0).as_primitive::<Int64Type>();
    assert_eq!(ids.values(), &[12, 14]);
}

#[tokio::test]
async fn dollar_parameters_may_repeat() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let sql = "SELECT id FROM sales.orders WHERE id IN ($2, $1) OR id = $2 ORDER BY id";
    let parameters = RecordBatch::try_from_iter([
        ("0", Arc::new(Int64Array::from(vec![2])) as ArrayRef),
        ("1", Arc::new(Int64Array::from(vec![4])) as _),
    ])
    .unwrap();
    let found = run(&ana, sql, parameters).await;
    assert_eq!(
        found[0].column(0).as_primitive::<Int64Type>().values(),
        &[2, 4]
    );
}

#[tokio::test]
async fn text_is_coerced_to_the_type_of_the_parameter() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["4"]));
    let found = run(&ana, "SELECT id FROM sales.orders WHERE id = ?", one(text)).await;
    assert_eq!(rows(&found), 1);
}

#[tokio::test]
async fn several_rows_run_one_after_another() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(8), Some(3), None, Some(2)]));
    let sql = "SELECT id FROM sales.orders WHERE id = ? ORDER BY id";
    let mut prepared = ana.prepare(sql).await.unwrap();
    prepared.set_parameters(one(ids)).unwrap();
    let info = prepared.execute().await.unwrap();
    assert!(!info.ordered);
    let found = ana.fetch(&info).await.unwrap();
    let ids: Vec<i64> = found
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect();
    assert_eq!(ids, [8, 2]);
}

#[tokio::test]
async fn a_client_may_go_on_with_the_handle_that_it_bound_to() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let created = create(&ana, "SELECT id FROM sales.orders WHERE id = ?").await;
    let handle = created.prepared_statement_handle;
    for id in [6_i64, 10] {
        bind(&ana, &handle, one(Arc::new(Int64Array::from(vec![id])))).await;
        let found = ana.metadata(&by_handle(&handle)).await.unwrap();
        assert_eq!(
            found[0].column(0).as_primitive::<Int64Type>().values(),
            &[id]
        );
    }
    let close = ActionClosePreparedStatementRequest {
        prepared_statement_handle: handle.clone(),
    };
    for _ in 0..2 {
        ana.sql_action("ClosePreparedStatement", &close)
            .await
            .unwrap();
    }
    let garbage = ActionClosePreparedStatementRequest {
        prepared_statement_handle: Bytes::from_static(b"garbage"),
    };
    ana.sql_action("ClosePreparedStatement", &garbage)
        .await
        .unwrap();
    let unbound = ana.command(&by_handle(&handle)).await.unwrap_err();
    assert_eq!(unbound.code(), Code::InvalidArgument, "{unbound:?}");
}

#[tokio::test]
async fn the_number_of_parameters_must_be_right() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let created = create(
        &ana,
        "SELECT id FROM sales.orders WHERE id = ? AND region = ?",
    )
    .await;
    let handle = created.prepared_statement_handle;
    let status = ana.command(&by_handle(&handle)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("2 parameters, 0 are bound"),
        "{}",
        status.message()
    );
    bind(&ana, &handle, one(Arc::new(Int64Array::from(vec![1])))).await;
    let status = ana.command(&by_handle(&handle)).await.unwrap_err();
    assert!(
        status.message().contains("2 parameters, 1 are bound"),
        "{}",
        status.message()
    );
    let plain = ana.fails("SELECT id FROM sales.orders WHERE id = ?").await;
    assert_eq!(plain.code(), Code::InvalidArgument);
    let word: ArrayRef = Arc::new(StringArray::from(vec!["a word"]));
    let mut prepared = ana
        .prepare("SELECT id FROM sales.orders WHERE id = ?")
        .await
        .unwrap();
    prepared.set_parameters(one(word)).unwrap();
    assert!(prepared.execute().await.is_err());
}

#[tokio::test]
async fn the_result_says_that_it_is_no_update() {
    #[derive(Clone, PartialEq, Message)]
    struct WithUpdate {
        #[prost(bool, optional, tag = "4")]
        is_update: Option<bool>,
    }
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let request = ActionCreatePreparedStatementRequest {
        query: "SELECT 1".to_owned(),
        transaction_id: None,
    };
    let created = ana
        .sql_action("CreatePreparedStatement", &request)
        .await
        .unwrap();
    let decoded = WithUpdate::decode(created[0].value.clone()).unwrap();
    assert_eq!(decoded.is_update, Some(false));
}

#[tokio::test]
async fn failures_come_early() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    for (sql, code) in [
        ("SELECT nope FROM sales.orders", Code::InvalidArgument),
        ("SELECT * FROM hr.people", Code::NotFound),
        (
            "INSERT INTO sales.orders VALUES (1)",
            Code::PermissionDenied,
        ),
    ] {
        let status = ana.prepare(sql).await.err().unwrap();
        assert_eq!(status.code(), code, "{sql}");
    }
}

#[tokio::test]
async fn placeholders_in_text_are_text() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let found = ana
        .query("SELECT '?' AS \"a?\" -- and here ?")
        .await
        .unwrap();
    assert_eq!(pretty(&found), "+----+\n| a? |\n+----+\n| ?  |\n+----+");
    assert_eq!(found[0].column(0).len(), 1);
}
