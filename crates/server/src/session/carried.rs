//! Options that a client carries from one server to the next: a cookie, sealed for its owner.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use weft_engine::SessionOptions;
use weft_mesh::Purpose;
use weft_policy::Owner;

use super::options::{self, Options};
use super::{SessionId, SessionOptionValue};
use crate::authenticate::cookie;
use crate::seal::Sealer;

const COOKIE: &str = "weft_options";
/// As long as a session bearer lives.
const LIFE: TimeDelta = TimeDelta::hours(12);
/// Clients keep no cookie beyond 4 KiB (RFC 6265, section 6.1).
const LIMIT_BYTES: usize = 4_000;

/// Options, as handles and cookies carry them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptionsMessage {
    #[prost(string, optional, tag = "1")]
    catalog: Option<String>,
    #[prost(string, optional, tag = "2")]
    schema: Option<String>,
    #[prost(string, optional, tag = "3")]
    timezone: Option<String>,
    #[prost(uint64, optional, tag = "4")]
    statement_timeout_millis: Option<u64>,
    #[prost(string, optional, tag = "5")]
    purpose: Option<String>,
    #[prost(string, optional, tag = "6")]
    ipc_compression: Option<String>,
    #[prost(string, optional, tag = "7")]
    wire_types: Option<String>,
}

impl From<&Options> for OptionsMessage {
    fn from(options: &Options) -> Self {
        let Options { query, wire } = options;
        let text = |name: Option<&str>| name.map(str::to_owned);
        Self {
            catalog: query.catalog.clone(),
            schema: query.schema.clone(),
            timezone: query.timezone.clone(),
            statement_timeout_millis: query
                .statement_timeout
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            purpose: query.purpose.as_ref().map(ToString::to_string),
            ipc_compression: text(options::compression_name(wire.compression)),
            wire_types: text(options::types_name(wire.types)),
        }
    }
}

impl OptionsMessage {
    /// `None` for what says no options: less must not be made of it.
    pub(crate) fn into_options(self) -> Option<Options> {
        let purpose = self.purpose.as_deref().map(Purpose::parse);
        let mut options = Options {
            query: SessionOptions {
                catalog: self.catalog,
                schema: self.schema,
                timezone: self.timezone,
                statement_timeout: self.statement_timeout_millis.map(Duration::from_millis),
                purpose: purpose.transpose().ok()?,
            },
            ..Options::default()
        };
        for (name, value) in [
            (options::IPC_COMPRESSION, self.ipc_compression),
            (options::WIRE_TYPES, self.wire_types),
        ] {
            if let Some(value) = value {
                options::set(&mut options, name, &SessionOptionValue::text(&value)).ok()?;
            }
        }
        Some(options)
    }
}

#[derive(Clone, PartialEq, Message)]
struct Payload {
    /// Whose options they are: another session of the same owner has its own.
    #[prost(bytes = "vec", tag = "1")]
    session: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    options: Option<OptionsMessage>,
    #[prost(int64, tag = "3")]
    expires: i64,
}

/// Seals and opens what clients carry.
#[derive(Debug)]
pub(crate) struct Carried {
    sealer: Sealer,
}

impl Carried {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// The options that the caller carries for `session`, if any.
    pub(crate) fn options(
        &self,
        session: Option<SessionId>,
        owner: &Owner,
        headers: &MetadataMap,
        now: DateTime<Utc>,
    ) -> Option<Options> {
        let sealed = cookie(headers, COOKIE)?;
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let payload = self.sealer.open(&owner.binding(), &sealed)?;
        let payload = Payload::decode(payload.as_slice()).ok()?;
        let fits = payload.session == session?.as_bytes() && now.timestamp() < payload.expires;
        payload.options.filter(|_| fits)?.into_options()
    }

