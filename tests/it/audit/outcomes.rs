//! Every way for a call to end has its record.

use std::fs;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::CommandStatementUpdate;
use arrow_flight::{CancelFlightInfoRequest, FlightData};
use futures::StreamExt;
use prost::Message;
use std::sync::Arc;
use tonic::{Code, Streaming};
use weft_audit::{AuditRecord, Kind, Outcome};
use weft_engine::EngineConfig;

use super::{HERE, ended, mesh, records, trail};
use crate::support::{TestClient, TestServer, TestServerConfig};

const ENDLESS: &str = "SELECT o.id, x.value, y.value FROM sales.orders o \
    CROSS JOIN generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y";

async fn one(server: &TestServer, sql: &str) -> AuditRecord {
    ended(server, sql, 1).await.remove(0)
}

/// A stream of which some messages have been read.
async fn begin(client: &TestClient, sql: &str, some: usize) -> Streaming<FlightData> {
    let info = client.info(sql).await.unwrap();
    let redeemed = client.request(info.endpoint[0].ticket.clone().unwrap());
    let mut flight = client.flight.inner().clone();
    let mut rows = flight.do_get(redeemed).await.unwrap().into_inner();
    for _ in 0..some {
        rows.next().await.unwrap().unwrap();
    }
    rows
}

