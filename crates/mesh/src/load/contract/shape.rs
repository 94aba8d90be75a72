//! Shapes: which keys and kinds of values a standard allows, as data.

use crate::yaml::{Kind, Node, Source, report_unknown_key};

/// What a node may be.
#[derive(Debug)]
pub(crate) enum Shape {
    Any,
    Text,
    Boolean,
    Integer,
    Number,
    /// A number or a string.
    Scalar,
    List(&'static Shape),
    Object(&'static Object),
    /// Any of these, told apart by kind: one list, one object, one string at most.
    Either(&'static [Shape]),
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// With its article: `a property`.
    pub(crate) name: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) keys: &'static [(&'static str, &'static Shape)],
    /// More keys, which other objects have as well.
    pub(crate) also: &'static [(&'static str, &'static Shape)],
}

impl Object {
    fn shape_of(&self, key: &str) -> Option<&'static Shape> {
        self.keys
            .iter()
            .chain(self.also)
            .find(|(name, _)| *name == key)
            .map(|(_, shape)| *shape)
    }
}

/// Reports everything in which `node` differs from `shape`; `what` is the key
/// that the node stands at.
pub(crate) fn check(source: &Source, node: &Node, what: &str, shape: &Shape) {
    let kind = node.kind();
    let wanted = match shape {
        Shape::Any => return,
        Shape::Text if kind == Kind::Text => return,
        Shape::Text => "a string",
        Shape::Boolean if kind == Kind::Boolean => return,
        Shape::Boolean => "`true` or `false`",
        Shape::Integer if kind == Kind::Integer => return,
        Shape::Integer => "a whole number",
        Shape::Number if matches!(kind, Kind::Integer | Kind::Float) => return,
        Shape::Number => "a number",
        Shape::Scalar if matches!(kind, Kind::Integer | Kind::Float | Kind::Text) => return,
        Shape::Scalar => "a string or a number",
        Shape::List(item) if kind == Kind::List => {
            for node in node.items() {
                check(source, node, what, item);
            }
            return;
        }
        Shape::List(_) => "a list",
        Shape::Object(object) if kind == Kind::Mapping => {
            check_object(source, node, object);
            return;
        }
        Shape::Object(_) => "a mapping",
        Shape::Either(shapes) => {
            let fitting = shapes.iter().find(|shape| {
                matches!(
                    (shape, kind),
                    (Shape::List(_), Kind::List)
                        | (Shape::Object(_), Kind::Mapping)
                        | (Shape::Text, Kind::Text)
                )
            });
            if let Some(shape) = fitting.or_else(|| shapes.first()) {
                check(source, node, what, shape);
            }
            return;
        }
    };
    source.wrong_type(node, what, wanted);
}

fn check_object(source: &Source, node: &Node, object: &Object) {
    for (key, value) in node.entries() {
        let Some(name) = key.key_text() else {
            continue;
        };
        match object.shape_of(name) {
            Some(shape) => check(source, value, name, shape),
            None => {
                let known: Vec<&str> = object
                    .keys
                    .iter()
                    .chain(object.also)
                    .map(|(name, _)| *name)
                    .collect();
                report_unknown_key(source, key, name, object.name, &known);
            }
        }
    }
    for key in object.required {
        if node.child(key).is_none() {
            source
                .error(
                    node,
                    "missing-key",
                    format!("{} needs the key `{key}`", object.name),
                )
                .help(format!("add `{key}: …`"))
                .report();
        }
    }
}
