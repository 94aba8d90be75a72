//! Logins that cost the server more than the client.

use std::time::Duration;

use super::{another_is_served, channel, start};
use crate::support::TestClient;

/// As costly a hash as an identity file may have, of a password that nobody knows.
const COSTLY: &str = "$argon2id$v=19$m=131072,t=8,p=1$dGVzdC1zYWx0LTE2LWJ5dA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashing goes on when the client is gone: the next must wait for it all the same.
#[tokio::test]
async fn logins_that_are_given_up_take_their_turn_all_the_same() {
    let (mesh, weft) = start(&[]);
    let file = std::fs::read_to_string(mesh.mesh_file()).unwrap();
    let costly = format!("identity:\n  users:\n    - name: eva\n      password: {COSTLY:?}\n");
    mesh.mesh_yaml(&file.replacen("identity:\n  users:\n", &costly, 1));
    drop(weft);
    let weft = crate::support::WeftProcess::start(&mesh.mesh_file());
    another_is_served(&weft).await;
    let before = weft.memory_bytes();
    let channel = channel(&weft).await;
    for guess in 0..40 {
        let eva = TestClient::basic(channel.clone(), "eva", &guess.to_string());
        let given_up = tokio::time::timeout(Duration::from_millis(20), eva.query("SELECT 1"));
        assert!(given_up.await.is_err(), "it is not as costly as it looks");
    }
    if let (Some(before), Some(then)) = (before, weft.memory_bytes()) {
        // 128 MiB a hash, one for every two cores at a time.
        let cores = std::thread::available_parallelism().unwrap().get() as u64;
        let most = before + (cores.div_ceil(2) + 1) * (128 << 20);
        assert!(then < most, "{before} bytes grew to {then}");
    }
}
