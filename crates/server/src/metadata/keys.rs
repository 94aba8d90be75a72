//! Keys: primary keys from the contracts; foreign keys are none, but the tools
//! that ask for them want an empty answer and not a refusal.

use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::sql::CommandGetPrimaryKeys;

use super::{View, text_schema};

pub(super) fn primary_keys_schema() -> SchemaRef {
    with_field(
        with_field(
            text_schema(&[
                "catalog_name?",
                "db_schema_name?",
                "table_name",
                "column_name",
            ]),
            Field::new("key_sequence", DataType::Int32, false),
        ),
        Field::new("key_name", DataType::Utf8, true),
    )
}

pub(super) fn primary_keys(
    command: &CommandGetPrimaryKeys,
    view: &View,
) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<(&str, &str, &str, i32)> = view
        .tables
        .iter()
        .filter(|_| view.is_asked_for(command.catalog.as_ref()))
        .filter(|table| {
            let schema = command.db_schema.as_ref();
            table.name == command.table && schema.is_none_or(|schema| *schema == table.domain)
        })
        .flat_map(|table| {
            let columns = table.primary_key.iter().zip(1..);
            columns.map(|(column, sequence)| {
                (
                    table.domain.as_str(),
                    table.name.as_str(),
                    column.as_str(),
                    sequence,
                )
            })
        })
        .collect();
    let catalogs = StringArray::from_iter_values(rows.iter().map(|_| &view.catalog));
    let names = StringArray::new_null(rows.len());
    RecordBatch::try_new(
        primary_keys_schema(),
        vec![
            Arc::new(catalogs),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2))),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.3))),
            Arc::new(names),
        ],
    )
}

/// Of exported keys, imported keys and cross references.
pub(super) fn foreign_keys_schema() -> SchemaRef {
    let mut schema = text_schema(&[
        "pk_catalog_name?",
        "pk_db_schema_name?",
        "pk_table_name",
        "pk_column_name",
        "fk_catalog_name?",
        "fk_db_schema_name?",
        "fk_table_name",
        "fk_column_name",
    ]);
    for field in [
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ] {
        schema = with_field(schema, field);
    }
    schema
}

fn with_field(schema: SchemaRef, field: Field) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .cloned()
        .chain([Arc::new(field)])
        .collect();
    drop(schema);
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::{texts, view};

    #[test]
    fn primary_keys_keep_their_order() {
        let command = CommandGetPrimaryKeys {
            catalog: None,
            db_schema: None,
            table: "customers".to_owned(),
        };
        let batch = primary_keys(&command, &view()).unwrap();
        assert_eq!(texts(&batch, "column_name"), ["tenant", "id"]);
        assert_eq!(texts(&batch, "key_name"), ["NULL", "NULL"]);
    }

    #[test]
    fn names_of_keys_are_exact() {
        for (schema, table, rows) in [
            (Some("sales"), "orders", 1),
            (Some("crm"), "orders", 0),
            (None, "order%", 0),
            (None, "order_lines", 0),
        ] {
            let command = CommandGetPrimaryKeys {
                catalog: None,
                db_schema: schema.map(str::to_owned),
                table: table.to_owned(),
            };
            let batch = primary_keys(&command, &view()).unwrap();
            assert_eq!(batch.num_rows(), rows, "{table}");
        }
    }

    #[test]
    fn foreign_keys_have_thirteen_columns() {
        assert_eq!(foreign_keys_schema().fields().len(), 13);
    }
}
