//! For whom and for what: purposes, services that act for users, and access that
//! ends.

mod cli;
mod kill_on_revoke;
mod on_behalf_of;
mod purpose;
mod revocation;
mod session_options;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::Ticket;
use arrow_flight::sql::{CommandPreparedStatementQuery, ProstMessageExt, TicketStatementQuery};
use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

use crate::support::{MeshDir, TestClient, TestServer, contract, csv};

const GRANTS: &str = "
- name: own-region
  to: [group:analysts]
  on: orders
  columns: '*'
  rows: \"region = session.attr('region')\"
- name: shipping
  to: [group:analysts]
  on: addresses
  columns: '*'
  purposes: [fulfilment, returns]
- name: robots
  to: [group:robots]
  on: internal
  columns: '*'
";

const COUNT: &str = "SELECT count(*) FROM sales.orders";
const ADDRESSES: &str = "SELECT street FROM sales.addresses ORDER BY id";

/// Ana sees two orders, Bo one; both see addresses for a purpose. The services
/// `bi` and `etl` may act for analysts, `bare` for nobody.
fn mesh() -> MeshDir {
    let columns = |name: &str| {
        format!(
            "- {{name: id, logicalType: integer, required: true}}\n- {{name: {name}, logicalType: string}}"
        )
    };
    let table = |name: &str, column: &str| {
        contract(name, "csv", &format!("data/{name}/*.csv"), &columns(column))
    };
    let mesh = MeshDir::new("acme")
        .with_head("guardrails: guardrails.yaml")
        .user("ana", "pw", &["analysts"], &[("region", "EU")])
        .user("bo", "pw", &["analysts"], &[("region", "US")])
        .user("cy", "pw", &["couriers"], &[])
        .service_for(
            "bi",
            "token-of-bi",
            &["robots"],
            &[("region", "US")],
            &["analysts"],
        )
        .service_for(
            "etl",
            "token-of-etl",
            &["analysts"],
            &[],
            &["analysts", "others"],
        )
        .service("bare", "token-of-bare", &["analysts"], &[("region", "EU")])
        .domain(
            "sales",
            GRANTS,
            &[
                &table("orders", "region"),
                &table("addresses", "street"),
                &table("internal", "note"),
            ],
        );
    mesh.guardrails("");
    for (name, column, values) in [
        ("orders", "region", ["EU", "US", "EU"]),
        ("addresses", "street", ["Elm", "Oak", "Ash"]),
        ("internal", "note", ["a", "b", "c"]),
    ] {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let texts: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        let rows = RecordBatch::try_from_iter([("id", ids), (column, texts)]).unwrap();
        let path = format!("{name}/all.csv");
        csv(&mesh.data("sales").join(path), &[rows]);
    }
    mesh
}

/// The service with this token, acting for a user.
async fn acting(server: &TestServer, token: &str, user: &str) -> TestClient {
    let service = server.service(token).await;
    service.with_header("x-weft-on-behalf-of", &format!("user:{user}"))
}

async fn reload(server: &TestServer) {
    let report = server.live.reload().await;
    assert!(report.applied && report.kept.is_empty(), "{report:?}");
}

async fn ticket(client: &TestClient, sql: &str) -> Ticket {
    let info = client.info(sql).await.unwrap();
    info.endpoint[0].ticket.clone().unwrap()
}

fn ticket_of(handle: &[u8]) -> Ticket {
    let message = TicketStatementQuery {
        statement_handle: handle.to_vec().into(),
    };
    Ticket::new(message.as_any().encode_to_vec())
}

fn by_handle(handle: &Bytes) -> CommandPreparedStatementQuery {
    CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    }
}

/// Code and text of a call that has to fail.
#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let status = outcome.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[track_caller]
fn assert_missing<T: std::fmt::Debug>(outcome: Result<T, Status>, table: &str) {
    let text = format!("table `{table}` does not exist or is not granted to you");
    assert_eq!(refusal(outcome), (Code::NotFound, text));
}
