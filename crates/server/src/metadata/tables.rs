//! `CommandGetTables` and `CommandGetTableTypes`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::sql::CommandGetTables;
use weft_engine::VisibleTable;

use super::column_metadata::described_schema;
use super::pattern::Pattern;
use super::{View, text_schema};
use crate::wire::schema_message;

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";
/// What `information_schema` calls a table; clients ask for either.
const BASE_TABLE: &str = "BASE TABLE";

const COLUMNS: [&str; 4] = [
    "catalog_name?",
    "db_schema_name?",
    "table_name",
    "table_type",
];

pub(super) fn tables_schema(include_schema: bool) -> SchemaRef {
    let plain = text_schema(&COLUMNS);
    if !include_schema {
        return plain;
    }
    let table_schema = Arc::new(Field::new("table_schema", DataType::Binary, false));
    let fields: Vec<_> = plain
        .fields()
        .iter()
        .cloned()
        .chain([table_schema])
        .collect();
    Arc::new(Schema::new(fields))
}

pub(super) fn tables<'a>(
    command: &CommandGetTables,
    view: &'a View,
) -> Result<RecordBatch, ArrowError> {
    let schema_pattern = command.db_schema_filter_pattern.as_deref();
    let schema_pattern = schema_pattern.map(Pattern::parse);
    let table_pattern = command.table_name_filter_pattern.as_deref();
    let table_pattern = table_pattern.map(Pattern::parse);
    let fits = |pattern: &Option<Pattern>, text: &str| {
        pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
    };
    let types = &command.table_types;
    let of_type = |kind: &str| {
        types.is_empty()
            || types
                .iter()
                .any(|name| name == kind || (kind == TABLE && name == BASE_TABLE))
    };

    let of_kind = |tables: &'a [VisibleTable], kind| tables.iter().map(move |table| (table, kind));
    let mut found: Vec<(&VisibleTable, &str)> = of_kind(&view.tables, TABLE)
        .chain(of_kind(&view.views, VIEW))
        .filter(|(_, kind)| of_type(kind) && view.is_asked_for(command.catalog.as_ref()))
        .filter(|(table, _)| {
            fits(&schema_pattern, &table.domain) && fits(&table_pattern, &table.name)
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| (&a.domain, &a.name).cmp(&(&b.domain, &b.name)));

    let text = |value: fn(&VisibleTable) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            found.iter().map(|(table, _)| value(table)),
        ))
    };
    let catalogs = StringArray::from_iter_values(found.iter().map(|_| &view.catalog));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(catalogs),
        text(|table| &table.domain),
        text(|table| &table.name),
        Arc::new(StringArray::from_iter_values(
            found.iter().map(|(_, kind)| kind),
        )),
    ];
    if command.include_schema {
        let schemas = found
            .iter()
            .map(|(table, _)| schema_message(&described_schema(&view.catalog, table)))
            .collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(BinaryArray::from_iter_values(schemas)));
    }
    RecordBatch::try_new(tables_schema(command.include_schema), columns)
}

pub(super) fn table_types_schema() -> SchemaRef {
    text_schema(&["table_type"])
}

pub(super) fn table_types() -> Result<RecordBatch, ArrowError> {
    let types = StringArray::from(vec![TABLE, VIEW]);
    RecordBatch::try_new(table_types_schema(), vec![Arc::new(types)])
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use std::borrow::Borrow;

    use arrow_flight::IpcMessage;

    use super::*;
    use crate::metadata::tests::{texts, view};

    #[track_caller]
    fn check(command: impl Borrow<CommandGetTables>, expected: &[&str]) {
        let batch = tables(command.borrow(), &view()).unwrap();
        assert_eq!(texts(&batch, "table_name"), expected);
    }

    #[test]
    fn tables_are_filtered_and_sorted() {
        let all = CommandGetTables::default;
        let some = |text: &str| Some(text.to_owned());
        check(all(), &["customers", "order_lines", "orders", "products"]);
        check(
            CommandGetTables {
                catalog: some(""),
                ..all()
            },
            &[],
        );
        check(
            CommandGetTables {
                db_schema_filter_pattern: some("sal__"),
                ..all()
            },
            &["order_lines", "orders"],
        );
        check(
            CommandGetTables {
                table_name_filter_pattern: some(r"order\_lines"),
                ..all()
            },
            &["order_lines"],
        );
        for (types, expected) in [
            (vec!["TABLE"], 3),
            (vec!["VIEW", "BASE TABLE"], 4),
            (vec!["VIEW"], 1),
            (vec!["LOCAL TEMPORARY"], 0),
        ] {
            let command = CommandGetTables {
                table_types: types.into_iter().map(str::to_owned).collect(),
                ..all()
            };
            assert_eq!(tables(&command, &view()).unwrap().num_rows(), expected);
        }
    }

    #[test]
    fn table_schemas_have_wire_types_and_descriptions() {
        let command = CommandGetTables {
            include_schema: true,
            ..CommandGetTables::default()
        };
        let batch = tables(&command, &view()).unwrap();
        let message = batch
            .column_by_name("table_schema")
            .unwrap()
            .as_binary::<i32>()
            .value(0);
        let schema = Schema::try_from(IpcMessage(message.to_vec().into())).unwrap();
        assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
        let amount = schema.field(2).metadata();
        let value = |key: &str| amount.get(&format!("ARROW:FLIGHT:SQL:{key}"));
        assert_eq!(value("TYPE_NAME").unwrap(), "DECIMAL");
        assert_eq!(value("PRECISION").unwrap(), "15");
        assert_eq!(value("SCALE").unwrap(), "2");
        assert_eq!(value("REMARKS").unwrap(), "in euros");
        assert_eq!(value("TABLE_NAME").unwrap(), "customers");
    }
}
