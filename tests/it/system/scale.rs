//! A mesh of 1,000 tables and 100,000 grants: what is known is worked out while
//! one waits.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{ints, texts};
use crate::support::{MeshDir, TestServer, contract, parquet};
use arrow::array::RecordBatch;

const DOMAINS: usize = 10;
const TABLES: usize = 100;
const GRANTS: usize = 10_000;

/// Every grant is on one table; every hundredth names ana or one of her groups.
fn grants(domain: usize) -> String {
    let mut yaml = String::new();
    for number in 0..GRANTS {
        let to = match number % 100 {
            0 => "user:ana".to_owned(),
            50 => "group:analysts".to_owned(),
            _ => format!("group:g{}", number % 977),
        };
        writeln!(
            yaml,
            "- {{name: g{number}, to: [{to:?}], on: t{}, columns: [id, c1], rows: \"id > {}\"}}",
            (number / 7 + domain) % TABLES,
            number % 13
        )
        .unwrap();
    }
    yaml.push_str("- {name: window, to: [everyone], on: \"*\", discover: true}\n");
    yaml
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it with `--ignored --nocapture`"]
async fn a_large_mesh_is_known_while_one_waits() {
    let mut columns = "- {name: id, logicalType: integer}\n".to_owned();
    for number in 1..20 {
        writeln!(
            columns,
            "- {{name: c{number}, logicalType: string, tags: [t{number}]}}"
        )
        .unwrap();
    }
    let contracts: Vec<String> = (0..TABLES)
        .map(|table| {
            contract(
                &format!("t{table}"),
                "parquet",
                "data/all.parquet",
                &columns,
            )
        })
        .collect();
    let contracts: Vec<&str> = contracts.iter().map(String::as_str).collect();
    let mut mesh = MeshDir::new("acme")
        .with_head("auditors: [\"user:aud\"]")
        .user("ana", "pw", &["analysts"], &[])
        .user("aud", "pw", &[], &[]);
    for domain in 0..DOMAINS {
        let name = format!("d{domain}");
        let rows = RecordBatch::try_from_iter([("id", ints(&[1])), ("c1", texts(&["x"]))]);
        std::fs::create_dir_all(mesh.data(&name)).unwrap();
        parquet(&mesh.data(&name).join("all.parquet"), &[rows.unwrap()], 1);
        mesh = mesh.domain(&name, &grants(domain), &contracts);
    }
    let start = Instant::now();
    let server = TestServer::start(&mesh).await;
    eprintln!("started in {:?}", start.elapsed());
    for (user, sql) in [
        ("ana", "SELECT 1"),
        ("ana", "SELECT count(*) FROM system.products"),
        ("ana", "SELECT count(*) FROM system.columns"),
        ("ana", "SELECT count(*) FROM system.grants"),
        ("aud", "SELECT count(*) FROM system.products"),
        ("aud", "SELECT count(*) FROM system.grants"),
        ("aud", "SELECT grant_name FROM system.grants LIMIT 1"),
        ("ana", "SELECT count(*) FROM information_schema.columns"),
    ] {
        let client = server.client(user, "pw").await;
        client.value("SELECT 1").await;
        let start = Instant::now();
        let answer = client.value(sql).await;
        let took = start.elapsed();
        eprintln!("{user}: {sql}: {answer} in {took:?}");
        assert!(took < Duration::from_secs(10), "{sql}");
    }
}
