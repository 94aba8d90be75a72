//! Random bytes in every field of every message, and messages that were right before.

use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, CommandGetDbSchemas, CommandGetPrimaryKeys,
    CommandGetSqlInfo, CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery,
    CommandStatementQuery, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    CancelFlightInfoRequest, Criteria, FlightData, FlightDescriptor, HandshakeRequest,
    RenewFlightEndpointRequest, Ticket,
};
use bytes::Bytes;
use futures::TryStreamExt;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tonic::{Code, Status};

use super::{another_is_served, channel, seconds, seed, start};
use crate::support::TestClient;

/// Memory that may be taken beyond what the first quarter of a long run took.
const GROWTH_BYTES: u64 = 100 << 20;

/// Codes that say whose fault it was, and that it was not ours.
const ANSWERS: [Code; 9] = [
    Code::Ok,
    Code::InvalidArgument,
    Code::NotFound,
    Code::PermissionDenied,
    Code::Unauthenticated,
    Code::Unimplemented,
    Code::FailedPrecondition,
    Code::ResourceExhausted,
    Code::OutOfRange,
];

#[tokio::test]
async fn no_bytes_end_a_server_or_read_as_a_fault_of_it() {
    let seed = seed();
    eprintln!("seed {seed}");
    let (_mesh, weft) = start(&[]);
    let bo = TestClient::basic(channel(&weft).await, "bo", "pw-bo");
    let mut hostile = Hostile::new(seed, bo).await;
    let (begin, length) = (Instant::now(), Duration::from_secs(seconds()));
    let (mut sent, mut warm) = (0_u64, None);
    while begin.elapsed() < length {
        for _ in 0..200 {
            hostile.call().await;
            sent += 1;
        }
        another_is_served(&weft).await;
        if begin.elapsed() > length / 4 {
            warm.get_or_insert_with(|| weft.memory_bytes());
        }
    }
    let (warm, after) = (warm.flatten(), weft.memory_bytes());
    eprintln!("{sent} calls, memory {warm:?} then {after:?} bytes");
    assert!(sent > 200);
    if let (true, Some(warm), Some(after)) = (length.as_secs() >= 60, warm, after) {
        assert!(after < warm + GROWTH_BYTES, "{warm} bytes grew to {after}");
    }
}

struct Hostile {
    random: StdRng,
    client: TestClient,
    commands: Vec<Vec<u8>>,
    tickets: Vec<Vec<u8>>,
    actions: Vec<(&'static str, Vec<u8>)>,
    upload: Vec<FlightData>,
}

impl Hostile {
    /// What it sends was right once.
    async fn new(seed: u64, client: TestClient) -> Self {
        let sql = "SELECT id, note FROM sales.orders WHERE id = ? AND note <> ?";
        let handle = client.prepared_handle(sql).await.unwrap();
        let prepared = CommandPreparedStatementQuery {
            prepared_statement_handle: handle.clone(),
        };
        let statement = CommandStatementQuery {
            query: "SELECT region, count(*) FROM sales.orders GROUP BY region".to_owned(),
            transaction_id: None,
        };
        let info = client.command(&statement).await.unwrap();
        let endpoint = info.endpoint[0].clone();
        let ticket = endpoint.ticket.clone().unwrap();
        let tables = CommandGetTables {
            catalog: Some("acme".to_owned()),
            db_schema_filter_pattern: Some("s%".to_owned()),
            table_name_filter_pattern: Some("o\\_%".to_owned()),
            table_types: vec!["TABLE".to_owned()],
            include_schema: true,
        };
        let commands = [
            statement.as_any(),
            prepared.as_any(),
            tables.as_any(),
            CommandGetDbSchemas::default().as_any(),
            CommandGetPrimaryKeys {
                table: "orders".to_owned(),
                ..CommandGetPrimaryKeys::default()
            }
            .as_any(),
            CommandGetSqlInfo { info: vec![0, 500] }.as_any(),
            CommandGetXdbcTypeInfo { data_type: Some(4) }.as_any(),
        ];
        let commands: Vec<_> = commands.iter().map(Any::encode_to_vec).collect();
        let unknown = TicketStatementQuery {
            statement_handle: Bytes::from_static(b"none"),
        };
        let mut tickets = commands.clone();
        tickets.extend([ticket.ticket.to_vec(), unknown.as_any().encode_to_vec()]);

        let create = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let close = ActionClosePreparedStatementRequest {
            prepared_statement_handle: handle,
        };
        let cancel = ActionCancelQueryRequest {
            info: info.encode_to_vec().into(),
        };
        let actions = vec![
            ("CreatePreparedStatement", create.as_any().encode_to_vec()),
            ("ClosePreparedStatement", close.as_any().encode_to_vec()),
            ("CancelQuery", cancel.as_any().encode_to_vec()),
            (
                "CancelFlightInfo",
                CancelFlightInfoRequest::new(info).encode_to_vec(),
            ),
            (
                "RenewFlightEndpoint",
                RenewFlightEndpointRequest::new(endpoint).encode_to_vec(),
            ),
            // `session_options { key: "schema" value { string_value: "sales" } }`
            (
                "SetSessionOptions",
                b"\x0a\x11\x0a\x06schema\x12\x07\x0a\x05sales".to_vec(),
            ),
            ("GetSessionOptions", Vec::new()),
            ("CloseSession", Vec::new()),
        ];
        let columns: [(&str, ArrayRef); 2] = [
            ("1", std::sync::Arc::new(Int64Array::from(vec![Some(3)]))),
            ("2", std::sync::Arc::new(StringArray::from(vec!["x"]))),
        ];
        let row = RecordBatch::try_from_iter(columns).unwrap();
        let descriptor = FlightDescriptor::new_cmd(commands[1].clone());
        let upload = FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .with_schema(row.schema())
            .build(futures::stream::iter([Ok(row)]))
            .try_collect()
            .await
            .unwrap();
        Self {
            random: StdRng::seed_from_u64(seed),
            client,
            commands,
            tickets,
            actions,
            upload,
        }
    }

