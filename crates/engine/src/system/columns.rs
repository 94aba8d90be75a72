//! `system.columns`: the columns that a viewer may know of, and what a query
//! shows of them.

use datafusion::arrow::{
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use futures::stream::BoxStream;
use weft_catalog::{KnownColumn, KnownTable, Shown, known_tables};

use super::{
    Look, SystemColumn, SystemTable,
    arrays::{booleans, integers, list_of_texts, text, text_or_null, texts},
    table::{batch_of, lazily},
};
use crate::{error::Result, session::described};

#[derive(Debug)]
pub(super) struct Columns;

impl SystemTable for Columns {
    fn name(&self) -> &'static str {
        "columns"
    }

    fn description(&self) -> &'static str {
        "The columns of the tables that you may query, or find and ask for"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let text = |name, description| SystemColumn::new(name, DataType::Utf8, description);
        let number = |name, description| SystemColumn::new(name, DataType::Int32, description);
        let texts = |name, description| SystemColumn::new(name, list_of_texts(), description);
        vec![
            text("domain", "the domain, which is the SQL schema"),
            text("table_name", "the SQL name of the table in its domain"),
            text("column_name", "the name of the column"),
            number(
                "ordinal_position",
                "its place among the columns listed here, from 1",
            ),
            text("data_type", "its type as a query sees it"),
            SystemColumn::new(
                "is_nullable",
                DataType::Boolean,
                "whether a cell can be NULL",
            ),
            text("description", "what the column holds").nullable(),
            texts("tags", "the tags of the column"),
            text("classification", "the classification of the column").nullable(),
            number(
                "key_position",
                "its place in the primary key, from 1; NULL unless you may know all of the key",
            )
            .nullable(),
            text(
                "access",
                "what a query shows: `clear`, `masked`, `conditional` on the row, or `hidden`",
            ),
            texts("masks", "the masks that cells have, or some of them have"),
        ]
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let schema = SystemColumn::schema(&self.columns());
        lazily(move || {
            let tables: Vec<_> = known_tables(&look.snapshot, &look.viewer).collect();
            let rows: Vec<Row<'_>> = tables
                .iter()
                .flat_map(|table| {
                    let columns = table.columns.iter().zip(1..);
                    columns.map(move |(column, position)| (table, column, position))
                })
                .collect();
            let chunks = rows.chunks(look.batch_size);
            chunks.map(|chunk| batch(&schema, chunk)).collect()
        })
    }
}

/// A column, its table, and its place there.
type Row<'a> = (&'a KnownTable<'a>, &'a KnownColumn<'a>, i32);

fn batch(schema: &SchemaRef, rows: &[Row<'_>]) -> Result<RecordBatch> {
    let tables = || rows.iter().map(|(table, ..)| *table);
    let columns = || rows.iter().map(|(_, column, _)| *column);
    let arrays = vec![
        text(tables().map(|it| it.domain)),
        text(tables().map(|it| &it.name)),
        text(columns().map(|it| it.name)),
        integers(rows.iter().map(|(.., position)| Some(*position))),
        text(columns().map(|it| type_name(&it.data_type))),
        booleans(columns().map(|it| Some(it.nullable))),
        text_or_null(columns().map(|it| it.description)),
        texts(columns().map(|it| it.tags)),
        text_or_null(columns().map(|it| it.classification)),
        integers(columns().map(|it| it.key_position.and_then(|at| i32::try_from(at).ok()))),
        text(columns().map(|it| access(&it.shown))),
        texts(columns().map(|it| masks(&it.shown))),
    ];
    batch_of(schema, arrays)
}

/// As `information_schema` writes it.
fn type_name(data_type: &DataType) -> String {
    let one = Schema::new(vec![Field::new("column", data_type.clone(), true)]);
    let described = described(&one);
    let mut fields = described.fields().iter();
    fields
        .next()
        .map_or_else(String::new, |field| field.data_type().to_string())
}

fn access(shown: &Shown) -> &'static str {
    match shown {
        Shown::Clear => "clear",
        Shown::Masked(_) => "masked",
        Shown::Conditional(_) => "conditional",
        Shown::Hidden => "hidden",
    }
}

fn masks(shown: &Shown) -> &[String] {
    match shown {
        Shown::Clear | Shown::Hidden => &[],
        Shown::Masked(mask) => std::slice::from_ref(mask),
        Shown::Conditional(masks) => masks,
    }
}
