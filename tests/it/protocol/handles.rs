//! Handles and tickets: sealed, bound to their principal, without authority.

use arrow_flight::Ticket;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, CommandGetTables, CommandPreparedStatementQuery,
    ProstMessageExt, TicketStatementQuery,
};
use prost::Message;
use tonic::{Code, Status};

use super::start;
use crate::support::TestClient;

fn ticket_of(handle: &[u8]) -> Ticket {
    let message = TicketStatementQuery {
        statement_handle: handle.to_vec().into(),
    };
    Ticket::new(message.as_any().encode_to_vec())
}

fn handle_of(ticket: &Ticket) -> Vec<u8> {
    let any = Any::decode(ticket.ticket.clone()).unwrap();
    let ticket: TicketStatementQuery = any.unpack().unwrap().unwrap();
    ticket.statement_handle.to_vec()
}

async fn ticket(client: &TestClient, sql: &str) -> Ticket {
    let info = client.info(sql).await.unwrap();
    info.endpoint[0].ticket.clone().unwrap()
}

fn same(a: &Status, b: &Status) {
    assert_eq!((a.code(), a.message()), (b.code(), b.message()));
}

#[tokio::test]
async fn a_ticket_of_another_reads_like_an_unknown_one() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let bo = server.client("bo", "pw-bo").await;
    let stolen = ticket(&bo, "SELECT * FROM hr.people").await;
    let theft = ana.redeem(stolen.clone()).await.unwrap_err();
    assert_eq!(theft.code(), Code::NotFound);
    let unknown = ana.redeem(ticket_of(b"unknown")).await.unwrap_err();
    same(&theft, &unknown);
    let mut tampered = handle_of(&stolen);
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    same(
        &unknown,
        &bo.redeem(ticket_of(&tampered)).await.unwrap_err(),
    );

    // The other way round: a view of less is no view of more.
    let narrow = ticket(&ana, "SELECT count(*) FROM sales.orders").await;
    same(&unknown, &bo.redeem(narrow).await.unwrap_err());
    let other_schema = bo.info("SELECT 1").await.unwrap();
    assert!(bo.fetch(&other_schema).await.is_ok());

    let metadata = bo.command(&CommandGetTables::default()).await.unwrap();
    let metadata = metadata.endpoint[0].ticket.clone().unwrap();
    same(&unknown, &ana.redeem(metadata).await.unwrap_err());
}

#[tokio::test]
async fn a_ticket_shows_neither_its_statement_nor_its_parameters() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let ticket = ticket(&ana, "SELECT 'needle'").await;
    let bytes = String::from_utf8_lossy(&ticket.ticket).into_owned();
    assert!(!bytes.contains("needle"));
}

#[tokio::test]
async fn prepared_statements_of_others_are_unknown() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    let bo = server.client("bo", "pw-bo").await;
    let request = ActionCreatePreparedStatementRequest {
        query: "SELECT * FROM hr.people".to_owned(),
        transaction_id: None,
    };
    let created = bo
        .sql_action("CreatePreparedStatement", &request)
        .await
        .unwrap();
    let created: arrow_flight::sql::ActionCreatePreparedStatementResult =
        created[0].unpack().unwrap().unwrap();
    let by_handle = |handle: &[u8]| CommandPreparedStatementQuery {
        prepared_statement_handle: handle.to_vec().into(),
    };
    let handle = created.prepared_statement_handle;
    let theft = ana.command(&by_handle(&handle)).await.unwrap_err();
    let unknown = ana.command(&by_handle(b"unknown")).await.unwrap_err();
    assert_eq!(theft.code(), Code::NotFound);
    same(&theft, &unknown);
    assert_eq!(
        bo.metadata(&by_handle(&handle)).await.unwrap()[0].num_rows(),
        2
    );

    // A handle is of its own kind.
    same(&unknown, &bo.redeem(ticket_of(&handle)).await.unwrap_err());
    let ticket = ticket(&bo, "SELECT 1").await;
    let as_prepared = bo
        .command(&by_handle(&handle_of(&ticket)))
        .await
        .unwrap_err();
    same(&unknown, &as_prepared);
}

#[tokio::test]
async fn a_handle_carries_no_authority() {
    let (mesh, server) = start().await;
    let bo = server.client("bo", "pw-bo").await;
    let people = ticket(&bo, "SELECT * FROM hr.people").await;
    let orders = ticket(&bo, "SELECT * FROM sales.orders").await;
    let mut prepared = bo.prepare("SELECT name FROM hr.people").await.unwrap();
    assert!(bo.redeem(people.clone()).await.is_ok());

    mesh.grants("hr", "");
    mesh.grants(
        "sales",
        "
- name: less
  to: [group:hr]
  on: orders
  columns: [id]
",
    );
    assert!(server.live.reload().await.applied);
    let gone = bo.redeem(people).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound, "{gone:?}");
    assert!(prepared.execute().await.is_err());
    let changed = bo.redeem(orders).await.unwrap_err();
    assert_eq!(changed.code(), Code::FailedPrecondition, "{changed:?}");
}
