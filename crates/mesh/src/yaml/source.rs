//! One manifest as text: where its faults are collected, and which of its
//! lines may be shown.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::node::{Kind, Node, Place, Value};
use crate::fault::{Fault, Snippet, Span, Spanned};

/// Faults in one file after which nobody reads on.
const MAX_FAULTS: usize = 500;

/// The longest source line that is shown, in characters.
const MAX_SNIPPET: usize = 200;

/// A manifest while it is being read.
#[derive(Debug)]
pub(crate) struct Source {
    text: SourceText,
    /// The folder that relative paths in it start from, absolute.
    folder: PathBuf,
    faults: RefCell<Vec<Fault>>,
    hidden: RefCell<BTreeSet<u32>>,
    syntax_failed: RefCell<bool>,
}

/// The lines of a manifest that has been read, for snippets.
#[derive(Debug, Clone)]
pub(crate) struct SourceText {
    name: Arc<Path>,
    text: Arc<str>,
    /// Whether the file may hold secrets.
    secret: bool,
    /// The lines that do, or might.
    hidden: BTreeSet<u32>,
    /// Whether the text has no tree, so that nothing is known of its lines.
    opaque: bool,
}

/// A fault on its way to its [`Source`].
#[derive(Debug)]
#[must_use = "a fault that is not reported is lost"]
pub(crate) struct Draft<'a> {
    source: &'a Source,
    fault: Fault,
}

impl Draft<'_> {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.fault.help = Some(help.into());
        self
    }

    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.fault.help = help;
        self
    }

    pub(crate) fn report(self) {
        self.source.report(self.fault);
    }
}

impl Source {
    pub(crate) fn new(name: Arc<Path>, folder: PathBuf, text: String, secret: bool) -> Self {
        Self {
            text: SourceText {
                name,
                text: Arc::from(text),
                secret,
                hidden: BTreeSet::new(),
                opaque: false,
            },
            folder,
            faults: RefCell::default(),
            hidden: RefCell::default(),
            syntax_failed: RefCell::default(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text.text
    }

    pub(crate) fn name(&self) -> &Arc<Path> {
        &self.text.name
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was found, and the text to show it with.
    pub(crate) fn finish(mut self) -> (SourceText, Vec<Fault>) {
        self.text.hidden = self.hidden.take();
        self.text.opaque = self.syntax_failed.take();
        (self.text, self.faults.take())
    }

    pub(crate) fn span(&self, node: &Node) -> Span {
        self.span_at(node.place)
    }

    pub(crate) fn spanned(&self, node: &Node, text: &str) -> Spanned<String> {
        Spanned::new(text.to_owned(), self.span(node))
    }

    pub(crate) fn error(
        &self,
        node: &Node,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Draft<'_> {
        Draft {
            source: self,
            fault: Fault::error(self.span(node), rule, message),
        }
    }

    pub(crate) fn warning(
        &self,
        node: &Node,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Draft<'_> {
        Draft {
            source: self,
            fault: Fault::warning(self.span(node), rule, message),
        }
    }

    pub(crate) fn file_error(&self, rule: &'static str, message: impl Into<String>) {
        self.report(Fault::error(
            Span {
                file: Arc::clone(self.name()),
                line: 0,
                column: 0,
            },
            rule,
            message,
        ));
    }

    pub(crate) fn syntax_error(&self, place: Place, message: String) {
        self.syntax_failed.replace(true);
        self.report(Fault::error(self.span_at(place), "yaml-syntax", message));
    }

    pub(crate) fn report(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        // A node that is used through several aliases is reported once.
        let has_room = faults.len() < MAX_FAULTS;
        // However many warnings there are, a file with an error has one.
        let first_error = || fault.is_error() && !faults.iter().any(Fault::is_error);
        if (has_room || first_error()) && !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// "`header` must be a boolean, found a string".
    pub(crate) fn wrong_type(&self, node: &Node, what: &str, wanted: &str) {
        let found = node.kind();
        let help = match found {
            Kind::Null if wanted == "a string" && node.is_written() => {
                Some("put the value in quotes if it is meant as text".to_owned())
            }
            Kind::Null => Some(format!("give `{what}` a value, or remove the key")),
            Kind::Boolean | Kind::Integer | Kind::Float if wanted == "a string" => {
                Some("put the value in quotes".to_owned())
            }
            Kind::Boolean
            | Kind::Integer
            | Kind::Float
            | Kind::Text
            | Kind::List
            | Kind::Mapping => None,
        };
        self.error(
            node,
            "wrong-type",
            format!("`{what}` must be {wanted}, found {}", found.describe()),
        )
        .help_if(help)
        .report();
    }

    /// A string that is not empty, or a fault.
    pub(crate) fn read_text<'n>(&self, node: &'n Node, what: &str) -> Option<&'n str> {
        match node.as_text() {
            Some("") => {
                self.error(node, "empty", format!("`{what}` is empty"))
                    .report();
                None
            }
            Some(text) => Some(text),
            None => {
                self.wrong_type(node, what, "a string");
                None
            }
        }
    }

    /// A list, or a fault.
    pub(crate) fn read_list<'n>(&self, node: &'n Node, what: &str) -> Option<&'n [Rc<Node>]> {
        if node.kind() == Kind::List {
            return Some(node.items());
        }
        self.wrong_type(node, what, "a list");
        None
    }

