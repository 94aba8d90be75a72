//! Queries that run while access changes, with and without `--kill-on-revoke`.

use std::time::{Duration, Instant};

use arrow_flight::FlightData;
use chrono::{SecondsFormat, TimeDelta, Utc};
use futures::StreamExt;
use tonic::{Code, Status, Streaming};
use weft_engine::EngineConfig;

use super::{acting, mesh, reload};
use crate::support::{MeshDir, TestClient, TestServer, TestServerConfig};

const MANY: &str = "generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y";
const ORDERS: &str = "SELECT o.id, x.value, y.value FROM sales.orders o CROSS JOIN";

async fn start(mesh: &MeshDir, kill_on_revoke: bool) -> TestServer {
    let engine = EngineConfig {
        kill_on_revoke,
        batch_size: 1000,
        ..EngineConfig::default()
    };
    let config = TestServerConfig {
        engine,
        ..TestServerConfig::default()
    };
    TestServer::start_with(mesh, config).await
}

/// A stream that has begun and would not end for hours.
async fn endless(client: &TestClient, sql: &str) -> Streaming<FlightData> {
    let info = client.info(&format!("{sql} {MANY}")).await.unwrap();
    let redeemed = client.request(info.endpoint[0].ticket.clone().unwrap());
    let mut flight = client.flight.inner().clone();
    let mut rows = flight.do_get(redeemed).await.unwrap().into_inner();
    for _ in 0..3 {
        next(&mut rows).await.unwrap();
    }
    rows
}

/// The next message; a stream has an error before it has an end.
async fn next(rows: &mut Streaming<FlightData>) -> Result<FlightData, Status> {
    let next = tokio::time::timeout(Duration::from_secs(20), rows.next()).await;
    next.expect("the stream goes on")
        .expect("a reason for the end")
}

/// How a stream ends that is read slowly, if it does within `patience`.
async fn end(rows: &mut Streaming<FlightData>, patience: Duration) -> Option<Status> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        match next(rows).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(status) => return Some(status),
        }
    }
    None
}

async fn assert_killed(rows: &mut Streaming<FlightData>, why: &str) {
    let status = end(rows, Duration::from_secs(5)).await;
    let status = status.unwrap_or_else(|| panic!("{why}: the stream goes on"));
    assert_eq!(status.code(), Code::PermissionDenied, "{why}: {status:?}");
    let text = "access was revoked while the query ran (query ";
    assert!(status.message().starts_with(text), "{why}: {status:?}");
}

async fn assert_goes_on(rows: &mut Streaming<FlightData>, why: &str) {
    let status = end(rows, Duration::from_millis(1500)).await;
    assert!(status.is_none(), "{why}: {status:?}");
}

const GRANTS: &str = "domains/sales/grants.yaml";
const ANA: &str = "- name: ana\n      password: \"$argon2id$v=19$m=8,t=1,p=1$";

