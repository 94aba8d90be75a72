//! The port for Prometheus: what it counts, and what it never says.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::support::{MeshDir, TestClient, WeftProcess, weft};

/// Computes for longer than any test, without a row.
const HEAVY: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, \
    generate_series(1, 1000000) b";

struct Server {
    mesh: MeshDir,
    weft: WeftProcess,
    metrics: SocketAddr,
}

impl Server {
    /// With an audit trail or without: the same is counted.
    fn start(audited: bool) -> Self {
        let mesh = crate::protocol::mesh();
        let mesh = match audited {
            true => mesh.with_head("audit: {url: ./audit/}"),
            false => mesh,
        };
        let metrics = free_address();
        let address = metrics.to_string();
        let weft = WeftProcess::start_with(&mesh.mesh_file(), &["--metrics", &address], &[]);
        Self {
            mesh,
            weft,
            metrics,
        }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.weft.url().replace("grpc:", "http:")).unwrap();
        endpoint.connect().await.unwrap()
    }

    async fn client(&self, user: &str) -> TestClient {
        TestClient::basic(self.channel().await, user, &format!("pw-{user}"))
    }

    async fn metrics(&self) -> Metrics {
        let answer = http(self.metrics, "GET /metrics").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("application/openmetrics-text"), "{head}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        Metrics(body.to_owned())
    }

    /// The metrics as soon as `are` says so.
    async fn metrics_when(&self, are: impl Fn(&Metrics) -> bool) -> Metrics {
        for _ in 0..200 {
            let metrics = self.metrics().await;
            if are(&metrics) {
                return metrics;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never comes to that:\n{}", self.metrics().await.0);
    }
}

/// What one look at them says.
struct Metrics(String);

impl Metrics {
    /// The value of a series, such as `weft_statements_total{outcome="ok"}`.
    fn value(&self, series: &str) -> f64 {
        let mut values = self.0.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.parse().unwrap())
        });
        let value = values.next();
        value.unwrap_or_else(|| panic!("no `{series}` in\n{}", self.0))
    }

    fn ended(&self, outcome: &str) -> f64 {
        self.value(&format!("weft_statements_total{{outcome=\"{outcome}\"}}"))
    }
}

