//! Connections that say nothing, too little or too much.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use super::{another_is_served, channel, start};
use crate::support::{TestClient, WeftProcess};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// Files of a server at rest, with room.
const FILES_AT_REST: usize = 100;

async fn connect(weft: &WeftProcess) -> TcpStream {
    TcpStream::connect(&weft.address).await.unwrap()
}

#[tokio::test]
async fn ten_thousand_half_open_connections_keep_nobody_out_and_are_let_go() {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    // Each has one file here and one there.
    let most = usize::try_from(files.saturating_sub(1_000).min(10_000)).unwrap();
    let (_mesh, weft) = start(&[]);
    another_is_served(&weft).await;
    let before = weft.memory_bytes();
    let mut held = Vec::with_capacity(most);
    for number in 0..most {
        let mut half_open = connect(&weft).await;
        // Nothing at all, a part of the preface, or the preface and no request.
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => PREFACE.split_at(10).0,
            _ => &[PREFACE, SETTINGS].concat(),
        };
        // The server may have taken its place for another already.
        let _ = half_open.write_all(said).await;
        held.push(half_open);
        if number % 1_000 == 999 {
            another_is_served(&weft).await;
        }
    }
    eprintln!(
        "{most} connections: memory {before:?}, then {:?} bytes, {:?} files",
        weft.memory_bytes(),
        weft.open_files()
    );
    if let (Some(before), Some(then)) = (before, weft.memory_bytes()) {
        assert!(then < before + (600 << 20), "{before} bytes grew to {then}");
    }
    let begin = Instant::now();
    while weft.open_files().is_some_and(|open| open > FILES_AT_REST) {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{:?}",
            weft.open_files()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    another_is_served(&weft).await;
}

#[tokio::test]
async fn who_is_known_keeps_a_place_and_strangers_make_room() {
    let (_mesh, weft) = start(&["--max-connections", "20"]);
    let ana = TestClient::basic(channel(&weft).await, "ana", "pw-ana");
    assert_eq!(ana.value("SELECT 1").await, "1");
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(connect(&weft).await);
        // Callers that cannot prove who they are are strangers, nearly.
        let nobody = TestClient::basic(channel(&weft).await, "nobody", "guess");
        assert!(nobody.query("SELECT 1").await.is_err());
    }
    another_is_served(&weft).await;
    assert_eq!(ana.value("SELECT 2").await, "2");
    assert!(weft.open_files().is_none_or(|open| open < FILES_AT_REST));
}

#[tokio::test]
async fn a_connection_that_never_ends_its_headers_is_ended() {
    let (_mesh, weft) = start(&[]);
    let mut bomb = connect(&weft).await;
    bomb.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    // HEADERS without END_HEADERS, then CONTINUATION after CONTINUATION (RFC 9113, 6.10):
    // literal fields of new names.
    let field = [&[0x40, 0x01, b'a', 0x7f, 0x81, 0x1e][..], &[b'x'; 285]].concat();
    let block = field.repeat(50);
    let length = u32::try_from(block.len()).unwrap().to_be_bytes();
    let frame = |kind: u8| [&length[1..], &[kind, 0, 0, 0, 0, 1], &block].concat();
    let flood = async {
        bomb.write_all(&frame(0x1)).await?;
        for _ in 0..5_000 {
            bomb.write_all(&frame(0x9)).await?;
        }
        let mut rest = Vec::new();
        bomb.read_to_end(&mut rest).await
    };
    // Ended by the server, or at least read to the end and then refused.
    let _ = tokio::time::timeout(Duration::from_secs(30), flood)
        .await
        .expect("the server ends the connection");
    if let Some(bytes) = weft.memory_bytes() {
        assert!(bytes < 1 << 30, "{bytes} bytes");
    }
    another_is_served(&weft).await;
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused_and_those_below_it_ignored() {
    let (_mesh, weft) = start(&[]);
    let channel = channel(&weft).await;
    let bo = TestClient::basic(channel.clone(), "bo", "pw-bo");
    let many = |bytes: usize| {
        let mut client = bo.clone();
        for number in 0..bytes / 1_000 {
            client = client.with_header(&format!("x-unknown-{number}"), &"x".repeat(950));
        }
        client
    };
    assert_eq!(many(32_000).value("SELECT 1").await, "1");
    assert!(many(1_000_000).query("SELECT 1").await.is_err());
    another_is_served(&weft).await;
}

#[tokio::test]
async fn the_first_message_of_a_connection_is_small() {
    let (_mesh, weft) = start(&[]);
    let sql = format!("SELECT 1 -- {}", "x".repeat(2 << 20));
    let unknown = TestClient::anonymous(channel(&weft).await);
    let refused = unknown.query(&sql).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");

    // Nothing of it holds for who has logged in.
    let bo = TestClient::basic(channel(&weft).await, "bo", "pw-bo");
    assert_eq!(bo.value("SELECT 1").await, "1");
    let told = bo.query(&sql).await.unwrap_err();
    assert_ne!(told.code(), Code::ResourceExhausted, "{told:?}");
}
