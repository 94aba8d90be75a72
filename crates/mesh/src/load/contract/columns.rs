//! Columns: the properties of a schema object.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};

use super::types::{ACCEPTED, logical_type, parse_physical_type};
use crate::table::{Column, InsideMarks};
use crate::yaml::{Kind, Node, Source};

/// The longest column name, in bytes.
const MAX_NAME: usize = 256;

/// Reads the properties of a schema object. What is wrong is reported; whether
/// anything was is for the source to say.
pub(crate) fn read_columns(source: &Source, object: &Node) -> Vec<Column> {
    let properties = object.child("properties");
    let items = properties.map(Node::items).unwrap_or_default();
    if items.is_empty() {
        if properties.is_none_or(|node| node.kind() == Kind::List) {
            source
                .error(
                    properties.unwrap_or(object),
                    "missing-key",
                    "a schema object needs `properties`: they are the table's columns",
                )
                .help("list every column: nothing is inferred from the files")
                .report();
        }
        return Vec::new();
    }
    report_duplicates(source, items.iter().map(|item| &**item));
    let mut columns: Vec<Column> = items
        .iter()
        .filter_map(|item| read_column(source, item))
        .collect();
    set_positions(
        source,
        object,
        &mut columns,
        ("partitioned", "partitionKeyPosition"),
        |column| &mut column.partition,
    );
    set_positions(
        source,
        object,
        &mut columns,
        ("primaryKey", "primaryKeyPosition"),
        |column| &mut column.primary_key,
    );
    columns
}

fn read_column(source: &Source, node: &Node) -> Option<Column> {
    let name_node = node.child("name")?;
    let name = read_name(source, name_node)?;
    let data_type = read_type(source, node, name)?;
    let partitioned = node.child("partitioned").and_then(Node::as_boolean) == Some(true);
    if partitioned && (data_type.is_nested() || data_type == DataType::Binary) {
        source
            .error(
                node.child("partitioned").unwrap_or(node),
                "wrong-partition",
                format!("column `{name}` is {data_type}, which no folder's name can say"),
            )
            .help("partition by a string, a number, a date or a boolean")
            .report();
        return None;
    }
    let text = |key: &str| node.child(key).and_then(Node::as_text).map(str::to_owned);
    Some(Column {
        name: name.to_owned(),
        physical_name: text("physicalName")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| name.to_owned()),
        data_type,
        required: node.child("required").and_then(Node::as_boolean) == Some(true),
        partition: None,
        primary_key: None,
        description: text("description"),
        tags: read_tags(node),
        classification: text("classification"),
        inside: read_inside(node),
        span: source.span(name_node),
    })
}

fn read_name<'n>(source: &Source, node: &'n Node) -> Option<&'n str> {
    let name = node.as_text()?;
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        source
            .error(
                node,
                "name",
                "a column's name is empty, too long or unprintable",
            )
            .help("use 1 to 256 printable characters")
            .report();
        return None;
    }
    Some(name)
}

/// The tags of any element.
pub(crate) fn read_tags(node: &Node) -> BTreeSet<String> {
    node.child("tags")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|tag| tag.as_text().map(str::to_owned))
        .collect()
}

/// What the properties, items, keys and values inside are marked with.
fn read_inside(node: &Node) -> InsideMarks {
    let map = node.child("map");
    let parts = node
        .child("properties")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .map(|property| &**property)
        .chain(node.child("items"))
        .chain(map.and_then(|map| map.child("key")))
        .chain(map.and_then(|map| map.child("value")));
    let mut marks = InsideMarks::default();
    for part in parts {
        marks.tags.extend(read_tags(part));
        let classification = part.child("classification").and_then(Node::as_text);
        marks
            .classifications
            .extend(classification.map(str::to_owned));
        let deeper = read_inside(part);
        marks.tags.extend(deeper.tags);
        marks.classifications.extend(deeper.classifications);
    }
    marks
}

fn report_duplicates<'n>(source: &Source, properties: impl Iterator<Item = &'n Node>) {
    let mut seen: HashMap<String, (&str, u32)> = HashMap::new();
    for node in properties.filter_map(|property| property.child("name")) {
        let Some(name) = node.as_text() else { continue };
        if let Some((first, line)) = seen.get(&name.to_lowercase()) {
            let message = if *first == name {
                format!("column `{name}` is declared twice, first in line {line}")
            } else {
                format!("column `{name}` differs from `{first}` in line {line} by case alone")
            };
            source
                .error(node, "duplicate-column", message)
                .help("rename one of the two; `physicalName` keeps its name in the files")
                .report();
        } else {
            seen.insert(name.to_lowercase(), (name, node.place.line));
        }
    }
}

/// Numbers the columns that a key marks: by position where one is given, then
/// in declared order, counted from 1.
fn set_positions(
    source: &Source,
    object: &Node,
    columns: &mut [Column],
    (flag, position): (&str, &str),
    slot: impl Fn(&mut Column) -> &mut Option<u32>,
) {
    let mut marked: Vec<(i64, String)> = Vec::new();
    let properties = object
        .child("properties")
        .map(Node::items)
        .unwrap_or_default();
    for property in properties {
        let named = property.child("name").and_then(Node::as_text);
        let (Some(name), Some(true)) = (named, property.child(flag).and_then(Node::as_boolean))
        else {
            continue;
        };
        let given = property.child(position);
        // The standard writes -1 for "no position".
        let place = given.and_then(Node::as_integer).filter(|place| *place >= 0);
        if let (Some(place), Some(given)) = (place, given)
            && marked.iter().any(|(other, _)| *other == place)
        {
            source
                .error(
                    given,
                    "duplicate-position",
                    format!("`{position}` {place} is given twice"),
                )
                .help("number them 1, 2, 3, …")
                .report();
        }
        marked.push((place.unwrap_or(i64::MAX), name.to_owned()));
    }
    // Stable: equal positions stay in declared order.
    marked.sort_by_key(|(place, _)| *place);
    for (number, (_, name)) in (1_u32..).zip(&marked) {
        if let Some(column) = columns.iter_mut().find(|column| column.name == *name) {
            *slot(column) = Some(number);
        }
    }
}

