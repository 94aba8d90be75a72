//! Session options: by bearer, by cookie, and by header for one call.

use std::collections::BTreeMap;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use prost::Message;
use tonic::Code;

use super::start;
use crate::support::{TestClient, TestServer};

/// `SetSessionOptionsRequest`, `GetSessionOptionsResult`: the same shape.
#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(btree_map = "string, message", tag = "1")]
    options: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SetResult {
    #[prost(btree_map = "string, message", tag = "1")]
    errors: BTreeMap<String, OptionError>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionError {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[derive(Clone, PartialEq, Message)]
struct CloseResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

fn options(values: &[(&str, Option<&str>)]) -> Vec<u8> {
    let options = values.iter().map(|(name, value)| {
        let value = Value {
            text: value.map(str::to_owned),
        };
        ((*name).to_owned(), value)
    });
    Options {
        options: options.collect(),
    }
    .encode_to_vec()
}

async fn set(client: &TestClient, values: &[(&str, Option<&str>)]) -> BTreeMap<String, i32> {
    let results = client
        .action("SetSessionOptions", options(values))
        .await
        .unwrap();
    let result = SetResult::decode(results[0].as_slice()).unwrap();
    result
        .errors
        .into_iter()
        .map(|(name, error)| (name, error.value))
        .collect()
}

async fn get(client: &TestClient) -> BTreeMap<String, String> {
    let results = client.action("GetSessionOptions", vec![]).await.unwrap();
    let result = Options::decode(results[0].as_slice()).unwrap();
    result
        .options
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.text?)))
        .collect()
}

/// A client that logged in with a handshake.
async fn session(server: &TestServer, user: &str, password: &str) -> TestClient {
    let mut client = TestClient::anonymous(server.channel().await);
    client.flight.handshake(user, password).await.unwrap();
    let token = client.flight.token().unwrap().clone();
    server.service(&token).await
}

#[tokio::test]
async fn a_session_has_a_schema() {
    let (_mesh, server) = start().await;
    let ana = session(&server, "ana", "pw-ana").await;
    assert_eq!(
        ana.fails("SELECT count(*) FROM orders").await.code(),
        Code::NotFound
    );
    assert!(set(&ana, &[("schema", Some("sales"))]).await.is_empty());
    assert_eq!(ana.value("SELECT count(*) FROM orders").await, "500");
    assert_eq!(
        get(&ana).await,
        BTreeMap::from([
            ("catalog".to_owned(), "acme".to_owned()),
            ("schema".to_owned(), "sales".to_owned())
        ])
    );
    // Another session of the same user is another session.
    let other = session(&server, "ana", "pw-ana").await;
    assert_eq!(
        other.fails("SELECT count(*) FROM orders").await.code(),
        Code::NotFound
    );

    assert!(set(&ana, &[("schema", None)]).await.is_empty());
    assert_eq!(
        ana.fails("SELECT count(*) FROM orders").await.code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn options_are_checked() {
    let (_mesh, server) = start().await;
    let ana = session(&server, "ana", "pw-ana").await;
    let errors = set(
        &ana,
        &[
            ("colour", Some("red")),
            ("timezone", Some("Mars/Olympus")),
            ("statement_timeout", Some("soon")),
            ("schema", Some("sales")),
        ],
    )
    .await;
    assert_eq!(
        errors,
        BTreeMap::from([
            ("colour".to_owned(), 1),
            ("statement_timeout".to_owned(), 2),
            ("timezone".to_owned(), 2)
        ])
    );
    assert_eq!(get(&ana).await["schema"], "sales");

    for (name, value) in [
        ("catalog", "other"),
        ("schema", "hr"),
        ("schema", "nothing"),
    ] {
        let body = options(&[(name, Some(value))]);
        let status = ana.action("SetSessionOptions", body).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{name} {value}");
    }
    assert_eq!(get(&ana).await["schema"], "sales");
}

#[tokio::test]
async fn timezone_and_timeout_take_effect() {
    let (_mesh, server) = start().await;
    let bo = session(&server, "bo", "pw-bo").await;
    assert!(
        set(
            &bo,
            &[
                ("timezone", Some("Europe/Vienna")),
                ("statement_timeout", Some("300ms"))
            ]
        )
        .await
        .is_empty()
    );
    let status = bo
        .fails(&format!(
            "SELECT count(*) FROM ({})",
            super::ENDLESS.replace("a.id, b.id, c.id, d.id", "a.id")
        ))
        .await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(get(&bo).await["timezone"], "Europe/Vienna");
    assert_eq!(get(&bo).await["statement_timeout"], "300ms");
}

#[tokio::test]
async fn headers_override_for_one_call() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let in_sales = ana
        .clone()
        .with_header("schema", "sales")
        .with_header("unknown", "x");
    assert_eq!(in_sales.value("SELECT count(*) FROM orders").await, "500");
    assert_eq!(
        ana.fails("SELECT count(*) FROM orders").await.code(),
        Code::NotFound
    );
    let elsewhere = ana.clone().with_header("catalog", "other");
    assert_eq!(elsewhere.fails("SELECT 1").await.code(), Code::NotFound);
    let hidden = ana.clone().with_header("schema", "hr");
    assert_eq!(hidden.fails("SELECT 1").await.code(), Code::NotFound);
}

#[tokio::test]
async fn a_ticket_keeps_the_options_it_was_made_with() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let in_sales = ana.clone().with_header("schema", "sales");
    let info = in_sales.info("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(ana.fetch(&info).await.unwrap()[0].num_rows(), 1);
}

#[tokio::test]
async fn clients_with_basic_get_a_cookie() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let mut flight = FlightServiceClient::new(server.channel().await);
    let body = options(&[("schema", Some("sales"))]);
    let request = ana.request(Action::new("SetSessionOptions", body));
    let response = flight.do_action(request).await.unwrap();
    let cookie = response
        .metadata()
        .get("set-cookie")
        .unwrap()
        .to_str()
        .unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = ana.clone().with_header("cookie", &cookie);
    assert_eq!(
        with_cookie.value("SELECT count(*) FROM orders").await,
        "500"
    );
    // A cookie is worth nothing to another.
    let bo = server
        .client("bo", "pw-bo")
        .await
        .with_header("cookie", &cookie);
    assert_eq!(
        bo.fails("SELECT count(*) FROM orders").await.code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn closing_a_session_forgets_its_options() {
    let (_mesh, server) = start().await;
    let ana = session(&server, "ana", "pw-ana").await;
    set(&ana, &[("schema", Some("sales"))]).await;
    for _ in 0..2 {
        let results = ana.action("CloseSession", vec![]).await.unwrap();
        assert_eq!(
            CloseResult::decode(results[0].as_slice()).unwrap().status,
            1
        );
    }
    assert_eq!(
        ana.fails("SELECT count(*) FROM orders").await.code(),
        Code::NotFound
    );
}
