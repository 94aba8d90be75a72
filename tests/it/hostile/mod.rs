//! Hostile clients, against a server in a process of its own: none ends it, fills it or keeps
//! others from being served.
//!
//! `make hostile SECONDS=600` goes on for as long as one likes, and then also asks that memory
//! stays where it was; `make test` takes a few seconds of it. `SEED=n` sends the same again.

mod connections;
mod logins;
mod messages;
mod readers;

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::support::{MeshDir, TestClient, WeftProcess};

const SECONDS: &str = "WEFT_HOSTILE_SECONDS";
const SEED: &str = "WEFT_HOSTILE_SEED";

/// How long one test goes on.
fn seconds() -> u64 {
    std::env::var(SECONDS).map_or(6, |text| text.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var(SEED).map_or_else(|_| rand::random(), |text| text.parse().unwrap())
}

fn start(arguments: &[&str]) -> (MeshDir, WeftProcess) {
    let mesh = crate::protocol::mesh();
    let weft = WeftProcess::start_with(&mesh.mesh_file(), arguments, &[]);
    (mesh, weft)
}

async fn channel(weft: &WeftProcess) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", weft.address)).unwrap();
    endpoint.connect().await.unwrap()
}

/// Somebody else comes, with a connection of their own, and is served.
async fn another_is_served(weft: &WeftProcess) {
    let served = async {
        let bo = TestClient::basic(channel(weft).await, "bo", "pw-bo");
        bo.value("SELECT sum(salary) FROM hr.people").await
    };
    let served = tokio::time::timeout(Duration::from_secs(20), served).await;
    assert_eq!(served.expect("served within 20 seconds"), "300");
}