/// A port that nobody has now, which the server takes next.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Sends one request without a body; the whole answer.
async fn http(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: weft\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_counted_by_how_they_end() {
    for audited in [true, false] {
        let server = Server::start(audited);
        let before = server.metrics().await;
        for outcome in [
            "ok",
            "error",
            "refused",
            "cancelled",
            "timed_out",
            "revoked",
            "interrupted",
        ] {
            assert_eq!(before.ended(outcome), 0.0, "{outcome}");
        }
        assert_eq!(before.value("weft_connections"), 0.0);

        let ana = server.client("ana").await;
        let sql = "SELECT id, amount FROM sales.orders WHERE id < 100 ORDER BY id";
        assert_eq!(ana.rows(sql).await.len(), 50);
        let after = server.metrics().await;
        assert_eq!(after.ended("ok"), 1.0);
        assert_eq!(after.value("weft_statement_seconds_count"), 1.0);
        // For its flight: it is run as it was planned.
        assert_eq!(after.value("weft_plan_seconds_count"), 1.0);
        assert_eq!(after.value("weft_queue_seconds_count"), 1.0);
        assert_eq!(after.value("weft_sent_rows_total"), 50.0);
        assert!(after.value("weft_sent_bytes_total") > 50.0 * 8.0);
        assert_eq!(after.value("weft_connections"), 1.0);
        assert!(after.value("weft_memory_limit_bytes") > 0.0);
        let read = "weft_read_bytes_total{domain=\"sales\"}";
        assert!(after.value(read) > before.value(read));
        let gets = "weft_read_requests_total{domain=\"sales\",operation=\"get\"}";
        assert!(after.value(gets) > before.value(gets));
        // Nothing of the other domain was touched by it.
        let read = "weft_read_bytes_total{domain=\"hr\"}";
        assert_eq!(after.value(read), before.value(read));

        ana.fails("SELECT 1 / (id - 4) FROM sales.orders").await;
        ana.fails("SELECT * FROM hr.people").await;
        ana.fails("SELEC 1").await;
        let wrong = TestClient::basic(server.channel().await, "ana", "wrong-password");
        wrong.fails("SELECT 1").await;
        let hurried = ana.clone().with_header("x-weft-statement-timeout", "300ms");
        hurried.fails(HEAVY).await;
        let after = server.metrics().await;
        assert_eq!(after.ended("error"), 1.0);
        assert_eq!(after.ended("refused"), 2.0);
        assert_eq!(after.ended("timed_out"), 1.0);
        assert_eq!(after.value("weft_calls_refused_total{kind=\"login\"}"), 1.0);
        assert_eq!(after.value("weft_statement_seconds_count"), 3.0);

        // Its client hears of its end before its work does.
        let idle = |it: &Metrics| it.value("weft_statements_running") == 0.0;
        server.metrics_when(idle).await;
        let cancelled = ana.clone();
        #[expect(clippy::disallowed_methods, reason = "the test ends it")]
        let running = tokio::spawn(async move { cancelled.query(HEAVY).await });
        let busy = |it: &Metrics| it.value("weft_statements_running") == 1.0;
        server.metrics_when(busy).await;
        running.abort();
        let over = |it: &Metrics| it.ended("cancelled") == 1.0;
        server.metrics_when(over).await;
        server.metrics_when(idle).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_footer_is_looked_for_once_and_reloads_are_counted_by_what_came_of_them() {
    let server = Server::start(false);
    let ana = server.client("ana").await;
    let sql = "SELECT sum(amount) FROM sales.orders";
    ana.query(sql).await.unwrap();
    let first = server.metrics().await;
    ana.query(sql).await.unwrap();
    let second = server.metrics().await;
    let (hits, misses) = (
        "weft_footer_cache_hits_total",
        "weft_footer_cache_misses_total",
    );
    assert!(first.value("weft_footer_cache_bytes") > 0.0);
    assert!(second.value(hits) > first.value(hits));
    assert_eq!(second.value(misses), first.value(misses));

    let reloads = |metrics: &Metrics, result| {
        metrics.value(&format!("weft_mesh_reloads_total{{result=\"{result}\"}}"))
    };
    let before = reloads(&second, "applied");
    server.mesh.grants("hr", "");
    let applied =
        |it: &Metrics| reloads(it, "applied") > before && it.value("weft_mesh_epoch") == 2.0;
    server.metrics_when(applied).await;
    server.mesh.grants("hr", "- {name: broken}");
    let partial = |it: &Metrics| reloads(it, "partial") > 0.0;
    server.metrics_when(partial).await;
    server
        .mesh
        .mesh_yaml("apiVersion: weft/v1\nkind: Nothing\n");
    let refused = |it: &Metrics| reloads(it, "refused") > 0.0;
    server.metrics_when(refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_there_and_nobody_is_named() {
    let server = Server::start(true);
    for request in [
        "GET /",
        "GET /metrics/",
        "GET /debug",
        "POST /metrics",
        "OPTIONS /metrics",
    ] {
        let answer = http(server.metrics, request).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{request}: {answer}");
    }
    let ana = server.client("ana").await;
    ana.query("SELECT id FROM sales.orders WHERE region = 'a-literal'")
        .await
        .unwrap();
    ana.fails("SELECT a_column FROM hr.people").await;
    let bi = TestClient::bearer(server.channel().await, "token-of-bi");
    bi.fails("SELECT * FROM no_domain.no_table").await;
    let Metrics(text) = server.metrics().await;
    // Domains are named, and all else that is theirs is not.
    assert!(text.contains("domain=\"hr\""));
    for secret in [
        "ana",
        "bi\"",
        "token",
        "pw-",
        "orders",
        "people",
        "no_",
        "a_column",
        "a-literal",
        "acme",
        "analysts",
    ] {
        let named = text.lines().find(|line| {
            let samples = !line.starts_with('#');
            samples && line.contains(secret)
        });
        assert_eq!(named, None, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_on_keeps_nobody_from_looking_for_long() {
    let server = Server::start(false);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.metrics).await.unwrap());
    }
    let looked = tokio::time::timeout(Duration::from_secs(30), server.metrics());
    looked.await.expect("silent connections end");
    // And clients notice nothing of it.
    let ana = server.client("ana").await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.orders").await, "500");
}

#[test]
fn an_address_that_is_taken_is_said_to_be() {
    let mesh = crate::protocol::mesh();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = weft()
        .args(["serve", "--listen", "127.0.0.1:0", "--metrics", &address])
        .arg("--mesh")
        .arg(mesh.mesh_file())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot serve metrics"), "{said}");
    assert!(said.contains("--metrics"), "{said}");
}