    /// The cookie that has a client carry `options`; for none, and for more than a cookie
    /// holds, the one that has it carry nothing.
    pub(crate) fn cookie(
        &self,
        session: SessionId,
        owner: &Owner,
        options: Option<&Options>,
        now: DateTime<Utc>,
    ) -> Option<MetadataValue<tonic::metadata::Ascii>> {
        let seal = |options| {
            let payload = Payload {
                session: session.as_bytes().to_vec(),
                options: Some(OptionsMessage::from(options)),
                expires: (now + LIFE).timestamp(),
            };
            let sealed = self
                .sealer
                .seal(&owner.binding(), &payload.encode_to_vec())?;
            let value = BASE64_URL_SAFE_NO_PAD.encode(sealed);
            (value.len() <= LIMIT_BYTES).then(|| format!("{COOKIE}={value}; HttpOnly"))
        };
        let nothing = || format!("{COOKIE}=; Max-Age=0; HttpOnly");
        let cookie = options.and_then(seal).unwrap_or_else(nothing);
        MetadataValue::try_from(cookie).ok()
    }
}

#[cfg(test)]
mod tests {
    use weft_policy::PrincipalId;

    use super::*;
    use crate::seal::Purpose as Sealed;

    fn carried() -> Carried {
        Carried::new(Sealer::new([b"secret".as_slice()], Sealed::Options))
    }

    fn options() -> Options {
        let mut options = Options::default();
        for (name, value) in [
            ("catalog", "acme"),
            ("schema", "sales"),
            ("timezone", "Europe/Berlin"),
            ("statement_timeout", "1500ms"),
            ("purpose", "fulfilment"),
            ("ipc_compression", "zstd"),
            ("wire_types", "native"),
        ] {
            options::set(&mut options, name, &SessionOptionValue::text(value)).unwrap();
        }
        options
    }

    fn sent_back(cookie: &MetadataValue<tonic::metadata::Ascii>) -> MetadataMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let mut headers = MetadataMap::new();
        headers.insert("cookie", pair.parse().unwrap());
        headers
    }

    #[test]
    fn every_option_survives_the_round_trip() {
        let message = OptionsMessage::from(&options());
        let bytes = message.encode_to_vec();
        let message = OptionsMessage::decode(bytes.as_slice()).unwrap();
        assert_eq!(message.into_options(), Some(options()));
        let none = OptionsMessage::from(&Options::default());
        assert_eq!(none.into_options(), Some(Options::default()));
    }

    #[test]
    fn another_server_reads_them_for_their_session_and_owner_alone() {
        let (ana, session, now) = (
            PrincipalId::user("ana").into(),
            SessionId::new(),
            Utc::now(),
        );
        let cookie = carried()
            .cookie(session, &ana, Some(&options()), now)
            .unwrap();
        let headers = sent_back(&cookie);
        let found = |session, owner: &Owner, now| carried().options(session, owner, &headers, now);
        assert_eq!(found(Some(session), &ana, now), Some(options()));
        let by_bi = Owner {
            acting: Some(PrincipalId::service("bi")),
            ..ana.clone()
        };
        assert_eq!(found(Some(session), &by_bi, now), None);
        assert_eq!(
            found(Some(session), &PrincipalId::user("bo").into(), now),
            None
        );
        assert_eq!(found(Some(SessionId::new()), &ana, now), None);
        assert_eq!(found(None, &ana, now), None);
        assert_eq!(found(Some(session), &ana, now + LIFE), None);
    }

    #[test]
    fn nothing_is_carried_of_none_and_of_too_much() {
        let (ana, session, now) = (
            PrincipalId::user("ana").into(),
            SessionId::new(),
            Utc::now(),
        );
        let mut large = Options::default();
        large.query.catalog = Some("x".repeat(LIMIT_BYTES));
        for options in [None, Some(&large)] {
            let cookie = carried().cookie(session, &ana, options, now).unwrap();
            assert!(cookie.to_str().unwrap().contains("Max-Age=0"));
            assert_eq!(
                carried().options(Some(session), &ana, &sent_back(&cookie), now),
                None
            );
        }
    }
}
