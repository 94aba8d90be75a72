//! Rows of fixtures and expectations, as they are written.

use crate::access_test::{TestRow, TestValue};
use crate::fault::Spanned;
use crate::suggest::did_you_mean;
use crate::table::Table;
use crate::yaml::{Kind, Node, Source};

/// A list of rows; their columns have to be the table's, where one is known.
pub(super) fn read_rows(
    source: &Source,
    node: &Node,
    what: &'static str,
    table: Option<&Table>,
) -> Vec<TestRow> {
    let items = source.read_list(node, what).unwrap_or_default();
    let rows = items
        .iter()
        .filter_map(|item| read_row(source, item, table));
    rows.collect()
}

pub(super) fn read_row(source: &Source, node: &Node, table: Option<&Table>) -> Option<TestRow> {
    let entries = source.read_mapping(node, "a row")?;
    if entries.is_empty() {
        source
            .error(node, "empty", "a row names no column")
            .help("write it as `{column: value}`, or remove it")
            .report();
        return None;
    }
    let mut cells = Vec::new();
    for (key, value) in entries {
        let Some(name) = key.key_text() else { continue };
        check_column(source, key, name, table);
        if let Some(read) = read_value(source, value) {
            let span = source.span(value);
            cells.push((source.spanned(key, name), Spanned::new(read, span)));
        }
    }
    Some(TestRow {
        cells,
        span: source.span(node),
    })
}

/// Reports a column that the table has not.
pub(super) fn check_column(source: &Source, node: &Node, name: &str, table: Option<&Table>) {
    let Some(table) = table else { return };
    if table.column(name).is_some() {
        return;
    }
    let names = table.columns.iter().map(|column| column.name.as_str());
    let near = did_you_mean(name, names);
    source
        .error(
            node,
            "unknown-column",
            format!("column `{name}` is not in table `{}`", table.name),
        )
        .help(near.map_or_else(
            || "name a column of its contract".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ))
        .report();
}

fn read_value(source: &Source, node: &Node) -> Option<TestValue> {
    Some(match node.kind() {
        Kind::Null => TestValue::Null,
        Kind::Boolean | Kind::Integer | Kind::Float | Kind::Text => {
            TestValue::Scalar(node.key_text().unwrap_or_default().to_owned())
        }
        Kind::List => {
            let items = node.items().iter();
            TestValue::List(
                items
                    .map(|item| read_value(source, item))
                    .collect::<Option<_>>()?,
            )
        }
        Kind::Mapping => {
            let mut entries = Vec::new();
            for (key, value) in node.entries() {
                let Some(name) = key.key_text() else {
                    source.wrong_type(key, "the name of a field", "a string");
                    return None;
                };
                entries.push((name.to_owned(), read_value(source, value)?));
            }
            TestValue::Mapping(entries)
        }
    })
}
