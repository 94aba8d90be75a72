//! `expect:` of a test.

use super::rows::{check_column, read_rows};
use crate::access_test::{TestExpectation, TestRow, TestShown};
use crate::fault::{Fault, Spanned};
use crate::table::Table;
use crate::yaml::{Fields, Kind, Node, Source};

/// What only makes sense where something is shown.
const SHOWN: [&str; 6] = ["columns", "count", "rows", "contains", "without", "masked"];

/// `table` is the one that the test is on, if it is on one.
pub(super) fn read_expectation(
    source: &Source,
    node: &Node,
    table: Option<&Table>,
) -> Option<TestExpectation> {
    let fields = Fields::open(source, node, "`expect`")?;
    if let Some(denied) = fields.get("denied") {
        let expectation = read_denied(source, denied);
        for key in SHOWN {
            if let Some(node) = fields.get(key) {
                let message = format!("who is denied sees nothing, and this expects `{key}`");
                source
                    .error(node, "denied-with-more", message)
                    .help("make two tests of it")
                    .report();
            }
        }
        fields.finish();
        return expectation.map(TestExpectation::Denied);
    }
    let columns = fields
        .get("columns")
        .and_then(|node| read_columns(source, node, table));
    let count = fields.get("count").and_then(|node| {
        let count = node
            .as_integer()
            .and_then(|count| u64::try_from(count).ok());
        if count.is_none() {
            source.wrong_type(node, "count", "a number of rows, 0 or more");
        }
        Some(Spanned::new(count?, source.span(node)))
    });
    let rows = fields.get("rows").map(|node| {
        let rows = read_rows(source, node, "rows", table);
        refuse_uneven(source, &rows);
        Spanned::new(rows, source.span(node))
    });
    let some_rows = |key| {
        let node = fields.get(key)?;
        if node.kind() == Kind::List && node.items().is_empty() {
            source
                .error(node, "empty", format!("`{key}` is an empty list"))
                .help("name a row, or remove the key; `rows: []` is a table without rows")
                .report();
        }
        Some(read_rows(source, node, key, table))
    };
    let (contains, without) = (some_rows("contains"), some_rows("without"));
    let masked = fields
        .get("masked")
        .map(|node| read_masked(source, node, table));
    let is_empty = SHOWN.iter().all(|key| node.child(key).is_none());
    fields.finish();
    if is_empty {
        source
            .error(
                node,
                "empty",
                "the test expects nothing, so nothing can fail it",
            )
            .help("add `columns`, `count`, `rows`, `contains`, `without`, `masked` or `denied`")
            .report();
        return None;
    }
    Some(TestExpectation::Shown(Box::new(TestShown {
        columns,
        count,
        rows,
        contains: contains.unwrap_or_default(),
        without: without.unwrap_or_default(),
        masked: masked.unwrap_or_default(),
    })))
}

/// The words that the refusal should have, if any are asked for.
fn read_denied(source: &Source, node: &Node) -> Option<Option<Spanned<String>>> {
    match (node.as_boolean(), node.kind()) {
        (Some(true), _) => Some(None),
        (None, Kind::Text) => {
            let text = source.read_text(node, "denied")?;
            Some(Some(source.spanned(node, text)))
        }
        (Some(false), _) => {
            source
                .error(
                    node,
                    "wrong-value",
                    "`denied` is `false`, which says nothing of what is seen",
                )
                .help("expect what should be seen: `columns`, `count`, `rows` or `masked`")
                .report();
            None
        }
        (None, _) => {
            source.wrong_type(node, "denied", "`true`, or words of the refusal");
            None
        }
    }
}

fn read_columns(
    source: &Source,
    node: &Node,
    table: Option<&Table>,
) -> Option<Spanned<Vec<String>>> {
    let mut names = Vec::new();
    for item in source.read_list(node, "columns")? {
        if let Some(name) = item.as_scalar() {
            check_column(source, item, name, table);
            names.push(name.to_owned());
        } else {
            source.wrong_type(item, "a column", "a string");
        }
    }
    if names.is_empty() {
        source
            .error(node, "empty", "`columns` is an empty list")
            .help("who sees no column is denied: `denied: true`")
            .report();
    }
    Some(Spanned::new(names, source.span(node)))
}

/// "Exactly these rows" has one meaning only where all name the same columns.
fn refuse_uneven(source: &Source, rows: &[TestRow]) {
    let Some(first) = rows.first() else { return };
    for row in rows {
        for (one, other) in [(first, row), (row, first)] {
            for (name, _) in &one.cells {
                if other.cell(&name.value).is_none() {
                    let message = format!(
                        "a row names column `{}` and another does not, so which rows are meant is not clear",
                        name.value
                    );
                    source.report(
                        Fault::error(other.span.clone(), "uneven-rows", message).with_help(
                            "name the same columns in all `rows` (`null` is no value); `contains` takes any",
                        ),
                    );
                }
            }
        }
    }
}

fn read_masked(
    source: &Source,
    node: &Node,
    table: Option<&Table>,
) -> Vec<(Spanned<String>, Vec<Spanned<String>>)> {
    let entries = source.read_mapping(node, "masked").unwrap_or_default();
    if node.kind() == Kind::Mapping && entries.is_empty() {
        source
            .error(node, "empty", "`masked` names no column")
            .help("write `{column: mask}`, or remove the key")
            .report();
    }
    let mut masked = Vec::new();
    for (key, value) in entries {
        let Some(name) = key.key_text() else { continue };
        check_column(source, key, name, table);
        let ways = match value.kind() {
            Kind::List => source.read_texts(value, "masked"),
            Kind::Null => {
                source
                    .error(value, "wrong-type", format!("the mask of `{name}` is nothing"))
                    .help("write `clear`, `hidden`, `conditional` or a mask; YAML reads `null` as nothing, the mask is called `nullify`")
                    .report();
                continue;
            }
            Kind::Text | Kind::Boolean | Kind::Integer | Kind::Float | Kind::Mapping => source
                .read_text(value, "masked")
                .map(|text| source.spanned(value, text))
                .into_iter()
                .collect(),
        };
        if !ways.is_empty() {
            masked.push((source.spanned(key, name), ways));
        }
    }
    masked
}
