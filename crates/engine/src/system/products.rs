//! `system.products`: the tables that a viewer may query, or find and ask for.

use std::collections::BTreeSet;

use datafusion::arrow::{
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use futures::stream::BoxStream;
use weft_catalog::{KnownTable, known_tables};
use weft_mesh::TableStatus;

use super::{
    Look, SystemColumn, SystemTable,
    arrays::{booleans, list_of_texts, moment, moments, text, text_or_null, texts},
    table::{batch_of, lazily},
};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Products;

impl SystemTable for Products {
    fn name(&self) -> &'static str {
        "products"
    }

    fn description(&self) -> &'static str {
        "The tables that you may query, or find and ask for"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let text = |name, description| SystemColumn::new(name, DataType::Utf8, description);
        let flag = |name, description| SystemColumn::new(name, DataType::Boolean, description);
        let texts = |name, description| SystemColumn::new(name, list_of_texts(), description);
        vec![
            text("domain", "the domain, which is the SQL schema"),
            text("product", "what the contract calls the data product"),
            text("table_name", "the SQL name of the table in its domain"),
            text("version", "the version of the contract"),
            text("status", "`active` or `deprecated`"),
            text("owner", "who owns the domain").nullable(),
            text("description", "what the table holds").nullable(),
            texts("tags", "the tags of the table"),
            texts(
                "classifications",
                "the classifications of the columns that you may know of",
            ),
            flag("may_query", "whether you may query it now, or only find it"),
            flag(
                "all_rows",
                "whether you see every row; NULL for a table that you may not query",
            )
            .nullable(),
            SystemColumn::new(
                "last_modified",
                moment(),
                "when its data was last written; NULL unless you see every row and column",
            )
            .nullable(),
            flag(
                "is_stale",
                "whether the last look for newer data failed; NULL unless you see every row and column",
            )
            .nullable(),
            text("whom_to_ask", "who gives access: the owner and the stewards"),
        ]
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let schema = SystemColumn::schema(&self.columns());
        lazily(move || {
            let tables: Vec<_> = known_tables(&look.snapshot, &look.viewer).collect();
            let chunks = tables.chunks(look.batch_size);
            chunks.map(|chunk| batch(&schema, chunk)).collect()
        })
    }
}

fn batch(schema: &SchemaRef, rows: &[KnownTable<'_>]) -> Result<RecordBatch> {
    let reading = || rows.iter().map(|it| it.reading.as_ref());
    let freshness = || reading().map(|it| it.and_then(|it| it.freshness));
    let columns = vec![
        text(rows.iter().map(|it| it.domain)),
        text(rows.iter().map(|it| it.product)),
        text(rows.iter().map(|it| &it.name)),
        text(rows.iter().map(|it| it.version)),
        text(rows.iter().map(|it| status(it.status))),
        text_or_null(rows.iter().map(|it| it.owner)),
        text_or_null(rows.iter().map(|it| it.description)),
        texts(rows.iter().map(|it| it.tags)),
        texts(rows.iter().map(classifications)),
        booleans(reading().map(|it| Some(it.is_some()))),
        booleans(reading().map(|it| it.map(|it| it.all_rows))),
        moments(freshness().map(|it| it.and_then(|it| it.last_modified))),
        booleans(freshness().map(|it| it.map(|it| it.is_stale))),
        text(rows.iter().map(|it| &it.whom_to_ask)),
    ];
    batch_of(schema, columns)
}

fn status(status: TableStatus) -> &'static str {
    match status {
        TableStatus::Active => "active",
        TableStatus::Deprecated => "deprecated",
    }
}

fn classifications<'a>(table: &KnownTable<'a>) -> BTreeSet<&'a str> {
    let columns = table.columns.iter();
    columns
        .flat_map(|column| {
            let inside = column.classifications_inside.iter().map(String::as_str);
            column.classification.into_iter().chain(inside)
        })
        .collect()
}