async fn end(rows: &mut Streaming<FlightData>) -> tonic::Status {
    loop {
        match rows.next().await.expect("a reason for the end") {
            Ok(_) => {}
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_recorded_with_all_that_it_rests_on() {
    let mesh = mesh(HERE);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    let sql = "SELECT o.id FROM sales.orders o WHERE o.region = 'EU' ORDER BY 1";
    assert_eq!(ana.rows(sql).await, ["1", "3"]);
    // There is no waiting for it: it was on record before the answer was whole.
    let all = records(&server).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    let record = &all[0];
    assert_eq!(record.kind, Kind::Statement);
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.sql.as_deref(), Some(sql));
    assert_eq!(record.principal.as_deref(), Some("user:ana"));
    assert_eq!(
        (&record.acting, &record.purpose, &record.error),
        (&None, &None, &None)
    );
    assert!(record.peer.as_deref().unwrap().starts_with("127.0.0.1:"));
    assert!(record.client.as_deref().unwrap().starts_with("tonic/"));
    assert_eq!((record.rows, record.epoch), (2, Some(1)));
    assert!(record.bytes > 16 && record.query_id.is_some());
    assert!(record.duration().unwrap() < Duration::from_secs(60));
    let [table] = &record.tables[..] else {
        panic!("{record:#?}");
    };
    assert_eq!(
        (table.domain.as_str(), table.table.as_str()),
        ("sales", "orders")
    );
    assert_eq!(table.version, Some(1));
    assert_eq!(table.columns, ["id", "region"]);
    assert_eq!(table.grants, ["own-region"]);
    assert!(table.guardrails.is_empty());
    let snapshot = table.snapshot.clone().unwrap();

    // For a purpose, by a service, on newer data.
    let sql = "SELECT count(street) FROM sales.addresses, sales.orders";
    let bi = server.service("token-of-bi").await;
    let bi = bi
        .with_header("x-weft-on-behalf-of", "user:bo")
        .with_header("x-weft-purpose", "fulfilment");
    fs::copy(
        mesh.data("sales").join("orders/0.parquet"),
        mesh.data("sales").join("orders/1.parquet"),
    )
    .unwrap();
    server.live.refresh().await;
    assert_eq!(bi.value(sql).await, "6");
    let record = one(&server, sql).await;
    assert_eq!(record.principal.as_deref(), Some("user:bo"));
    assert_eq!(record.acting.as_deref(), Some("service:bi"));
    assert_eq!(record.purpose.as_deref(), Some("fulfilment"));
    let [addresses, orders] = &record.tables[..] else {
        panic!("{record:#?}");
    };
    assert_eq!(addresses.grants, ["shipping"]);
    assert_eq!(addresses.guardrails, ["veil"]);
    assert_eq!(addresses.columns, ["street"]);
    assert_ne!(orders.snapshot.as_ref(), Some(&snapshot));
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_are_recorded_when_they_run_with_what_was_bound() {
    let mesh = mesh(HERE);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    let sql = "SELECT id FROM sales.orders WHERE id = $1";
    let mut prepared = ana.prepare(sql).await.unwrap();
    assert!(records(&server).await.is_empty());
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(1)]));
    let rows = RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap();
    prepared.set_parameters(rows).unwrap();
    let info = prepared.execute().await.unwrap();
    assert_eq!(
        ana.fetch(&info)
            .await
            .unwrap()
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>(),
        2
    );
    let record = one(&server, sql).await;
    assert_eq!(
        record.parameters.as_deref(),
        Some(r#"[["3"],[null],["1"]]"#)
    );
    assert_eq!((record.rows, record.outcome), (2, Outcome::Ok));
    assert_eq!(record.tables[0].columns, ["id"]);
    // A ticket that is redeemed twice is two answers.
    ana.fetch(&info).await.unwrap();
    let both = ended(&server, sql, 2).await;
    assert_eq!(both[0].query_id, both[1].query_id);
    // An answer of no rows, and one of many messages.
    for (sql, rows) in [
        ("SELECT * FROM sales.orders WHERE id > 100", 0),
        (
            "SELECT value, repeat('x', 1000) FROM generate_series(1, 20000)",
            20_000,
        ),
    ] {
        ana.query(sql).await.unwrap();
        assert_eq!(one(&server, sql).await.rows, rows, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_statements_are_recorded_with_the_tables_that_they_named() {
    let mesh = mesh(HERE);
    mesh.guardrails("- name: apart\n  forbidCombine: [sales.orders, sales.addresses]");
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    let cy = server.client("cy", "pw-of-cy").await;
    for (client, sql, code, tables) in [
        (&ana, "SELEC 1", "InvalidArgument", &[][..]),
        (
            &ana,
            "SELECT nothing FROM sales.orders",
            "InvalidArgument",
            &["sales.orders"],
        ),
        (
            &cy,
            "SELECT * FROM sales.orders, hr.\"Staff\"",
            "NotFound",
            &["hr.Staff", "sales.orders"],
        ),
        (&ana, "SELECT * FROM nowhere", "NotFound", &[".nowhere"]),
        (&ana, "DROP TABLE sales.orders", "PermissionDenied", &[]),
    ] {
        client.fails(sql).await;
        let record = one(&server, sql).await;
        assert_eq!(
            (record.kind, record.outcome),
            (Kind::Plan, Outcome::Refused),
            "{sql}"
        );
        assert_eq!(record.code.as_deref(), Some(code), "{sql}");
        assert!(record.error.is_some() && record.rows == 0);
        let named = record.tables.iter();
        let named: Vec<_> = named
            .map(|table| format!("{}.{}", table.domain, table.table))
            .collect();
        assert_eq!(named, tables, "{sql}");
        assert!(record.tables.iter().all(|table| table.grants.is_empty()));
    }
    let both = "SELECT 1 FROM sales.orders, sales.addresses";
    let shipping = ana.clone().with_header("x-weft-purpose", "fulfilment");
    assert_eq!(shipping.fails(both).await.code(), Code::PermissionDenied);
    let record = one(&server, both).await;
    assert!(record.error.unwrap().contains("guardrail `apart`"));
    assert_eq!(record.tables.len(), 2);

    // A statement whose access ended between plan and run.
    let sql = "SELECT max(id) FROM sales.orders";
    let info = ana.info(sql).await.unwrap();
    mesh.grants("sales", "");
    server.live.reload().await;
    ana.fetch(&info).await.unwrap_err();
    let record = one(&server, sql).await;
    assert_eq!(
        (record.kind, record.outcome),
        (Kind::Statement, Outcome::Refused)
    );
    assert!(record.query_id.is_some());
    assert_eq!(record.epoch, Some(2));

    let sql = "SELECT a FROM b";
    ana.prepare(sql).await.unwrap_err();
    assert_eq!(one(&server, sql).await.kind, Kind::Prepare);
    let long = format!("SELECT '{}'", "x".repeat(2 << 20));
    ana.fails(&long).await;
    let all = records(&server).await;
    let long = all.iter().filter_map(|record| record.sql.as_ref());
    assert_eq!(
        long.map(String::len).max(),
        Some((1 << 20) + '…'.len_utf8())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_is_recorded_as_whom_they_said_to_be() {
    let mesh = mesh(HERE);
    let server = TestServer::start(&mesh).await;
    let channel = server.channel().await;
    let cases = [
        (TestClient::anonymous(channel.clone()), None, None),
        (
            TestClient::basic(channel.clone(), "ana", "hunter2"),
            Some("ana"),
            None,
        ),
        (
            // Who may be a token that stands in the wrong place.
            TestClient::basic(channel.clone(), "nobody", "hunter2"),
            Some("unknown"),
            None,
        ),
        (TestClient::bearer(channel.clone(), "hunter2"), None, None),
        (
            TestClient::bearer(channel.clone(), "token-of-bi")
                .with_header("x-weft-on-behalf-of", "user:cy"),
            Some("user:cy"),
            Some("service:bi"),
        ),
    ];
    for (number, (client, claimed, acting)) in cases.iter().enumerate() {
        client.fails("SELECT 1").await;
        let all = records(&server).await;
        assert_eq!(all.len(), number + 1);
        let record = &all[number];
        assert_eq!(
            (record.kind, record.outcome),
            (Kind::Login, Outcome::Refused)
        );
        assert_eq!(record.claimed.as_deref(), *claimed);
        assert_eq!(record.acting.as_deref(), *acting);
        assert!(record.principal.is_none() && record.peer.is_some());
    }
    let mut client = TestClient::anonymous(channel.clone());
    client.flight.handshake("ana", "hunter2").await.unwrap_err();
    assert_eq!(
        records(&server).await.last().unwrap().claimed.as_deref(),
        Some("ana")
    );

    // Anybody can be refused: a flood of it is counted.
    let flood = TestClient::bearer(channel, "hunter2");
    for _ in 0..300 {
        flood.fails("SELECT 1").await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    flood.fails("SELECT 1").await;
    let all = records(&server).await;
    let left_out: u64 = all.iter().map(|record| record.left_out).sum();
    assert!(all.len() < 200, "{}", all.len());
    assert_eq!(all.len() as u64 + left_out, 6 + 301);

    // Nothing that they presented is anywhere.
    server
        .client("ana", "pw-of-ana")
        .await
        .query("SELECT 1")
        .await
        .unwrap();
    trail(&server).close();
    for entry in fs::read_dir(mesh.path("audit")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for secret in ["hunter2", "token-of-bi", "pw-of-ana"] {
            assert!(
                !bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes())
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_is_stopped_says_how() {
    let mesh = mesh(HERE);
    let config = TestServerConfig {
        engine: EngineConfig {
            kill_on_revoke: true,
            batch_size: 1000,
            ..EngineConfig::default()
        },
        drain: Some(Duration::from_millis(100)),
        ..TestServerConfig::default()
    };
    let mut server = TestServer::start_with(&mesh, config).await;
    let ana = async || server.client("ana", "pw-of-ana").await;

    let fails = "SELECT 1 / (id - 3) FROM sales.orders";
    ana().await.fails(fails).await;
    let record = one(&server, fails).await;
    assert_eq!((record.outcome, record.rows), (Outcome::Error, 0));
    assert_eq!(record.code.as_deref(), Some("InvalidArgument"));

    // Cancelled by an action.
    let client = ana().await;
    let cancelled = format!("{ENDLESS} -- cancelled");
    let info = client.info(&cancelled).await.unwrap();
    let redeemed = client.request(info.endpoint[0].ticket.clone().unwrap());
    let mut rows = client
        .flight
        .inner()
        .clone()
        .do_get(redeemed)
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        rows.next().await.unwrap().unwrap();
    }
    let body = CancelFlightInfoRequest::new(info).encode_to_vec();
    ana().await.action("CancelFlightInfo", body).await.unwrap();
    assert_eq!(end(&mut rows).await.code(), Code::Cancelled);
    let record = one(&server, &cancelled).await;
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert!(record.rows >= 1000 && record.error.unwrap().contains("cancelled"));

    // The client goes away.
    let gone = format!("{ENDLESS} -- gone");
    drop(begin(&ana().await, &gone, 3).await);
    let record = one(&server, &gone).await;
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert_eq!(record.error.as_deref(), Some("the client went away"));

    // The time is over.
    let late = format!("{ENDLESS} -- late");
    let hurried = ana().await.with_header("x-weft-statement-timeout", "300ms");
    assert_eq!(
        end(&mut begin(&hurried, &late, 0).await).await.code(),
        Code::DeadlineExceeded
    );
    assert_eq!(one(&server, &late).await.outcome, Outcome::TimedOut);

    // The server stops.
    let stopped = format!("{ENDLESS} -- stopped");
    let revoked = format!("{ENDLESS} -- revoked");
    let mut rows = begin(&ana().await, &revoked, 3).await;
    mesh.change("mesh.yaml", "region: \"EU\"", "region: \"UK\"");
    server.live.reload().await;
    assert_eq!(end(&mut rows).await.code(), Code::PermissionDenied);
    assert_eq!(one(&server, &revoked).await.outcome, Outcome::Revoked);

    let bo = server.client("bo", "pw-of-bo").await;
    let mut rows = begin(&bo, &stopped, 3).await;
    let running = records(&server).await;
    let running = running
        .iter()
        .find(|record| record.sql.as_deref() == Some(&stopped));
    assert_eq!(running.unwrap().outcome, Outcome::Running);
    server.begin_stop();
    assert_eq!(end(&mut rows).await.code(), Code::Unavailable);
    let record = one(&server, &stopped).await;
    assert_eq!(record.outcome, Outcome::Interrupted);
    assert_eq!(record.error.as_deref(), Some("the server is stopping"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_is_seen_before_it_has_a_row() {
    let mesh = mesh(HERE);
    let server = TestServer::start(&mesh).await;
    let long = format!("SELECT count(*) FROM ({ENDLESS})");
    let rows = begin(&server.client("ana", "pw-of-ana").await, &long, 0).await;
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen = records(&server).await;
        if !seen.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert_eq!(seen[0].outcome, Outcome::Running);
    assert_eq!(seen[0].sql.as_deref(), Some(long.as_str()));
    drop(rows);
    assert_eq!(one(&server, &long).await.outcome, Outcome::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_nobody_may_make_are_recorded() {
    let mesh = mesh(HERE);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw-of-ana").await;
    ana.action("Nonsense", vec![]).await.unwrap_err();
    let update = CommandStatementUpdate {
        query: "DELETE FROM sales.orders".to_owned(),
        transaction_id: None,
    };
    ana.command(&update).await.unwrap_err();
    let mut flight = ana.flight.inner().clone();
    let criteria = ana.request(arrow_flight::Criteria::default());
    flight.list_flights(criteria).await.unwrap_err();
    let all = records(&server).await;
    let kinds: Vec<_> = all
        .iter()
        .map(|record| (record.kind, record.outcome))
        .collect();
    let refused = |kind| (kind, Outcome::Refused);
    assert_eq!(
        kinds,
        [
            refused(Kind::Call),
            refused(Kind::Plan),
            refused(Kind::Call)
        ]
    );
    assert!(
        all.iter()
            .all(|record| record.principal.as_deref() == Some("user:ana"))
    );
}
