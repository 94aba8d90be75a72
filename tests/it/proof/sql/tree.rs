//! A query as a tree of text.

use std::fmt;

/// What may stand in the place of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Bool,
    /// A column, of whatever type.
    Column,
    /// A `SELECT` of one number.
    Rows,
    /// Whatever has no like.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    kind: Kind,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Word(String),
    Node(Node),
    List(List),
    /// `1, 2, …`: a number for each member of the first list that is not empty.
    Ordinals,
}

/// Members of which some may be left out.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) before: &'static str,
    pub(crate) between: &'static str,
    pub(crate) least: usize,
    pub(crate) nodes: Vec<Node>,
}

impl List {
    fn new(before: &'static str, between: &'static str, least: usize, nodes: Vec<Node>) -> Self {
        Self {
            before,
            between,
            least,
            nodes,
        }
    }
}

impl Node {
    /// `template` with a node at each `@`.
    pub(crate) fn new(kind: Kind, template: &str, nodes: impl IntoIterator<Item = Self>) -> Self {
        let mut nodes = nodes.into_iter();
        let mut parts = Vec::new();
        for (at, text) in template.split('@').enumerate() {
            if at > 0 {
                let node = nodes.next();
                parts.push(Part::Node(
                    node.unwrap_or_else(|| panic!("too few for {template}")),
                ));
            }
            parts.push(Part::Word(text.to_owned()));
        }
        assert!(nodes.next().is_none(), "too many for {template}");
        Self { kind, parts }
    }

    pub(crate) fn word(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            parts: vec![Part::Word(text.into())],
        }
    }

    #[must_use]
    pub(crate) fn and_word(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Word(text.into()));
        self
    }

    #[must_use]
    pub(crate) fn and_node(mut self, node: Self) -> Self {
        self.parts.push(Part::Node(node));
        self
    }

    /// Members, none of which has to be there unless `least` says so.
    #[must_use]
    pub(crate) fn and_list(
        mut self,
        before: &'static str,
        between: &'static str,
        least: usize,
        nodes: Vec<Self>,
    ) -> Self {
        self.parts
            .push(Part::List(List::new(before, between, least, nodes)));
        self
    }

    #[must_use]
    pub(crate) fn and_ordinals(mut self) -> Self {
        self.parts.push(Part::Ordinals);
        self
    }

    fn is_word(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Word(_)])
    }

    /// The same with `function` called on every column that stands for a number.
    #[must_use]
    pub(crate) fn calling(&self, function: &str) -> Self {
        if self.kind == Kind::Number
            && let [Part::Word(word)] = self.parts.as_slice()
            && word.chars().all(|c| c.is_alphanumeric() || c == '.')
        {
            return Self::word(Kind::Number, format!("{function}({word})"));
        }
        let mut all = self.clone();
        for part in &mut all.parts {
            match part {
                Part::Node(node) => *node = node.calling(function),
                Part::List(list) => {
                    for node in &mut list.nodes {
                        *node = node.calling(function);
                    }
                }
                Part::Word(_) | Part::Ordinals => {}
            }
        }
        all
    }

    /// The uppermost nodes inside that could stand in the place of this.
    fn likes(&self, kind: Kind, found: &mut Vec<Self>) {
        let nodes = self.parts.iter().flat_map(|part| match part {
            Part::Node(node) => std::slice::from_ref(node),
            Part::List(list) => list.nodes.as_slice(),
            Part::Word(_) | Part::Ordinals => &[],
        });
        for node in nodes {
            if node.kind == kind {
                found.push(node.clone());
            } else {
                node.likes(kind, found);
            }
        }
    }

    /// The same with one thing less, the large ones first.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        if self.kind != Kind::Other {
            self.likes(self.kind, &mut found);
        }
        let least = match self.kind {
            Kind::Number => Some("1"),
            Kind::Text => Some("'1'"),
            Kind::Bool => Some("true"),
            Kind::Column | Kind::Rows | Kind::Other => None,
        };
        if let Some(least) = least
            && !self.is_word()
        {
            found.push(Self::word(self.kind, least));
        }
        for (at, part) in self.parts.iter().enumerate() {
            let mut with = |part: Part| {
                let mut smaller = self.clone();
                smaller.parts[at] = part;
                found.push(smaller);
            };
            match part {
                Part::Word(_) | Part::Ordinals => {}
                Part::Node(node) => node
                    .smaller()
                    .into_iter()
                    .for_each(|node| with(Part::Node(node))),
                Part::List(list) => {
                    for member in 0..list.nodes.len() {
                        if list.nodes.len() > list.least {
                            let mut fewer = list.clone();
                            fewer.nodes.remove(member);
                            with(Part::List(fewer));
                        }
                    }
                    for (member, node) in list.nodes.iter().enumerate() {
                        for node in node.smaller() {
                            let mut other = list.clone();
                            other.nodes[member] = node;
                            with(Part::List(other));
                        }
                    }
                }
            }
        }
        found
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Word(text) => f.write_str(text)?,
                Part::Node(node) => write!(f, "{node}")?,
                Part::List(list) if list.nodes.is_empty() => {}
                Part::List(list) => {
                    let nodes: Vec<_> = list.nodes.iter().map(ToString::to_string).collect();
                    write!(f, "{}{}", list.before, nodes.join(list.between))?;
                }
                Part::Ordinals => {
                    let lists = self.parts.iter().filter_map(|part| match part {
                        Part::List(list) if list.least > 0 => Some(list.nodes.len()),
                        _ => None,
                    });
                    let all: Vec<_> = (1..=lists.max().unwrap_or(1))
                        .map(|it| it.to_string())
                        .collect();
                    f.write_str(&all.join(", "))?;
                }
            }
        }
        Ok(())
    }
}
