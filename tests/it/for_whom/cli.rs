//! `weft query` for a purpose and for a user.

use std::process::Command;

use super::{ADDRESSES, COUNT, mesh};
use crate::support::TestServer;

fn weft(server: &TestServer, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command
        .arg("query")
        .args(["--url", &format!("grpc://{}", server.address())])
        .args(["--format", "csv"])
        .args(arguments)
        .env("PW", "pw")
        .env("BI", "token-of-bi")
        .env("BARE", "token-of-bare");
    let output = tokio::task::block_in_place(|| command.output()).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_query_states_its_purpose() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = ["--user", "ana", "--password-env", "PW"];
    let ask = |more: &[&str]| weft(&server, &[&ana[..], more].concat());
    assert_eq!(
        ask(&["--purpose", "returns", ADDRESSES]),
        (0, "street\nElm\nOak\nAsh\n".to_owned())
    );
    assert_eq!(ask(&[ADDRESSES]).0, 5);
    assert_eq!(ask(&["--purpose", "marketing", ADDRESSES]).0, 5);
    let (code, text) = ask(&["--purpose", "just looking", ADDRESSES]);
    assert_eq!(code, 2);
    assert!(
        text.contains("use letters, digits, `-`, `_` and `.`"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_asks_for_a_user() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ask = |more: &[&str]| weft(&server, more);
    let (code, text) = ask(&["--token-env", "BI", "--on-behalf-of", "user:ana", COUNT]);
    assert_eq!((code, text.lines().next_back()), (0, Some("2")), "{text}");
    let both = [
        "--token-env",
        "BI",
        "--on-behalf-of",
        "user:bo",
        "--purpose",
        "returns",
        ADDRESSES,
    ];
    assert_eq!(ask(&both).0, 0);
    for (token, user) in [
        ("BI", "user:cy"),
        ("BI", "user:nobody"),
        ("BARE", "user:ana"),
    ] {
        let (code, text) = ask(&["--token-env", token, "--on-behalf-of", user, COUNT]);
        assert_eq!(code, 5, "{text}");
        assert!(
            text.contains("there is no such user, or you may not act for it"),
            "{text}"
        );
    }
    for bad in ["ana", "user:", "group:analysts", "user:ä"] {
        let (code, text) = ask(&["--token-env", "BI", "--on-behalf-of", bad, COUNT]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("`user:NAME`"), "{text}");
    }
}

#[test]
fn help_teaches_both_and_how_access_ends() {
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_weft"))
            .args([command, "--help"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let query = help("query");
    assert!(query.contains("--purpose fulfilment") && query.contains("--on-behalf-of user:ana"));
    let serve = help("serve");
    assert!(
        serve.contains("--kill-on-revoke") && serve.contains("goes on to its"),
        "{serve}"
    );
}
