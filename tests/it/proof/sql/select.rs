//! Whole queries: sources, joins, groups, windows, sets of rows.

use super::super::model::Type;
use super::tree::{Kind, Node};
use super::{Scope, Source, Visible};

use Kind::{Bool, Number, Other};

impl Source {
    pub(super) fn of(table: &Visible, alias: &str) -> Self {
        let columns = table.columns.iter();
        Self {
            alias: alias.to_owned(),
            columns: columns
                .map(|(name, of)| ((*name).to_owned(), *of))
                .collect(),
        }
    }

    fn numbers(alias: &str, names: &[&str]) -> Self {
        Self {
            alias: alias.to_owned(),
            columns: names
                .iter()
                .map(|name| ((*name).to_owned(), Type::Int64))
                .collect(),
        }
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }
}

/// What a query reads, and what has to be said before it.
struct From {
    with: Vec<Node>,
    recursive: bool,
    node: Node,
}

impl From {
    fn plain(node: Node) -> Self {
        Self {
            with: vec![],
            recursive: false,
            node,
        }
    }
}

impl Scope<'_, '_> {
    pub(super) fn query(&mut self) -> Node {
        let limit = self.rng.percent(30);
        self.nested = !limit && self.rng.percent(70);
        let from = self.from();
        let mut wheres = Vec::new();
        for _ in 0..*self.rng.pick(&[0, 1, 1, 2, 2, 3]) {
            wheres.push(self.boolean(2));
        }
        let mut distinct = "";
        let (mut groups, mut having, mut tail, mut order) = (vec![], vec![], vec![], vec![]);
        let items = match self.rng.below(11) {
            0 | 1 => {
                let (items, keys) = self.grouped();
                groups = keys;
                if self.rng.percent(25) {
                    having.push(Node::new(Bool, "@ IS NOT NULL", [self.aggregate()]));
                }
                items
            }
            2 => vec![self.aggregate(), self.aggregate()],
            3 => self.windows(),
            4 => {
                let words = ["UNION ALL", "UNION", "INTERSECT", "EXCEPT"];
                let word = *self.rng.pick(&words);
                let other = self.subselect("@", false);
                tail.push(Node::word(Other, format!("{word} ")).and_node(other));
                vec![self.number(2)]
            }
            5 => vec![Node::word(Other, "count(*)")],
            6 if !limit => vec![Node::word(Other, "*")],
            7 => {
                distinct = if self.rng.percent(40) {
                    "DISTINCT "
                } else {
                    ""
                };
                (0..2 + self.rng.below(3)).map(|_| self.column()).collect()
            }
            _ => {
                let mut items = Vec::new();
                for _ in 0..1 + self.rng.below(3) {
                    items.push(match self.rng.below(5) {
                        0 => self.text(2),
                        1 => self.boolean(1),
                        2 => self.column(),
                        _ => self.number(2),
                    });
                }
                if self.rng.percent(15) {
                    distinct = "DISTINCT ";
                } else if self.rng.percent(60) {
                    let key = self.number(1);
                    let way = *self.rng.pick(&["", " DESC", " NULLS FIRST"]);
                    order.push(Node::new(Other, &format!("@{way}, "), [key]));
                }
                items
            }
        };
        let select = Node::word(Other, "")
            .and_list(
                if from.recursive {
                    "WITH RECURSIVE "
                } else {
                    "WITH "
                },
                ", ",
                0,
                from.with,
            )
            .and_word(format!(" SELECT {distinct}"))
            .and_list("", ", ", 1, items)
            .and_word(" FROM ")
            .and_node(from.node)
            .and_list(" WHERE ", " AND ", 0, wheres)
            .and_list(" GROUP BY ", ", ", 0, groups)
            .and_list(" HAVING ", " AND ", 0, having)
            .and_list(" ", " ", 0, tail);
        if !limit {
            return select;
        }
        // All items follow the key, so that the order is total.
        let count = 1 + self.rng.below(6);
        select
            .and_word(" ORDER BY ")
            .and_list("", "", 0, order)
            .and_ordinals()
            .and_word(format!(" LIMIT {count}"))
    }

