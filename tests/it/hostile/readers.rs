//! Clients that ask for results and do not read them.

use std::time::Duration;

use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, FlightInfo};
use futures::StreamExt;
use prost::Message;
use tonic::Code;

use super::{another_is_served, channel, start};
use crate::support::TestClient;

/// More than fits between a client and a server that waits for it, as many rows as one likes.
const LARGE: &str = "SELECT a.id, a.note, b.note AS other FROM sales.orders a, sales.orders b";

/// CANCELLED or NOT_CANCELLABLE, as numbers.
async fn cancel(client: &TestClient, info: &FlightInfo) -> i32 {
    let request = CancelFlightInfoRequest::new(info.clone());
    let answer = client.action("CancelFlightInfo", request.encode_to_vec());
    let answer = answer.await.unwrap();
    CancelFlightInfoResult::decode(answer[0].as_slice())
        .unwrap()
        .status
}

#[tokio::test]
async fn a_query_does_not_wait_for_ever_for_its_reader() {
    let (_mesh, weft) = start(&["--reader-timeout", "1s"]);
    let bo = TestClient::basic(channel(&weft).await, "bo", "pw-bo");
    let mut infos = Vec::new();
    for _ in 0..20 {
        infos.push(bo.info(LARGE).await.unwrap());
    }
    let mut results = Vec::new();
    for info in infos {
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let mut flight = bo.flight.inner().clone();
        let result = flight.do_get(bo.request(ticket)).await.unwrap();
        results.push((info, result.into_inner()));
    }
    another_is_served(&weft).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    // On their own connection nothing comes through any more: its window is full.
    let beside = TestClient::basic(channel(&weft).await, "bo", "pw-bo");
    for (info, _) in &results {
        assert_eq!(
            cancel(&beside, info).await,
            3,
            "nothing of it runs any more"
        );
    }
    // Whoever reads on learns why there is no more.
    let (_, mut result) = results.pop().unwrap();
    // What they hold of the connection's window is not the server's to give.
    drop(results);
    let status = loop {
        match result.next().await {
            Some(Ok(_)) => {}
            Some(Err(status)) => break status,
            None => panic!("a truncated result looks complete"),
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    another_is_served(&weft).await;
}

#[tokio::test]
async fn a_query_waits_for_a_slow_reader() {
    let (_mesh, weft) = start(&["--reader-timeout", "3s"]);
    let bo = TestClient::basic(channel(&weft).await, "bo", "pw-bo");
    let info = bo
        .info("SELECT a.note FROM sales.orders a, sales.orders b LIMIT 60000")
        .await
        .unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let mut result = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    let mut messages = 0;
    while let Some(message) = result.next().await {
        message.unwrap();
        messages += 1;
        if messages % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    assert!(messages > 5, "{messages}");
}
