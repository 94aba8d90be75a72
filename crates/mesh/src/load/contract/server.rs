//! The server of a contract: which one counts, and how its files are written.

use crate::table::{Compression, CsvFormat, Format, JsonFormat, JsonLayout};
use crate::yaml::{Kind, Node, Source, in_backticks, report_unknown_key};

/// The keys of every server.
const COMMON: [&str; 7] = [
    "id",
    "server",
    "type",
    "description",
    "environment",
    "roles",
    "customProperties",
];

/// Formats of the design that no reader is there for yet.
const LATER: [&str; 4] = ["delta", "iceberg", "avro", "arrow"];

/// A server that can be read from.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    /// `location` or `path`.
    pub(crate) location: &'a Node,
    /// Whether that is a key of an S3 bucket rather than a path.
    pub(crate) s3: bool,
    pub(crate) format: Format,
}

/// Picks the server for `environment`, else the first, and reads it.
pub(crate) fn read_server<'a>(
    source: &Source,
    contract: &'a Node,
    environment: Option<&str>,
) -> Option<Server<'a>> {
    let servers = contract.child("servers");
    let items = servers.map(Node::items).unwrap_or_default();
    for item in items {
        check_keys(source, item);
    }
    let environment_of = |item: &Node| {
        item.child("environment")
            .and_then(Node::as_text)
            .map(str::to_owned)
    };
    let matching = environment.and_then(|wanted| {
        items
            .iter()
            .find(|item| environment_of(item).as_deref() == Some(wanted))
    });
    let Some(node) = matching.or_else(|| items.first()) else {
        if servers.is_none_or(|node| node.kind() == Kind::List) {
            source
                .error(
                    servers.unwrap_or(contract),
                    "missing-key",
                    "a contract that is served needs a server",
                )
                .help("add `servers:` with a `type`, a `location` or `path`, and a `format`")
                .report();
        }
        return None;
    };
    if let (None, Some(wanted)) = (matching, environment)
        && items.iter().any(|item| environment_of(item).is_some())
    {
        source
            .warning(
                node,
                "no-such-environment",
                format!("no server is of environment `{wanted}`; the first one is taken"),
            )
            .help(format!("add a server with `environment: {wanted}`"))
            .report();
    }
    let kind = node.child("type")?;
    let (key, s3) = match kind.as_text()? {
        "s3" => ("location", true),
        "local" => ("path", false),
        other => {
            source
                .error(
                    kind,
                    "not-supported-yet",
                    format!("a server of type `{other}` is not supported yet"),
                )
                .help("the types are `s3` and `local`")
                .report();
            return None;
        }
    };
    let location = node.child(key);
    if location.is_none() {
        source
            .error(
                node,
                "missing-key",
                format!(
                    "a server of type `{}` needs the key `{key}`",
                    kind.as_text()?
                ),
            )
            .help(format!("add `{key}: …`"))
            .report();
    }
    let format = read_format(source, node);
    Some(Server {
        location: location?,
        s3,
        format: format?,
    })
}

/// Refuses what the standard has for servers of other types only.
fn check_keys(source: &Source, node: &Node) {
    let own: &[&str] = match node.child("type").and_then(Node::as_text) {
        Some("s3") => &["location", "endpointUrl", "format", "encoding", "delimiter"],
        Some("local") => &["path", "format", "encoding"],
        _ => return,
    };
    let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
    // Unknown to every type: the shape has reported it.
    let others = [
        "account",
        "catalog",
        "catalogUrl",
        "database",
        "dataset",
        "delimiter",
        "endpointUrl",
        "host",
        "location",
        "namespace",
        "path",
        "port",
        "project",
        "region",
        "regionName",
        "schema",
        "serviceName",
        "stagingDir",
        "stream",
        "warehouse",
        "workgroup",
    ];
    for (key, _) in node.entries() {
        if let Some(text) = key.key_text()
            && others.contains(&text)
            && !known.contains(&text)
        {
            let what = if own.contains(&"path") {
                "a server of type `local`"
            } else {
                "a server of type `s3`"
            };
            report_unknown_key(source, key, text, what, &known);
        }
    }
}

