//! Nodes of a YAML document.

use std::rc::Rc;

/// A value of a document. An alias shares the node that it stands for.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
    /// How many nodes a walk from here meets, aliases followed.
    pub(crate) size: usize,
    /// How deep such a walk goes.
    pub(crate) depth: usize,
}

/// Where a node begins and on which line it ends; lines and columns from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) last_line: u32,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// Text, and whether it stands there without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

/// What YAML's core schema takes a node for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Integer,
    Float,
    Text,
    List,
    Mapping,
}

impl Kind {
    /// The kind in words, for "found …".
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "a boolean",
            Self::Integer | Self::Float => "a number",
            Self::Text => "a string",
            Self::List => "a list",
            Self::Mapping => "a mapping",
        }
    }
}

impl Node {
    pub(crate) fn new(place: Place, value: Value) -> Self {
        let (mut size, mut depth) = (1_usize, 0);
        let mut count = |node: &Node| {
            size = size.saturating_add(node.size);
            depth = depth.max(node.depth);
        };
        match &value {
            Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(|item| count(item)),
            Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                count(key);
                count(value);
            }),
        }
        Self {
            place,
            value,
            size,
            depth: depth + 1,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match &self.value {
            Value::Scalar { text, plain: true } => resolve(text),
            Value::Scalar { plain: false, .. } => Kind::Text,
            Value::List(_) => Kind::List,
            Value::Mapping(_) => Kind::Mapping,
        }
    }

    /// The text of a string; none for numbers, booleans and the rest.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Text) => Some(text),
            _ => None,
        }
    }

    /// The source text of any scalar but null.
    pub(crate) fn as_scalar(&self) -> Option<&str> {
        match (&self.value, self.kind()) {
            (Value::Scalar { .. }, Kind::Null) => None,
            (Value::Scalar { text, .. }, _) => Some(text),
            _ => None,
        }
    }

    /// Whether there is any text at all: `null` is written, an empty value is not.
    pub(crate) fn is_written(&self) -> bool {
        !matches!(&self.value, Value::Scalar { text, .. } if text.is_empty())
    }

    pub(crate) fn as_boolean(&self) -> Option<bool> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Boolean) => Some(text.eq_ignore_ascii_case("true")),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Integer) => text.parse().ok(),
            _ => None,
        }
    }

    /// The items of a list; none for everything else.
    pub(crate) fn items(&self) -> &[Rc<Node>] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar { .. } | Value::Mapping(_) => &[],
        }
    }

    /// The entries of a mapping; none for everything else.
    pub(crate) fn entries(&self) -> &[(Rc<Node>, Rc<Node>)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// The value of a mapping's key.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(name, _)| name.key_text() == Some(key))
            .map(|(_, value)| &**value)
    }

    /// The text of a key: any scalar, since a key is never anything but a name.
    pub(crate) fn key_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Mapping(_) => None,
        }
    }
}

/// YAML 1.2's core schema for plain scalars: `yes` and `on` are strings.
fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Boolean,
        _ if is_integer(text) => Kind::Integer,
        _ if is_float(text) => Kind::Float,
        _ => Kind::Text,
    }
}

fn is_integer(text: &str) -> bool {
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    digits(text.strip_prefix(['-', '+']).unwrap_or(text), 10)
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    // Rust also parses `inf`, `nan` and `infinity`, which are words in YAML.
    unsigned
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
        && unsigned.chars().any(|c| c.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_as_the_core_schema_does() {
        for (text, kind) in [
            ("", Kind::Null),
            ("null", Kind::Null),
            ("true", Kind::Boolean),
            ("yes", Kind::Text),
            ("on", Kind::Text),
            ("12", Kind::Integer),
            ("-0x1F", Kind::Text),
            ("0x1F", Kind::Integer),
            ("1.0", Kind::Float),
            ("1e3", Kind::Float),
            (".5", Kind::Float),
            (".", Kind::Text),
            ("inf", Kind::Text),
            ("2.1.0", Kind::Text),
            ("2026-01-01", Kind::Text),
            ("e", Kind::Text),
        ] {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }
}
