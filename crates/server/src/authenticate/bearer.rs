//! Session bearers: what Handshake hands out so that a password is hashed once
//! a session and not once a call.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use weft_policy::{Authenticator, Principal, PrincipalId, PrincipalKind, VouchedBy, Voucher};

use crate::seal::Sealer;
use crate::session::SessionId;

/// JDBC takes a bearer once and never refreshes it: a working day.
const LIFE: TimeDelta = TimeDelta::hours(12);
/// Tells a session bearer from the token of a service.
const PREFIX: &str = "weft1.";
/// No bearer of ours is longer: it travels in a header.
const LIMIT_BYTES: usize = 24 * 1024;

/// What a session bearer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionBearer {
    /// With what a provider said of them, if one vouches for them.
    holder: Arc<Principal>,
    /// Of the credential that logged in: the session ends when that changes.
    credential_tag: [u8; 16],
    pub(crate) session: SessionId,
    expires: DateTime<Utc>,
}

impl SessionBearer {
    /// Who it lets in `now`: a principal of the mesh as the identity file has it,
    /// one of a provider as it was when the session began.
    pub(crate) fn principal(
        &self,
        authenticator: &Authenticator,
        now: DateTime<Utc>,
    ) -> Option<Arc<Principal>> {
        if now >= self.expires {
            return None;
        }
        if self.holder.voucher().is_some() {
            return authenticator.stands(&self.holder, now);
        }
        let id = self.holder.id();
        let is_current = authenticator.credential_tag(id) == Some(self.credential_tag);
        authenticator.principal(id).filter(|_| is_current)
    }
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

    /// A bearer for a session of `principal` that begins `now`; none for who has
    /// no credential any more, or is said to be more than a header holds.
    pub(crate) fn mint(
        &self,
        principal: &Principal,
        authenticator: &Authenticator,
        session: SessionId,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let id = principal.id();
        let common = Payload {
            service: id.kind == PrincipalKind::Service,
            name: id.name.clone(),
            session: session.as_bytes().to_vec(),
            issued: now.timestamp(),
            ..Payload::default()
        };
        let payload = match principal.voucher() {
            None => Payload {
                credential_tag: authenticator.credential_tag(id)?.to_vec(),
                expires: (now + LIFE).timestamp(),
                ..common
            },
            Some(voucher) => {
                let common = Payload {
                    credential_tag: voucher.tag.to_vec(),
                    expires: voucher.until.min(now + LIFE).timestamp(),
                    ..common
                };
                match &voucher.by {
                    VouchedBy::Token(id) => Payload {
                        token: Some(id.clone()),
                        ..common
                    },
                    VouchedBy::Issuer(name) => {
                        let (issuer, _) = authenticator.issuer(name)?;
                        let longer = issuer.sessions.and_then(|it| TimeDelta::from_std(it).ok());
                        let token = voucher.until.min(now + LIFE);
                        let expires = longer.map_or(token, |it| token.max(now + it));
                        Payload {
                            expires: expires.timestamp(),
                            issuer: Some(name.clone()),
                            groups: principal.groups().iter().cloned().collect(),
                            attributes: principal.attributes().clone(),
                            ..common
                        }
                    }
                }
            }
        };
        let sealed = self.sealer.seal(PREFIX, &payload.encode_to_vec())?;
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(sealed);
        (encoded.len() <= LIMIT_BYTES).then(|| format!("{PREFIX}{encoded}"))
    }

    /// What `token` says, expired or not; `None` if it is not one of ours.
    pub(crate) fn open(&self, token: &str) -> Option<SessionBearer> {
        let encoded = token
            .strip_prefix(PREFIX)
            .filter(|encoded| encoded.len() <= LIMIT_BYTES)?;
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let plain = self.sealer.open(PREFIX, &sealed)?;
        Payload::decode(plain.as_slice()).ok()?.into_bearer()
    }
}

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(bool, tag = "1")]
    service: bool,
    #[prost(string, tag = "2")]
    name: String,
    /// Of the credential, or of the provider.
    #[prost(bytes = "vec", tag = "3")]
    credential_tag: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    session: Vec<u8>,
    #[prost(int64, tag = "5")]
    issued: i64,
    #[prost(int64, tag = "6")]
    expires: i64,
    /// Who vouches for the principal, and what it says of them.
    #[prost(string, optional, tag = "7")]
    issuer: Option<String>,
    #[prost(string, repeated, tag = "8")]
    groups: Vec<String>,
    #[prost(btree_map = "string, string", tag = "9")]
    attributes: BTreeMap<String, String>,
    /// The personal access token that logged in.
    #[prost(string, optional, tag = "10")]
    token: Option<String>,
}

