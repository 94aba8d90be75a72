//! Contracts in the Open Data Contract Standard: one data product a file.

mod columns;
mod location;
mod server;
mod shape;
mod standard;
mod types;
mod versions;

use std::collections::BTreeSet;
use std::rc::Rc;

pub(crate) use location::Surroundings;
pub(crate) use versions::settle_versions;

use self::columns::{read_columns, read_tags};
use self::location::read_location;
use self::server::{Server, read_server};
use crate::location::WILDCARDS;
use crate::name::{DomainName, TableName};
use crate::table::{Table, TableSource, TableStatus};
use crate::yaml::{Node, Source};

/// The versions of the standard that are read.
const VERSIONS: [&str; 5] = ["v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0"];

/// What stands for the table's name in a location.
const TABLE: &str = "{table}";

/// A table of one contract, before its versions are settled.
#[derive(Debug)]
pub(crate) struct TableDraft {
    pub(crate) table: Table,
    /// The contract's `id`.
    pub(crate) contract_id: String,
}

/// Reads the tree of a contract: its tables, if it is served.
pub(crate) fn read_contract(
    source: &Source,
    root: &Rc<Node>,
    domain: Option<&DomainName>,
    environment: Option<&str>,
    surroundings: &Surroundings<'_>,
) -> Vec<TableDraft> {
    shape::check(source, root, "contract", &standard::CONTRACT);
    check_header(source, root);
    check_domain(source, root, domain);
    let major = root.child("version").and_then(|node| {
        let major = parse_major(node.as_text()?);
        if major.is_none() {
            source
                .error(
                    node,
                    "wrong-value",
                    format!("`version` is `{}`", node.as_text()?),
                )
                .help("write `MAJOR.MINOR.PATCH`, as in `2.1.0`")
                .report();
        }
        major
    });
    let Some(status) = read_status(source, root) else {
        return Vec::new();
    };
    let server = read_server(source, root, environment);
    let objects = root.child("schema").map(Node::items).unwrap_or_default();
    if objects.is_empty() {
        source
            .error(
                root.child("schema").unwrap_or(root),
                "missing-key",
                "a contract that is served needs a schema",
            )
            .help("add `schema:` with an object for each table")
            .report();
    }
    if let Some(server) = &server
        && objects.len() > 1
        && server
            .location
            .as_text()
            .is_some_and(|location| !location.contains(TABLE))
    {
        source
            .error(
                server.location,
                "shared-location",
                format!("{} tables would read the same files", objects.len()),
            )
            .help("put `{table}` where the table's name stands in the location")
            .report();
    }
    let tables: Vec<Option<Table>> = objects
        .iter()
        .map(|object| {
            read_table(
                source,
                root,
                object,
                (major, status),
                server.as_ref(),
                surroundings,
            )
        })
        .collect();
    let contract_id = text_of(root, "id");
    tables
        .into_iter()
        .flatten()
        .map(|table| TableDraft {
            table,
            contract_id: contract_id.clone(),
        })
        .collect()
}

/// What names the product that a contract is of.
fn product_of(root: &Node) -> String {
    let mut names = ["dataProduct", "name"].into_iter();
    names
        .find_map(|key| root.child(key).and_then(Node::as_text))
        .map_or_else(|| text_of(root, "id"), str::to_owned)
}

fn text_of(root: &Node, key: &str) -> String {
    let text = root.child(key).and_then(Node::as_text);
    text.unwrap_or_default().to_owned()
}

fn check_header(source: &Source, root: &Node) {
    if let Some(node) = root.child("apiVersion")
        && let Some(found) = node.as_text()
        && !VERSIONS.contains(&found)
    {
        source
            .error(
                node,
                "wrong-kind",
                format!("`apiVersion` is `{found}`, which is not read"),
            )
            .help("contracts are read from v3.0.0 to v3.2.0; write v3.1.0")
            .report();
    }
    if let Some(node) = root.child("kind")
        && let Some(found) = node.as_text()
        && found != "DataContract"
    {
        source
            .error(
                node,
                "wrong-kind",
                format!("`kind` is `{found}`, and should be `DataContract`"),
            )
            .help("write `kind: DataContract`, or name another file")
            .report();
    }
}

