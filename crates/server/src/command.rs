//! Flight SQL commands: decoded once, at the edge, into what weft serves.

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{
    Any, Command, CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo,
    CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

/// A command of `GetFlightInfo`, `GetSchema`, `PollFlightInfo`, `DoPut`, or a
/// ticket of `DoGet`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FlightCommand {
    /// A statement as text.
    Statement {
        sql: String,
    },
    /// The handle of a prepared statement.
    Prepared {
        handle: Bytes,
    },
    /// The handle that a ticket of ours carries.
    Ticket {
        handle: Bytes,
    },
    Metadata(MetadataCommand),
    /// Known, and refused.
    Refused(Refusal),
}

/// A question about the catalog or the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetadataCommand {
    Catalogs(CommandGetCatalogs),
    DbSchemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes(CommandGetTableTypes),
    PrimaryKeys(CommandGetPrimaryKeys),
    ExportedKeys(CommandGetExportedKeys),
    ImportedKeys(CommandGetImportedKeys),
    CrossReference(CommandGetCrossReference),
    SqlInfo(CommandGetSqlInfo),
    XdbcTypeInfo(CommandGetXdbcTypeInfo),
}

/// Why a command that exists in Flight SQL does not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Update,
    Ingest,
    Substrait,
    Transaction,
    /// An action sent as a command.
    Misplaced,
}

impl Refusal {
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Update => Status::permission_denied("weft is read-only"),
            Self::Ingest => Status::unimplemented("weft is read-only: it takes no data in"),
            Self::Substrait => Status::unimplemented("weft takes SQL, not Substrait plans"),
            Self::Transaction => Status::unimplemented("weft has no transactions"),
            Self::Misplaced => {
                Status::invalid_argument("this message is an action: send it with DoAction")
            }
        }
    }
}

impl FlightCommand {
    /// The command of a descriptor.
    pub(crate) fn of_descriptor(descriptor: &FlightDescriptor) -> Result<Self, Status> {
        match descriptor.r#type() {
            DescriptorType::Cmd => Self::decode(&descriptor.cmd),
            DescriptorType::Path => Err(Status::invalid_argument(
                "weft has no flights by path: send a Flight SQL command",
            )),
            DescriptorType::Unknown => Err(Status::invalid_argument(
                "the flight descriptor is neither a command nor a path",
            )),
        }
    }

    /// Decodes a protobuf `Any`.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Status> {
        let undecodable =
            || Status::invalid_argument("the command is not an encoded Flight SQL message");
        let any = Any::decode(bytes.clone()).map_err(|_| undecodable())?;
        if any.type_url.is_empty() {
            return Err(undecodable());
        }
        let command = Command::try_from(any).map_err(|_| undecodable())?;
        Self::of_command(command)
    }

    fn of_command(command: Command) -> Result<Self, Status> {
        Ok(match command {
            Command::CommandStatementQuery(query) => {
                refuse_transaction(query.transaction_id.as_ref())?;
                Self::Statement { sql: query.query }
            }
            Command::CommandPreparedStatementQuery(query) => Self::Prepared {
                handle: query.prepared_statement_handle,
            },
            Command::TicketStatementQuery(ticket) => Self::Ticket {
                handle: ticket.statement_handle,
            },
            Command::CommandGetCatalogs(c) => Self::Metadata(MetadataCommand::Catalogs(c)),
            Command::CommandGetDbSchemas(c) => Self::Metadata(MetadataCommand::DbSchemas(c)),
            Command::CommandGetTables(c) => Self::Metadata(MetadataCommand::Tables(c)),
            Command::CommandGetTableTypes(c) => Self::Metadata(MetadataCommand::TableTypes(c)),
            Command::CommandGetPrimaryKeys(c) => Self::Metadata(MetadataCommand::PrimaryKeys(c)),
            Command::CommandGetExportedKeys(c) => Self::Metadata(MetadataCommand::ExportedKeys(c)),
            Command::CommandGetImportedKeys(c) => Self::Metadata(MetadataCommand::ImportedKeys(c)),
            Command::CommandGetCrossReference(c) => {
                Self::Metadata(MetadataCommand::CrossReference(c))
            }
            Command::CommandGetSqlInfo(c) => Self::Metadata(MetadataCommand::SqlInfo(c)),
            Command::CommandGetXdbcTypeInfo(c) => Self::Metadata(MetadataCommand::XdbcTypeInfo(c)),
            Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
                Self::Refused(Refusal::Update)
            }
            Command::CommandStatementIngest(_) => Self::Refused(Refusal::Ingest),
            Command::CommandStatementSubstraitPlan(_)
            | Command::ActionCreatePreparedSubstraitPlanRequest(_) => {
                Self::Refused(Refusal::Substrait)
            }
            Command::ActionBeginSavepointRequest(_)
            | Command::ActionBeginSavepointResult(_)
            | Command::ActionBeginTransactionRequest(_)
            | Command::ActionBeginTransactionResult(_)
            | Command::ActionEndSavepointRequest(_)
            | Command::ActionEndTransactionRequest(_) => Self::Refused(Refusal::Transaction),
            Command::ActionCancelQueryRequest(_)
            | Command::ActionCancelQueryResult(_)
            | Command::ActionClosePreparedStatementRequest(_)
            | Command::ActionCreatePreparedStatementRequest(_)
            | Command::ActionCreatePreparedStatementResult(_)
            | Command::DoPutPreparedStatementResult(_)
            | Command::DoPutUpdateResult(_) => Self::Refused(Refusal::Misplaced),
            Command::Unknown(any) => {
                let name: String = any.type_url.chars().take(200).collect();
                return Err(Status::unimplemented(format!("unknown command `{name}`")));
            }
        })
    }
}

