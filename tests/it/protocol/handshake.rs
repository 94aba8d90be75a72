//! Logging in: every way in which clients do it.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::{Code, Request, Response, Status, Streaming};

use super::start;
use crate::support::{TestClient, TestServer};

async fn handshake(
    server: &TestServer,
    authorization: Option<String>,
    messages: impl Stream<Item = HandshakeRequest> + Send + 'static,
) -> Result<Response<Streaming<HandshakeResponse>>, Status> {
    let mut client = FlightServiceClient::new(server.channel().await);
    let mut request = Request::new(messages);
    if let Some(authorization) = authorization {
        let value = authorization.parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    client.handshake(request).await
}

fn basic(credentials: &str) -> Option<String> {
    Some(format!("Basic {}", BASE64_STANDARD.encode(credentials)))
}

fn bearer_of<T>(response: &Response<T>) -> String {
    let header = response.metadata().get("authorization").unwrap();
    let header = header.to_str().unwrap().to_owned();
    header.strip_prefix("Bearer ").unwrap().to_owned()
}

async fn user_of(server: &TestServer, bearer: &str) -> String {
    server
        .service(bearer)
        .await
        .value("SELECT current_user")
        .await
}

fn empty_message() -> HandshakeRequest {
    HandshakeRequest::default()
}

#[tokio::test]
async fn go_sends_nothing_and_waits_for_headers() {
    let (_mesh, server) = start().await;
    let unpadded = BASE64_STANDARD_NO_PAD.encode("ana:pw-ana");
    let authorization = Some(format!("Basic {unpadded}"));
    // The request stays open: headers must come first.
    let response = handshake(&server, authorization, stream::pending())
        .await
        .unwrap();
    assert_eq!(user_of(&server, &bearer_of(&response)).await, "ana");

    let response = handshake(&server, basic("ana:pw-ana"), stream::empty())
        .await
        .unwrap();
    bearer_of(&response);
    let answers: Vec<_> = response.into_inner().try_collect().await.unwrap();
    assert!(answers.is_empty(), "no message, no answer");
}

#[tokio::test]
async fn java_sends_one_empty_message() {
    let (_mesh, server) = start().await;
    let messages = stream::iter([empty_message()]);
    let response = handshake(&server, basic("ana:pw-ana"), messages)
        .await
        .unwrap();
    let bearer = bearer_of(&response);
    let answers: Vec<_> = response.into_inner().try_collect().await.unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].payload, bearer.as_bytes());
    assert_eq!(user_of(&server, &bearer).await, "ana");
}

#[tokio::test]
async fn a_basic_auth_message_and_a_binary_token_header() {
    let (_mesh, server) = start().await;
    let auth = BasicAuth {
        username: "ana".to_owned(),
        password: "pw-ana".to_owned(),
    };
    let message = HandshakeRequest {
        protocol_version: 1,
        payload: auth.encode_to_vec().into(),
    };
    let response = handshake(&server, None, stream::iter([message]))
        .await
        .unwrap();
    let answers: Vec<_> = response.into_inner().try_collect().await.unwrap();
    let token = answers[0].payload.clone();

    let mut request = Request::new(arrow_flight::Empty {});
    let value = tonic::metadata::MetadataValue::from_bytes(&token);
    request.metadata_mut().insert_bin("auth-token-bin", value);
    let mut client = FlightServiceClient::new(server.channel().await);
    let actions = client.list_actions(request).await.unwrap().into_inner();
    assert!(actions.count().await > 0);
}

#[tokio::test]
async fn bearers_may_shake_hands_as_well() {
    let (_mesh, server) = start().await;
    let service = Some("Bearer token-of-bi".to_owned());
    let response = handshake(&server, service, stream::iter([empty_message()]))
        .await
        .unwrap();
    let session = bearer_of(&response);
    assert_eq!(user_of(&server, &session).await, "bi");
    let again = Some(format!("Bearer {session}"));
    let response = handshake(&server, again, stream::empty()).await.unwrap();
    assert_eq!(
        bearer_of(&response),
        session,
        "a session does not prolong itself"
    );
}

#[tokio::test]
async fn refusals() {
    let (_mesh, server) = start().await;
    for authorization in [
        basic("ana:wrong"),
        basic("nobody:pw-ana"),
        basic("bi:token-of-bi"),
        basic("ana"),
        Some("Bearer token-of-nobody".to_owned()),
        Some("Bearer weft1.AAAA".to_owned()),
        Some("Digest x".to_owned()),
        None,
    ] {
        let text = format!("{authorization:?}");
        let messages = stream::iter([empty_message()]);
        let status = handshake(&server, authorization, messages)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{text}: {status:?}");
    }
    let wrong = handshake(&server, basic("ana:wrong"), stream::empty())
        .await
        .unwrap_err();
    let unknown = handshake(&server, basic("eve:wrong"), stream::empty())
        .await
        .unwrap_err();
    assert_eq!(wrong.message(), unknown.message());
}

#[tokio::test]
async fn every_call_needs_credentials() {
    let (_mesh, server) = start().await;
    let anonymous = TestClient::anonymous(server.channel().await);
    let status = anonymous.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut flight = anonymous.flight.inner().clone();
    let listed = flight.list_actions(arrow_flight::Empty {}).await;
    assert_eq!(listed.err().unwrap().code(), Code::Unauthenticated);
    let status = anonymous
        .action("GetSessionOptions", vec![])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_session_ends_when_the_password_changes() {
    let (mesh, server) = start().await;
    let response = handshake(&server, basic("ana:pw-ana"), stream::empty())
        .await
        .unwrap();
    let bearer = bearer_of(&response);
    let by_password = server.client("ana", "pw-ana").await;
    assert_eq!(by_password.value("SELECT 1").await, "1");

    let text = std::fs::read_to_string(mesh.mesh_file()).unwrap();
    let other = crate::support::MeshDir::new("other").user("ana", "new", &["analysts"], &[]);
    let line = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.contains("password:"))
            .unwrap();
        line.to_owned()
    };
    let changed = std::fs::read_to_string(other.mesh_file()).unwrap();
    mesh.mesh_yaml(&text.replacen(&line(&text), &line(&changed), 1));
    assert!(server.live.reload().await.applied);

    let status = server.service(&bearer).await.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = by_password.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(
        server.client("ana", "new").await.value("SELECT 1").await,
        "1"
    );
}

#[tokio::test]
async fn guessing_gets_slow_and_leaves_the_logged_in_alone() {
    let (_mesh, server) = start().await;
    let ana = server.client("ana", "pw-ana").await;
    assert_eq!(ana.value("SELECT 1").await, "1");
    let mut slowed = false;
    for guess in 0..12 {
        let status = server
            .client("ana", &guess.to_string())
            .await
            .fails("SELECT 1")
            .await;
        assert_eq!(status.code(), Code::Unauthenticated);
        slowed |= status.message().starts_with("too many failed logins");
    }
    assert!(slowed);
    assert_eq!(ana.value("SELECT 1").await, "1");
}

#[tokio::test]
async fn guesses_that_wait_together_are_not_let_off_together() {
    let (_mesh, server) = start().await;
    let channel = server.channel().await;
    let guesses = (0..100).map(|guess| {
        let client = TestClient::basic(channel.clone(), "ana", &guess.to_string());
        async move { client.fails("SELECT 1").await.message().to_owned() }
    });
    let answers = futures::future::join_all(guesses).await;
    let hashed = answers.iter().filter(|answer| answer.contains("wrong"));
    // Five are free, and a few more have their wait over meanwhile.
    assert!(hashed.count() <= 10, "{answers:?}");
}
