//! Tokens of OpenID providers: whom they let in, and whom not.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tonic::Code;
use weft_engine::EngineConfig;

use super::provider::{Provider, SigningKey};
use super::{ORDERS, mesh_with};
use crate::support::{MeshDir, TestClient, TestServer, TestServerConfig};

/// A mesh that believes these providers, given as items of `oidc`.
fn mesh(oidc: &str) -> MeshDir {
    mesh_with(&format!("  oidc:\n{oidc}"))
}

fn item(provider: &Provider, more: &str) -> String {
    format!(
        "    - issuer: {}\n      audience: weft\n      attributes: {{region: \"https://acme.example/region\"}}\n{more}",
        provider.url
    )
}

/// With this claim set to this value, or left out for `null`.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

async fn refused(server: &TestServer, token: &str) -> String {
    let status = server.service(token).await.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    status.message().to_owned()
}

/// The session bearer that Handshake answers with.
pub(super) async fn log_in(client: &TestClient) -> String {
    let mut flight = client.flight.inner().clone();
    let request = client.request(futures::stream::empty());
    let answer = flight.handshake(request).await.unwrap();
    let authorization = answer.metadata().get("authorization").unwrap();
    let bearer = authorization.to_str().unwrap().strip_prefix("Bearer ");
    bearer.unwrap().to_owned()
}

