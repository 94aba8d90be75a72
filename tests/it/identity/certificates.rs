//! Services that show a certificate (mutual TLS).

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{BasicAuth, HandshakeRequest};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tonic::Code;
use tonic::transport::{Channel, Identity};

use super::{ORDERS, mesh_with};
use crate::support::{MeshDir, TestClient, TestServer, TestServerConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate that `authority` signs for these names.
fn identity(authority: &Authority, names: &[&str]) -> Identity {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = names
        .iter()
        .map(|name| {
            if name.contains("://") {
                SanType::URI((*name).try_into().unwrap())
            } else {
                SanType::DnsName((*name).try_into().unwrap())
            }
        })
        .collect();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Identity::from_pem(certificate.pem(), key.serialize_pem())
}

fn mesh() -> MeshDir {
    let mesh = mesh_with("");
    let services = "    - {name: loader, kind: service, certificate: \"spiffe://acme.example/loader\"}\n    \
                    - {name: other, kind: service, certificate: other.acme.example}\n";
    mesh.change("mesh.yaml", "  users:\n", &format!("  users:\n{services}"));
    mesh
}

async fn start(mesh: &MeshDir, authority: &Authority) -> TestServer {
    let config = TestServerConfig {
        tls: true,
        client_authority: Some(authority.pem()),
        ..TestServerConfig::default()
    };
    TestServer::start_with(mesh, config).await
}

async fn channel(server: &TestServer, identity: Identity) -> Channel {
    server.endpoint_as(Some(identity)).connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_who_its_certificate_says() {
    let (mesh, authority) = (mesh(), authority());
    let server = start(&mesh, &authority).await;
    let names = ["spiffe://acme.example/loader", "host-7.acme.example"];
    let shown = channel(&server, identity(&authority, &names)).await;
    let loader = TestClient::anonymous(shown.clone());
    assert_eq!(loader.rows(ORDERS).await, ["1", "2", "3"]);
    assert_eq!(loader.value("SELECT current_user").await, "loader");
    // A header says who the caller wants to be, and nothing stands in for a wrong one.
    let ana = TestClient::basic(shown.clone(), "ana", "pw-of-ana");
    assert_eq!(ana.rows(ORDERS).await, ["2"]);
    let wrong = TestClient::bearer(shown, "no-such-token")
        .fails(ORDERS)
        .await;
    assert_eq!(wrong.code(), Code::Unauthenticated);
    // Handshake begins a session with it.
    let bearer = super::oidc::log_in(&loader).await;
    let session = TestClient::bearer(server.channel().await, &bearer);
    assert_eq!(session.rows(ORDERS).await, ["1", "2", "3"]);
    // Whoever shows none logs in otherwise.
    let ana = server.client("ana", "pw-of-ana").await;
    assert_eq!(ana.rows(ORDERS).await, ["2"]);
    let nobody = TestClient::anonymous(server.channel().await);
    assert_eq!(nobody.fails(ORDERS).await.code(), Code::Unauthenticated);
    // Once the mesh has another name for it, sessions end as well.
    mesh.change(
        "mesh.yaml",
        "spiffe://acme.example/loader",
        "spiffe://acme.example/next",
    );
    server.live.reload().await;
    for client in [&loader, &session] {
        assert_eq!(client.fails(ORDERS).await.code(), Code::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_counts_before_its_certificate() {
    let (mesh, authority) = (mesh(), authority());
    let server = start(&mesh, &authority).await;
    let says = |user: &str, password: &str| HandshakeRequest {
        protocol_version: 0,
        payload: BasicAuth {
            username: user.to_owned(),
            password: password.to_owned(),
        }
        .encode_to_vec()
        .into(),
    };
    // A service's, and one that is nobody's.
    for names in [
        &["spiffe://acme.example/loader"][..],
        &["laptop.acme.example"],
    ] {
        let shown = channel(&server, identity(&authority, names)).await;
        let handshake = async |first: HandshakeRequest| {
            let mut flight = FlightServiceClient::new(shown.clone());
            flight.handshake(futures::stream::iter([first])).await
        };
        let answer = handshake(says("ana", "pw-of-ana")).await.unwrap();
        let bearer = answer.metadata().get("authorization").unwrap();
        let bearer = bearer.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let session = TestClient::bearer(server.channel().await, bearer);
        assert_eq!(session.value("SELECT current_user").await, "ana");
        for wrong in [
            says("ana", "wrong"),
            says("nobody", ""),
            HandshakeRequest {
                payload: "no login".into(),
                ..HandshakeRequest::default()
            },
        ] {
            let status = handshake(wrong).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{names:?}");
        }
    }
    // Java sends an empty message.
    let shown = channel(
        &server,
        identity(&authority, &["spiffe://acme.example/loader"]),
    )
    .await;
    let mut flight = FlightServiceClient::new(shown);
    let empty = futures::stream::iter([HandshakeRequest::default()]);
    let answer = flight.handshake(empty).await.unwrap();
    let bearer = answer.metadata().get("authorization").unwrap();
    let bearer = bearer.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let session = TestClient::bearer(server.channel().await, bearer);
    assert_eq!(session.value("SELECT current_user").await, "loader");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_others_let_nobody_in() {
    let (mesh, ours, theirs) = (mesh(), authority(), authority());
    let server = start(&mesh, &ours).await;
    for names in [
        &["spiffe://acme.example/Loader"][..],
        &["spiffe://acme.example/loader/x"],
        &["loader"],
        // The other service, as a URI where a DNS name is meant.
        &["urn:other.acme.example"],
        &["bi"],
        &["ana"],
        &[],
        // Of two services: which one would depend on the order of the file.
        &["spiffe://acme.example/loader", "other.acme.example"],
    ] {
        let shown = channel(&server, identity(&ours, names)).await;
        let status = TestClient::anonymous(shown).fails(ORDERS).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{names:?}");
    }
    // Signed by somebody else: TLS itself refuses it.
    let forged = identity(&theirs, &["spiffe://acme.example/loader"]);
    let refused = match server.endpoint_as(Some(forged)).connect().await {
        Ok(channel) => TestClient::anonymous(channel).query(ORDERS).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
}
