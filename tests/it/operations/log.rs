//! The log: whose lines are of which statement.

use std::io::Read as _;
use std::process::Stdio;

use tonic::transport::Endpoint;

use crate::support::{TestClient, weft};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_statement_has_its_query_id() {
    let mesh = crate::protocol::mesh();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut child = weft()
        .args(["serve", "--log-format", "json", "--listen", &address])
        .arg("--mesh")
        .arg(mesh.mesh_file())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = loop {
        match endpoint.connect().await {
            Ok(channel) => break channel,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    let ana = TestClient::basic(channel, "ana", "pw-ana");
    let info = ana.info("SELECT count(*) FROM sales.orders").await.unwrap();
    ana.fetch(&info).await.unwrap();
    let query_id = String::from_utf8(info.app_metadata.to_vec()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut log = String::new();
    child.stderr.unwrap().read_to_string(&mut log).unwrap();
    let finished: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["fields"]["message"] == "query finished")
        .collect();
    assert_eq!(finished.len(), 1, "{log}");
    assert_eq!(finished[0]["fields"]["query_id"], query_id.as_str());
    // Spans for collectors are none of the log's.
    assert!(!log.contains("weft::traces"), "{log}");
}
