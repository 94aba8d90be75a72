//! Grants that begin and end in time.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{Stored, assert_missing, batch, ints};
use crate::support::{MeshDir, TestServer};

fn mesh() -> MeshDir {
    let columns = "- {name: id, logicalType: integer, required: true}";
    let mesh = MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
        "sales",
        "",
        &[&Stored::Parquet.contract("orders", columns)],
    );
    Stored::Parquet.write(
        &mesh,
        "sales",
        "orders",
        "all",
        &batch([("id", ints([1, 2, 3]))]),
    );
    mesh
}

fn grant(name: &str, more: &str) -> String {
    format!("\n- name: {name}\n  to: [everyone]\n  on: orders\n  columns: '*'\n{more}")
}

const SQL: &str = "SELECT count(*) FROM sales.orders";

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_grant_equals_none() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let none = ana.fails(SQL).await;
    for period in [
        "  until: 2020-01-01\n",
        "  from: 2019-01-01\n  until: 2020-01-01T00:00:00+02:00\n",
        "  from: 2999-01-01\n",
    ] {
        mesh.grants("sales", &grant("it", period));
        assert!(server.live.reload().await.kept.is_empty());
        let status = ana.fails(SQL).await;
        assert_eq!(
            (status.code(), status.message()),
            (none.code(), none.message()),
            "{period}"
        );
        assert_eq!(status.details(), none.details());
    }
    for period in ["  from: 2020-01-01\n", "  until: 2999-01-01\n", ""] {
        mesh.grants("sales", &grant("it", period));
        server.live.reload().await;
        assert_eq!(ana.value(SQL).await, "3", "{period}");
    }
    // Beside one in force it adds nothing.
    mesh.grants(
        "sales",
        &(grant("now", "  rows: id = 2\n") + &grant("then", "  until: 2020-01-01\n")),
    );
    server.live.reload().await;
    assert_eq!(ana.value(SQL).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_ends_takes_handles_and_tickets_with_it() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = super::login(&server, "ana", "pw").await;
    // On a busy machine two seconds may be over before all is prepared.
    for seconds in [2, 8, 30] {
        let until = Utc::now() + TimeDelta::seconds(seconds);
        let text = until.to_rfc3339_opts(SecondsFormat::Millis, true);
        mesh.grants("sales", &grant("it", &format!("  until: {text}\n")));
        server.live.reload().await;
        let (Ok(info), Ok(mut prepared)) = (ana.info(SQL).await, ana.prepare(SQL).await) else {
            continue;
        };
        if Utc::now() >= until {
            continue;
        }
        sleep_until(until).await;
        assert_missing(&ana.fetch(&info).await.unwrap_err(), "sales.orders");
        let executed = prepared.execute().await.unwrap_err();
        assert_missing(&crate::support::status(executed), "sales.orders");
        assert_missing(&ana.fails(SQL).await, "sales.orders");
        assert_eq!(
            ana.rows("SHOW TABLES FROM sales").await,
            Vec::<String>::new()
        );
        return;
    }
    panic!("the machine was too busy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_begins_without_a_reload() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = super::login(&server, "ana", "pw").await;
    let from = Utc::now() + TimeDelta::seconds(2);
    let text = from.to_rfc3339_opts(SecondsFormat::Millis, true);
    mesh.grants("sales", &grant("it", &format!("  from: {text}\n")));
    server.live.reload().await;
    let early = ana.query(SQL).await;
    if Utc::now() < from {
        assert_missing(&early.unwrap_err(), "sales.orders");
    }
    sleep_until(from).await;
    assert_eq!(ana.value(SQL).await, "3");
}

async fn sleep_until(moment: DateTime<Utc>) {
    let left = (moment - Utc::now()).to_std().unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(20)).await;
}
