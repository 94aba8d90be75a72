//! A mapping with a known set of keys.

use std::cell::RefCell;
use std::rc::Rc;

use super::node::{Kind, Node};
use super::source::Source;
use crate::suggest::did_you_mean;

/// Keys whose values are secrets when somebody writes them out.
const SECRET_KEYS: [&str; 4] = ["password", "token", "secret", "secrets"];

/// A mapping that is asked for its keys; whatever was not asked for is unknown.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) source: &'a Source,
    pub(crate) node: &'a Node,
    /// What the mapping describes, with its article: `a storage`.
    what: &'static str,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// Reports a node that is no mapping.
    pub(crate) fn open(source: &'a Source, node: &'a Node, what: &'static str) -> Option<Self> {
        if node.kind() != Kind::Mapping {
            source.hide_if_secret(node);
            source
                .error(
                    node,
                    "wrong-type",
                    format!("{what} must be a mapping, found {}", node.kind().describe()),
                )
                .report();
            return None;
        }
        Some(Self {
            source,
            node,
            what,
            asked: RefCell::default(),
        })
    }

    pub(crate) fn get(&self, key: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(key);
        self.node.child(key)
    }

    /// Reports a key that is not there.
    pub(crate) fn required(&self, key: &'static str) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            self.source
                .error(
                    self.node,
                    "missing-key",
                    format!("{} needs the key `{key}`", self.what),
                )
                .help(format!("add `{key}: …`"))
                .report();
        }
        node
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<&'a str> {
        self.source.read_text(self.get(key)?, key)
    }

    pub(crate) fn required_text(&self, key: &'static str) -> Option<(&'a Node, &'a str)> {
        let node = self.required(key)?;
        Some((node, self.source.read_text(node, key)?))
    }

    pub(crate) fn list(&self, key: &'static str) -> &'a [Rc<Node>] {
        self.get(key)
            .and_then(|node| self.source.read_list(node, key))
            .unwrap_or_default()
    }

    /// Reports every key that nothing asked for.
    pub(crate) fn finish(self) {
        let asked = self.asked.into_inner();
        for (key, value) in self.node.entries() {
            let Some(text) = key.key_text().filter(|text| !asked.contains(text)) else {
                continue;
            };
            // `pasword: hunter2` is not shown; `gruops: [a]` may be.
            let near = did_you_mean(text, asked.iter().copied());
            if near.is_none_or(|near| SECRET_KEYS.contains(&near)) {
                self.source.hide_if_secret(value);
            }
            report_unknown_key(self.source, key, text, self.what, &asked);
        }
    }
}

/// "`gruops` is not a key of a user", with the key that was meant or all there are.
pub(crate) fn report_unknown_key(
    source: &Source,
    key: &Node,
    text: &str,
    what: &str,
    known: &[&str],
) {
    let near = did_you_mean(text, known.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", in_backticks(known)),
    };
    source
        .error(
            key,
            "unknown-key",
            format!("`{text}` is not a key of {what}"),
        )
        .help(help)
        .report();
}

/// `a`, `b`, `c`.
pub(crate) fn in_backticks(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Reads `apiVersion` and `kind`, which say that the file is what it is taken for.
pub(crate) fn check_header(fields: &Fields<'_>, kind: &'static str) {
    for (key, wanted) in [("apiVersion", "weft/v1"), ("kind", kind)] {
        if let Some((node, found)) = fields.required_text(key)
            && found != wanted
        {
            fields
                .source
                .error(
                    node,
                    "wrong-kind",
                    format!("`{key}` is `{found}`, and should be `{wanted}`"),
                )
                .help(format!("write `{key}: {wanted}`, or name another file"))
                .report();
        }
    }
}
