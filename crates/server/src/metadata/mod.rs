//! Metadata commands: what a driver asks before it queries.
//!
//! Everything about tables comes from
//! [`GovernedSession::visible_tables`](weft_engine::GovernedSession::visible_tables),
//! the same view that SQL resolves names in, so nothing shows here that cannot
//! be queried. Schemas of the answers are those of `FlightSql.proto`, and rows
//! are sorted as it says.

mod catalogs;
mod column_metadata;
mod keys;
mod pattern;
mod sql_info;
mod tables;
mod xdbc_type_info;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_flight::FlightInfo;
use bytes::Bytes;
use tonic::Status;
use uuid::Uuid;
use weft_engine::{SessionOptions, VisibleTable};
use weft_mesh::Purpose;

use crate::call::Call;
use crate::command::MetadataCommand;
use crate::handle::{self, Content, StatementHandle};
use crate::service::FlightSql;
use crate::status;
use crate::stream::{self, FlightDataStream};
use crate::wire::WireOptions;

/// The catalog as one principal sees it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The name of the one catalog, the mesh.
    pub(crate) catalog: String,
    /// By schema and name.
    pub(crate) tables: Vec<VisibleTable>,
    /// The tables of the schema `system`, which are computed.
    pub(crate) views: Vec<VisibleTable>,
}

impl View {
    /// Whether an exact catalog filter lets this catalog through: none means
    /// all, the empty name means tables without a catalog, of which there are
    /// none.
    fn is_asked_for(&self, filter: Option<&String>) -> bool {
        filter.is_none_or(|name| *name == self.catalog)
    }
}

/// What is the same for every principal, made once.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    sql_info: RecordBatch,
    xdbc_type_info: RecordBatch,
}

impl ServerInfo {
    pub(crate) fn new() -> Result<Self, ArrowError> {
        Ok(Self {
            sql_info: sql_info::all(weft_engine::functions())?,
            xdbc_type_info: xdbc_type_info::all()?,
        })
    }

    /// The schema of the answer to `command`.
    pub(crate) fn schema(&self, command: &MetadataCommand) -> SchemaRef {
        match command {
            MetadataCommand::Catalogs(_) => catalogs::catalogs_schema(),
            MetadataCommand::DbSchemas(_) => catalogs::db_schemas_schema(),
            MetadataCommand::Tables(command) => tables::tables_schema(command.include_schema),
            MetadataCommand::TableTypes(_) => tables::table_types_schema(),
            MetadataCommand::PrimaryKeys(_) => keys::primary_keys_schema(),
            MetadataCommand::ExportedKeys(_)
            | MetadataCommand::ImportedKeys(_)
            | MetadataCommand::CrossReference(_) => keys::foreign_keys_schema(),
            MetadataCommand::SqlInfo(_) => self.sql_info.schema(),
            MetadataCommand::XdbcTypeInfo(_) => self.xdbc_type_info.schema(),
        }
    }

    /// The answer to `command`.
    fn answer(&self, command: &MetadataCommand, view: &View) -> Result<RecordBatch, ArrowError> {
        match command {
            MetadataCommand::Catalogs(_) => catalogs::catalogs(view),
            MetadataCommand::DbSchemas(command) => catalogs::db_schemas(command, view),
            MetadataCommand::Tables(command) => tables::tables(command, view),
            MetadataCommand::TableTypes(_) => tables::table_types(),
            MetadataCommand::PrimaryKeys(command) => keys::primary_keys(command, view),
            MetadataCommand::ExportedKeys(_)
            | MetadataCommand::ImportedKeys(_)
            | MetadataCommand::CrossReference(_) => {
                Ok(RecordBatch::new_empty(keys::foreign_keys_schema()))
            }
            MetadataCommand::SqlInfo(command) => sql_info::select(&self.sql_info, &command.info),
            MetadataCommand::XdbcTypeInfo(command) => {
                xdbc_type_info::select(&self.xdbc_type_info, command.data_type)
            }
        }
    }
}

impl FlightSql {
    /// The `FlightInfo` of a metadata command, sent as `encoded`.
    pub(crate) fn metadata_info(
        &self,
        call: &Call,
        command: &MetadataCommand,
        encoded: &Bytes,
    ) -> Result<FlightInfo, Status> {
        let handle = StatementHandle {
            content: Content::Metadata(handle::Metadata {
                command: encoded.clone(),
                purpose: call.options.query.purpose.clone(),
            }),
            epoch: call.snapshot.epoch().0,
            query_id: Uuid::new_v4(),
        };
        let info = self.info_with_ticket(call, &handle, &self.info.schema(command))?;
        Ok(info.with_ordered(true))
    }

    /// The answer to a metadata command: what `purpose` gives.
    pub(crate) fn metadata_stream(
        &self,
        call: &Call,
        command: &MetadataCommand,
        purpose: Option<Purpose>,
    ) -> Result<FlightDataStream, Status> {
        // A default schema that is gone must not hide the others.
        let options = SessionOptions {
            purpose,
            ..SessionOptions::default()
        };
        let session = self.open(call, options)?;
        let view = View {
            catalog: session.mesh_name().to_owned(),
            tables: session.visible_tables(),
            views: session.system_tables(),
        };
        let answer = self
            .info
            .answer(command, &view)
            .map_err(|error| status::of_arrow(&error))?;
        stream::of_batch(answer, self.terms(call, WireOptions::default()))
    }
}

/// A schema of Utf8 fields; a name with `?` is nullable.
fn text_schema(names: &[&str]) -> SchemaRef {
    use arrow::datatypes::{DataType, Field, Schema};
    let fields: Vec<Field> = names
        .iter()
        .map(|name| {
            let bare = name.strip_suffix('?');
            Field::new(bare.unwrap_or(name), DataType::Utf8, bare.is_some())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
pub(crate) mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use weft_engine::VisibleColumn;

    use super::*;

    /// `crm.customers` with a key of two columns, `sales.orders`,
    /// `sales.order_lines`, and `system.products`.
    pub(crate) fn view() -> View {
        View {
            catalog: "acme".to_owned(),
            tables: vec![
                table("crm", "customers", &["tenant", "id"]),
                table("sales", "order_lines", &[]),
                table("sales", "orders", &["id"]),
            ],
            views: vec![table("system", "products", &[])],
        }
    }

    fn table(domain: &str, name: &str, primary_key: &[&str]) -> VisibleTable {
        let fields = vec![
            Field::new("tenant", DataType::Utf8View, false),
            Field::new("id", DataType::Int64, false),
            Field::new("amount", DataType::Decimal128(15, 2), true),
        ];
        let columns = fields
            .iter()
            .map(|field| VisibleColumn {
                name: field.name().clone(),
                description: (field.name() == "amount").then(|| "in euros".to_owned()),
            })
            .collect();
        VisibleTable {
            domain: domain.to_owned(),
            name: name.to_owned(),
            description: None,
            schema: Arc::new(Schema::new(fields)),
            columns,
            primary_key: primary_key.iter().map(|&key| key.to_owned()).collect(),
        }
    }

    /// The values of a text column.
    pub(crate) fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
        use arrow::array::AsArray;
        batch
            .column_by_name(column)
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|text| text.unwrap_or("NULL").to_owned())
            .collect()
    }
}
