//! `grants.yaml`.

use std::collections::HashMap;
use std::rc::Rc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::fault::{Fault, Span, Spanned};
use crate::grant::{ColumnSelection, GrantManifest, GrantTarget, Grantee};
use crate::name::{DomainName, Purpose};
use crate::yaml::{Fields, Kind, Node, Source, check_header};

/// Reads the tree of `grants.yaml`. Grants with a fault are left out: their
/// domain is not taken into force anyway.
pub(crate) fn read_grants(
    source: &Source,
    root: &Rc<Node>,
    domain: Option<&DomainName>,
) -> Vec<GrantManifest> {
    let Some(fields) = Fields::open(source, root, "a grants file") else {
        return Vec::new();
    };
    check_header(&fields, "Grants");
    if let Some((node, text)) = fields.required_text("domain")
        && let Some(domain) = domain
        && domain.as_str() != text
    {
        source
            .error(
                node,
                "wrong-domain",
                format!("these grants are of domain `{text}`, and this is `{domain}`"),
            )
            .help("a domain grants only what is its own: write its name, or name its own file")
            .report();
    }
    let items = fields
        .required("grants")
        .and_then(|node| source.read_list(node, "grants"))
        .unwrap_or_default();
    let mut grants: Vec<GrantManifest> = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for item in items {
        let Some(grant) = read_grant(source, item) else {
            continue;
        };
        if let Some(line) = seen.get(&grant.name.value) {
            source.report(
                Fault::error(
                    grant.name.span.clone(),
                    "duplicate-grant",
                    format!(
                        "grant `{}` is named twice, first in line {line}",
                        grant.name.value
                    ),
                )
                .with_help("rename one of the two: the name says in the audit which grant it was"),
            );
            continue;
        }
        seen.insert(grant.name.value.clone(), grant.name.span.line);
        grants.push(grant);
    }
    fields.finish();
    grants
}

fn read_grant(source: &Source, node: &Node) -> Option<GrantManifest> {
    let fields = Fields::open(source, node, "a grant")?;
    let name = fields
        .required_text("name")
        .map(|(node, text)| source.spanned(node, text));
    let to = fields
        .required("to")
        .map(|node| read_grantees(source, node, "to"));
    let on = fields.required("on").and_then(|node| read_on(source, node));
    let columns = if read_discover(&fields) {
        refuse_data(&fields);
        Some(ColumnSelection::Nothing)
    } else {
        fields
            .required("columns")
            .and_then(|node| read_columns(source, node))
    };
    let masks = fields
        .get("masks")
        .map(|node| read_masks(source, node))
        .unwrap_or_default();
    let rows = fields
        .get("rows")
        .and_then(|node| Some(source.spanned(node, source.read_text(node, "rows")?)));
    let from = read_moment(&fields, "from");
    let until = read_moment(&fields, "until");
    if let (Some(from), Some(until)) = (&from, &until)
        && until.value <= from.value
    {
        source.report(
            Fault::error(
                until.span.clone(),
                "empty-period",
                "`until` is not after `from`: the grant would never be in force",
            )
            .with_help("swap the two, or remove the grant"),
        );
    }
    let purposes = fields
        .get("purposes")
        .map(|node| read_purposes(source, node))
        .unwrap_or_default();
    fields.finish();
    Some(GrantManifest {
        name: name?,
        to: to?,
        on: on?,
        columns: columns?,
        masks,
        rows,
        from: from.map(|moment| moment.value),
        until: until.map(|moment| moment.value),
        purposes,
    })
}

/// Whether the grant gives no data, and lets tables be found.
fn read_discover(fields: &Fields<'_>) -> bool {
    let Some(node) = fields.get("discover") else {
        return false;
    };
    match node.as_boolean() {
        Some(true) => true,
        Some(false) => {
            let message = "`discover` is `false`, which is what a grant without it is";
            let error = fields.source.error(node, "wrong-value", message);
            error.help("remove the key, or write `true`").report();
            false
        }
        None => {
            fields.source.wrong_type(node, "discover", "`true`");
            false
        }
    }
}

/// A grant of discovery with data in it would be read as one or the other.
fn refuse_data(fields: &Fields<'_>) {
    for key in ["columns", "masks", "rows", "purposes"] {
        if let Some(node) = fields.get(key) {
            let message = format!("a grant with `discover` gives no data, and this has `{key}`");
            let error = fields.source.error(node, "discover-with-data", message);
            error
                .help("make two grants of it: one that gives data, one that lets it be found")
                .report();
        }
    }
}

fn read_purposes(source: &Source, node: &Node) -> Vec<Spanned<Purpose>> {
    let mut purposes = Vec::new();
    for text in read_names(source, node, "purposes") {
        match Purpose::parse(&text.value) {
            Ok(purpose) => purposes.push(Spanned::new(purpose, text.span)),
            Err(error) => source.report(
                Fault::error(text.span, "name", error.to_string())
                    .with_help("write it as sessions will state it: `purposes: [fulfilment]`"),
            ),
        }
    }
    purposes
}

/// Reads a list of grantees; those that are none are faults.
pub(crate) fn read_grantees(
    source: &Source,
    node: &Node,
    what: &'static str,
) -> Vec<Spanned<Grantee>> {
    refuse_empty(source, node, what);
    let mut grantees = Vec::new();
    for text in source.read_texts(node, what) {
        match Grantee::parse(&text.value) {
            Ok(grantee) => grantees.push(Spanned::new(grantee, text.span)),
            Err(error) => source.report(
                Fault::error(text.span, "grantee", error.to_string())
                    .with_help("write `user:NAME`, `group:NAME`, `service:NAME` or `everyone`"),
            ),
        }
    }
    grantees
}

