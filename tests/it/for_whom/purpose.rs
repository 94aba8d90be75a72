//! Purposes: stated by session, by header, and kept by handles.

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::CommandGetTables;
use std::sync::Arc;
use tonic::Code;

use super::session_options::{get, set};
use super::{ADDRESSES, assert_missing, by_handle, mesh, refusal, reload, ticket};
use crate::support::{TestClient, TestServer, cells};

const HEADER: &str = "x-weft-purpose";

async fn session(server: &TestServer, user: &str) -> TestClient {
    let mut client = TestClient::anonymous(server.channel().await);
    client.flight.handshake(user, "pw").await.unwrap();
    let token = client.flight.token().unwrap().clone();
    server.service(&token).await
}

/// The names that GetTables answers.
async fn tables(client: &TestClient) -> Vec<String> {
    let rows = client.metadata(&CommandGetTables::default()).await.unwrap();
    let names = rows[0].column_by_name("table_name").unwrap();
    let names = RecordBatch::try_from_iter([("name", Arc::clone(names))]).unwrap();
    cells(&[names])
        .into_iter()
        .filter(|name| ["orders", "addresses", "internal"].contains(&name.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_states_a_purpose_and_takes_it_back() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = session(&server, "ana").await;
    assert_missing(ana.query(ADDRESSES).await, "sales.addresses");
    assert_eq!(tables(&ana).await, ["orders"]);

    let stated = [("purpose", Some("fulfilment"))];
    assert_eq!(set(&ana, &stated).await.unwrap(), []);
    assert_eq!(get(&ana, "purpose").await.unwrap(), "fulfilment");
    assert_eq!(ana.rows(ADDRESSES).await, ["Elm", "Oak", "Ash"]);
    assert_eq!(tables(&ana).await, ["addresses", "orders"]);
    assert_eq!(ana.rows("SHOW TABLES FROM sales").await.len(), 2);
    // Another session of the same user states its own.
    assert_missing(
        session(&server, "ana").await.query(ADDRESSES).await,
        "sales.addresses",
    );

    // What is no purpose changes nothing.
    for bad in ["just looking", " ", "fulfilment,returns", "'", "ä"] {
        let errors = set(&ana, &[("purpose", Some(bad))]).await.unwrap();
        assert_eq!(errors, [("purpose".to_owned(), 2)], "{bad}");
    }
    assert_eq!(get(&ana, "purpose").await.unwrap(), "fulfilment");
    for nothing in [Some(""), None] {
        set(&ana, &stated).await.unwrap();
        assert_eq!(set(&ana, &[("purpose", nothing)]).await.unwrap(), []);
        assert_eq!(get(&ana, "purpose").await, None);
        assert_missing(ana.query(ADDRESSES).await, "sales.addresses");
    }
    set(&ana, &stated).await.unwrap();
    ana.action("CloseSession", vec![]).await.unwrap();
    assert_missing(ana.query(ADDRESSES).await, "sales.addresses");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_can_be_taken_back_with_the_only_schema_it_showed() {
    let mesh = mesh();
    mesh.grants(
        "sales",
        "- name: it\n  to: [everyone]\n  on: addresses\n  columns: '*'\n  purposes: [fulfilment]",
    );
    let server = TestServer::start(&mesh).await;
    let ana = session(&server, "ana").await;
    let both = [("purpose", Some("fulfilment")), ("schema", Some("sales"))];
    assert_eq!(set(&ana, &both).await.unwrap(), []);
    assert_eq!(ana.value("SELECT count(*) FROM addresses").await, "3");
    assert_eq!(set(&ana, &[("purpose", Some(""))]).await.unwrap(), []);
    let status = ana.fails("SELECT 1").await;
    assert_eq!(
        status.message(),
        "schema `sales` does not exist or is not granted to you"
    );
    assert_eq!(set(&ana, &[("schema", None)]).await.unwrap(), []);
    assert_eq!(ana.value("SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_wins_over_the_session() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = session(&server, "ana").await;
    let returns = ana.clone().with_header(HEADER, "returns");
    assert_eq!(returns.rows(ADDRESSES).await.len(), 3);
    assert_eq!(tables(&returns).await, ["addresses", "orders"]);
    set(&ana, &[("purpose", Some("fulfilment"))]).await.unwrap();
    assert_eq!(get(&returns, "purpose").await.unwrap(), "returns");
    let marketing = ana.clone().with_header(HEADER, "marketing");
    assert_missing(marketing.query(ADDRESSES).await, "sales.addresses");
    assert_eq!(tables(&marketing).await, ["orders"]);
    // An empty one says nothing, as the other headers do.
    let empty = ana.clone().with_header(HEADER, "");
    assert_eq!(empty.rows(ADDRESSES).await.len(), 3);

    for bad in ["just looking", "a,b", "x".repeat(129).as_str()] {
        let status = ana.clone().with_header(HEADER, bad).fails("SELECT 1").await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(
            status
                .message()
                .starts_with("the header `x-weft-purpose` has no valid value")
        );
    }
    let mut twice = ana.request(arrow_flight::Criteria::default());
    for value in ["fulfilment", "returns"] {
        twice.metadata_mut().append(HEADER, value.parse().unwrap());
    }
    let status = ana
        .flight
        .inner()
        .clone()
        .list_flights(twice)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_keep_their_purpose_and_no_call_changes_it() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let fulfilment = ana.clone().with_header(HEADER, "fulfilment");
    let returns = ana.clone().with_header(HEADER, "returns");
    let with = ticket(&fulfilment, ADDRESSES).await;
    let metadata = fulfilment
        .command(&CommandGetTables::default())
        .await
        .unwrap();
    let handle = fulfilment
        .prepared_handle("SELECT street FROM sales.addresses WHERE id = $1")
        .await
        .unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let row = RecordBatch::try_from_iter([("1", ids)]).unwrap();

    // Neither the ticket nor the prepared statement needs the header again.
    for client in [&ana, &fulfilment] {
        assert_eq!(
            cells(&client.redeem(with.clone()).await.unwrap()),
            ["Elm", "Oak", "Ash"]
        );
        let bound = client.bind(&handle, row.clone()).await.unwrap();
        assert_eq!(
            cells(&client.metadata(&by_handle(&bound)).await.unwrap()),
            ["Oak"]
        );
        let listed = client.fetch(&metadata).await.unwrap();
        assert!(cells(&listed).iter().any(|row| row.contains("addresses")));
    }

    // Nor can a call give a handle another.
    let text = "the statement was planned for the purpose `fulfilment`, the call states `returns`: \
                run or prepare the statement again";
    let other = (Code::FailedPrecondition, text.to_owned());
    assert_eq!(refusal(returns.redeem(with).await), other);
    assert_eq!(refusal(returns.fetch(&metadata).await), other);
    assert_eq!(refusal(returns.bind(&handle, row.clone()).await), other);
    assert_eq!(refusal(returns.command(&by_handle(&handle)).await), other);
    let without = ticket(&ana, "SELECT count(*) FROM sales.orders").await;
    let (code, text) = refusal(fulfilment.redeem(without.clone()).await);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(
        text.starts_with("the statement was planned for no purpose"),
        "{text}"
    );
    assert_eq!(cells(&ana.redeem(without).await.unwrap()), ["2"]);

    // The purpose of a session that was set later is not that of the ticket.
    let session = session(&server, "ana").await;
    let before = ticket(&session, "SELECT count(*) FROM sales.orders").await;
    set(&session, &[("purpose", Some("returns"))])
        .await
        .unwrap();
    assert!(session.redeem(before).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_that_a_grant_no_longer_takes_ends_handles() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server
        .client("ana", "pw")
        .await
        .with_header(HEADER, "fulfilment");
    let with = ticket(&ana, ADDRESSES).await;
    let handle = ana.prepared_handle(ADDRESSES).await.unwrap();
    mesh.change(
        "domains/sales/grants.yaml",
        "[fulfilment, returns]",
        "[returns]",
    );
    reload(&server).await;
    assert_missing(ana.redeem(with).await, "sales.addresses");
    assert_missing(ana.command(&by_handle(&handle)).await, "sales.addresses");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_asks_for_any_purpose() {
    let mesh = mesh();
    mesh.guardrails(
        "- name: needs-one\n  on: {tables: [sales.orders], column: region}\n  requirePurpose: true",
    );
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let columns =
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY 1";
    assert_eq!(ana.rows(columns).await, ["id"]);
    assert_eq!(
        ana.fails("SELECT region FROM sales.orders").await.code(),
        Code::InvalidArgument
    );
    let any = ana.clone().with_header(HEADER, "curiosity");
    assert_eq!(any.rows(columns).await, ["id", "region"]);
    let star = ticket(&any, "SELECT * FROM sales.orders").await;
    assert_eq!(cells(&ana.redeem(star).await.unwrap()), ["1|EU", "3|EU"]);
}
