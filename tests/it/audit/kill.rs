//! SIGKILL under load: whatever a client had whole is on record, and every file is readable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use super::{archived, mesh_of};
use crate::support::{TestClient, WeftProcess};

const KILLS: u64 = 50;
const CLIENTS: u64 = 6;
/// With a server that is slow to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients of all servers share.
#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    answered: AtomicU64,
}

/// Asks until the server is gone; the statements whose answers were whole.
async fn ask(url: String, counts: Arc<Counts>) -> Vec<String> {
    let mut whole = Vec::new();
    let Ok(channel) = Endpoint::from_shared(url).unwrap().connect().await else {
        return whole;
    };
    let client = TestClient::basic(channel, "ana", "pw-of-ana");
    loop {
        let number = counts.asked.fetch_add(1, Ordering::Relaxed);
        // Answers of no message, of one, and of several.
        let sql = match number % 3 {
            0 => format!(
                "SELECT * FROM sales.orders WHERE id = {} -- {number}",
                number % 3000
            ),
            1 => format!("SELECT * FROM sales.orders WHERE id < 0 -- {number}"),
            _ => format!("SELECT *, repeat(region, 200) FROM sales.orders -- {number}"),
        };
        match client.query(&sql).await {
            Ok(_) => {
                counts.answered.fetch_add(1, Ordering::Relaxed);
                whole.push(sql);
            }
            Err(_) => return whole,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_no_record_of_an_answer() {
    // A journal a second, so that kills meet with archiving as well.
    let mesh = mesh_of(
        "audit: {url: ./audit/, rotate: {every: 1s, size: 64KiB}}",
        3_000,
    );
    let counts = Arc::new(Counts::default());
    let mut whole = Vec::new();
    for kill in 0..KILLS {
        let mut weft = WeftProcess::start(&mesh.mesh_file());
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(ask(format!("http://{}", weft.address), Arc::clone(&counts)));
        }
        // Somewhere in the middle of what they do, however fast the machine is.
        let wanted = counts.answered.load(Ordering::Relaxed) + 2 + kill % 7;
        let begun = Instant::now();
        while counts.answered.load(Ordering::Relaxed) < wanted && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(kill * 1709 % 20_000)).await;
        weft.kill();
        for answered in clients.join_all().await {
            whole.extend(answered);
        }
    }
    let mut last = WeftProcess::start(&mesh.mesh_file());
    assert_eq!(last.stop("-TERM"), Some(0));

    let folder = mesh.path("audit");
    let recorded = archived(&folder);
    let of = |outcome: &str| recorded.iter().filter(|(_, it)| it == outcome).count();
    eprintln!(
        "{} answers were whole; {} records are ok, {} interrupted",
        whole.len(),
        of("ok"),
        of("interrupted")
    );
    assert!(whole.len() as u64 > 2 * KILLS, "{} answers", whole.len());
    let mut ok: Vec<&str> = recorded
        .iter()
        .filter(|(_, outcome)| outcome == "ok")
        .map(|(sql, _)| sql.as_str())
        .collect();
    ok.sort_unstable();
    let before = ok.len();
    ok.dedup();
    assert_eq!(before, ok.len(), "a record is there twice");
    for sql in &whole {
        assert!(
            ok.binary_search(&sql.as_str()).is_ok(),
            "`{sql}` was answered, and is not on record"
        );
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.ends_with(".parquet") && !name.starts_with('.'),
            "`{name}` is left over"
        );
    }
}