/// A request inside a transaction cannot be meant for a server without any; an
/// empty id is how some clients write none.
pub(crate) fn refuse_transaction(transaction_id: Option<&Bytes>) -> Result<(), Status> {
    match transaction_id {
        Some(id) if !id.is_empty() => Err(Status::invalid_argument(
            "weft has no transactions: send the statement without a transaction id",
        )),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::{
        CommandStatementIngest, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt,
    };
    use tonic::Code;

    use super::*;

    fn decode(message: &impl ProstMessageExt) -> Result<FlightCommand, Status> {
        FlightCommand::decode(&message.as_any().encode_to_vec().into())
    }

    #[test]
    fn statements_and_metadata() {
        let statement = CommandStatementQuery {
            query: "select 1".to_owned(),
            transaction_id: Some(Bytes::new()),
        };
        assert_eq!(
            decode(&statement).unwrap(),
            FlightCommand::Statement {
                sql: "select 1".to_owned()
            }
        );
        assert_eq!(
            decode(&CommandGetCatalogs {}).unwrap(),
            FlightCommand::Metadata(MetadataCommand::Catalogs(CommandGetCatalogs {}))
        );
    }

    #[test]
    fn refusals() {
        let update = decode(&CommandStatementUpdate::default()).unwrap();
        assert_eq!(update, FlightCommand::Refused(Refusal::Update));
        assert_eq!(Refusal::Update.status().code(), Code::PermissionDenied);
        let ingest = decode(&CommandStatementIngest::default()).unwrap();
        assert_eq!(ingest, FlightCommand::Refused(Refusal::Ingest));
        let in_transaction = CommandStatementQuery {
            query: "select 1".to_owned(),
            transaction_id: Some(Bytes::from_static(b"t")),
        };
        assert_eq!(
            decode(&in_transaction).unwrap_err().code(),
            Code::InvalidArgument
        );
    }

    #[test]
    fn garbage_is_an_invalid_argument_and_the_unknown_unimplemented() {
        for garbage in [&b""[..], b"SELECT 1", b"\xff\xff\xff", b"\x0a\xff"] {
            let status = FlightCommand::decode(&Bytes::from_static(garbage)).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{garbage:?}");
        }
        let any = Any {
            type_url: "type.googleapis.com/some.Other".to_owned(),
            value: Bytes::new(),
        };
        let status = FlightCommand::decode(&any.encode_to_vec().into()).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        let broken = Any {
            type_url: CommandStatementQuery::type_url().to_owned(),
            value: Bytes::from_static(b"\xff"),
        };
        let status = FlightCommand::decode(&broken.encode_to_vec().into()).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[test]
    fn descriptors_by_path_are_refused() {
        let descriptor = FlightDescriptor::new_path(vec!["sales".to_owned()]);
        let status = FlightCommand::of_descriptor(&descriptor).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}
