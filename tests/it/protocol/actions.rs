//! Cancelling, renewing, and what is listed.

use std::time::Duration;

use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionCancelQueryRequest, ActionCancelQueryResult,
};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo,
    RenewFlightEndpointRequest,
};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Code;

use super::{ENDLESS, start};
use crate::support::TestClient;

async fn cancel(client: &TestClient, info: &FlightInfo) -> CancelStatus {
    let body = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
    let results = client.action("CancelFlightInfo", body).await.unwrap();
    CancelFlightInfoResult::decode(results[0].as_slice())
        .unwrap()
        .status()
}

#[tokio::test]
async fn a_running_query_is_cancelled_by_its_owner_alone() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let ana = server.client("ana", "pw-ana").await;
    let info = bo.info(ENDLESS).await.unwrap();
    assert_eq!(cancel(&bo, &info).await, CancelStatus::NotCancellable);

    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let mut rows = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    for _ in 0..2 {
        rows.next().await.unwrap().unwrap();
    }
    assert_eq!(cancel(&ana, &info).await, CancelStatus::NotCancellable);
    assert_eq!(cancel(&bo, &info).await, CancelStatus::Cancelled);
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match rows.next().await {
                Some(Ok(_)) => {}
                other => return other,
            }
        }
    });
    let status = ended.await.unwrap().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    assert_eq!(cancel(&bo, &info).await, CancelStatus::NotCancellable);
}

#[tokio::test]
async fn the_older_action_cancels_as_well() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let info = bo.info(ENDLESS).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = bo.flight.inner().clone();
    let mut rows = flight
        .do_get(bo.request(ticket))
        .await
        .unwrap()
        .into_inner();
    for _ in 0..2 {
        rows.next().await.unwrap().unwrap();
    }
    // By the id alone, as from a log.
    let only_id = FlightInfo {
        app_metadata: info.app_metadata.clone(),
        ..FlightInfo::new()
    };
    let request = ActionCancelQueryRequest {
        info: only_id.encode_to_vec().into(),
    };
    let results = bo.sql_action("CancelQuery", &request).await.unwrap();
    let result: ActionCancelQueryResult = results[0].unpack().unwrap().unwrap();
    assert_eq!(result.result, 1);
}

#[tokio::test]
async fn tickets_are_renewed_for_their_owner() {
    let (_mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let ana = server.client("ana", "pw-ana").await;
    let info = bo.info("SELECT id FROM sales.orders").await.unwrap();
    let body = RenewFlightEndpointRequest::new(info.endpoint[0].clone()).encode_to_vec();
    let results = bo
        .action("RenewFlightEndpoint", body.clone())
        .await
        .unwrap();
    let endpoint = FlightEndpoint::decode(results[0].as_slice()).unwrap();
    assert!(endpoint.expiration_time.is_some());
    let rows = bo.redeem(endpoint.ticket.unwrap()).await.unwrap();
    assert!(rows[0].num_rows() > 0);
    let theft = ana.action("RenewFlightEndpoint", body).await.unwrap_err();
    assert_eq!(theft.code(), Code::NotFound);
}

#[tokio::test]
async fn what_is_listed_and_what_is_not() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let mut flight = ana.flight.inner().clone();
    let listed = flight
        .list_actions(ana.request(arrow_flight::Empty {}))
        .await
        .unwrap();
    let listed: Vec<_> = listed.into_inner().try_collect().await.unwrap();
    assert_eq!(listed.len(), 8);
    assert!(
        listed
            .iter()
            .any(|action| action.r#type == "CreatePreparedStatement")
    );

    let begin = ActionBeginTransactionRequest {};
    let status = ana
        .sql_action("BeginTransaction", &begin)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = ana.action("Nonsense", vec![]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = ana
        .action("CreatePreparedStatement", b"\xff".to_vec())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