    /// A mapping, or a fault.
    pub(crate) fn read_mapping<'n>(
        &self,
        node: &'n Node,
        what: &str,
    ) -> Option<&'n [(Rc<Node>, Rc<Node>)]> {
        if node.kind() == Kind::Mapping {
            return Some(node.entries());
        }
        self.wrong_type(node, what, "a mapping");
        None
    }

    /// The strings of a list; those that are none are faults.
    pub(crate) fn read_texts(&self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        self.read_list(node, what)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| {
                let text = self.read_text(item, what)?;
                Some(self.spanned(item, text))
            })
            .collect()
    }

    /// Keeps every scalar below `node` out of snippets.
    pub(crate) fn hide(&self, node: &Node) {
        match &node.value {
            Value::Scalar { .. } => {
                self.hidden
                    .borrow_mut()
                    .extend(node.place.line..=node.place.last_line);
            }
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                self.hide(key);
                self.hide(value);
            }),
        }
    }

    /// The same, in a file that may hold secrets: for values of which nothing is known.
    pub(crate) fn hide_if_secret(&self, node: &Node) {
        if self.text.secret {
            self.hide(node);
        }
    }

    fn span_at(&self, place: Place) -> Span {
        Span {
            file: Arc::clone(self.name()),
            line: place.line,
            column: place.column,
        }
    }
}

impl SourceText {
    pub(crate) fn name(&self) -> &Arc<Path> {
        &self.name
    }

    /// Adds the source line to a fault of this file.
    pub(crate) fn annotate(&self, fault: &mut Fault) {
        if fault.snippet.is_some() || fault.span.line == 0 || fault.span.file != self.name {
            return;
        }
        let line = fault.span.line;
        let Some(text) = self
            .text
            .lines()
            .nth((line - 1) as usize)
            .filter(|text| !text.trim().is_empty())
        else {
            return;
        };
        let guessed = self.opaque && self.secret && !is_harmless(text);
        fault.snippet = Some(if self.hidden.contains(&line) || guessed {
            Snippet::Redacted
        } else if text.chars().count() > MAX_SNIPPET || text.chars().any(is_unprintable) {
            return;
        } else {
            Snippet::Line(text.to_owned())
        });
    }
}

/// Whether a line of a file that is no YAML surely holds no secret: a key that
/// has nothing to do with any, and at most one value.
fn is_harmless(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ");
    let Some((key, value)) = line.split_once(':') else {
        return false;
    };
    let key = key.to_ascii_lowercase();
    let secret = ["pass", "secret", "token", "key", "cred", "pwd"];
    key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !secret.iter().any(|word| key.contains(word))
        && !value.contains(':')
}

/// Control characters would let a manifest write to the terminal of who reads the fault.
fn is_unprintable(c: char) -> bool {
    c.is_control() && c != '\t'
}
