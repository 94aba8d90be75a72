//! Statements that are too much: a clear refusal, and a server that lives on.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tonic::Code;

use super::assert_alive;
use super::names::mesh;
use crate::support::TestServer;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_are_too_large_or_too_deep() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let chain = |part: &str, times: usize| part.repeat(times);
    // Whoever has not logged in sends less.
    assert_alive(&ana).await;
    for (what, sql, code, message) in [
        (
            "ten megabytes",
            format!("SELECT '{}'", chain("x", 10 << 20)),
            Code::InvalidArgument,
            "the statement is 10485769 bytes long; at most 1048576 are allowed",
        ),
        (
            "parentheses",
            format!("SELECT {}1{}", chain("(", 5000), chain(")", 5000)),
            Code::InvalidArgument,
            "the statement nests more than 100 parentheses (line 1, column 108)",
        ),
        (
            "sums",
            format!("SELECT 1{}", chain("+1", 100_000)),
            Code::InvalidArgument,
            "the statement chains more than 4000 operators",
        ),
        (
            "conditions",
            format!(
                "SELECT 1 FROM sales.orders WHERE id = 1{}",
                chain(" OR id = 2", 20_000)
            ),
            Code::InvalidArgument,
            "the statement chains more than 4000 operators",
        ),
        (
            "negations",
            format!("SELECT {}true", chain("NOT ", 50_000)),
            Code::InvalidArgument,
            "the statement chains more than 4000 operators",
        ),
        (
            "unions",
            format!("SELECT 1{}", chain(" UNION ALL SELECT 1", 10_000)),
            Code::InvalidArgument,
            "the statement has more than 500 set operations",
        ),
        (
            "joins",
            format!(
                "SELECT 1 FROM sales.orders{}",
                chain(", sales.orders", 1000)
            ),
            Code::InvalidArgument,
            "the statement has more than 100 joins",
        ),
        (
            "a long text",
            "SELECT repeat('x', 1000000000)".to_owned(),
            Code::ResourceExhausted,
            "repeat: result over 16 MiB a value",
        ),
        (
            "a long text from a column",
            "SELECT repeat(region, 1000000000) FROM sales.orders".to_owned(),
            Code::ResourceExhausted,
            "repeat: result over 16 MiB a value",
        ),
        (
            "two statements",
            "SELECT 1; SELECT 2".to_owned(),
            Code::InvalidArgument,
            "one statement at a time, please",
        ),
        (
            "nothing",
            " -- nothing".to_owned(),
            Code::InvalidArgument,
            "there is no statement",
        ),
    ] {
        let begin = Instant::now();
        let status = ana.fails(&sql).await;
        assert_eq!(status.code(), code, "{what}: {status}");
        assert!(
            status.message().starts_with(message),
            "{what}: {}",
            status.message()
        );
        assert!(begin.elapsed() < SOON, "{what}: {:?}", begin.elapsed());
        assert_eq!(
            ana.prepare(&sql).await.map(drop).unwrap_or_else(|status| {
                assert_eq!(status.code(), code, "{what}: {status}");
            }),
            ()
        );
        assert_alive(&ana).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_for_the_transport() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let status = ana
        .fails(&format!("SELECT '{}'", "x".repeat(20 << 20)))
        .await;
    assert!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{status}"
    );
    assert_alive(&ana).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubling_ends_early() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let doubling = |first: &str, step: &dyn Fn(usize) -> String, last: &str| {
        let mut sql = format!("WITH a0 AS ({first})");
        for link in 1..40 {
            write!(sql, ", a{link} AS ({})", step(link - 1)).unwrap();
        }
        format!("{sql} {last}")
    };
    let tables = doubling(
        "SELECT id FROM sales.orders",
        &|before| format!("SELECT x.id FROM a{before} x CROSS JOIN a{before} y"),
        "SELECT count(*) FROM a39",
    );
    let unions = doubling(
        "SELECT 1 AS id",
        &|before| format!("SELECT * FROM a{before} UNION ALL SELECT * FROM a{before}"),
        "SELECT count(*) FROM a39",
    );
    let texts = doubling(
        "SELECT region AS s FROM sales.orders",
        &|before| format!("SELECT s || s AS s FROM a{before}"),
        "SELECT max(length(s)) FROM a39",
    );
    let sums = doubling(
        "SELECT id AS s FROM sales.orders",
        &|before| format!("SELECT s + s AS s FROM a{before}"),
        "SELECT s FROM a39",
    );
    for (what, sql) in [
        ("tables", tables),
        ("unions", unions),
        ("texts", texts),
        ("sums", sums),
    ] {
        let begin = Instant::now();
        let status = ana.fails(&sql).await;
        assert!(
            matches!(
                status.code(),
                Code::InvalidArgument | Code::ResourceExhausted
            ),
            "{what}: {status}"
        );
        assert!(begin.elapsed() < SOON, "{what}: {:?}", begin.elapsed());
        assert_alive(&ana).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_their_place() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for (sql, message) in [
        ("SELEC 1", "line 1, column 1"),
        ("SELECT id\nFROM sales.orders\nWHERE )", "line 3, column 7"),
        ("SELECT 'a", "line 1, column 8"),
        (
            "SELECT idd FROM sales.orders",
            "column `idd` does not exist",
        ),
        ("SELECT nope(id) FROM sales.orders", "nope"),
        (
            "SELECT id + region FROM sales.orders WHERE id = 1 AND region = 'EU' GROUP BY 1, 7",
            "",
        ),
    ] {
        let status = ana.fails(sql).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
        assert!(
            status.message().contains(message),
            "{sql}: {}",
            status.message()
        );
        assert!(
            status.message().len() < 2000 && !status.message().contains("margin"),
            "{sql}: {status}"
        );
        assert_alive(&ana).await;
    }
}

/// A join that makes a million batches of one must give way: others are served
/// while it runs, and it ends with its client.
#[tokio::test(flavor = "multi_thread")]
async fn a_cross_join_starves_nobody_and_ends_with_its_client() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let endless =
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let running: Vec<_> = (0..4)
        .map(|_| {
            let ana = ana.clone();
            Box::pin(async move { ana.query(endless).await })
        })
        .collect();
    let served = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        tokio::time::timeout(SOON / 3, ana.query("SELECT 1")).await
    };
    tokio::select! {
        _ = futures::future::select_all(running) => panic!("the cross join is meant to be endless"),
        answer = served => assert!(answer.expect("others are served").is_ok()),
    }
    // The clients are gone with their streams.
    let answer = tokio::time::timeout(SOON / 6, ana.query("SELECT 1")).await;
    assert!(answer.expect("the work has ended").is_ok());
}