/// A contract may come from elsewhere, with another name for its domain.
fn check_domain(source: &Source, root: &Node, domain: Option<&DomainName>) {
    if let Some(node) = root.child("domain")
        && let (Some(found), Some(domain)) = (node.as_text(), domain)
        && found != domain.as_str()
    {
        source
            .warning(
                node,
                "wrong-domain",
                format!("the contract says domain `{found}`, and is served by `{domain}`"),
            )
            .help(format!("write `domain: {domain}`, or leave it out"))
            .report();
    }
}

/// The status of a contract that is served; none for one that is not.
fn read_status(source: &Source, root: &Node) -> Option<TableStatus> {
    let Some(node) = root.child("status") else {
        source
            .error(root, "missing-key", "a contract needs the key `status`")
            .help("add `status: active` to serve it, or `status: draft`")
            .report();
        return None;
    };
    match node.as_text()? {
        "active" => Some(TableStatus::Active),
        "deprecated" => {
            source
                .warning(
                    node,
                    "deprecated",
                    "the contract is deprecated, and still served",
                )
                .help("set `status: retired` when nobody uses it any more")
                .report();
            Some(TableStatus::Deprecated)
        }
        "proposed" | "draft" | "retired" => None,
        other => {
            source
                .error(node, "wrong-value", format!("`{other}` is not a status"))
                .help("the statuses are `proposed`, `draft`, `active`, `deprecated` and `retired`")
                .report();
            None
        }
    }
}

fn parse_major(version: &str) -> Option<u64> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let (major, rest) = version.split_once('.').unwrap_or((version, "0"));
    let numeric = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let sound = numeric(major) && rest.starts_with(|c: char| c.is_ascii_digit());
    sound.then(|| major.parse().ok()).flatten()
}

fn read_table(
    source: &Source,
    root: &Node,
    object: &Node,
    (major, status): (Option<u64>, TableStatus),
    server: Option<&Server<'_>>,
    surroundings: &Surroundings<'_>,
) -> Option<Table> {
    let name_node = object.child("name")?;
    let name = name_node.as_text().and_then(|text| {
        TableName::parse(text)
            .map_err(|error| {
                source
                    .error(name_node, "name", error.to_string())
                    .help("name the table for SQL; `physicalName` keeps its name in the files")
                    .report();
            })
            .ok()
    });
    let columns = read_columns(source, object);
    let physical = object.child("physicalName").unwrap_or(name_node);
    let found = server.and_then(|server| {
        let location = fill_in(source, server.location, physical)?;
        let found = read_location(source, server.location, &location, server.s3, surroundings)?;
        Some((server, found))
    });
    let description = object
        .child("description")
        .or_else(|| root.child("description")?.child("purpose"))
        .and_then(Node::as_text)
        .map(str::to_owned);
    let mut tags = read_tags(object);
    tags.extend(read_tags(root));
    let (server, (storage, location)) = found?;
    Some(Table {
        name: name?,
        product: product_of(root),
        version: text_of(root, "version"),
        major: major?,
        newest: false,
        status,
        description,
        service_levels: name_node
            .as_text()
            .map(|name| read_service_levels(root, name))
            .unwrap_or_default(),
        tags,
        columns,
        source: TableSource {
            storage,
            format: server.format.clone(),
            location,
            span: source.span(server.location),
        },
        span: source.span(name_node),
    })
}

/// Those of the whole contract, and those whose element is the table or in it.
fn read_service_levels(root: &Node, table: &str) -> BTreeSet<String> {
    let properties = root.child("slaProperties").map(Node::items);
    let concerns = |element: &str| {
        let mut elements = element.split(',').map(str::trim);
        elements.any(|it| it.split('.').next() == Some(table))
    };
    properties
        .unwrap_or_default()
        .iter()
        .filter(|it| {
            let element = it.child("element").and_then(Node::as_text);
            element.is_none_or(concerns)
        })
        .filter_map(|it| it.child("property")?.as_text().map(str::to_owned))
        .collect()
}

/// Puts the table's physical name where `{table}` stands.
fn fill_in(source: &Source, location: &Node, name: &Node) -> Option<String> {
    let text = location.as_text()?;
    if !text.contains(TABLE) {
        return Some(text.to_owned());
    }
    let name_text = name.as_text()?;
    if name_text.is_empty() || name_text.contains('/') || name_text.contains(WILDCARDS) {
        source
            .error(
                name,
                "unsafe-location",
                format!("`{name_text}` cannot stand for `{{table}}` in a location"),
            )
            .help("use a name without `/` and wildcards")
            .report();
        return None;
    }
    Some(text.replace(TABLE, name_text))
}
