//! Two servers behind a balancer that sends every connection to the other one, and a client
//! that opens one for every call: each server goes on with what the other began.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, CommandGetTables, CommandPreparedStatementQuery,
};
use arrow_flight::{FlightEndpoint, RenewFlightEndpointRequest};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Endpoint;

use super::{ROWS, mesh};
use crate::support::{TestClient, WeftProcess};

/// Sends connections to one server after the other.
struct Balancer {
    url: String,
    _serving: JoinSet<()>,
}

impl Balancer {
    async fn start(servers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            let mut servers = servers.iter().cycle();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let server = servers.next().unwrap().clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self {
            url,
            _serving: serving,
        }
    }

    /// A client with a connection of its own.
    async fn next(&self, bearer: &str) -> TestClient {
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        TestClient::bearer(endpoint.connect().await.unwrap(), bearer)
    }

    async fn log_in(&self) -> String {
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        let ana = TestClient::basic(endpoint.connect().await.unwrap(), "ana", "pw-ana");
        let mut flight = ana.flight.inner().clone();
        let answer = flight.handshake(ana.request(futures::stream::empty()));
        let answer = answer.await.unwrap();
        let bearer = answer.metadata().get("authorization").unwrap();
        let bearer = bearer.to_str().unwrap().strip_prefix("Bearer ");
        bearer.unwrap().to_owned()
    }
}

/// All that a client does with one statement, a connection for each call.
async fn everything(balancer: &Balancer) {
    let bearer = balancer.log_in().await;
    let next = async || balancer.next(&bearer).await;
    let sql = "SELECT id FROM sales.orders WHERE id < $1 ORDER BY id";
    let handle = next().await.prepared_handle(sql).await.unwrap();
    let row: ArrayRef = Arc::new(Int64Array::from(vec![ROWS]));
    let row = RecordBatch::try_from_iter([("$1", row)]).unwrap();
    let bound = next().await.bind(&handle, row).await.unwrap();
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: bound.clone(),
    };
    let info = next().await.command(&command).await.unwrap();
    let rows = next().await.fetch(&info).await.unwrap();
    let again = next().await.fetch(&info).await.unwrap();
    assert_eq!(rows, again);
    assert!(rows.iter().map(RecordBatch::num_rows).sum::<usize>() > 1);

    let renewal = RenewFlightEndpointRequest::new(info.endpoint[0].clone());
    let renewed = next().await;
    let renewed = renewed.action("RenewFlightEndpoint", renewal.encode_to_vec());
    let renewed = FlightEndpoint::decode(renewed.await.unwrap()[0].as_slice()).unwrap();
    let ticket = renewed.ticket.unwrap();
    assert_eq!(next().await.redeem(ticket).await.unwrap(), rows);

    let tables = next()
        .await
        .command(&CommandGetTables::default())
        .await
        .unwrap();
    let tables = next().await.fetch(&tables).await.unwrap();
    assert!(tables[0].num_rows() > 0);
    for _ in 0..2 {
        let close = ActionClosePreparedStatementRequest {
            prepared_statement_handle: bound.clone(),
        };
        let client = next().await;
        let closed = client.sql_action("ClosePreparedStatement", &close).await;
        closed.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_goes_on_with_what_the_other_began() {
    let mesh = mesh();
    mesh.write("secrets/mesh", "a secret that both servers read");
    mesh.change(
        "mesh.yaml",
        "name: acme\n",
        "name: acme\nsecret: file:secrets/mesh\n",
    );
    let one = WeftProcess::start(&mesh.mesh_file());
    let other = WeftProcess::start(&mesh.mesh_file());
    let balancer = Balancer::start(vec![one.address.clone(), other.address.clone()]).await;
    everything(&balancer).await;
    // An odd number of connections more: every call meets the other server now.
    balancer.log_in().await;
    everything(&balancer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_replaced_one_server_after_the_other() {
    let mesh = mesh();
    let file = mesh.mesh_file();
    let start = |secrets: &[&str]| {
        let references = ["env:FIRST", "env:SECOND"];
        let references = references.iter().take(secrets.len());
        let more: Vec<&str> = references
            .flat_map(|reference| ["--handle-secret", *reference])
            .collect();
        let environment: Vec<_> = ["FIRST", "SECOND"]
            .into_iter()
            .zip(secrets.iter().copied())
            .collect();
        WeftProcess::start_with(&file, &more, &environment)
    };
    let (old, new) = ("the first of the secrets", "the second of the secrets");
    for (one, other) in [
        (&[old][..], &[old, new][..]),
        (&[old, new], &[new, old]),
        (&[new, old], &[new]),
    ] {
        let (one, other) = (start(one), start(other));
        let balancer = Balancer::start(vec![one.address.clone(), other.address.clone()]).await;
        everything(&balancer).await;
    }
    // Without a secret in common nobody goes on with anything.
    let (one, other) = (start(&[old]), start(&[new]));
    let balancer = Balancer::start(vec![one.address.clone(), other.address.clone()]).await;
    let bearer = balancer.log_in().await;
    let status = balancer.next(&bearer).await.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// Options as `SetSessionOptionsRequest` carries them: the schema `sales`.
const SCHEMA_SALES: &[u8] = b"\x0a\x11\x0a\x06schema\x12\x07\x0a\x05sales";

#[tokio::test(flavor = "multi_thread")]
async fn options_go_with_the_client_from_one_server_to_the_other() {
    let mesh = mesh();
    let secret = [("SECRET", "what both servers seal with")];
    let more = ["--handle-secret", "env:SECRET"];
    let start = || WeftProcess::start_with(&mesh.mesh_file(), &more, &secret);
    let (one, other) = (start(), start());
    let balancer = Balancer::start(vec![one.address.clone(), other.address.clone()]).await;
    let bearer = balancer.log_in().await;
    let client = balancer.next(&bearer).await;
    let mut flight = client.flight.inner().clone();
    let action = arrow_flight::Action::new("SetSessionOptions", SCHEMA_SALES.to_vec());
    let answer = flight.do_action(client.request(action)).await.unwrap();
    let cookies = answer.metadata().get_all("set-cookie").iter();
    let cookie = cookies
        .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
        .find(|cookie| cookie.starts_with("weft_options="))
        .unwrap()
        .to_owned();
    let sql = "SELECT count(*) FROM orders";
    for _ in 0..4 {
        let client = balancer.next(&bearer).await.with_header("cookie", &cookie);
        assert_eq!(client.value(sql).await, "500");
    }
    // It is of this session and this user, whoever sends it.
    let another = balancer.log_in().await;
    let stolen = balancer.next(&another).await.with_header("cookie", &cookie);
    assert_eq!(stolen.fails(sql).await.code(), Code::NotFound);
    let endpoint = Endpoint::from_shared(balancer.url.clone()).unwrap();
    let bo = TestClient::basic(endpoint.connect().await.unwrap(), "bo", "pw-bo");
    let stolen = bo.with_header("cookie", &cookie);
    assert_eq!(stolen.fails(sql).await.code(), Code::NotFound);
}
