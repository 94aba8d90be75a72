//! Many statements at once: who runs, who waits, and what those are told who wait in vain.

use std::time::Duration;

use futures::StreamExt;
use tonic::Code;
use weft_engine::EngineConfig;

use crate::protocol::mesh;
use crate::support::{MeshDir, TestClient, TestServer, TestServerConfig};

/// Computes for longer than any test, without a row.
const HEAVY: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, \
    generate_series(1, 1000000) b";

async fn start(engine: EngineConfig) -> (MeshDir, TestServer) {
    let mesh = mesh();
    let config = TestServerConfig {
        engine,
        ..TestServerConfig::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    (mesh, server)
}

/// Asks, and does not wait for the answer.
fn in_background(client: &TestClient, sql: &'static str) -> tokio::task::JoinHandle<Code> {
    let client = client.clone();
    #[expect(clippy::disallowed_methods, reason = "the test ends it")]
    tokio::spawn(async move {
        client
            .query(sql)
            .await
            .map_or_else(|it| it.code(), |_| Code::Ok)
    })
}

#[tokio::test]
async fn one_who_asks_much_leaves_turns_for_others() {
    let (_mesh, server) = start(EngineConfig {
        statements: 2,
        ..EngineConfig::default()
    })
    .await;
    let ana = server.client("ana", "pw-ana").await;
    let heavy: Vec<_> = (0..8).map(|_| in_background(&ana, HEAVY)).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let bo = server.client("bo", "pw-bo").await;
    for _ in 0..3 {
        let answer = bo.value("SELECT sum(salary) FROM hr.people");
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        assert_eq!(answer.expect("bo does not wait for ana"), "300");
    }
    for statement in heavy {
        statement.abort();
    }
    // What was given up gives its turn back.
    let answer = ana.value("SELECT count(*) FROM sales.orders");
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
    assert_eq!(answer.expect("ana has her turn again"), "500");
}

#[tokio::test]
async fn who_waits_in_vain_is_told_to_try_again() {
    let (_mesh, server) = start(EngineConfig {
        statements: 1,
        waiting_statements: 1,
        queue_timeout: Duration::from_secs(2),
        ..EngineConfig::default()
    })
    .await;
    let ana = server.client("ana", "pw-ana").await;
    let running = in_background(&ana, HEAVY);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let waiting = in_background(&ana, HEAVY);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let bo = server.client("bo", "pw-bo").await;
    let refused = bo.fails(HEAVY).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("and 1 wait"), "{refused:?}");
    assert_eq!(waiting.await.unwrap(), Code::Unavailable);
    let late = bo.fails(HEAVY).await;
    assert_eq!(late.code(), Code::Unavailable, "{late:?}");
    assert!(late.message().contains("waited 2 s"), "{late:?}");
    // Nothing of a table needs no turn: catalogs are shown, tickets made.
    assert!(bo.info("SELECT sum(salary) FROM hr.people").await.is_ok());
    running.abort();
}

#[tokio::test]
async fn a_short_question_does_not_wait_behind_long_ones() {
    let (_mesh, server) = start(EngineConfig {
        statements: 1,
        quick_time: Duration::from_millis(1500),
        ..EngineConfig::default()
    })
    .await;
    let ana = server.client("ana", "pw-ana").await;
    let heavy: Vec<_> = (0..3).map(|_| in_background(&ana, HEAVY)).collect();
    tokio::time::sleep(Duration::from_secs(6)).await;
    for _ in 0..3 {
        // Whoever asks: her own long ones are no reason to wait.
        let answer = ana.value("SELECT count(*) FROM sales.orders");
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        assert_eq!(answer.expect("it waits"), "500");
    }
    for statement in heavy {
        assert!(!statement.is_finished());
        statement.abort();
    }
}

#[tokio::test]
async fn a_reader_that_stops_holds_no_turn() {
    let (_mesh, server) = start(EngineConfig {
        statements: 1,
        queue_timeout: Duration::from_secs(5),
        ..EngineConfig::default()
    })
    .await;
    let ana = server.client("ana", "pw-ana").await;
    let sql = "SELECT a.id, b.id, c.id, repeat('x', 1000) FROM sales.orders a \
        CROSS JOIN sales.orders b CROSS JOIN sales.orders c";
    let info = ana.info(sql).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut flight = ana.flight.inner().clone();
    let answer = flight.do_get(ana.request(ticket)).await.unwrap();
    let mut rows = answer.into_inner();
    rows.next().await.unwrap().unwrap();
    let bo = server.client("bo", "pw-bo").await;
    assert_eq!(bo.value("SELECT sum(salary) FROM hr.people").await, "300");
    for _ in 0..10 {
        rows.next().await.unwrap().unwrap();
    }
    assert_eq!(bo.value("SELECT sum(salary) FROM hr.people").await, "300");
}
