//! TLS, health, and stopping.

use std::time::Duration;

use futures::StreamExt;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{ENDLESS, mesh, start};
use crate::support::{TestServer, TestServerConfig};

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
            let client = crate::support::TestClient::basic(channel, "ana", "pw-ana");
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
