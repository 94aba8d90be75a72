//! An OpenID provider in this process, whose tokens are as good or as bad as a test wants them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A key that signs.
#[derive(Debug)]
pub(super) struct SigningKey {
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    pair: KeyPair,
}

impl SigningKey {
    pub(super) fn new(id: &str, algorithm: Algorithm) -> Self {
        let of = match algorithm {
            Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &PKCS_ED25519,
            other => panic!("no key for {other:?}"),
        };
        Self {
            id: id.to_owned(),
            algorithm,
            pair: KeyPair::generate_for(of).unwrap(),
        }
    }

    /// What the provider publishes (RFC 7517).
    pub(super) fn public(&self) -> Value {
        let raw = self.pair.public_key_raw();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut key = match self.algorithm {
            Algorithm::EdDSA => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(raw)}),
            curve => {
                let (x, y) = raw[1..].split_at(raw.len() / 2);
                let crv = if curve == Algorithm::ES256 {
                    "P-256"
                } else {
                    "P-384"
                };
                json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)})
            }
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key["alg"] = json!(format!("{:?}", self.algorithm));
        key
    }

    pub(super) fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        header
    }

    pub(super) fn sign(&self, header: &Header, claims: &Value) -> String {
        let der = self.pair.serialize_der();
        let key = match self.algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_ec_der(&der),
        };
        jsonwebtoken::encode(header, claims, &key).unwrap()
    }
}

/// What a provider does.
#[derive(Debug)]
pub(super) struct Behaviour {
    pub(super) keys: Vec<Value>,
    /// In its metadata, in place of its own.
    pub(super) issuer: Option<String>,
    /// Answers nothing but errors.
    pub(super) is_down: bool,
    /// How long it takes to answer.
    pub(super) takes: Duration,
}

/// Serves metadata and keys until it is dropped.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) url: String,
    pub(super) key: SigningKey,
    pub(super) behaviour: Arc<Mutex<Behaviour>>,
    fetched: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listener.await.unwrap();
        let url = format!("http://{}/realm", listener.local_addr().unwrap());
        let key = SigningKey::new("one", Algorithm::ES256);
        let behaviour = Arc::new(Mutex::new(Behaviour {
            keys: vec![key.public()],
            issuer: None,
            is_down: false,
            takes: Duration::ZERO,
        }));
        let fetched = Arc::new(AtomicU64::new(0));
        let mut serving = JoinSet::new();
        let (at, does, counts) = (url.clone(), Arc::clone(&behaviour), Arc::clone(&fetched));
        serving.spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = socket.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let takes = does.lock().unwrap().takes;
                tokio::time::sleep(takes).await;
                let body = {
                    let does = does.lock().unwrap();
                    if does.is_down {
                        None
                    } else if request.starts_with("GET /realm/.well-known/openid-configuration ") {
                        let issuer = does.issuer.as_ref().unwrap_or(&at);
                        Some(json!({"issuer": issuer, "jwks_uri": format!("{at}/keys")}))
                    } else if request.starts_with("GET /realm/keys ") {
                        counts.fetch_add(1, Ordering::SeqCst);
                        Some(json!({"keys": does.keys}))
                    } else {
                        None
                    }
                };
                let (status, body) = match body {
                    Some(body) => ("200 OK", body.to_string()),
                    None => ("503 Service Unavailable", String::new()),
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            url,
            key,
            behaviour,
            fetched,
            _serving: serving,
        }
    }

    /// How often its keys were fetched.
    pub(super) fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::SeqCst)
    }

    /// The claims of a good token for `subject`.
    pub(super) fn claims(&self, subject: &str) -> Value {
        let now = Utc::now().timestamp();
        json!({
            "iss": self.url,
            "aud": "weft",
            "sub": subject,
            "iat": now,
            "exp": now + 600,
            "client_id": "some-app",
            "groups": ["analysts"],
            "https://acme.example/region": "EU",
        })
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.key.sign(&self.key.header(), claims)
    }

    /// A good token for `subject`.
    pub(super) fn token(&self, subject: &str) -> String {
        self.sign(&self.claims(subject))
    }
}