    /// One call that should fail, or does no harm.
    async fn call(&mut self) {
        let kind = self.random.random_range(0..10);
        let answer = tokio::time::timeout(Duration::from_secs(60), self.send(kind)).await;
        let answer = answer.unwrap_or_else(|_| panic!("call {kind} is not answered"));
        let code = answer.as_ref().map_or_else(Status::code, |()| Code::Ok);
        assert!(ANSWERS.contains(&code), "call {kind}: {answer:?}");
    }

    async fn send(&mut self, kind: u32) -> Result<(), Status> {
        let client = self.client.clone();
        let mut flight = client.flight.inner().clone();
        match kind {
            0 | 1 => {
                let descriptor = self.descriptor();
                let request = client.request(descriptor);
                flight.get_flight_info(request).await.map(drop)
            }
            2 => {
                let descriptor = self.descriptor();
                flight
                    .get_schema(client.request(descriptor))
                    .await
                    .map(drop)
            }
            3 => {
                let descriptor = self.descriptor();
                let request = client.request(descriptor);
                flight.poll_flight_info(request).await.map(drop)
            }
            4 | 5 => {
                let ticket = pick(&mut self.random, &self.tickets);
                let ticket = Ticket::new(spoil(&mut self.random, ticket));
                let answer = flight.do_get(client.request(ticket)).await?.into_inner();
                answer.try_collect::<Vec<_>>().await.map(drop)
            }
            6 | 7 => {
                let (name, body) = pick(&mut self.random, &self.actions);
                let body = spoil(&mut self.random, body);
                let name = if self.random.random_ratio(1, 20) {
                    String::from_utf8_lossy(&spoil(&mut self.random, name.into())).into_owned()
                } else {
                    name.to_owned()
                };
                client.action(&name, body).await.map(drop)
            }
            8 => {
                let mut upload = self.upload.clone();
                for _ in 0..self.random.random_range(1..3) {
                    self.spoil_upload(&mut upload);
                }
                let request = client.request(futures::stream::iter(upload));
                let answer = flight.do_put(request).await?.into_inner();
                answer.try_collect::<Vec<_>>().await.map(drop)
            }
            _ => {
                let payload = spoil(&mut self.random, b"\x12\x02bo\x1a\x05pw-bo".to_vec());
                let request = HandshakeRequest {
                    protocol_version: self.random.random(),
                    payload: payload.into(),
                };
                let criteria = Criteria {
                    expression: request.payload.clone(),
                };
                let listed = flight.list_flights(client.request(criteria)).await;
                assert_eq!(listed.unwrap_err().code(), Code::Unimplemented);
                let request = futures::stream::iter([request]);
                // Without a header, so that the message counts.
                flight.handshake(request).await.map(drop)
            }
        }
    }

    fn descriptor(&mut self) -> FlightDescriptor {
        let command = pick(&mut self.random, &self.commands);
        let mut descriptor = FlightDescriptor::new_cmd(spoil(&mut self.random, command));
        if self.random.random_ratio(1, 20) {
            descriptor.r#type = self.random.random();
            descriptor.path = vec![String::from("p"); self.random.random_range(0..5)];
        }
        descriptor
    }

    fn spoil_upload(&mut self, upload: &mut Vec<FlightData>) {
        let at = self.random.random_range(0..upload.len().max(1));
        let random = &mut self.random;
        match random.random_range(0..6) {
            _ if upload.is_empty() => {}
            0 => drop(upload.remove(at)),
            1 => upload.insert(at, upload[at].clone()),
            2 => upload[at].data_header = spoil(random, upload[at].data_header.to_vec()).into(),
            3 => upload[at].data_body = spoil(random, upload[at].data_body.to_vec()).into(),
            4 => upload[at].app_metadata = spoil(random, Vec::new()).into(),
            _ => {
                if let Some(descriptor) = &mut upload[at].flight_descriptor {
                    descriptor.cmd = spoil(random, descriptor.cmd.to_vec()).into();
                }
            }
        }
    }
}

fn pick<T: Clone>(random: &mut StdRng, from: &[T]) -> T {
    from[random.random_range(0..from.len())].clone()
}

/// Other bytes, made from these.
fn spoil(random: &mut StdRng, mut bytes: Vec<u8>) -> Vec<u8> {
    if random.random_ratio(1, 10) {
        let length = random.random_range(0..300);
        return (0..length).map(|_| random.random()).collect();
    }
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.random()),
            // Lengths and numbers that promise more than there is.
            2 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x07])),
            3 => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
    }
    bytes
}

#[test]
fn what_is_spoiled_differs_mostly() {
    let mut random = StdRng::seed_from_u64(1);
    let same = (0..100).filter(|_| spoil(&mut random, vec![7; 40]) == vec![7; 40]);
    assert!(same.count() < 20);
}
