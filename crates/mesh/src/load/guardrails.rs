//! `guardrails.yaml`.

use std::collections::HashMap;
use std::rc::Rc;

use super::grants::{read_grantees, read_names};
use crate::fault::{Fault, Spanned};
use crate::guardrail::{GuardrailEffect, GuardrailManifest, GuardrailTarget, TablePattern};
use crate::yaml::{Fields, Kind, Node, Source, check_header};

/// The keys of which a guardrail has one.
const EFFECTS: [&str; 5] = ["rows", "mask", "deny", "requirePurpose", "forbidCombine"];

/// Reads the tree of `guardrails.yaml`. Guardrails with a fault are left out:
/// the mesh is not taken into force anyway.
pub(crate) fn read_guardrails(source: &Source, root: &Rc<Node>) -> Vec<GuardrailManifest> {
    let Some(fields) = Fields::open(source, root, "a guardrails file") else {
        return Vec::new();
    };
    check_header(&fields, "Guardrails");
    let items = fields
        .required("guardrails")
        .and_then(|node| source.read_list(node, "guardrails"))
        .unwrap_or_default();
    let mut guardrails: Vec<GuardrailManifest> = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for item in items {
        let Some(guardrail) = read_guardrail(source, item) else {
            continue;
        };
        let name = &guardrail.name;
        if let Some(line) = seen.get(&name.value) {
            let message = format!(
                "guardrail `{}` is named twice, first in line {line}",
                name.value
            );
            source.report(
                Fault::error(name.span.clone(), "duplicate-guardrail", message).with_help(
                    "rename one of the two: the name says in the audit which guardrail it was",
                ),
            );
            continue;
        }
        seen.insert(name.value.clone(), name.span.line);
        guardrails.push(guardrail);
    }
    fields.finish();
    guardrails
}

fn read_guardrail(source: &Source, node: &Node) -> Option<GuardrailManifest> {
    let fields = Fields::open(source, node, "a guardrail")?;
    let name = fields
        .required_text("name")
        .map(|(node, text)| source.spanned(node, text));
    let except = fields
        .get("except")
        .map(|node| read_grantees(source, node, "except"))
        .unwrap_or_default();
    for grantee in &except {
        if grantee.value == crate::Grantee::Everyone {
            source.report(
                Fault::error(
                    grantee.span.clone(),
                    "wrong-value",
                    "a guardrail that excepts everyone binds nobody",
                )
                .with_help("name those whom it does not bind, or remove the guardrail"),
            );
        }
    }
    let on = fields.get("on").map(|node| (node, read_on(source, node)));
    let effect = read_effect(&fields, on);
    fields.finish();
    Some(GuardrailManifest {
        name: name?,
        except,
        effect: effect?,
    })
}

/// Reads the one effect.
fn read_effect(
    fields: &Fields<'_>,
    on: Option<(&Node, Option<GuardrailTarget>)>,
) -> Option<GuardrailEffect> {
    let source = fields.source;
    let given: Vec<(&str, &Node)> = EFFECTS
        .iter()
        .filter_map(|key| Some((*key, fields.get(key)?)))
        .collect();
    let [(key, node)] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => "the guardrail takes nothing away".to_owned(),
            several => {
                let keys: Vec<_> = several.iter().map(|(key, _)| format!("`{key}`")).collect();
                format!("the guardrail has {}", keys.join(" and "))
            }
        };
        source
            .error(fields.node, "guardrail-effect", message)
            .help("give it one of `rows`, `mask`, `deny`, `requirePurpose`, `forbidCombine`; make several guardrails of several effects")
            .report();
        return None;
    };
    if *key == "forbidCombine" {
        if let Some((on, _)) = on {
            source
                .error(on, "wrong-key", "`forbidCombine` names its tables itself")
                .help("remove `on`")
                .report();
        }
        return read_sides(source, node).map(|sides| GuardrailEffect::ForbidCombine { sides });
    }
    let on = match on {
        Some((_, on)) => on,
        None => {
            fields.required("on");
            None
        }
    };
    let text = |what| Some(source.spanned(node, source.read_text(node, what)?));
    match *key {
        "rows" => {
            let rows = text("rows");
            Some(GuardrailEffect::Rows {
                on: on?,
                rows: rows?,
            })
        }
        "mask" => {
            if node.kind() == Kind::Null {
                source
                    .error(node, "wrong-type", "the mask is nothing")
                    .help("YAML reads `null` as nothing; the mask is called `nullify`")
                    .report();
                return None;
            }
            let mask = text("mask");
            Some(GuardrailEffect::Mask {
                on: on?,
                mask: mask?,
            })
        }
        "deny" => {
            is_true(source, node, "deny").then_some(())?;
            Some(GuardrailEffect::Deny { on: on? })
        }
        _ => {
            is_true(source, node, "requirePurpose").then_some(())?;
            Some(GuardrailEffect::RequirePurpose { on: on? })
        }
    }
}

/// `deny: false` would read as an exception and be none.
fn is_true(source: &Source, node: &Node, key: &str) -> bool {
    if node.as_boolean() == Some(true) {
        return true;
    }
    source
        .error(node, "wrong-value", format!("`{key}` is always `true`"))
        .help("remove the guardrail to lift it")
        .report();
    false
}

fn read_on(source: &Source, node: &Node) -> Option<GuardrailTarget> {
    let fields = Fields::open(source, node, "`on`")?;
    let names = |key: &'static str| {
        fields
            .get(key)
            .map(|node| read_one_or_more(source, node, key))
            .unwrap_or_default()
    };
    let target = GuardrailTarget {
        tags: names("tags"),
        classification: names("classification"),
        domains: names("domains"),
        tables: read_patterns(source, names("tables")),
        columns: names("column"),
        span: source.span(node),
    };
    let anything = target.picks_columns() || !target.domains.is_empty() || {
        fields.node.child("tables").is_some()
    };
    fields.finish();
    if !anything {
        source
            .error(node, "missing-key", "`on` names nothing")
            .help("give it `tags`, `classification`, `domains`, `tables` or `column`")
            .report();
        return None;
    }
    Some(target)
}

/// `region`, or a list of names.
fn read_one_or_more(source: &Source, node: &Node, what: &'static str) -> Vec<Spanned<String>> {
    if node.kind() == Kind::Text {
        return source
            .read_text(node, what)
            .map(|text| source.spanned(node, text))
            .into_iter()
            .collect();
    }
    read_names(source, node, what)
}

fn read_sides(source: &Source, node: &Node) -> Option<Vec<Spanned<TablePattern>>> {
    let names = read_names(source, node, "forbidCombine");
    if names.len() == 1 {
        source
            .error(node, "guardrail-effect", "`forbidCombine` has one side")
            .help("name at least two: `forbidCombine: [hr.*, health.*]`")
            .report();
        return None;
    }
    let count = names.len();
    let sides = read_patterns(source, names);
    (sides.len() == count && count > 1).then_some(sides)
}

fn read_patterns(source: &Source, names: Vec<Spanned<String>>) -> Vec<Spanned<TablePattern>> {
    let mut patterns = Vec::new();
    for name in names {
        match TablePattern::parse(&name.value) {
            Ok(pattern) => patterns.push(Spanned::new(pattern, name.span)),
            Err(error) => source.report(
                Fault::error(name.span, "wrong-value", error.to_string())
                    .with_help("write `domain.table`, `domain.table@2` or `domain.*`"),
            ),
        }
    }
    patterns
}