    fn from(&mut self) -> From {
        let tables = self.tables;
        let first = self.rng.pick(tables);
        let name = &first.name;
        let plain = Source::of(first, "t");
        match self.rng.below(24) {
            0..=6 => {
                self.sources.push(plain);
                From::plain(Node::word(Other, format!("{name} t")))
            }
            7 => {
                let mut with = vec![Node::word(Other, format!("w1 AS (SELECT * FROM {name} i"))];
                self.sources.push(Source::of(first, "i"));
                with[0] = with[0]
                    .clone()
                    .and_list(" WHERE ", " AND ", 0, vec![self.boolean(1)])
                    .and_word(")");
                with.push(
                    Node::word(Other, "w2 AS (SELECT * FROM w1 i")
                        .and_list(" WHERE ", " AND ", 0, vec![self.boolean(1)])
                        .and_word(")"),
                );
                self.sources[0].alias = "t".to_owned();
                From {
                    with,
                    recursive: false,
                    node: Node::word(Other, "w2 t"),
                }
            }
            8 | 9 => {
                self.sources.push(Source::of(first, "i"));
                let computed = self.number(1);
                let condition = self.boolean(1);
                self.sources[0].alias = "t".to_owned();
                self.sources[0].columns.push(("w".to_owned(), Type::Int64));
                From::plain(
                    Node::new(Other, "(SELECT i.*, @ AS w", [computed])
                        .and_word(format!(" FROM {name} i"))
                        .and_list(" WHERE ", " AND ", 0, vec![condition])
                        .and_word(") t"),
                )
            }
            10 if plain.has("id") => {
                self.sources.push(plain);
                let how = if self.rng.percent(50) {
                    format!("{name} t JOIN {name} u USING (id)")
                } else {
                    format!("{name} t NATURAL JOIN {name} u")
                };
                From::plain(Node::word(Other, how))
            }
            11 => {
                self.sources.push(plain);
                let rows = self.subselect("max(@)", true);
                self.sources.push(Source::numbers("l", &["n"]));
                From::plain(
                    Node::word(Other, format!("{name} t, LATERAL (SELECT l.n FROM ("))
                        .and_node(rows)
                        .and_word(") l(n)) l"),
                )
            }
            12 => {
                let list = if first.columns.iter().any(|(it, _)| *it == "tags") && self.nested {
                    ("tags", Type::Int64)
                } else if first.columns.iter().any(|(it, _)| *it == "note") {
                    ("string_to_array(note, '1')", Type::Text)
                } else {
                    ("ARRAY[1, 2]", Type::Int64)
                };
                self.sources.push(plain);
                self.sources[0].columns.push(("e".to_owned(), list.1));
                From::plain(Node::word(
                    Other,
                    format!("(SELECT *, unnest({}) AS e FROM {name}) t", list.0),
                ))
            }
            13 => {
                let (one, two) = (self.subselect("@", false), self.subselect("@", false));
                self.sources.push(Source::numbers("t", &["n"]));
                From::plain(Node::new(Other, "(@ UNION ALL @) t(n)", [one, two]))
            }
            14 => {
                self.sources = vec![plain, Source::numbers("r", &["n"])];
                let tie = Node::new(Bool, "@ >= r.n", [self.number(0)]);
                let conditions = vec![tie, self.boolean(0)];
                let with = Node::word(
                    Other,
                    format!("r AS (SELECT 1 AS n UNION ALL SELECT r.n + 1 FROM r JOIN {name} t ON t.id = r.n"),
                )
                .and_list(" AND ", " AND ", 0, conditions)
                .and_word(" WHERE r.n < 5)");
                self.sources.remove(0);
                From {
                    with: vec![with],
                    recursive: true,
                    node: Node::word(Other, "r"),
                }
            }
            15 => {
                self.sources.push(plain);
                let key = self.number(1);
                let kind = self.join();
                self.sources.push(Source::numbers("v", &["k"]));
                From::plain(
                    Node::word(
                        Other,
                        format!("{name} t {kind} (VALUES (1), (2), (12), (30)) v(k) ON "),
                    )
                    .and_node(Node::new(Bool, "@ = v.k", [key])),
                )
            }
            16 => {
                let other = self.rng.pick(tables);
                self.sources = vec![plain, Source::of(other, "u")];
                From::plain(Node::word(
                    Other,
                    format!("{name} t CROSS JOIN {} u", other.name),
                ))
            }
            _ => {
                let other = self.rng.pick(tables);
                self.sources = vec![plain.clone()];
                let left = self.number(1);
                let extra = self.boolean(0);
                self.sources = vec![Source::of(other, "u")];
                let right = self.number(1);
                let more = self.boolean(0);
                let kind = self.join();
                let mut conditions = vec![Node::new(Bool, "@ = @", [left, right])];
                match self.rng.below(4) {
                    0 => conditions.push(extra),
                    1 => conditions.push(more),
                    _ => {}
                }
                self.sources = vec![plain];
                if !kind.contains("SEMI") && !kind.contains("ANTI") {
                    self.sources.push(Source::of(other, "u"));
                }
                From::plain(
                    Node::word(Other, format!("{name} t {kind} {} u", other.name))
                        .and_list(" ON ", " AND ", 1, conditions),
                )
            }
        }
    }

