//! A service that acts for a user: with the user's rights, and none of its own.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::{CommandGetTables, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria, Empty, FlightData,
    FlightDescriptor, FlightInfo, HandshakeRequest, RenewFlightEndpointRequest,
};
use futures::{StreamExt, stream};
use prost::Message;
use tonic::{Code, Status};

use super::session_options::{get, set};
use super::{COUNT, acting, assert_missing, by_handle, mesh, refusal, reload, ticket, ticket_of};
use crate::support::{TestClient, TestServer, cells};

const HEADER: &str = "x-weft-on-behalf-of";

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_are_the_users_alone() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bi = server.service("token-of-bi").await;
    assert_eq!(bi.value("SELECT count(*) FROM sales.internal").await, "3");
    assert_missing(bi.query(COUNT).await, "sales.orders");

    let for_ana = acting(&server, "token-of-bi", "ana").await;
    assert_eq!(
        for_ana.rows("SELECT id FROM sales.orders ORDER BY 1").await,
        ["1", "3"]
    );
    assert_missing(
        for_ana.query("SELECT * FROM sales.internal").await,
        "sales.internal",
    );
    assert_eq!(for_ana.value("SELECT current_user").await, "ana");
    let for_bo = acting(&server, "token-of-bi", "bo").await;
    assert_eq!(for_bo.rows("SELECT id FROM sales.orders").await, ["2"]);
    let purpose = for_bo.with_header("x-weft-purpose", "returns");
    assert_eq!(
        purpose.value("SELECT count(*) FROM sales.addresses").await,
        "3"
    );
}

