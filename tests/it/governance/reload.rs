//! Grants that change while they are in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, StringArray};
use futures::TryStreamExt;
use tonic::Code;
use weft_engine::EngineConfig;

use super::{Stored, assert_missing, batch, ints, login, texts};
use crate::support::{MeshDir, TestServer, TestServerConfig, parquet};

const COLUMNS: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: pad, logicalType: string}
";
const EVERYTHING: &str = "
- name: it
  to: [\"user:ana\", \"user:bo\"]
  on: orders
  columns: '*'
";
const EUROPE: &str = "
- name: it
  to: [\"user:ana\", \"user:bo\"]
  on: orders
  columns: [id, region]
  rows: region = 'EU'
";

fn mesh() -> MeshDir {
    let mesh = MeshDir::new("acme")
        .user("ana", "pw", &[], &[])
        .user("bo", "pw", &[], &[])
        .domain(
            "sales",
            EVERYTHING,
            &[&Stored::Parquet.contract("orders", COLUMNS)],
        );
    let rows = batch([
        ("id", ints([1, 2, 3])),
        ("region", texts(["EU", "US", "EU"])),
        ("pad", texts(["a", "b", "c"])),
    ]);
    Stored::Parquet.write(&mesh, "sales", "orders", "all", &rows);
    mesh
}

const MANY: i64 = 40_000;

/// Forty megabytes, of which a stream that nobody reads holds a few.
fn large() -> MeshDir {
    let mesh = mesh();
    let rows = batch([
        ("id", Arc::new(Int64Array::from_iter_values(0..MANY))),
        (
            "region",
            Arc::new(StringArray::from_iter_values(
                (0..MANY).map(|i| if i % 2 == 0 { "EU" } else { "US" }),
            )),
        ),
        (
            "pad",
            Arc::new(StringArray::from_iter_values(
                (0..MANY).map(|i| format!("{i:01000}")),
            )),
        ),
    ]);
    parquet(
        &mesh.data("sales").join("orders/all.parquet"),
        &[rows],
        1000,
    );
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_finishes_on_its_snapshot_and_the_next_sees_the_new_grants() {
    for after in [EUROPE, ""] {
        let mesh = large();
        let engine = EngineConfig {
            target_partitions: 1,
            batch_size: 500,
            ..EngineConfig::default()
        };
        let server = TestServer::start_with(
            &mesh,
            TestServerConfig {
                engine,
                ..Default::default()
            },
        )
        .await;
        let ana = server.client("ana", "pw").await;

        let info = ana
            .info("SELECT id, region, pad FROM sales.orders")
            .await
            .unwrap();
        let mut flight = ana.flight.clone();
        let mut running = flight
            .do_get(info.endpoint[0].ticket.clone().unwrap())
            .await
            .unwrap();
        let first = running.try_next().await.unwrap().unwrap();
        assert!(
            first.num_rows() < 5000,
            "most of the rows are still to come"
        );

        let before = server.live.snapshot().epoch();
        mesh.grants("sales", after);
        let report = server.live.reload().await;
        assert!(report.applied && report.kept.is_empty() && report.epoch > before);

        // The same ticket is planned anew: its columns are others, or gone.
        let again = ana
            .redeem(info.endpoint[0].ticket.clone().unwrap())
            .await
            .unwrap_err();
        let sql = "SELECT count(*), max(region) FROM sales.orders";
        if after.is_empty() {
            assert_missing(&ana.fails(sql).await, "sales.orders");
            assert_missing(&again, "sales.orders");
        } else {
            assert_eq!(ana.rows(sql).await, [format!("{}|EU", MANY / 2)]);
            assert!(
                again.message().starts_with("column `pad` does not exist"),
                "{again}"
            );
        }

        let mut rows = first.num_rows();
        let mut last = String::new();
        while let Some(batch) = running.try_next().await.unwrap() {
            rows += batch.num_rows();
            last = crate::support::cells(&[batch.slice(batch.num_rows() - 1, 1)])[0].clone();
        }
        assert_eq!(rows, usize::try_from(MANY).unwrap());
        assert!(last.starts_with("39999|US|000"), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_grants_file_leaves_the_last_good_one_in_force() {
    let broken = [
        (
            "- name: it\n  to: [everyone]\n  on: orders\n  columns: '*'\n  row: x",
            "unknown-key",
            "`row`",
        ),
        ("- name: it\n  to: [everyone", "yaml", ""),
        (
            "- name: it\n  to: [everybody]\n  on: orders\n  columns: '*'",
            "grantee",
            "everybody",
        ),
        (
            "- name: it\n  to: [everyone]\n  on: ordres\n  columns: '*'",
            "unknown-table",
            "`ordres`",
        ),
    ];
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let sql = "SELECT count(*) FROM sales.orders";
    mesh.grants("sales", EUROPE);
    server.live.reload().await;
    for (grants, rule, part) in broken {
        mesh.grants("sales", grants);
        let report = server.live.reload().await;
        assert_eq!(report.kept, ["sales"], "{grants}");
        let fault = report.faults.iter().find(|fault| fault.is_error()).unwrap();
        let text = fault.to_string();
        assert!(text.contains("domains/sales/grants.yaml:"), "{text}");
        assert!(
            rule == "yaml" || text.contains(&format!("error[{rule}]")),
            "{text}"
        );
        assert!(text.contains(part), "{text}");
        assert_eq!(ana.value(sql).await, "2", "the last good grants: {grants}");

        // `weft check` reads the same files and says so too.
        let checked = weft_mesh::load(&mesh.mesh_file());
        let domains: Vec<_> = checked
            .domains
            .iter()
            .filter_map(|load| load.domain.as_deref())
            .collect();
        let faulty = domains
            .iter()
            .any(|domain| weft_policy::DomainPolicy::compile(domain, &domains).is_err());
        assert!(checked.has_errors() || faulty, "{grants}");
    }
    mesh.grants("sales", EVERYTHING);
    let report = server.live.reload().await;
    assert!(
        report.kept.is_empty() && report.faults.iter().all(|fault| !fault.is_error()),
        "{:?}",
        report.faults
    );
    assert_eq!(ana.value(sql).await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_files_is_seen_without_being_told() {
    let mesh = mesh();
    let config = TestServerConfig {
        refresh: Some(Duration::from_millis(500)),
        ..Default::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    let ana = server.client("ana", "pw").await;
    let sql = "SELECT count(*) FROM sales.orders";
    assert_eq!(ana.value(sql).await, "3");

    mesh.grants("sales", EUROPE);
    eventually(async || ana.value(sql).await == "2").await;
    mesh.grants("sales", "- name: [broken");
    let rows = batch([
        ("id", ints([7])),
        ("region", texts(["EU"])),
        ("pad", texts(["g"])),
    ]);
    Stored::Parquet.write(&mesh, "sales", "orders", "more", &rows);
    eventually(async || ana.value(sql).await == "3").await;
    mesh.grants("sales", EVERYTHING);
    eventually(async || ana.value(sql).await == "4").await;
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it did not happen in time"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_user_does_not_go_on_with_his_session() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bo = login(&server, "bo", "pw").await;
    let with_password = server.client("bo", "pw").await;
    let ana = login(&server, "ana", "pw").await;
    let sql = "SELECT count(*) FROM sales.orders";
    assert_eq!(bo.value(sql).await, "3");
    assert_eq!(with_password.value(sql).await, "3");
    let ticket = bo.info(sql).await.unwrap();
    let mut prepared = bo.prepare(sql).await.unwrap();

    let manifest = std::fs::read_to_string(mesh.mesh_file()).unwrap();
    let at = manifest.find("    - name: bo").unwrap();
    mesh.mesh_yaml(&manifest[..at]);
    assert!(server.live.reload().await.applied);
    let status = bo.fails(sql).await;
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "the session has ended: log in again")
    );
    assert_eq!(
        bo.fetch(&ticket).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let executed = prepared.execute().await.unwrap_err();
    assert!(
        executed.to_string().contains("the session has ended"),
        "{executed}"
    );
    let status = with_password.fails(sql).await;
    assert_eq!(status.message(), "user name or password is wrong");
    assert_eq!(ana.value(sql).await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_sessions_and_a_changed_group_is_effective_at_once() {
    let mesh = mesh().user("cyd", "pw", &["sellers"], &[]);
    mesh.grants(
        "sales",
        "- name: it\n  to: [\"group:sellers\"]\n  on: orders\n  columns: '*'",
    );
    let server = TestServer::start(&mesh).await;
    let cyd = login(&server, "cyd", "pw").await;
    let sql = "SELECT count(*) FROM sales.orders";
    assert_eq!(cyd.value(sql).await, "3");

    let manifest = std::fs::read_to_string(mesh.mesh_file()).unwrap();
    mesh.mesh_yaml(&manifest.replace("[sellers]", "[buyers]"));
    server.live.reload().await;
    assert_missing(&cyd.fails(sql).await, "sales.orders");
    mesh.mesh_yaml(&manifest);
    server.live.reload().await;
    assert_eq!(cyd.value(sql).await, "3");

    let other = MeshDir::new("other").user("cyd", "another", &[], &[]);
    let other = std::fs::read_to_string(other.mesh_file()).unwrap();
    let phc = |text: &str| {
        text.lines()
            .rfind(|line| line.contains("password:"))
            .unwrap()
            .to_owned()
    };
    let at = manifest.find("    - name: cyd").unwrap();
    let changed = manifest[at..].replace(&phc(&manifest), &phc(&other));
    mesh.mesh_yaml(&format!("{}{changed}", &manifest[..at]));
    server.live.reload().await;
    assert_eq!(
        cyd.fails(sql).await.message(),
        "the session has ended: log in again"
    );
    assert_eq!(
        server.client("cyd", "pw").await.fails(sql).await.code(),
        Code::Unauthenticated
    );
    assert_eq!(server.client("cyd", "another").await.value(sql).await, "3");
}

/// Whoever writes the data does not decide which grants are in force.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_gone_holds_no_revocation_back() {
    use std::{fs, os::unix::fs::symlink};
    let other = "- {name: id, logicalType: integer}";
    type Spoil = fn(&std::path::Path);
    let spoil: [(&str, Spoil); 4] = [
        ("a folder is removed", |data| {
            fs::remove_dir_all(data.join("other")).unwrap();
        }),
        ("a folder becomes a link", |data| {
            fs::remove_dir_all(data.join("other")).unwrap();
            symlink("/etc", data.join("other")).unwrap();
        }),
        ("a file is a link", |data| {
            symlink("/etc/passwd", data.join("other/link.parquet")).unwrap();
        }),
        ("the storage is removed", |data| {
            fs::remove_dir_all(data).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let mesh = MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
            "sales",
            "- {name: it, to: [\"user:ana\"], on: \"*\", columns: '*'}",
            &[
                &Stored::Parquet.contract("orders", COLUMNS),
                &Stored::Parquet.contract("other", other),
            ],
        );
        let rows = batch([
            ("id", ints([1])),
            ("region", texts(["EU"])),
            ("pad", texts(["a"])),
        ]);
        Stored::Parquet.write(&mesh, "sales", "orders", "all", &rows);
        let one = batch([("id", ints([1]))]);
        Stored::Parquet.write(&mesh, "sales", "other", "all", &one);
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        assert_eq!(ana.value("SELECT count(*) FROM sales.orders").await, "1");
        spoil(&mesh.data("sales"));
        // Nor does it take a domain down that starts with it.
        let again = TestServer::start(&mesh).await;
        let found = again.client("ana", "pw").await;
        let orders = found.query("SELECT count(*) FROM sales.orders").await;
        assert_eq!(orders.is_ok(), what != "the storage is removed", "{what}");
        mesh.grants("sales", "");
        for server in [&server, &again] {
            let report = server.live.reload().await;
            assert!(
                report.applied && report.kept.is_empty(),
                "{what}: {report:?}"
            );
            let ana = server.client("ana", "pw").await;
            let status = ana.fails("SELECT count(*) FROM sales.orders").await;
            assert_missing(&status, "sales.orders");
        }
    }
}
