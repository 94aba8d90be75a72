//! Statement handles: all that a ticket or a prepared statement needs to run
//! again, sealed for the owner it was made for.
//!
//! Handles are stateless, so any replica with the same secret serves them, and
//! they carry no authority: whoever presents one is authenticated, and access is
//! decided anew, for the purpose that the handle was made for. A handle of
//! somebody else, of another server or of last week reads like one that never
//! existed.

mod payload;

use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, Ticket};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use tonic::Status;
use uuid::Uuid;
use weft_mesh::Purpose;
use weft_policy::Owner;

use self::payload::Payload;
use crate::seal::Sealer;
use crate::session::Options;
use crate::status;

/// Tickets are redeemed at once, or after a short wait in the client.
const TICKET_LIFE: TimeDelta = TimeDelta::minutes(15);
/// Connection pools keep prepared statements for long.
const PREPARED_LIFE: TimeDelta = TimeDelta::hours(24);
/// A handle travels in messages that clients cut off at 4 MiB.
const LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// What a client holds between two calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StatementHandle {
    pub(crate) content: Content,
    /// The epoch of the mesh in which the handle was made; for the log.
    pub(crate) epoch: u64,
    pub(crate) query_id: Uuid,
}

/// What a handle stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A result that `DoGet` produces.
    Ticket(Statement),
    /// A prepared statement, with or without bound parameters.
    Prepared(Statement),
    /// A question about the catalog.
    Metadata(Metadata),
}

/// A metadata command, and what its answer depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metadata {
    /// As the client sent it.
    pub(crate) command: Bytes,
    pub(crate) purpose: Option<Purpose>,
}

impl StatementHandle {
    /// What its data is for.
    pub(crate) fn purpose(&self) -> Option<&Purpose> {
        match &self.content {
            Content::Ticket(statement) | Content::Prepared(statement) => {
                statement.options.query.purpose.as_ref()
            }
            Content::Metadata(metadata) => metadata.purpose.as_ref(),
        }
    }
}

/// A statement, and what its meaning depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    /// The bound rows as an Arrow IPC stream; empty for none.
    pub(crate) parameters: Bytes,
    pub(crate) options: Options,
    /// Hash of the wire schema that the client was told.
    pub(crate) schema_hash: [u8; 32],
}

/// Seals and opens handles.
#[derive(Debug)]
pub(crate) struct Handles {
    sealer: Sealer,
}

impl Handles {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// The sealed handle and when it expires.
    pub(crate) fn seal(
        &self,
        owner: &Owner,
        handle: &StatementHandle,
        now: DateTime<Utc>,
    ) -> Result<(Bytes, DateTime<Utc>), Status> {
        let life = match handle.content {
            Content::Ticket(_) | Content::Metadata(_) => TICKET_LIFE,
            Content::Prepared(_) => PREPARED_LIFE,
        };
        let expires = now + life;
        let payload = Payload::new(handle, now, expires).encode_to_vec();
        if payload.len() > LIMIT_BYTES {
            return Err(Status::invalid_argument(format!(
                "the statement and its parameters take {} bytes, more than the {LIMIT_BYTES} that a handle carries",
                payload.len(),
            )));
        }
        let sealed = self
            .sealer
            .seal(&owner.binding(), &payload)
            .ok_or_else(|| status::internal("a handle could not be sealed"))?;
        Ok((sealed.into(), expires))
    }

    /// The handle behind `sealed`, if it is of `owner` and still alive.
    pub(crate) fn open(
        &self,
        owner: &Owner,
        sealed: &[u8],
        now: DateTime<Utc>,
    ) -> Result<StatementHandle, Status> {
        if sealed.len() > LIMIT_BYTES + 1024 {
            return Err(unknown());
        }
        let payload = self
            .sealer
            .open(&owner.binding(), sealed)
            .and_then(|plain| Payload::decode(plain.as_slice()).ok())
            .filter(|payload| now.timestamp() < payload.expires)
            .ok_or_else(unknown)?;
        payload.into_handle().ok_or_else(unknown)
    }
}