const NOT_VALID: &str = "the bearer token is not valid";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in_with_its_groups_and_attributes() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let di = server.service(&provider.token("di")).await;
    assert_eq!(di.rows(ORDERS).await, ["1", "3"]);
    // Attributes and groups are the token's, and nobody else's.
    let claims = with(
        provider.claims("di"),
        "https://acme.example/region",
        json!("US"),
    );
    let there = server.service(&provider.sign(&claims)).await;
    assert_eq!(there.rows(ORDERS).await, ["2"]);
    for (claim, value) in [
        ("groups", json!(null)),
        ("groups", json!(["some", "others"])),
    ] {
        let claims = with(provider.claims("di"), claim, value);
        let outside = server.service(&provider.sign(&claims)).await;
        assert_eq!(outside.fails(ORDERS).await.code(), Code::NotFound);
    }
    let claims = with(
        provider.claims("di"),
        "https://acme.example/region",
        json!(null),
    );
    let nowhere = server.service(&provider.sign(&claims)).await;
    assert!(nowhere.rows(ORDERS).await.is_empty());
    // By name: a person is no service, and a service no person.
    let cy = server.service(&provider.token("cy")).await;
    assert_eq!(cy.rows(ORDERS).await, ["1", "2", "3"]);
    let bare = with(provider.claims("loader"), "groups", json!(null));
    let loader = with(bare.clone(), "client_id", json!("loader"));
    let loader = server.service(&provider.sign(&loader)).await;
    assert_eq!(loader.rows(ORDERS).await, ["1", "2", "3"]);
    let person = server.service(&provider.sign(&bare)).await;
    assert_eq!(person.fails(ORDERS).await.code(), Code::NotFound);
    assert_eq!(provider.fetched(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_meant_for_us_lets_nobody_in() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, "      clockSkew: 2s\n"));
    let server = TestServer::start(&files).await;
    let now = Utc::now().timestamp();
    let good = || provider.claims("di");
    let cases = [
        (
            "exp",
            json!(now - 10),
            "the token has expired: get a new one",
        ),
        ("exp", json!(null), NOT_VALID),
        ("exp", json!("soon"), NOT_VALID),
        ("nbf", json!(now + 100), "the token is not valid yet"),
        (
            "aud",
            json!("another"),
            "the token is not meant for this server: ask the provider for one with its audience",
        ),
        (
            "aud",
            json!(["a", "b"]),
            "the token is not meant for this server: ask the provider for one with its audience",
        ),
        (
            "aud",
            json!(null),
            "the token is not meant for this server: ask the provider for one with its audience",
        ),
        ("iss", json!("https://login.evil.example"), NOT_VALID),
        ("iss", json!(format!("{}/", provider.url)), NOT_VALID),
        ("iss", json!(null), NOT_VALID),
        ("sub", json!(null), NOT_VALID),
        ("sub", json!(""), NOT_VALID),
        ("sub", json!("user:di"), NOT_VALID),
        ("sub", json!("d i"), NOT_VALID),
        // Those are people and services of the mesh's own.
        ("sub", json!("ana"), NOT_VALID),
        ("sub", json!("bi"), NOT_VALID),
        ("sub", json!("ANA"), NOT_VALID),
        ("sub", json!("zoe\u{200b}"), NOT_VALID),
        ("sub", json!("\u{202e}eoz"), NOT_VALID),
        (
            "events",
            json!({"http://schemas.openid.net/event/backchannel-logout": {}}),
            NOT_VALID,
        ),
        ("cnf", json!({"jkt": "x"}), NOT_VALID),
    ];
    for (claim, value, text) in cases {
        let case = format!("{claim} {value}");
        let token = provider.sign(&with(good(), claim, value));
        assert_eq!(refused(&server, &token).await, text, "{case}");
    }
    // A list of audiences is good when ours is among them, and clocks may differ.
    for (claim, value) in [("aud", json!(["a", "weft"])), ("nbf", json!(now + 1))] {
        let token = provider.sign(&with(good(), claim, value));
        server.service(&token).await.rows("SELECT 1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_lets_nobody_in() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let claims = provider.claims("di");
    let good = provider.token("di");
    server.service(&good).await.rows("SELECT 1").await;

    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = head.split_once('.').unwrap();
    let public = provider.key.public();
    let secret = |text: &str| EncodingKey::from_secret(text.as_bytes());
    let hs = |kid: Option<&str>, key: &EncodingKey| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    };
    let mallory = SigningKey::new("one", Algorithm::ES256);
    let mut own_key = mallory.header();
    own_key.jwk = Some(serde_json::from_value(mallory.public()).unwrap());
    let mut elsewhere = mallory.header();
    elsewhere.jku = Some(format!("{}/keys", provider.url));
    let mut critical = provider.key.header();
    critical.crit = Some(vec!["exp".to_owned()]);
    let mut logout = provider.key.header();
    logout.typ = Some("logout+jwt".to_owned());
    let wrong_curve = SigningKey::new("one", Algorithm::ES384);
    let admin = encode(&with(claims.clone(), "groups", json!(["admins"])));
    let forged = [
        format!("{}.{body}.", encode(&json!({"alg": "none"}))),
        format!(
            "{}.{body}.{signature}",
            encode(&json!({"alg": "None", "kid": "one"}))
        ),
        format!(
            "{}.{body}.{signature}",
            encode(&json!({"alg": "RS256", "kid": "one"}))
        ),
        format!("{header}.{admin}.{signature}"),
        format!("{header}.{body}."),
        format!("{header}.{body}.{}", &signature[..signature.len() - 2]),
        hs(Some("one"), &secret(&public.to_string())),
        hs(Some("one"), &secret(public["x"].as_str().unwrap())),
        hs(None, &secret("")),
        mallory.sign(&mallory.header(), &claims),
        mallory.sign(&own_key, &claims),
        mallory.sign(&elsewhere, &claims),
        wrong_curve.sign(&wrong_curve.header(), &claims),
        provider.key.sign(&critical, &claims),
        provider.key.sign(&logout, &claims),
        format!("eyJ{}.{}.x", "A".repeat(20_000), "B".repeat(20_000)),
        "eyJ..".to_owned(),
    ];
    for token in &forged {
        assert_eq!(refused(&server, token).await, NOT_VALID, "{token}");
    }
    server.service(&good).await.rows("SELECT 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_looked_for_again_when_they_change_and_not_for_every_forger() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let old = provider.token("di");
    server.service(&old).await.rows("SELECT 1").await;
    let next = SigningKey::new("two", Algorithm::EdDSA);
    provider.behaviour.lock().unwrap().keys = vec![
        next.public(),
        json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"}),
        json!({"kty": "of the future", "kid": "three"}),
        json!(7),
    ];
    let token = next.sign(&next.header(), &provider.claims("di"));
    let begun = Instant::now();
    // Just after keys were fetched there is a pause.
    while server
        .service(&token)
        .await
        .query("SELECT 1")
        .await
        .is_err()
    {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // What the provider has taken back counts no more.
    assert_eq!(refused(&server, &old).await, NOT_VALID);
    let before = provider.fetched();
    let stranger = SigningKey::new("nobody's", Algorithm::ES256);
    let forged = stranger.sign(&stranger.header(), &provider.claims("di"));
    let client = server.service(&forged).await;
    for _ in 0..200 {
        client.query("SELECT 1").await.unwrap_err();
    }
    assert!(provider.fetched() <= before + 2);
    // Out of reach it is believed as before.
    provider.behaviour.lock().unwrap().is_down = true;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let status = client.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    server.service(&token).await.rows("SELECT 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_out_of_reach_or_of_another_name_lets_nobody_in() {
    let provider = Provider::start().await;
    provider.behaviour.lock().unwrap().is_down = true;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let di = server.service(&provider.token("di")).await;
    let status = di.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.message(),
        "the OpenID provider of the token is out of reach"
    );
    assert!(!status.details().is_empty(), "when to try again");
    // Who has a password is not concerned.
    server
        .client("ana", "pw-of-ana")
        .await
        .rows("SELECT 1")
        .await;

    let provider = Provider::start().await;
    provider.behaviour.lock().unwrap().issuer = Some("https://login.evil.example".to_owned());
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let di = server.service(&provider.token("di")).await;
    assert_eq!(di.fails("SELECT 1").await.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_with_prefixes_do_not_speak_for_each_other() {
    let (ours, partner) = (Provider::start().await, Provider::start().await);
    let both = format!(
        "{}{}",
        item(
            &ours,
            "      prefix: staff/\n      nameClaim: email\n      groupsClaim: /realm_access/roles\n"
        ),
        item(&partner, "      prefix: partner/\n")
    );
    let files = mesh(&both);
    let server = TestServer::start(&files).await;
    let who = async |token: &str| {
        server
            .service(token)
            .await
            .value("SELECT current_user")
            .await
    };
    let email = |claims: Value| with(claims, "email", json!("di@acme.example"));
    assert_eq!(
        who(&ours.sign(&email(ours.claims("1")))).await,
        "staff/di@acme.example"
    );
    assert_eq!(who(&partner.token("ana")).await, "partner/ana");
    // The group of the one is none of the other's.
    let hers = server.service(&partner.token("ana")).await;
    assert_eq!(hers.rows(ORDERS).await, ["1", "3"]);
    let roles = with(
        email(ours.claims("1")),
        "realm_access",
        json!({"roles": ["analysts"]}),
    );
    let his = server.service(&ours.sign(&roles)).await;
    assert_eq!(his.fails(ORDERS).await.code(), Code::NotFound);
    // An address that the provider has not verified is anybody's.
    for verified in [json!(false), json!("false")] {
        let token = ours.sign(&with(email(ours.claims("1")), "email_verified", verified));
        assert!(refused(&server, &token).await.contains("has not verified"));
    }
    // The keys of the one sign nothing of the other's.
    let stolen = ours.key.sign(&ours.key.header(), &partner.claims("ana"));
    assert_eq!(refused(&server, &stolen).await, NOT_VALID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_as_long_as_its_token_or_as_the_mesh_says() {
    for (more, outlives) in [("", false), ("      sessions: 1h\n", true)] {
        let provider = Provider::start().await;
        let mesh = mesh(&item(&provider, &format!("      clockSkew: 1s\n{more}")));
        let server = TestServer::start(&mesh).await;
        let claims = provider.claims("di");
        let short = with(claims, "exp", json!(Utc::now().timestamp() + 2));
        let bearer = log_in(&server.service(&provider.sign(&short)).await).await;
        let session = server.service(&bearer).await;
        assert_eq!(session.rows(ORDERS).await, ["1", "3"]);
        tokio::time::sleep(Duration::from_secs(4)).await;
        if outlives {
            assert_eq!(session.rows(ORDERS).await, ["1", "3"]);
            // A session ends with what the mesh said when it began.
            mesh.change("mesh.yaml", "audience: weft", "audience: [weft, other]");
            server.live.reload().await;
        }
        let status = session.fails(ORDERS).await;
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(status.message(), "the session has ended: log in again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_people_whom_only_a_provider_knows() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let bi = server.service("token-of-bi").await;
    let status = bi
        .with_header("x-weft-on-behalf-of", "user:di")
        .fails("SELECT 1")
        .await;
    assert_eq!(status.code(), Code::PermissionDenied);
    let claims = with(provider.claims("loader"), "client_id", json!("loader"));
    let loader = server.service(&provider.sign(&claims)).await;
    let status = loader
        .with_header("x-weft-on-behalf-of", "user:ana")
        .fails("SELECT 1")
        .await;
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_of_a_token_are_its_holders() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let di = server.service(&provider.token("di")).await;
    let info = di.info(ORDERS).await.unwrap();
    let other = server.service(&provider.token("other")).await;
    assert_eq!(other.fetch(&info).await.unwrap_err().code(), Code::NotFound);
    // The same person with another token decides anew.
    let less = with(provider.claims("di"), "groups", json!([]));
    let less = server.service(&provider.sign(&less)).await;
    assert_eq!(less.fetch(&info).await.unwrap_err().code(), Code::NotFound);
    let again = server.service(&provider.token("di")).await;
    assert_eq!(again.fetch(&info).await.unwrap()[0].num_rows(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_ends_with_its_token_where_the_operator_says_so() {
    let provider = Provider::start().await;
    let mesh = mesh(&item(&provider, "      clockSkew: 1s\n"));
    let config = TestServerConfig {
        engine: EngineConfig {
            kill_on_revoke: true,
            batch_size: 1000,
            ..EngineConfig::default()
        },
        ..TestServerConfig::default()
    };
    let server = TestServer::start_with(&mesh, config).await;
    let many = "SELECT o.id, x.value FROM sales.orders o CROSS JOIN generate_series(1, 100000) x \
                CROSS JOIN generate_series(1, 100000) y";
    let short = with(
        provider.claims("di"),
        "exp",
        json!(Utc::now().timestamp() + 3),
    );
    let begun = Instant::now();
    let status = server
        .service(&provider.sign(&short))
        .await
        .fails(many)
        .await;
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// Predicates ask who is not in a group: a group that is left out would show more.
#[tokio::test(flavor = "multi_thread")]
async fn groups_and_attributes_are_taken_whole_or_not_at_all() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let eve = |groups: Value| provider.sign(&with(provider.claims("eve"), "groups", groups));
    let rows = async |groups: Value| server.service(&eve(groups)).await.rows(ORDERS).await;
    assert_eq!(rows(json!(["some"])).await, ["1", "2", "3"]);
    assert!(rows(json!(["some", "blocked people"])).await.is_empty());
    assert!(rows(json!("blocked people")).await.is_empty());
    let mut many: Vec<String> = (0..2_000).map(|number| format!("g{number}")).collect();
    many.push("blocked people".to_owned());
    assert!(rows(json!(many[1..])).await.is_empty());
    for groups in [
        json!(many),
        json!({"blocked people": true}),
        json!(true),
        json!(7),
        json!([["blocked people"]]),
        json!(["some", null]),
    ] {
        let text = refused(&server, &eve(groups)).await;
        assert_ne!(text, NOT_VALID, "it says what is wrong");
    }
    let left_out = with(
        provider.claims("eve"),
        "_claim_names",
        json!({"groups": "src1"}),
    );
    let left_out = provider.sign(&with(left_out, "groups", json!(null)));
    assert!(
        refused(&server, &left_out)
            .await
            .contains("left the groups out")
    );
    for region in [json!(["EU"]), json!({"EU": 1})] {
        let claims = with(provider.claims("di"), "https://acme.example/region", region);
        let text = refused(&server, &provider.sign(&claims)).await;
        assert!(text.contains("not a single value"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_address_is_nobodys_however_it_is_named() {
    for claim in ["email", "/email", "preferred_username"] {
        let provider = Provider::start().await;
        let files = mesh(&item(&provider, &format!("      nameClaim: {claim}\n")));
        let server = TestServer::start(&files).await;
        let claims = with(provider.claims("1"), "email", json!("cy"));
        let claims = with(claims, "preferred_username", json!("cy"));
        let good = server.service(&provider.sign(&claims)).await;
        assert_eq!(good.rows(ORDERS).await, ["1", "2", "3"]);
        let claims = with(claims, "email_verified", json!(false));
        let text = refused(&server, &provider.sign(&claims)).await;
        assert!(text.contains("has not verified"), "{claim}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_do_not_make_us_ask_again() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let good = server.service(&provider.token("di")).await;
    good.rows("SELECT 1").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = provider.fetched();
    provider.behaviour.lock().unwrap().takes = Duration::from_millis(500);
    let stranger = SigningKey::new("nobody's", Algorithm::ES256);
    let forged = stranger.sign(&stranger.header(), &provider.claims("di"));
    for _ in 0..20 {
        let client = server.service(&forged).await;
        let hurried = tokio::time::timeout(Duration::from_millis(100), client.query("SELECT 1"));
        let _ = hurried.await;
        // Who has a key waits for nobody.
        let begun = Instant::now();
        good.rows("SELECT 1").await;
        assert!(begun.elapsed() < Duration::from_millis(400));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(provider.fetched(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn impatient_callers_get_in_once_the_keys_have_come() {
    let provider = Provider::start().await;
    {
        let mut does = provider.behaviour.lock().unwrap();
        does.is_down = true;
    }
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let di = server.service(&provider.token("di")).await;
    di.fails("SELECT 1").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    {
        let mut does = provider.behaviour.lock().unwrap();
        (does.is_down, does.takes) = (false, Duration::from_millis(600));
    }
    let begun = Instant::now();
    loop {
        let call = tokio::time::timeout(Duration::from_millis(300), di.query("SELECT 1"));
        if matches!(call.await, Ok(Ok(_))) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(provider.fetched(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_one_credential() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    let server = TestServer::start(&files).await;
    let good = format!("Bearer {}", provider.token("di"));
    for two in [[&good, "Bearer x"], ["Bearer x", &good], [&good, &good]] {
        let client = TestClient::anonymous(server.channel().await);
        let mut request = tonic::Request::new(arrow_flight::Empty {});
        for value in two {
            let headers = request.metadata_mut();
            headers.append("authorization", value.parse().unwrap());
        }
        let mut flight = client.flight.inner().clone();
        let status = flight.list_actions(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_for_groups_of_tokens_and_for_whom_a_service_acts() {
    let provider = Provider::start().await;
    let files = mesh(&item(&provider, ""));
    files.change(
        "mesh.yaml",
        "identity:\n",
        "limits:\n  - {name: few, for: [group:analysts], rows: 1}\nidentity:\n",
    );
    let server = TestServer::start(&files).await;
    let named = "limit `few` (rows 1): ";
    let di = server.service(&provider.token("di")).await;
    let refused = di.fails(ORDERS).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().starts_with(named), "{refused}");
    let outside = with(provider.claims("di"), "groups", json!(["others"]));
    let outside = server.service(&provider.sign(&outside)).await;
    let two = "SELECT 1 AS n UNION ALL SELECT 2";
    assert_eq!(outside.rows(two).await.len(), 2);

    let bi = server.service("token-of-bi").await;
    assert_eq!(bi.rows(two).await.len(), 2);
    let for_ana = bi.with_header("x-weft-on-behalf-of", "user:ana");
    let refused = for_ana.fails(two).await;
    assert!(refused.message().starts_with(named), "{refused}");
}
