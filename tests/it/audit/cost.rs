//! What the trail costs: point queries of many clients, with it and without, in turns.
//!
//! Run it alone: `cargo test --test it audit::cost -- --ignored --nocapture`, and with
//! `--release` for numbers that mean something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{HERE, mesh_of};
use crate::support::{TestServer, TestServerConfig};

const CLIENTS: usize = 32;
const TURNS: usize = 12;
const TURN: Duration = Duration::from_secs(4);

/// What one turn shows.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// Answers a second.
    rate: f64,
    /// Microseconds of processor time for each, clients and all.
    work: f64,
}

async fn turn(server: &TestServer) -> Turn {
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = server.client("ana", "pw-of-ana").await;
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        clients.spawn(async move {
            let mut id = number;
            while !stop.load(Ordering::Relaxed) {
                id = (id * 31 + 7) % 10_000;
                let sql = format!("SELECT id, region FROM sales.orders WHERE id = {id}");
                client.query(&sql).await.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (begun, worked) = (Instant::now(), processor_time());
    let before = answered.load(Ordering::Relaxed);
    tokio::time::sleep(TURN).await;
    let count = (answered.load(Ordering::Relaxed) - before) as f64;
    let turn = Turn {
        rate: count / begun.elapsed().as_secs_f64(),
        work: (processor_time() - worked) * 1e6 / count,
    };
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    turn
}

/// Seconds that this process has worked, in the kernel too.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // User and system time, in hundredths of a second.
    let of = |field: usize| fields[field].parse::<f64>().unwrap() / 100.0;
    of(11) + of(12)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes, and the machine for itself"]
async fn what_point_queries_pay() {
    let mesh = mesh_of(HERE, 10_000);
    let without = TestServerConfig {
        unaudited: true,
        ..TestServerConfig::default()
    };
    let with = TestServer::start(&mesh).await;
    let without = TestServer::start_with(&mesh, without).await;
    turn(&with).await;
    turn(&without).await;
    let (mut rates, mut works) = (Vec::new(), Vec::new());
    for number in 0..TURNS {
        // Who is first changes, so that a machine that grows slower favours neither.
        let (with, without) = if number % 2 == 0 {
            let with = turn(&with).await;
            (with, turn(&without).await)
        } else {
            let without = turn(&without).await;
            (turn(&with).await, without)
        };
        eprintln!("with {with:?}, without {without:?}");
        rates.push(with.rate / without.rate);
        works.push(with.work / without.work);
    }
    eprintln!(
        "with the trail: {:.4} of the answers a second, {:.4} of the work for each (medians of {TURNS})",
        median(rates),
        median(works)
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