/// What each RPC answers to a client.
async fn every_rpc(client: &TestClient) -> Vec<Result<(), Status>> {
    let sql = CommandStatementQuery {
        query: "SELECT 1".to_owned(),
        transaction_id: None,
    };
    let descriptor = FlightDescriptor::new_cmd(sql.as_any().encode_to_vec());
    let mut flight = client.flight.inner().clone();
    let put = FlightData::new().with_descriptor(descriptor.clone());
    vec![
        flight
            .get_flight_info(client.request(descriptor.clone()))
            .await
            .map(drop),
        flight
            .get_schema(client.request(descriptor.clone()))
            .await
            .map(drop),
        flight
            .poll_flight_info(client.request(descriptor))
            .await
            .map(drop),
        flight
            .do_get(client.request(ticket_of(b"x")))
            .await
            .map(drop),
        flight
            .do_put(client.request(stream::iter([put])))
            .await
            .map(drop),
        flight
            .do_exchange(client.request(stream::iter([FlightData::new()])))
            .await
            .map(drop),
        flight
            .list_flights(client.request(Criteria::default()))
            .await
            .map(drop),
        flight
            .list_actions(client.request(Empty {}))
            .await
            .map(drop),
        flight
            .handshake(client.request(stream::iter([HandshakeRequest::default()])))
            .await
            .map(drop),
        client
            .action("CreatePreparedStatement", sql.as_any().encode_to_vec())
            .await
            .map(drop),
        client
            .action("ClosePreparedStatement", vec![])
            .await
            .map(drop),
        client.action("CancelFlightInfo", vec![]).await.map(drop),
        client.action("CancelQuery", vec![]).await.map(drop),
        client.action("RenewFlightEndpoint", vec![]).await.map(drop),
        client.action("SetSessionOptions", vec![]).await.map(drop),
        client.action("GetSessionOptions", vec![]).await.map(drop),
        client.action("CloseSession", vec![]).await.map(drop),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_not_allowed_are_one_answer_of_every_rpc() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bi = acting(&server, "token-of-bi", "nobody").await;
    let unknown = refusal(bi.query("SELECT 1").await);
    assert_eq!(unknown.0, Code::PermissionDenied);

    let service = async |token| server.service(token).await;
    let person = async |name| server.client(name, "pw").await;
    let long = "x".repeat(4000);
    for (client, name) in [
        (service("token-of-bi").await, "cy"),
        (service("token-of-bi").await, "bi"),
        (service("token-of-bi").await, "ANA"),
        (service("token-of-bi").await, "ana "),
        (service("token-of-bi").await, long.as_str()),
        (service("token-of-bare").await, "ana"),
        (service("token-of-bare").await, "nobody"),
        (person("ana").await, "bo"),
        (person("ana").await, "ana"),
        (person("cy").await, "nobody"),
    ] {
        let client = client.with_header(HEADER, &format!("user:{name}"));
        for (at, outcome) in every_rpc(&client).await.into_iter().enumerate() {
            assert_eq!(refusal(outcome), unknown, "{name}, call {at}");
        }
    }
    // The header proves nothing by itself.
    let nobody = TestClient::anonymous(server.channel().await).with_header(HEADER, "user:ana");
    let wrong = acting(&server, "no-token", "ana").await;
    for client in [nobody, wrong] {
        for outcome in every_rpc(&client).await {
            assert_eq!(refusal(outcome).0, Code::Unauthenticated);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_user_is_an_invalid_argument() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bi = server.service("token-of-bi").await;
    for bad in [
        "",
        "ana",
        "user:",
        "User:ana",
        "service:bi",
        "group:analysts",
        "user=ana",
    ] {
        let client = bi.clone().with_header(HEADER, bad);
        for (at, outcome) in every_rpc(&client).await.into_iter().enumerate() {
            let text = "the header `x-weft-on-behalf-of` names one user: `user:NAME`";
            assert_eq!(
                refusal(outcome),
                (Code::InvalidArgument, text.to_owned()),
                "{bad} {at}"
            );
        }
    }
    // Two of them are none: which would count?
    let mut twice = bi.request(Criteria::default());
    for value in ["user:ana", "user:bo"] {
        twice.metadata_mut().append(HEADER, value.parse().unwrap());
    }
    let status = bi
        .flight
        .inner()
        .clone()
        .list_flights(twice)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

/// Everybody who is not `bi` acting for ana.
async fn others(server: &TestServer) -> Vec<(&'static str, TestClient)> {
    vec![
        ("the user", server.client("ana", "pw").await),
        ("the service itself", server.service("token-of-bi").await),
        (
            "another service",
            acting(server, "token-of-etl", "ana").await,
        ),
        ("another user", acting(server, "token-of-bi", "bo").await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_belong_to_the_user_and_the_service() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bi = acting(&server, "token-of-bi", "ana").await;
    let unknown = refusal(bi.redeem(ticket_of(b"unknown")).await);
    assert_eq!(unknown.0, Code::NotFound);
    let owned = bi.info("SELECT id FROM sales.orders").await.unwrap();
    let ticket_of_bi = owned.endpoint[0].ticket.clone().unwrap();
    let metadata = bi.command(&CommandGetTables::default()).await.unwrap();
    let handle = bi
        .prepared_handle("SELECT region FROM sales.orders WHERE id = $1")
        .await
        .unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let row = RecordBatch::try_from_iter([("1", ids)]).unwrap();
    let bound = bi.bind(&handle, row.clone()).await.unwrap();
    let renewal = RenewFlightEndpointRequest {
        endpoint: Some(owned.endpoint[0].clone()),
    };

    for (who, other) in others(&server).await {
        assert_eq!(
            refusal(other.redeem(ticket_of_bi.clone()).await),
            unknown,
            "{who}"
        );
        assert_eq!(refusal(other.fetch(&metadata).await), unknown, "{who}");
        assert_eq!(
            refusal(other.bind(&handle, row.clone()).await),
            unknown,
            "{who}"
        );
        let renewed = other
            .action("RenewFlightEndpoint", renewal.encode_to_vec())
            .await;
        assert_eq!(refusal(renewed), unknown, "{who}");
        for handle in [&handle, &bound] {
            assert_eq!(
                refusal(other.command(&by_handle(handle)).await),
                unknown,
                "{who}"
            );
        }
        // Nor the other way round.
        if let Ok(info) = other.info("SELECT 1").await {
            assert_eq!(refusal(bi.fetch(&info).await), unknown, "{who}");
        }
        let theirs = other.prepared_handle("SELECT 1").await.unwrap();
        assert_eq!(
            refusal(bi.command(&by_handle(&theirs)).await),
            unknown,
            "{who}"
        );
    }
    assert_eq!(cells(&bi.redeem(ticket_of_bi).await.unwrap()).len(), 2);
    // What was bound to the old handle is the owner's too.
    for handle in [&handle, &bound] {
        assert_eq!(
            cells(&bi.metadata(&by_handle(handle)).await.unwrap()),
            ["EU"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_belong_to_the_user_and_the_service() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let mut flight = server.service("token-of-bi").await.flight.inner().clone();
    let bi = acting(&server, "token-of-bi", "ana").await;
    let shaken = flight
        .handshake(bi.request(stream::iter([HandshakeRequest::default()])))
        .await
        .unwrap();
    let metadata = shaken.metadata();
    let bearer = metadata
        .get("authorization")
        .unwrap()
        .to_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    let cookie = metadata
        .get("set-cookie")
        .unwrap()
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap();

    // The bearer is the service's: it is for ana only where a call says so.
    let own = server.service(bearer).await;
    assert_eq!(own.value("SELECT current_user").await, "bi");
    let for_ana = acting(&server, bearer, "ana").await;
    let for_bo = acting(&server, bearer, "bo").await;
    for (client, user) in [(&for_ana, "ana"), (&for_bo, "bo")] {
        assert_eq!(client.value("SELECT current_user").await, user);
        let options = [("purpose", Some(user)), ("timezone", Some("Europe/Vienna"))];
        assert_eq!(set(client, &options).await.unwrap(), []);
    }
    assert_eq!(get(&for_ana, "purpose").await.unwrap(), "ana");
    assert_eq!(get(&for_bo, "purpose").await.unwrap(), "bo");
    assert_eq!(get(&own, "purpose").await, None);
    let with_cookie = acting(&server, "token-of-bi", "ana")
        .await
        .with_header("cookie", cookie);
    assert_eq!(get(&with_cookie, "purpose").await.unwrap(), "ana");
    for (who, other) in others(&server).await {
        let purpose = get(&other.with_header("cookie", cookie), "purpose").await;
        let expected = (who == "another user").then(|| "bo".to_owned());
        assert_eq!(purpose, expected, "{who}");
    }
    for_bo.action("CloseSession", vec![]).await.unwrap();
    assert_eq!(get(&for_bo, "purpose").await, None);
    assert_eq!(get(&for_ana, "purpose").await.unwrap(), "ana");
}

async fn cancel(client: &TestClient, info: FlightInfo) -> CancelStatus {
    let request = CancelFlightInfoRequest { info: Some(info) };
    let results = client
        .action("CancelFlightInfo", request.encode_to_vec())
        .await
        .unwrap();
    CancelFlightInfoResult::decode(results[0].as_slice())
        .unwrap()
        .status()
}

#[tokio::test(flavor = "multi_thread")]
async fn running_queries_belong_to_the_user_and_the_service() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bi = acting(&server, "token-of-bi", "ana").await;
    let endless =
        "SELECT a.value FROM generate_series(1, 100000) a CROSS JOIN generate_series(1, 100000) b";
    let info = bi.info(endless).await.unwrap();
    let mut flight = bi.flight.inner().clone();
    let redeemed = bi.request(info.endpoint[0].ticket.clone().unwrap());
    let mut rows = flight.do_get(redeemed).await.unwrap().into_inner();
    rows.next().await.unwrap().unwrap();
    // The query id alone is in no seal.
    let by_id = FlightInfo::new().with_app_metadata(info.app_metadata.clone());
    for (who, other) in others(&server).await {
        for info in [&info, &by_id] {
            assert_eq!(
                cancel(&other, info.clone()).await,
                CancelStatus::NotCancellable,
                "{who}"
            );
        }
    }
    assert_eq!(cancel(&bi, by_id).await, CancelStatus::Cancelled);
    let end = loop {
        match rows.next().await.unwrap() {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_asks_anew_whether_the_service_may() {
    let revocations = [
        (
            "impersonates: [\"group:analysts\"]",
            "impersonates: [\"group:others\"]",
        ),
        (
            "groups: [analysts]\n      attributes: {region: \"EU\"}",
            "groups: [others]\n      attributes: {region: \"EU\"}",
        ),
        ("- name: ana", "- name: anna"),
    ];
    for (from, to) in revocations {
        let mesh = mesh();
        let server = TestServer::start(&mesh).await;
        let bi = acting(&server, "token-of-bi", "ana").await;
        let unknown = refusal(
            acting(&server, "token-of-bi", "nobody")
                .await
                .query("SELECT 1")
                .await,
        );
        let open = ticket(&bi, COUNT).await;
        let handle = bi.prepared_handle(COUNT).await.unwrap();
        mesh.change("mesh.yaml", from, to);
        reload(&server).await;
        assert_eq!(refusal(bi.query(COUNT).await), unknown, "{to}");
        assert_eq!(refusal(bi.redeem(open).await), unknown, "{to}");
        assert_eq!(
            refusal(bi.command(&by_handle(&handle)).await),
            unknown,
            "{to}"
        );
        assert_eq!(
            refusal(set(&bi, &[("purpose", Some("x"))]).await),
            unknown,
            "{to}"
        );
    }
}
