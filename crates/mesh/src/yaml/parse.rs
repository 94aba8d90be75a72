//! From text to a tree of nodes, within a budget.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Node, Place, Value};
use super::source::Source;

/// How many nodes a document may have, aliases followed: a manifest of 8 MiB
/// has fewer, an alias bomb has more.
const MAX_NODES: usize = 1_000_000;

/// How deep a document may nest, aliases followed.
const MAX_DEPTH: usize = 100;

/// Reads the one document of a file. Reports what is wrong with it and gives
/// nothing where there is no tree to go on with.
pub(crate) fn parse(source: &Source) -> Option<Rc<Node>> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.disallow_directives = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder {
        source,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
    };
    for event in Parser::new_from_str_with_options(source.text(), options) {
        let outcome = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(syntax(&error)),
        };
        if let Err(Refusal { place, message }) = outcome {
            source.syntax_error(place, message);
            return None;
        }
    }
    if builder.root.is_none() {
        source.file_error("yaml-syntax", "the file is empty");
    }
    builder.root
}

struct Builder<'a> {
    source: &'a Source,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    documents: usize,
}

/// A collection whose end has not come yet.
struct Open {
    start: Marker,
    anchor: usize,
    mapping: bool,
    /// The items; of a mapping, keys and values in turn.
    items: Vec<Rc<Node>>,
}

/// Why a document is not read on.
struct Refusal {
    place: Place,
    message: String,
}

impl Builder<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's events are non-exhaustive"
    )]
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(refuse(span, "a manifest is one document"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let mut plain = style == ScalarStyle::Plain;
                if let Some(tag) = tag {
                    check_tag(&tag, span)?;
                    plain = false;
                }
                let value = Value::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                self.add(Node::new(place(span.start, span.end), value), anchor, span)?;
            }
            Event::SequenceStart(_, _, Some(_)) | Event::MappingStart(_, _, Some(_)) => {
                return Err(refuse(span, "tags are not read here"));
            }
            Event::SequenceStart(_, anchor, None) => self.open(span, anchor, false),
            Event::MappingStart(_, anchor, None) => self.open(span, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(refuse(span, "an alias stands inside what it stands for"));
                };
                self.push(node, span)?;
            }

            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            other => {
                // Comments, anchors and loose aliases are not asked for.
                if other.is_node() {
                    return Err(refuse(span, "this YAML is not read here"));
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, span: Span, anchor: usize, mapping: bool) {
        self.open.push(Open {
            start: span.start,
            anchor,
            mapping,
            items: Vec::new(),
        });
    }

    fn close(&mut self, span: Span) -> Result<(), Refusal> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = if open.mapping {
            let mut entries: Vec<(Rc<Node>, Rc<Node>)> = Vec::with_capacity(open.items.len() / 2);
            let mut items = open.items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                entries.push((key, value));
            }
            self.report_duplicates(&entries);
            Value::Mapping(entries)
        } else {
            Value::List(open.items)
        };
        let node = Node::new(place(open.start, span.end), value);
        self.add(node, open.anchor, span)
    }

    fn add(&mut self, node: Node, anchor: usize, span: Span) -> Result<(), Refusal> {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.push(node, span)
    }

    fn push(&mut self, node: Rc<Node>, span: Span) -> Result<(), Refusal> {
        if node.depth > MAX_DEPTH {
            return Err(refuse(span, "the document nests too deeply"));
        }
        if node.size > MAX_NODES {
            return Err(refuse(
                span,
                "the document is too large once its aliases are followed",
            ));
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn report_duplicates(&self, entries: &[(Rc<Node>, Rc<Node>)]) {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for (key, value) in entries {
            let Some(text) = key.key_text() else {
                self.source
                    .error(key, "wrong-type", "a key must be a name")
                    .report();
                continue;
            };
            if let Some(line) = seen.get(text) {
                self.source.hide_if_secret(value);
                self.source
                    .error(
                        key,
                        "duplicate-key",
                        format!("`{text}` is given twice, first in line {line}"),
                    )
                    .help("keep one of the two")
                    .report();
            } else {
                seen.insert(text, key.place.line);
            }
        }
    }
}

fn check_tag(tag: &Tag, span: Span) -> Result<(), Refusal> {
    // `!` and `!!str` both only say that the scalar is text.
    if tag.is_yaml_core_schema_tag("str") || tag.parts() == ("", "!") || tag.parts() == ("!", "") {
        return Ok(());
    }
    Err(refuse(span, "tags are not read here"))
}

fn refuse(span: Span, message: &str) -> Refusal {
    Refusal {
        place: place(span.start, span.end),
        message: message.to_owned(),
    }
}

fn syntax(error: &ScanError) -> Refusal {
    Refusal {
        place: place(*error.marker(), *error.marker()),
        message: error.info(),
    }
}

fn place(start: Marker, end: Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    // A block scalar ends where the next line begins.
    let last = if end.col() == 0 && end.line() > start.line() {
        end.line() - 1
    } else {
        end.line()
    };
    Place {
        line: number(start.line()).max(1),
        column: number(start.col()).saturating_add(1),
        last_line: number(last).max(1),
    }
}