/// What changes, in which file, from what to what: all of them take something
/// from Ana's orders, and nothing from Bo's.
const CHANGES: [(&str, &str, &str, &str); 5] = [
    (
        "a row predicate",
        GRANTS,
        "columns: '*'\n    rows: \"region = session.attr('region')\"",
        "columns: '*'\n    rows: \"region = session.attr('region') AND session.user = 'bo'\"",
    ),
    (
        "an attribute",
        "mesh.yaml",
        "attributes: {region: \"EU\"}",
        "attributes: {region: \"UK\"}",
    ),
    (
        "a group",
        "mesh.yaml",
        "groups: [analysts]\n      attributes: {region: \"EU\"}",
        "groups: [others]\n      attributes: {region: \"EU\"}",
    ),
    ("the user", "mesh.yaml", "- name: ana\n", "- name: anna\n"),
    (
        "the password",
        "mesh.yaml",
        ANA,
        "- name: ana\n      password: \"$argon2id$v=19$m=16,t=1,p=1$",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_ends_what_it_takes_access_from_and_nothing_else() {
    for (what, file, from, to) in CHANGES {
        let mesh = mesh();
        let server = start(&mesh, true).await;
        let ana = server.client("ana", "pw").await;
        let mut anas = endless(&ana, ORDERS).await;
        let mut bos = endless(&server.client("bo", "pw").await, ORDERS).await;
        reload(&server).await;
        assert!(end(&mut anas, Duration::from_millis(300)).await.is_none());
        mesh.change(file, from, to);
        reload(&server).await;
        let (killed, goes_on) = (
            assert_killed(&mut anas, what),
            assert_goes_on(&mut bos, what),
        );
        futures::future::join(killed, goes_on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_and_guardrails_end_streams() {
    let mesh = mesh();
    let server = start(&mesh, true).await;
    // A connection for each stream: those that nobody reads would fill a shared one.
    let ana = async || server.client("ana", "pw").await;
    let shipping = async || ana().await.with_header("x-weft-purpose", "returns");
    let addresses = "SELECT a.street, x.value FROM sales.addresses a CROSS JOIN";
    let both = "SELECT a.street, o.id FROM sales.addresses a CROSS JOIN sales.orders o CROSS JOIN";
    let mut orders = endless(&ana().await, ORDERS).await;
    let mut streets = endless(&shipping().await, addresses).await;
    let mut joined = endless(&shipping().await, both).await;
    let mut nothing = endless(&ana().await, "SELECT x.value, y.value FROM").await;

    // A combination that was allowed no longer is; each side alone still is.
    mesh.guardrails("- name: apart\n  forbidCombine: [sales.orders, sales.addresses]");
    reload(&server).await;
    assert_killed(&mut joined, "a combination").await;
    // A guardrail on one of the tables.
    mesh.guardrails(
        "- name: veil\n  on: {tables: [sales.addresses], column: street}\n  mask: hash",
    );
    reload(&server).await;
    assert_killed(&mut streets, "a mask").await;
    assert!(end(&mut orders, Duration::from_millis(300)).await.is_none());
    let mut streets = endless(&shipping().await, addresses).await;
    let products = "SELECT s.table_name, x.value FROM system.products s CROSS JOIN";
    let mut system = endless(&ana().await, products).await;
    reload(&server).await;
    assert!(end(&mut system, Duration::from_millis(300)).await.is_none());
    // Another purpose.
    mesh.change(GRANTS, "[fulfilment, returns]", "[fulfilment]");
    reload(&server).await;
    assert_killed(&mut streets, "a purpose").await;
    // The schema `system` tells of all manifests.
    assert_killed(&mut system, "what system tells of").await;
    mesh.grants("sales", "");
    reload(&server).await;
    assert_killed(&mut orders, "the grants").await;
    // What reads no table has no access to lose but its caller's.
    assert_goes_on(&mut nothing, "no table").await;
    mesh.change("mesh.yaml", "- name: ana\n", "- name: anna\n");
    reload(&server).await;
    assert_killed(&mut nothing, "the user").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_those_they_act_for() {
    let internal = "SELECT i.note, x.value FROM sales.internal i CROSS JOIN";
    for (what, from, to, own, for_ana) in [
        (
            "may act",
            "impersonates: [\"group:analysts\"]",
            "impersonates: [\"group:others\"]",
            false,
            true,
        ),
        ("the user", "- name: ana\n", "- name: anna\n", false, true),
        ("the service", "- name: bi\n", "- name: bii\n", true, true),
        ("the token", "", "", true, true),
        // What the service itself may see is nothing to what it does for others.
        (
            "its groups",
            "groups: [robots]",
            "groups: [others]",
            true,
            false,
        ),
    ] {
        let mesh = mesh();
        let server = start(&mesh, true).await;
        let mut own_rows = endless(&server.service("token-of-bi").await, internal).await;
        let bi = acting(&server, "token-of-bi", "ana").await;
        let mut rows_for_ana = endless(&bi, ORDERS).await;
        if what == "the token" {
            // Beside the manifests: the epoch stays.
            mesh.write("secrets/bi.token", "another-token");
        } else {
            mesh.change("mesh.yaml", from, to);
        }
        reload(&server).await;
        for (killed, rows) in [(own, &mut own_rows), (for_ana, &mut rows_for_ana)] {
            if killed {
                assert_killed(rows, what).await;
            } else {
                assert_goes_on(rows, what).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_ends_streams_without_a_reload() {
    let mesh = mesh();
    let grant = |name: &str, more: &str| {
        format!("- name: {name}\n  to: [group:analysts]\n  on: orders\n  columns: '*'\n{more}")
    };
    let server = start(&mesh, true).await;
    let ana = server.client("ana", "pw").await;
    for (seconds, kept) in [(4, false), (4, true)] {
        let until = Utc::now() + TimeDelta::seconds(seconds);
        let text = until.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut grants = grant("ends", &format!("  until: {text}\n"));
        if kept {
            // The same access, by another grant: nothing is lost at the end of the first.
            grants = format!("{grants}{}", grant("stays", ""));
        }
        mesh.grants("sales", &grants);
        reload(&server).await;
        let mut rows = endless(&ana, ORDERS).await;
        assert!(Utc::now() < until, "the machine is too busy");
        let left = (until - Utc::now()).to_std().unwrap_or_default();
        let early = end(&mut rows, left.saturating_sub(Duration::from_millis(300))).await;
        assert!(early.is_none(), "{early:?}");
        if kept {
            assert_goes_on(&mut rows, "access by another grant").await;
        } else {
            assert_killed(&mut rows, "until").await;
            let late = Utc::now() - until;
            assert!(late < TimeDelta::seconds(3), "{late}");
        }
    }
}

/// Nothing but what was on its way reaches a client after its access is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_gets_no_more_than_what_was_sent() {
    let mesh = mesh();
    let server = start(&mesh, true).await;
    let ana = server.client("ana", "pw").await;
    let wide = "SELECT o.id, repeat('x', 4000) AS pad, x.value FROM sales.orders o CROSS JOIN";
    let mut rows = endless(&ana, wide).await;
    mesh.grants("sales", "");
    reload(&server).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut after = 0;
    let status = loop {
        match next(&mut rows).await {
            Ok(_) => after += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(after <= 6, "{after} messages of a megabyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_a_stream_goes_on() {
    let mesh = mesh();
    let server = start(&mesh, false).await;
    let ana = server.client("ana", "pw").await;
    let mut rows = endless(&ana, ORDERS).await;
    mesh.grants("sales", "");
    mesh.change("mesh.yaml", "- name: ana\n", "- name: anna\n");
    reload(&server).await;
    assert_goes_on(&mut rows, "without the flag").await;
}
