//! Personal access tokens: made on the command line, used over the wire, taken back.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tonic::Code;

use super::{ORDERS, mesh_with};
use crate::support::{MeshDir, TestServer};

fn weft(mesh: &MeshDir, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("token")
        .args(words)
        .args(["--mesh", mesh.mesh_file().to_str().unwrap()])
        .output()
        .unwrap()
}

/// A token for ana.
fn create(mesh: &MeshDir, more: &[&str]) -> String {
    let words = [&["create", "--for", "user:ana", "--name", "laptop"], more].concat();
    let made = weft(mesh, &words);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn id_of(token: &str) -> &str {
    token.split('_').nth(1).unwrap()
}

fn file_of(mesh: &MeshDir, token: &str) -> PathBuf {
    mesh.path(&format!("tokens/{}.yaml", id_of(token)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in_as_its_owner_until_it_is_taken_back() {
    let mesh = mesh_with("  tokens: tokens/\n");
    let server = TestServer::start(&mesh).await;
    let token = create(&mesh, &[]);
    let kept = fs::read_to_string(file_of(&mesh, &token)).unwrap();
    let secret = token.splitn(3, '_').nth(2).unwrap();
    assert!(!kept.contains(secret), "{kept}");
    let client = server.service(&token).await;
    assert_eq!(client.fails(ORDERS).await.code(), Code::Unauthenticated);
    server.live.reload().await;
    assert_eq!(client.rows(ORDERS).await, ["2"]);
    assert_eq!(client.value("SELECT current_user").await, "ana");

    let listed = weft(&mesh, &["list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let line = listed.lines().nth(1).unwrap();
    assert!(line.starts_with(id_of(&token)), "{listed}");
    assert!(
        line.contains("user:ana") && line.contains("laptop"),
        "{listed}"
    );

    // What its owner may see it sees, as that changes.
    mesh.change("mesh.yaml", "region: \"US\"", "region: \"EU\"");
    server.live.reload().await;
    assert_eq!(client.rows(ORDERS).await, ["1", "3"]);
    // A session that it began ends with it, and so do its handles.
    let session = server.service(&super::oidc::log_in(&client).await).await;
    assert_eq!(session.rows(ORDERS).await, ["1", "3"]);
    let info = client.info(ORDERS).await.unwrap();
    // Pasted whole, it is known by its id.
    assert!(weft(&mesh, &["revoke", &token]).status.success());
    server.live.reload().await;
    for client in [&client, &session] {
        assert_eq!(client.fails(ORDERS).await.code(), Code::Unauthenticated);
    }
    let status = client.fetch(&info).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(!weft(&mesh, &["revoke", id_of(&token)]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn near_misses_let_nobody_in() {
    let mesh = mesh_with("  tokens: tokens/\n");
    let (token, other) = (create(&mesh, &[]), create(&mesh, &[]));
    let server = TestServer::start(&mesh).await;
    server.service(&token).await.rows(ORDERS).await;
    let digest = fs::read_to_string(file_of(&mesh, &token)).unwrap();
    let digest = digest
        .split("sha256:")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let secret = token.splitn(3, '_').nth(2).unwrap();
    for wrong in [
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        token.to_uppercase(),
        format!("weftpat_{}_{secret}", id_of(&other)),
        format!("weftpat_{}_{digest}", id_of(&token)),
        format!("weftpat__{secret}"),
        format!("weftpat_../{}_{secret}", id_of(&token)),
        digest.to_owned(),
        secret.to_owned(),
        "weftpat_".to_owned(),
    ] {
        let status = server.service(&wrong).await.fails("SELECT 1").await;
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong}");
        assert_eq!(status.message(), "the bearer token is not valid", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_over_or_damaged_lets_nobody_in_and_holds_nothing_back() {
    let mesh = mesh_with("  tokens: tokens/\n");
    let (token, other) = (create(&mesh, &[]), create(&mesh, &["--expires", "12h"]));
    let server = TestServer::start(&mesh).await;
    let (client, beside) = (server.service(&token).await, server.service(&other).await);
    client.rows(ORDERS).await;
    let name = format!("tokens/{}.yaml", id_of(&token));
    let sound = fs::read_to_string(mesh.path(&name)).unwrap();
    let expires = sound
        .lines()
        .find(|line| line.starts_with("expires"))
        .unwrap();
    for damaged in [
        sound.replace(expires, "expires: 2020-01-01"),
        sound.replace(expires, ""),
        sound.replace("user:ana", "user:nobody"),
        sound.replace("user:ana", "group:analysts"),
        sound.replace("user:ana", "service:bi"),
        sound.replace("sha256:", "md5:"),
        sound.replace("kind: Token", "kind: Mesh"),
        "}{".to_owned(),
    ] {
        mesh.write(&name, &damaged);
        server.live.reload().await;
        assert_eq!(
            client.fails(ORDERS).await.code(),
            Code::Unauthenticated,
            "{damaged}"
        );
        assert_eq!(beside.rows(ORDERS).await, ["2"], "{damaged}");
    }
    mesh.write(&name, &sound);
    server.live.reload().await;
    client.rows(ORDERS).await;
    // A change of grants is not held back by a damaged token.
    mesh.write(&name, "}{");
    mesh.grants("sales", "");
    server.live.reload().await;
    assert_eq!(beside.fails(ORDERS).await.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_back_whatever_else_is_wrong() {
    for fault in ["auditors: 5\n", "guardrails: [\n", "}{\n"] {
        let mesh = mesh_with("  tokens: tokens/\n");
        let token = create(&mesh, &[]);
        let server = TestServer::start(&mesh).await;
        let client = server.service(&token).await;
        assert_eq!(client.rows(ORDERS).await, ["2"]);
        let session = server.service(&super::oidc::log_in(&client).await).await;
        session.rows(ORDERS).await;
        let sound = fs::read_to_string(mesh.mesh_file()).unwrap();
        mesh.mesh_yaml(&format!("{sound}{fault}"));
        server.live.reload().await;
        assert_eq!(
            client.rows(ORDERS).await,
            ["2"],
            "the last good mesh is served"
        );
        if !weft(&mesh, &["revoke", id_of(&token)]).status.success() {
            // What cannot be parsed names no folder: the help says what to do by hand.
            let said = String::from_utf8(weft(&mesh, &["revoke", id_of(&token)]).stderr).unwrap();
            assert!(said.contains("remove its file from the folder"), "{said}");
            fs::remove_file(file_of(&mesh, &token)).unwrap();
        }
        for client in [&client, &session] {
            assert_eq!(client.fails(ORDERS).await.code(), Code::Unauthenticated);
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let mesh = mesh_with("  tokens: tokens/\n");
    for (words, text) in [
        (
            &["create", "--for", "user:nobody", "--name", "x"][..],
            "has no user `nobody`",
        ),
        (
            &["create", "--for", "service:bi", "--name", "x"],
            "is not a user",
        ),
        (
            &["create", "--for", "user:bi", "--name", "x"],
            "has no user `bi`",
        ),
        (
            &[
                "create",
                "--for",
                "user:ana",
                "--name",
                "x",
                "--expires",
                "9000d",
            ],
            "to 366 days",
        ),
        (
            &[
                "create",
                "--for",
                "user:ana",
                "--name",
                "x",
                "--expires",
                "1ms",
            ],
            "a minute to 366 days",
        ),
        (
            &["create", "--for", "user:ana", "--name", ""],
            "one short line",
        ),
        (
            &["create", "--for", "user:ana", "--name", "a\u{202e}b"],
            "one short line",
        ),
        (
            &["create", "--for", "user:ana", "--name", "\u{fffe}"],
            "one short line",
        ),
        (&["revoke", "../mesh"], "there is no token"),
        (&["revoke", "0123456789"], "there is no token"),
    ] {
        let refused = weft(&mesh, words);
        assert!(!refused.status.success(), "{words:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(text), "{words:?}: {said}");
    }
    let without = mesh_with("");
    let refused = weft(&without, &["list"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("add `tokens: tokens/` to `identity`"),
        "{said}"
    );
}