    fn join(&mut self) -> &'static str {
        self.rng.word(&[
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "LEFT SEMI JOIN",
            "LEFT ANTI JOIN",
        ])
    }

    /// What is selected, and what it is grouped by.
    fn grouped(&mut self) -> (Vec<Node>, Vec<Node>) {
        let mut keys = Vec::new();
        for _ in 0..1 + self.rng.below(2) {
            keys.push(if self.rng.percent(40) {
                self.column()
            } else {
                self.number(1)
            });
        }
        let mut items = keys.clone();
        items.push(self.aggregate());
        let all: Vec<_> = keys.iter().map(ToString::to_string).collect();
        let all = all.join(", ");
        // Of constants in sets of groups the engine makes one group a partition.
        let reads_rows = |key: &Node| {
            let text = key.to_string();
            let mut sources = self.sources.iter();
            sources.any(|it| text.contains(&format!("{}.", it.alias)))
        };
        let in_sets = keys.iter().all(reads_rows);
        let groups = match self.rng.below(5) {
            3.. => keys,
            _ if !in_sets => keys,
            0 => vec![Node::word(
                Other,
                format!("GROUPING SETS (({all}), ({}), ())", keys[0]),
            )],
            1 => vec![Node::word(Other, format!("ROLLUP ({all})"))],
            _ => vec![Node::word(Other, format!("CUBE ({all})"))],
        };
        (items, groups)
    }

    fn windows(&mut self) -> Vec<Node> {
        self.nested = false;
        let all: Vec<_> = self
            .sources
            .iter()
            .flat_map(|it| it.columns.iter().map(move |column| (&it.alias, column)))
            .filter(|(_, (_, of))| of.is_scalar())
            .map(|(alias, (name, _))| format!("{alias}.{name}"))
            .collect();
        let (column, number) = (self.column(), self.number(1));
        let function = match self.rng.below(6) {
            0 => Node::word(Number, "row_number()"),
            1 => Node::new(Number, "lag(@)", [self.number(1)]),
            2 => Node::new(Number, "sum(@)", [self.number(1)]),
            3 => Node::new(Number, "max(@)", [self.number(1)]),
            4 => Node::new(Number, "nth_value(@, 2)", [self.number(1)]),
            _ => Node::word(Number, "rank()"),
        };
        let frame = *self.rng.pick(&[
            "",
            "",
            " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
        ]);
        let over = Node::new(
            Other,
            &format!(
                "@ OVER (PARTITION BY {column} ORDER BY @, {}{frame})",
                all.join(", ")
            ),
            [function, number],
        );
        vec![column, over]
    }

    fn aggregate(&mut self) -> Node {
        let new = |template: &str, nodes: Vec<Node>| Node::new(Number, template, nodes);
        match self.rng.below(12) {
            0 => Node::word(Number, "count(*)"),
            1 => new("count(DISTINCT @)", vec![self.column()]),
            2 => new("min(@)", vec![self.text(1)]),
            3 => new(
                "sum(@) FILTER (WHERE @)",
                vec![self.number(1), self.boolean(1)],
            ),
            4 => new("bool_or(@)", vec![self.boolean(1)]),
            5 => new("count(@)", vec![self.number(1)]),
            6 => new("min(@)", vec![self.number(1)]),
            7 => new("sum(@)", vec![self.number(1)]),
            8 => {
                let key = self.text(0);
                new("string_agg(@, ',' ORDER BY @)", vec![key.clone(), key])
            }
            9 => new("count(DISTINCT @)", vec![self.number(1)]),
            10 => new("max(@)", vec![self.column()]),
            _ => new("max(@)", vec![self.number(1)]),
        }
    }
}
