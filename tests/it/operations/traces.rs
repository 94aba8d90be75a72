//! Traces: what a collector is sent, and what it is not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::support::{MeshDir, TestClient, WeftProcess};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER_TRACE: &str = "1bf7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|it| it.scope_spans);
        let spans = scopes.flat_map(|it| it.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, SocketAddr, JoinHandle<()>) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = TraceServiceServer::new(collector.clone());
        #[expect(clippy::disallowed_methods, reason = "the test ends it")]
        let serving = tokio::spawn(async move {
            let server = Server::builder().add_service(service);
            let incoming = TcpIncoming::from(listener);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        (collector, address, serving)
    }

    fn of_trace(&self, trace: &str) -> Vec<Span> {
        let spans = self.0.lock().unwrap();
        let of_trace = spans.iter().filter(|span| hex(&span.trace_id) == trace);
        of_trace.cloned().collect()
    }

    /// The spans of a trace as soon as there is one of this name.
    async fn with(&self, trace: &str, name: &str) -> Vec<Span> {
        for _ in 0..200 {
            let spans = self.of_trace(trace);
            if spans.iter().any(|span| span.name == name) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no `{name}` in {:#?}", self.0.lock().unwrap());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|it| it.name == name).collect()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let mut found = span.attributes.iter().filter(|it| it.key == key);
    found.next()?.value.clone()?.value
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

fn start(collector: SocketAddr) -> (MeshDir, WeftProcess) {
    let mesh = crate::protocol::mesh();
    let endpoint = format!("http://{collector}");
    let arguments = ["--otlp-endpoint", &endpoint];
    let weft = WeftProcess::start_with(&mesh.mesh_file(), &arguments, &[]);
    (mesh, weft)
}

async fn client(weft: &WeftProcess, user: &str, traceparent: &str) -> TestClient {
    let endpoint = Endpoint::from_shared(format!("http://{}", weft.address)).unwrap();
    let channel = endpoint.connect().await.unwrap();
    TestClient::basic(channel, user, &format!("pw-{user}")).with_header("traceparent", traceparent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_traced_from_the_client_to_its_scans() {
    let (collector, address, serving) = Collector::start().await;
    let (_mesh, weft) = start(address);
    let ana = client(&weft, "ana", &format!("00-{TRACE}-{SPAN}-01")).await;
    let sql = "SELECT max(id) FROM sales.orders WHERE region <> 'a-literal'";
    ana.query(sql).await.unwrap();
    collector.with(TRACE, "scan").await;
    let spans = collector.with(TRACE, "DoGet").await;
    let all = |name| named(&spans, name);
    for (name, count) in [
        ("GetFlightInfo", 1),
        ("DoGet", 1),
        ("plan", 1),
        ("queue", 1),
        ("execute", 1),
        ("scan", 1),
    ] {
        assert_eq!(all(name).len(), count, "{name}: {spans:#?}");
    }
    let (info, get) = (all("GetFlightInfo")[0], all("DoGet")[0]);
    for call in [info, get] {
        assert_eq!(hex(&call.parent_span_id), SPAN);
        assert_eq!(attribute(call, "rpc.method"), text(&call.name));
        assert_eq!(attribute(call, "db.system.name"), text("weft"));
    }
    for name in ["queue", "execute", "scan"] {
        assert_eq!(all(name)[0].parent_span_id, get.span_id, "{name}");
    }
    assert_eq!(attribute(get, "weft.outcome"), text("ok"));
    assert_eq!(attribute(get, "weft.rows"), Some(Value::IntValue(1)));
    assert!(attribute(get, "weft.bytes").is_some());
    let query_id = attribute(get, "weft.query_id");
    assert!(query_id.is_some());
    assert_eq!(attribute(all("execute")[0], "weft.query_id"), query_id);
    let scan = all("scan")[0];
    assert_eq!(attribute(scan, "db.namespace"), text("sales"));
    assert_eq!(attribute(scan, "db.collection.name"), text("orders"));
    assert!(attribute(scan, "weft.rows").is_some());

    // A refusal is traced as well, and a caller who is not let in is not.
    ana.fails("SELECT secret_column FROM hr.people").await;
    let nobody = client(&weft, "nobody", &format!("00-{OTHER_TRACE}-{SPAN}-01")).await;
    nobody.fails("SELECT 1").await;
    // What is malformed is as good as nothing, and what is not sampled is not sent.
    let bo = client(&weft, "bo", &format!("00-{TRACE}-{SPAN}-zz")).await;
    bo.query("SELECT 1").await.unwrap();
    let unsampled = client(&weft, "bo", &format!("00-{OTHER_TRACE}-{SPAN}-00")).await;
    unsampled.query("SELECT 1").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(collector.of_trace(OTHER_TRACE).is_empty());
    let spans = collector.0.lock().unwrap().clone();
    let roots = spans.iter().filter(|it| it.parent_span_id.is_empty());
    assert_eq!(roots.count(), 2, "{spans:#?}");
    let refused = spans
        .iter()
        .filter(|it| attribute(it, "weft.outcome") == text("refused"));
    assert_eq!(refused.count(), 1, "{spans:#?}");

    let everything = format!("{spans:?}");
    for secret in [
        "SELECT",
        "a-literal",
        "secret_column",
        "region",
        "user:",
        "pw-",
        "analysts",
    ] {
        assert!(!everything.contains(secret), "{secret}");
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_when_the_server_ends() {
    let (collector, address, serving) = Collector::start().await;
    let (_mesh, mut weft) = start(address);
    let ana = client(&weft, "ana", &format!("00-{TRACE}-{SPAN}-01")).await;
    ana.query("SELECT count(*) FROM sales.orders")
        .await
        .unwrap();
    drop(ana);
    assert_eq!(weft.stop("-TERM"), Some(0));
    let spans = collector.of_trace(TRACE);
    assert!(spans.iter().any(|it| it.name == "DoGet"), "{spans:#?}");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_disturbs_nobody() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let (_mesh, mut weft) = start(address);
    let ana = client(&weft, "ana", "").await;
    for _ in 0..10 {
        assert_eq!(ana.value("SELECT count(*) FROM sales.orders").await, "500");
    }
    drop(ana);
    let begun = Instant::now();
    assert_eq!(weft.stop("-TERM"), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15));
}
