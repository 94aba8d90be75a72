//! What is inside a sealed handle.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;
use weft_engine::SessionOptions;
use weft_mesh::Purpose;

use super::{Content, Metadata, Statement, StatementHandle};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    sql: String,
    #[prost(bytes = "bytes", tag = "3")]
    parameters: Bytes,
    #[prost(string, optional, tag = "4")]
    catalog: Option<String>,
    #[prost(string, optional, tag = "5")]
    schema: Option<String>,
    #[prost(string, optional, tag = "6")]
    timezone: Option<String>,
    #[prost(uint64, optional, tag = "7")]
    statement_timeout_millis: Option<u64>,
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
            purpose: handle.purpose().map(ToString::to_string),
            ..Self::default()
        };
        match &handle.content {
            Content::Ticket(statement) => common.with_statement(Kind::Ticket, statement),
            Content::Prepared(statement) => common.with_statement(Kind::Prepared, statement),
            Content::Metadata(metadata) => Self {
                kind: Kind::Metadata.into(),
                command: metadata.command.clone(),
                ..common
            },
        }
    }

    fn with_statement(self, kind: Kind, statement: &Statement) -> Self {
        let options = &statement.options;
        Self {
            kind: kind.into(),
            sql: statement.sql.clone(),
            parameters: statement.parameters.clone(),
            catalog: options.catalog.clone(),
            schema: options.schema.clone(),
            timezone: options.timezone.clone(),
            statement_timeout_millis: options
                .statement_timeout
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
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
        let purpose = self.stated_purpose()?;
        Some(Statement {
            sql: self.sql,
            parameters: self.parameters,
            options: SessionOptions {
                catalog: self.catalog,
                schema: self.schema,
                timezone: self.timezone,
                statement_timeout: self.statement_timeout_millis.map(Duration::from_millis),
                purpose,
            },
            schema_hash: self.schema_hash.try_into().ok()?,
        })
    }
}