fn read_format(source: &Source, node: &Node) -> Option<Format> {
    let Some(format) = node.child("format") else {
        source
            .error(node, "missing-key", "a server needs the key `format`")
            .help("the formats are `parquet`, `csv` and `json`")
            .report();
        return None;
    };
    let text = format.as_text()?;
    let refuse = |rule, message: String| {
        source
            .error(format, rule, message)
            .help("the formats are `parquet`, `csv` and `json`")
            .report();
        None
    };
    match text.to_ascii_lowercase().as_str() {
        "parquet" => Some(Format::Parquet),
        "csv" => read_csv(source, node).map(Format::Csv),
        "json" | "jsonl" | "ndjson" => read_json(source, node).map(Format::Json),
        later if LATER.contains(&later) => refuse(
            "not-supported-yet",
            format!("format `{text}` is not supported yet"),
        ),
        _ => refuse("wrong-value", format!("`{text}` is not a format")),
    }
}

/// The custom properties of a server that mean something here; the others are somebody else's.
fn custom<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    node.child("customProperties")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .find(|item| item.child("property").and_then(Node::as_text) == Some(name))
        .and_then(|item| item.child("value"))
}

fn read_csv(source: &Source, node: &Node) -> Option<CsvFormat> {
    let mut csv = CsvFormat::default();
    let mut sound = true;
    if let Some(value) = custom(node, "header") {
        match value.as_scalar() {
            Some("true") => csv.header = true,
            Some("false") => csv.header = false,
            _ => {
                source.wrong_type(value, "header", "`true` or `false`");
                sound = false;
            }
        }
    }
    for (name, slot) in [("delimiter", &mut csv.delimiter), ("quote", &mut csv.quote)] {
        let Some(value) = custom(node, name) else {
            continue;
        };
        let byte = match value.as_scalar() {
            Some("\\t" | "tab") => Some(b'\t'),
            Some(text) => <[u8; 1]>::try_from(text.as_bytes())
                .ok()
                .map(|[byte]| byte)
                .filter(|byte| byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0)),
            None => None,
        };
        match byte {
            Some(byte) => *slot = byte,
            None => {
                source
                    .error(
                        value,
                        "wrong-value",
                        format!("`{name}` must be one ASCII character"),
                    )
                    .help("write `\"\\t\"` for a tab")
                    .report();
                sound = false;
            }
        }
    }
    if csv.delimiter == csv.quote {
        source
            .error(node, "wrong-value", "`delimiter` and `quote` are the same")
            .help("choose another `quote`")
            .report();
        sound = false;
    }
    if let Some(value) = custom(node, "null") {
        match &value.as_scalar() {
            Some(text) => csv.null = Some((*text).to_owned()),
            None => {
                source.wrong_type(value, "null", "a string");
                sound = false;
            }
        }
    }
    let compression = read_compression(source, node)?;
    csv.compression = compression;
    sound.then_some(csv)
}

fn read_json(source: &Source, node: &Node) -> Option<JsonFormat> {
    let layout = match node
        .child("delimiter")
        .or_else(|| custom(node, "delimiter"))
    {
        None => JsonLayout::NewLine,
        Some(value) => match value.as_scalar() {
            Some("new_line") => JsonLayout::NewLine,
            Some("array") => JsonLayout::Array,
            _ => {
                source
                    .error(value, "wrong-value", "`delimiter` has no such value")
                    .help("write `new_line`, one object a line, or `array`, one array a file")
                    .report();
                return None;
            }
        },
    };
    let compression = read_compression(source, node)?;
    Some(JsonFormat {
        layout,
        compression,
    })
}

fn read_compression(source: &Source, node: &Node) -> Option<Compression> {
    let Some(value) = custom(node, "compression") else {
        return Some(Compression::None);
    };
    let known = ["none", "gzip", "bzip2", "xz", "zstd"];
    match value.as_scalar().unwrap_or_default() {
        "none" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "bzip2" => Some(Compression::Bzip2),
        "xz" => Some(Compression::Xz),
        "zstd" => Some(Compression::Zstd),
        _ => {
            source
                .error(value, "wrong-value", "`compression` has no such value")
                .help(format!("the values are {}", in_backticks(&known)))
                .report();
            None
        }
    }
}
