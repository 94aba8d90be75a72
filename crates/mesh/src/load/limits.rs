//! `limits:` of `mesh.yaml`.

use std::collections::HashMap;

use super::grants::read_grantees;
use super::measures::{read_count, read_duration, read_size};
use crate::fault::Fault;
use crate::limit::LimitManifest;
use crate::yaml::{Fields, Node, Source};

/// Reads the list. Limits with a fault are left out: the mesh is not taken into
/// force anyway.
pub(crate) fn read_limits(source: &Source, node: &Node) -> Vec<LimitManifest> {
    let mut limits: Vec<LimitManifest> = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for item in source.read_list(node, "limits").unwrap_or_default() {
        let Some(limit) = read_limit(source, item) else {
            continue;
        };
        let name = &limit.name;
        if let Some(line) = seen.get(&name.value) {
            let message = format!(
                "limit `{}` is named twice, first in line {line}",
                name.value
            );
            source.report(
                Fault::error(name.span.clone(), "duplicate-limit", message)
                    .with_help("rename one of the two: whoever reaches a limit reads its name"),
            );
            continue;
        }
        seen.insert(name.value.clone(), name.span.line);
        limits.push(limit);
    }
    limits
}

fn read_limit(source: &Source, node: &Node) -> Option<LimitManifest> {
    let fields = Fields::open(source, node, "a limit")?;
    let name = fields
        .required_text("name")
        .map(|(node, text)| source.spanned(node, text));
    let whom = fields
        .required("for")
        .map(|node| read_grantees(source, node, "for"));
    let concurrency = fields.get("concurrency");
    let memory = fields.get("memory");
    let time = fields.get("time");
    let rows = fields.get("rows");
    let bytes = fields.get("bytes");
    fields.finish();
    let given = [concurrency, memory, time, rows, bytes];
    if given.iter().all(Option::is_none) {
        source
            .error(node, "missing-key", "the limit takes nothing away")
            .help("give it one or more of `concurrency`, `memory`, `time`, `rows` and `bytes`")
            .report();
    }
    let concurrency = concurrency.and_then(|node| read_count(source, node, "concurrency"));
    Some(LimitManifest {
        name: name?,
        whom: whom?,
        concurrency: concurrency.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        memory: memory.and_then(|node| read_size(source, node, "memory")),
        time: time.and_then(|node| read_duration(source, node, "time")),
        rows: rows.and_then(|node| read_count(source, node, "rows")),
        bytes: bytes.and_then(|node| read_size(source, node, "bytes")),
    })
}
