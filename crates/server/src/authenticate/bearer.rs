//! Session bearers: what Handshake hands out so that a password is hashed once
//! a session and not once a call.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use weft_policy::{PrincipalId, PrincipalKind};

use crate::seal::Sealer;
use crate::session::SessionId;

/// JDBC takes a bearer once and never refreshes it: a working day.
const LIFE: TimeDelta = TimeDelta::hours(12);
/// Tells a session bearer from the token of a service.
const PREFIX: &str = "weft1.";
/// No bearer of ours is longer; names are short.
const LIMIT_BYTES: usize = 4096;

/// What a session bearer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionBearer {
    pub(crate) principal: PrincipalId,
    /// Of the credential that logged in: the session ends when that changes.
    pub(crate) credential_tag: [u8; 16],
    pub(crate) session: SessionId,
    pub(crate) expires: DateTime<Utc>,
}

/// Mints and opens session bearers.
#[derive(Debug)]
pub(crate) struct Bearers {
    sealer: Sealer,
}

impl Bearers {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// A bearer for a session of `principal` that begins `now`.
    pub(crate) fn mint(
        &self,
        principal: &PrincipalId,
        credential_tag: [u8; 16],
        session: SessionId,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let payload = Payload {
            service: principal.kind == PrincipalKind::Service,
            name: principal.name.clone(),
            credential_tag: credential_tag.to_vec(),
            session: session.as_bytes().to_vec(),
            issued: now.timestamp(),
            expires: (now + LIFE).timestamp(),
        };
        let sealed = self.sealer.seal(PREFIX, &payload.encode_to_vec())?;
        Some(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// What `token` says, expired or not; `None` if it is not one of ours.
    pub(crate) fn open(&self, token: &str) -> Option<SessionBearer> {
        let encoded = token
            .strip_prefix(PREFIX)
            .filter(|encoded| encoded.len() <= LIMIT_BYTES)?;
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let plain = self.sealer.open(PREFIX, &sealed)?;
        let payload = Payload::decode(plain.as_slice()).ok()?;
        Some(SessionBearer {
            principal: PrincipalId {
                kind: if payload.service {
                    PrincipalKind::Service
                } else {
                    PrincipalKind::User
                },
                name: payload.name,
            },
            credential_tag: payload.credential_tag.try_into().ok()?,
            session: SessionId::from_bytes(&payload.session)?,
            expires: DateTime::from_timestamp(payload.expires, 0)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(bool, tag = "1")]
    service: bool,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bytes = "vec", tag = "3")]
    credential_tag: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    session: Vec<u8>,
    #[prost(int64, tag = "5")]
    issued: i64,
    #[prost(int64, tag = "6")]
    expires: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Purpose;

    fn bearers(secret: &[u8]) -> Bearers {
        Bearers::new(Sealer::new(secret, Purpose::Bearer))
    }

    #[test]
    fn says_what_was_minted() {
        let session = SessionId::new();
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let principal = PrincipalId::service("bi");
        let token = bearers(b"s")
            .mint(&principal, [3; 16], session, now)
            .unwrap();
        assert_eq!(
            bearers(b"s").open(&token).unwrap(),
            SessionBearer {
                principal,
                credential_tag: [3; 16],
                session,
                expires: now + LIFE,
            }
        );
        assert_eq!(bearers(b"other").open(&token), None);
        assert_eq!(bearers(b"s").open(&token[1..]), None);
        assert_eq!(bearers(b"s").open("weft1."), None);
        assert_eq!(bearers(b"s").open("some-service-token"), None);
    }
}