fn read_on(source: &Source, node: &Node) -> Option<GrantTarget> {
    let what = "on";
    match node.kind() {
        Kind::Text => {
            let text = source.read_text(node, what)?;
            Some(if text == "*" {
                GrantTarget::All
            } else {
                GrantTarget::Tables(vec![source.spanned(node, text)])
            })
        }
        Kind::List => Some(GrantTarget::Tables(read_names(source, node, what))),
        Kind::Mapping => {
            let fields = Fields::open(source, node, "`on`")?;
            let tags = fields
                .required("tags")
                .map(|tags| read_names(source, tags, "tags"));
            fields.finish();
            tags.map(GrantTarget::Tags)
        }
        Kind::Null | Kind::Boolean | Kind::Integer | Kind::Float => {
            source.wrong_type(
                node,
                what,
                "a table, a list of tables, `\"*\"` or a mapping with `tags`",
            );
            None
        }
    }
}

fn read_columns(source: &Source, node: &Node) -> Option<ColumnSelection> {
    let what = "columns";
    match node.kind() {
        Kind::Text if node.as_text() == Some("*") => Some(ColumnSelection::All),
        Kind::List => Some(ColumnSelection::Only(read_names(source, node, what))),
        Kind::Mapping => {
            let fields = Fields::open(source, node, "`columns`")?;
            let (except, tags) = (fields.get("except"), fields.get("tags"));
            let selection = match (except, tags) {
                (Some(except), None) => Some(ColumnSelection::Except(read_names(
                    source, except, "except",
                ))),
                (None, Some(tags)) => Some(ColumnSelection::Tags(read_names(source, tags, "tags"))),
                (Some(_), Some(_)) => {
                    source
                        .error(
                            node,
                            "wrong-value",
                            "`columns` has both `except` and `tags`",
                        )
                        .help("make two grants of it")
                        .report();
                    None
                }
                (None, None) => {
                    source
                        .error(node, "missing-key", "`columns` needs `except` or `tags`")
                        .help("write `columns: \"*\"` for all of them")
                        .report();
                    None
                }
            };
            fields.finish();
            selection
        }
        Kind::Text | Kind::Null | Kind::Boolean | Kind::Integer | Kind::Float => {
            source.wrong_type(
                node,
                what,
                "`\"*\"`, a list of columns, or a mapping with `except` or `tags`",
            );
            None
        }
    }
}

/// A list of names: not empty, none twice, and no `*`, which stands alone.
pub(crate) fn read_names(source: &Source, node: &Node, what: &'static str) -> Vec<Spanned<String>> {
    refuse_empty(source, node, what);
    let mut names: Vec<Spanned<String>> = Vec::new();
    for name in source.read_texts(node, what) {
        if name.value == "*" {
            source.report(
                Fault::error(
                    name.span,
                    "wrong-value",
                    format!("`*` stands alone, not in the list `{what}`"),
                )
                .with_help("write `\"*\"` in place of the whole list"),
            );
        } else if names.iter().any(|other| other.value == name.value) {
            source.report(
                Fault::error(
                    name.span,
                    "duplicate-value",
                    format!("`{}` is listed twice in `{what}`", name.value),
                )
                .with_help("keep one of the two"),
            );
        } else {
            names.push(name);
        }
    }
    names
}

pub(crate) fn refuse_empty(source: &Source, node: &Node, what: &str) {
    if node.kind() == Kind::List && node.items().is_empty() {
        source
            .error(node, "empty", format!("`{what}` is an empty list"))
            .help("name something, or remove the key")
            .report();
    }
}

fn read_masks(source: &Source, node: &Node) -> Vec<(Spanned<String>, Spanned<String>)> {
    let mut masks = Vec::new();
    for (key, value) in source.read_mapping(node, "masks").unwrap_or_default() {
        let Some(column) = key.key_text() else {
            continue;
        };
        if value.kind() == Kind::Null {
            source
                .error(
                    value,
                    "wrong-type",
                    format!("the mask of `{column}` is nothing"),
                )
                .help("YAML reads `null` as nothing; the mask is called `nullify`")
                .report();
        } else if let Some(mask) = source.read_text(value, "a mask") {
            masks.push((source.spanned(key, column), source.spanned(value, mask)));
        }
    }
    masks
}

pub(crate) fn read_moment(
    fields: &Fields<'_>,
    key: &'static str,
) -> Option<Spanned<DateTime<Utc>>> {
    let source = fields.source;
    let node = fields.get(key)?;
    let text = source.read_text(node, key)?;
    if let Some(moment) = parse_moment(text) {
        let span: Span = source.span(node);
        return Some(Spanned::new(moment, span));
    }
    source
        .error(
            node,
            "wrong-value",
            format!("`{key}` is `{text}`, which is neither a date nor a moment"),
        )
        .help("write `2026-01-31`, which is its midnight in UTC, or `2026-01-31T12:00:00Z`")
        .report();
    None
}

fn parse_moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        && text.len() == "2026-01-31".len()
    {
        return Some(date.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|moment| moment.with_timezone(&Utc))
}