impl Payload {
    fn into_bearer(self) -> Option<SessionBearer> {
        let credential_tag = self.credential_tag.try_into().ok()?;
        let expires = DateTime::from_timestamp(self.expires, 0)?;
        let kind = if self.service {
            PrincipalKind::Service
        } else {
            PrincipalKind::User
        };
        let id = PrincipalId {
            kind,
            name: self.name,
        };
        let holder = Principal::new(id, self.groups.into_iter().collect(), self.attributes);
        let by = match (self.issuer, self.token) {
            (Some(issuer), None) => Some(VouchedBy::Issuer(issuer)),
            (None, Some(token)) => Some(VouchedBy::Token(token)),
            (None, None) => None,
            (Some(_), Some(_)) => return None,
        };
        let holder = match by {
            None => holder,
            Some(by) => holder.with_voucher(Voucher {
                by,
                tag: credential_tag,
                until: expires,
            }),
        };
        Some(SessionBearer {
            holder: Arc::new(holder),
            credential_tag,
            session: SessionId::from_bytes(&self.session)?,
            expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use weft_mesh::{ClaimPath, Identity, OidcIssuer, SignatureAlgorithm, Span, Spanned};

    use super::*;
    use crate::seal::Purpose;

    fn bearers(secret: &[u8]) -> Bearers {
        Bearers::new(Sealer::new([secret], Purpose::Bearer))
    }

    #[test]
    fn a_bearer_is_of_its_secret_and_lets_nobody_in_who_is_not_known() {
        let nobody = Authenticator::without_credentials(&Identity::default());
        let payload = Payload {
            name: "ana".to_owned(),
            credential_tag: vec![3; 16],
            session: SessionId::new().as_bytes().to_vec(),
            expires: 1_000_000,
            ..Payload::default()
        };
        let mine = bearers(b"s");
        let sealed = mine.sealer.seal(PREFIX, &payload.encode_to_vec()).unwrap();
        let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(sealed));
        let opened = mine.open(&token).unwrap();
        assert_eq!(opened.holder.id(), &PrincipalId::user("ana"));
        let before = DateTime::from_timestamp(999_999, 0).unwrap();
        assert_eq!(opened.principal(&nobody, before), None);
        assert_eq!(bearers(b"other").open(&token), None);
        assert_eq!(mine.open(&token[1..]), None);
        assert_eq!(mine.open("weft1."), None);
        assert_eq!(mine.open("some-service-token"), None);
    }

    #[test]
    fn a_session_is_no_longer_than_a_working_day_unless_the_mesh_says_so() {
        let issuer = |sessions: Option<u64>| OidcIssuer {
            issuer: Spanned::new("https://p.example".to_owned(), Span::of_file("mesh.yaml")),
            url: "https://p.example".parse().unwrap(),
            audiences: ["weft".to_owned()].into(),
            name_claim: ClaimPath::new("sub"),
            groups_claim: ClaimPath::new("groups"),
            attributes: BTreeMap::new(),
            prefix: String::new(),
            algorithms: SignatureAlgorithm::ALL.into(),
            clock_skew: std::time::Duration::ZERO,
            sessions: sessions.map(|hours| std::time::Duration::from_secs(hours * 3600)),
        };
        let now = Utc::now();
        let hours = |until: DateTime<Utc>| (until - now).num_minutes().div_euclid(60);
        for (token, sessions, lasts) in [(1, None, 1), (999_999, None, 12), (1, Some(8), 8)] {
            let identity = Identity {
                issuers: vec![issuer(sessions)],
                ..Identity::default()
            };
            let known = Authenticator::without_credentials(&identity);
            let voucher = Voucher {
                by: VouchedBy::Issuer("https://p.example".to_owned()),
                tag: known.issuer("https://p.example").unwrap().1,
                until: now + TimeDelta::hours(token),
            };
            let id = PrincipalId::user("di");
            let di = Principal::new(id, Default::default(), BTreeMap::new());
            let di = di.with_voucher(voucher);
            let bearers = bearers(b"s");
            let minted = bearers.mint(&di, &known, SessionId::new(), now).unwrap();
            let opened = bearers.open(&minted).unwrap();
            // Whole seconds are kept.
            let until = opened.expires + TimeDelta::seconds(1);
            assert_eq!(hours(until), lasts, "{token} {sessions:?}");
            assert_eq!(opened.principal(&known, now).unwrap().name(), "di");
            assert_eq!(opened.principal(&known, until), None);
        }
    }
}
