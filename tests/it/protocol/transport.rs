//! TLS, health, and stopping.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{ENDLESS, mesh, start};
use crate::support::{TestClient, TestServer, TestServerConfig, WeftProcess};

#[tokio::test]
async fn tls_with_a_certificate_that_the_client_trusts() {
    let mesh = mesh();
    let config = TestServerConfig {
        tls: true,
        ..TestServerConfig::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    let ana = server.client("ana", "pw-ana").await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.orders").await, "500");
    // Plaintext is refused.
    let plain = Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    match plain.connect().await {
        Err(_) => {}
        Ok(channel) => {
            let client = TestClient::basic(channel, "ana", "pw-ana");
            assert!(client.query("SELECT 1").await.is_err());
        }
    }
}

#[tokio::test]
async fn health_is_open_to_everybody() {
    let (_mesh, server) = start().await;
    let mut health = HealthClient::new(server.channel().await);
    for service in ["", "arrow.flight.protocol.FlightService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "`{service}` is serving");
    }
}

#[tokio::test]
async fn a_stopping_server_lets_streams_finish() {
    let (_mesh, mut server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo.info("SELECT * FROM sales.orders").await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let mut rows = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    rows.next().await.unwrap().unwrap();
    server.begin_stop();
    let mut messages = 0;
    while let Some(message) = rows.next().await {
        message.unwrap();
        messages += 1;
    }
    assert!(messages > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_told() {
    let mesh = mesh();
    let config = TestServerConfig {
        drain: Some(Duration::from_millis(300)),
        ..TestServerConfig::default()
    };
    let mut server = TestServer::start_with(&mesh, config).await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo.info(ENDLESS).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let mut rows = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    rows.next().await.unwrap().unwrap();
    server.begin_stop();
    let status = loop {
        match rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(status)) => break status,
            None => panic!("a truncated result looks complete"),
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    tokio::time::timeout(Duration::from_secs(10), server.stop())
        .await
        .unwrap()
        .unwrap();
}

async fn client(weft: &WeftProcess) -> TestClient {
    let endpoint = Endpoint::from_shared(format!("http://{}", weft.address)).unwrap();
    TestClient::basic(endpoint.connect().await.unwrap(), "bo", "pw-bo")
}

#[tokio::test]
async fn a_connection_of_age_takes_no_new_call_and_ends_none() {
    let mesh = mesh();
    let arguments = ["--connection-age", "500ms"];
    let weft = WeftProcess::start_with(&mesh.mesh_file(), &arguments, &[]);
    let bo = client(&weft).await;
    let info = bo.info(ENDLESS).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let answer = flight.do_get(bo.request(ticket)).await.unwrap();
    let mut rows = answer.into_inner();
    // Hyper's client loses the call that it is told with; others of gRPC send it again, as
    // tests/python shows.
    let mut lost = 0;
    let sql = "SELECT sum(salary) FROM hr.people";
    for _ in 0..20 {
        for _ in 0..2 {
            if let Err(status) = bo.query(sql).await {
                assert_eq!(status.code(), Code::Cancelled, "{status:?}");
                lost += 1;
                // Sent again, it goes by a new connection.
                assert_eq!(bo.value(sql).await, "300");
            }
        }
        rows.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(lost <= 1, "{lost} calls were lost");
}

#[tokio::test]
async fn a_connection_of_age_is_asked_to_end() {
    let mesh = mesh();
    let weft = WeftProcess::start_with(&mesh.mesh_file(), &["--connection-age", "500ms"], &[]);
    let mut connection = TcpStream::connect(&weft.address).await.unwrap();
    // The preface, and SETTINGS without any (RFC 9113, section 3.4).
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    connection.write_all(hello).await.unwrap();
    let goes_away = async {
        loop {
            let mut head = [0; 9];
            connection.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            connection.read_exact(&mut payload).await.unwrap();
            // GOAWAY (section 6.8).
            if head[3] == 7 {
                return;
            }
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(5), goes_away).await;
    assert!(asked.is_ok(), "it goes on as if it were young");
}

/// What reflection answers, if it does.
async fn reflected(weft: &WeftProcess, question: MessageRequest) -> Option<MessageResponse> {
    let endpoint = Endpoint::from_shared(format!("http://{}", weft.address)).unwrap();
    let mut reflection = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let answers = reflection.server_reflection_info(futures::stream::iter([request]));
    let answer = answers.await.ok()?.into_inner().next().await?;
    answer.unwrap().message_response
}

#[tokio::test]
async fn reflection_answers_where_it_is_wanted() {
    let mesh = mesh();
    let services = || MessageRequest::ListServices(String::new());
    let weft = WeftProcess::start(&mesh.mesh_file());
    assert!(reflected(&weft, services()).await.is_none());

    let weft = WeftProcess::start_with(&mesh.mesh_file(), &["--reflection"], &[]);
    let Some(MessageResponse::ListServicesResponse(listed)) = reflected(&weft, services()).await
    else {
        panic!("no services");
    };
    let listed: Vec<_> = listed.service.into_iter().map(|it| it.name).collect();
    for service in [
        "arrow.flight.protocol.FlightService",
        "grpc.health.v1.Health",
    ] {
        assert!(listed.iter().any(|it| it == service), "{listed:?}");
    }
    for symbol in [
        "arrow.flight.protocol.FlightService.DoGet",
        "arrow.flight.protocol.sql.CommandGetTables",
    ] {
        let question = MessageRequest::FileContainingSymbol(symbol.to_owned());
        let answer = reflected(&weft, question).await;
        assert!(
            matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))),
            "{symbol}: {answer:?}"
        );
    }
}