/// The Arrow type of a property, an array's items or a map's key or value.
fn read_type(source: &Source, node: &Node, name: &str) -> Option<DataType> {
    let logical = node.child("logicalType");
    let physical = node.child("physicalType");
    let refuse = |node: &Node, message: String, help: String| {
        source
            .error(node, "wrong-type-name", message)
            .help(help)
            .report();
        None
    };
    let nested = match logical.and_then(Node::as_text) {
        Some(kind @ ("object" | "array" | "map")) => Some(kind),
        Some(_) => None,
        None if node.child("properties").is_some() => Some("object"),
        None if node.child("items").is_some() => Some("array"),
        None => None,
    };
    match nested {
        Some("object") if node.child("properties").is_some() => return read_struct(source, node),
        Some("array") if node.child("items").is_some() => {
            let items = node.child("items")?;
            let item = read_type(source, items, name)?;
            let field = Field::new("item", item, !is_required(items));
            return Some(DataType::List(Arc::new(field)));
        }
        Some("map") if node.child("map").is_some() => return read_map(source, node, name),
        _ => {}
    }
    // `{logicalType: object, physicalType: JSON}` is the text of a JSON document.
    if let Some(physical) = physical {
        let text = physical.as_text()?;
        return match parse_physical_type(text) {
            Ok(data_type) => Some(data_type),
            Err(reason) => {
                let parts = match nested {
                    Some("object") => "; an object needs `properties`",
                    Some("array") => "; an array needs `items`",
                    _ => "",
                };
                refuse(
                    physical,
                    format!("physical type `{text}` of `{name}` {reason}"),
                    format!("{ACCEPTED}{parts}"),
                )
            }
        };
    }
    let Some(logical) = logical else {
        return refuse(
            node,
            format!("column `{name}` has no type"),
            "add `logicalType: …`, or `physicalType: …` with a SQL type".to_owned(),
        );
    };
    let text = logical.as_text()?;
    match text {
        "object" => refuse(
            logical,
            format!("`{name}` is an object without `properties`"),
            "list its `properties`, or say `physicalType: JSON` for its text".to_owned(),
        ),
        "array" => refuse(
            logical,
            format!("`{name}` is an array without `items`"),
            "say what is in it: `items: {logicalType: string}`".to_owned(),
        ),
        "map" => refuse(
            logical,
            format!("`{name}` is a map without `map`"),
            "say what is in it: `map:` with `key` and `value`".to_owned(),
        ),
        "vector" => {
            source
                .error(logical, "not-supported-yet", "logical type `vector` is not supported yet")
                .help("declare it as an array of numbers")
                .report();
            None
        }
        "number" => {
            source
                .warning(
                    logical,
                    "inexact-number",
                    format!("`{name}` is read as a 64-bit float, which is not exact"),
                )
                .help("say `physicalType: DOUBLE` if that is meant, or `DECIMAL(p,s)`")
                .report();
            logical_type(text)
        }
        _ => logical_type(text).or_else(|| {
            refuse(
                logical,
                format!("logical type `{text}` of `{name}` is not a known type"),
                "the types are `string`, `integer`, `number`, `boolean`, `date`, `time`, `timestamp`, \
                 `object`, `array` and `map`"
                    .to_owned(),
            )
        }),
    }
}

fn read_struct(source: &Source, node: &Node) -> Option<DataType> {
    let properties = node.child("properties")?;
    let items = properties.items();
    if items.is_empty() {
        source
            .error(properties, "empty", "an object needs at least one property")
            .help("list its `properties`, or say `physicalType: JSON` for its text")
            .report();
        return None;
    }
    report_duplicates(source, items.iter().map(|item| &**item));
    // All of them are read before one that fails fails the whole.
    let fields: Vec<Option<Field>> = items
        .iter()
        .map(|item| {
            let name = read_name(source, item.child("name")?)?;
            if let Some(physical) = item.child("physicalName")
                && physical.as_text().is_some_and(|physical| physical != name)
            {
                source
                    .error(
                        physical,
                        "not-supported-yet",
                        "`physicalName` inside an object is not supported yet",
                    )
                    .help("give the property its name in the files")
                    .report();
            }
            Some(Field::new(
                name,
                read_type(source, item, name)?,
                !is_required(item),
            ))
        })
        .collect();
    let fields: Option<Vec<Field>> = fields.into_iter().collect();
    Some(DataType::Struct(Fields::from(fields?)))
}

fn read_map(source: &Source, node: &Node, name: &str) -> Option<DataType> {
    let map = node.child("map")?;
    let key = map
        .child("key")
        .and_then(|key| read_type(source, key, name));
    let value_node = map.child("value");
    let value = value_node.and_then(|value| read_type(source, value, name));
    let required = value_node.is_some_and(is_required);
    let entries = Fields::from(vec![
        Field::new("key", key?, false),
        Field::new("value", value?, !required),
    ]);
    let entries = Field::new("entries", DataType::Struct(entries), false);
    Some(DataType::Map(Arc::new(entries), false))
}

fn is_required(node: &Node) -> bool {
    node.child("required").and_then(Node::as_boolean) == Some(true)
}