/// An endpoint at this server, whose ticket carries `sealed` until `expires`.
pub(crate) fn endpoint(sealed: Bytes, expires: DateTime<Utc>) -> FlightEndpoint {
    let message = TicketStatementQuery {
        statement_handle: sealed,
    };
    let mut endpoint =
        FlightEndpoint::new().with_ticket(Ticket::new(message.as_any().encode_to_vec()));
    let expiration = endpoint.expiration_time.get_or_insert_default();
    expiration.seconds = expires.timestamp();
    endpoint
}

/// One text for a handle that is unknown, expired or somebody else's.
pub(crate) fn unknown() -> Status {
    Status::not_found("statement handle is unknown or expired: run or prepare the statement again")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weft_engine::SessionOptions;
    use weft_policy::PrincipalId;

    use super::*;
    use crate::seal;

    fn handles() -> Handles {
        Handles::new(Sealer::new([b"secret".as_slice()], seal::Purpose::Handle))
    }

    fn ana() -> Owner {
        PrincipalId::user("ana").into()
    }

    fn by(service: &str) -> Owner {
        Owner {
            acting: Some(PrincipalId::service(service)),
            ..ana()
        }
    }

    fn purpose() -> Option<Purpose> {
        Some(Purpose::parse("fulfilment").unwrap())
    }

    fn statement() -> Statement {
        Statement {
            sql: "SELECT $1".to_owned(),
            parameters: Bytes::from_static(b"ipc"),
            options: Options {
                query: SessionOptions {
                    catalog: Some("acme".to_owned()),
                    schema: Some("sales".to_owned()),
                    timezone: None,
                    statement_timeout: Some(Duration::from_millis(1_500)),
                    purpose: purpose(),
                },
                ..Options::default()
            },
            schema_hash: [7; 32],
        }
    }

    fn handle(content: Content) -> StatementHandle {
        StatementHandle {
            content,
            epoch: 3,
            query_id: Uuid::from_u128(9),
        }
    }

    #[test]
    fn every_content_survives_the_round_trip() {
        for content in [
            Content::Ticket(statement()),
            Content::Prepared(statement()),
            Content::Metadata(Metadata {
                command: Bytes::from_static(b"any"),
                purpose: purpose(),
            }),
        ] {
            let handle = handle(content);
            let now = Utc::now();
            let (sealed, _) = handles().seal(&ana(), &handle, now).unwrap();
            assert_eq!(handles().open(&ana(), &sealed, now).unwrap(), handle);
        }
    }

    #[test]
    fn a_handle_of_another_garbage_and_an_expired_one_read_alike() {
        let now = Utc::now();
        let ticket = handle(Content::Ticket(statement()));
        let (sealed, expires) = handles().seal(&ana(), &ticket, now).unwrap();
        let (by_bi, _) = handles().seal(&by("bi"), &ticket, now).unwrap();
        let service = PrincipalId::service;
        let texts = [
            handles()
                .open(&service("ana").into(), &sealed, now)
                .unwrap_err(),
            handles().open(&by("bi"), &sealed, now).unwrap_err(),
            handles().open(&ana(), &by_bi, now).unwrap_err(),
            handles().open(&by("etl"), &by_bi, now).unwrap_err(),
            handles()
                .open(&service("bi").into(), &by_bi, now)
                .unwrap_err(),
            handles().open(&ana(), b"garbage", now).unwrap_err(),
            handles().open(&ana(), b"", now).unwrap_err(),
            handles().open(&ana(), &sealed, expires).unwrap_err(),
        ]
        .map(|status| (status.code(), status.message().to_owned()));
        assert!(handles().open(&by("bi"), &by_bi, now).is_ok());
        assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
    }

    #[test]
    fn prepared_statements_outlive_tickets() {
        let now = Utc::now();
        let (_, ticket) = handles()
            .seal(&ana(), &handle(Content::Ticket(statement())), now)
            .unwrap();
        let (_, prepared) = handles()
            .seal(&ana(), &handle(Content::Prepared(statement())), now)
            .unwrap();
        assert_eq!(ticket - now, TICKET_LIFE);
        assert_eq!(prepared - now, PREPARED_LIFE);
    }

    #[test]
    fn a_statement_too_big_for_a_handle_is_refused() {
        let big = Statement {
            sql: "x".repeat(LIMIT_BYTES),
            ..statement()
        };
        let status = handles()
            .seal(&ana(), &handle(Content::Prepared(big)), Utc::now())
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
