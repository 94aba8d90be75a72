//! What is inside a sealed handle.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;
use weft_mesh::Purpose;

use super::{Content, Metadata, Statement, StatementHandle};
use crate::session::OptionsMessage;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    sql: String,
    #[prost(bytes = "bytes", tag = "3")]
    parameters: Bytes,
    #[prost(message, optional, tag = "4")]
    options: Option<OptionsMessage>,
    #[prost(bytes = "vec", tag = "8")]
    schema_hash: Vec<u8>,
    #[prost(uint64, tag = "9")]
    epoch: u64,
    #[prost(bytes = "vec", tag = "10")]
    query_id: Vec<u8>,
    #[prost(int64, tag = "11")]
    issued: i64,
    #[prost(int64, tag = "12")]
    pub(super) expires: i64,
    #[prost(bytes = "bytes", tag = "13")]
    command: Bytes,
    /// That a question about the catalog is for.
    #[prost(string, optional, tag = "14")]
    purpose: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Unspecified = 0,
    Ticket = 1,
    Prepared = 2,
    Metadata = 3,
}

impl Payload {
    pub(super) fn new(
        handle: &StatementHandle,
        issued: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> Self {
        let common = Self {
            epoch: handle.epoch,
            query_id: handle.query_id.as_bytes().to_vec(),
            issued: issued.timestamp(),
            expires: expires.timestamp(),
            ..Self::default()
        };
        match &handle.content {
            Content::Ticket(statement) => common.with_statement(Kind::Ticket, statement),
            Content::Prepared(statement) => common.with_statement(Kind::Prepared, statement),
            Content::Metadata(metadata) => Self {
                kind: Kind::Metadata.into(),
                command: metadata.command.clone(),
                purpose: metadata.purpose.as_ref().map(ToString::to_string),
                ..common
            },
        }
    }

    fn with_statement(self, kind: Kind, statement: &Statement) -> Self {
        Self {
            kind: kind.into(),
            sql: statement.sql.clone(),
            parameters: statement.parameters.clone(),
            options: Some(OptionsMessage::from(&statement.options)),
            schema_hash: statement.schema_hash.to_vec(),
            ..self
        }
    }

    pub(super) fn into_handle(self) -> Option<StatementHandle> {
        let epoch = self.epoch;
        let query_id = Uuid::from_slice(&self.query_id).ok()?;
        let content = match self.kind() {
            Kind::Unspecified => return None,
            Kind::Ticket => Content::Ticket(self.into_statement()?),
            Kind::Prepared => Content::Prepared(self.into_statement()?),
            Kind::Metadata => Content::Metadata(Metadata {
                purpose: self.stated_purpose()?,
                command: self.command,
            }),
        };
        Some(StatementHandle {
            content,
            epoch,
            query_id,
        })
    }

    /// `None` for a text that is no purpose: less must not be made of it.
    #[expect(clippy::option_option, reason = "none stated, and none readable")]
    fn stated_purpose(&self) -> Option<Option<Purpose>> {
        let purpose = self.purpose.as_deref();
        purpose.map(Purpose::parse).transpose().ok()
    }

    fn into_statement(self) -> Option<Statement> {
        Some(Statement {
            sql: self.sql,
            parameters: self.parameters,
            options: self.options?.into_options()?,
            schema_hash: self.schema_hash.try_into().ok()?,
        })
    }
}
