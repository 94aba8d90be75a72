//! Expressions, most of which fail on some value.

use super::super::model::Type;
use super::tree::{Kind, Node};
use super::{Scope, Source};

use Kind::{Bool, Column, Number, Text};

impl Scope<'_, '_> {
    fn pick_column(&mut self, of: impl Fn(Type) -> bool) -> Option<String> {
        let all: Vec<String> = self
            .sources
            .iter()
            .flat_map(|it| it.columns.iter().map(move |column| (&it.alias, column)))
            .filter(|(_, (_, data_type))| of(*data_type))
            .map(|(alias, (name, _))| format!("{alias}.{name}"))
            .collect();
        (!all.is_empty()).then(|| self.rng.pick(&all).clone())
    }

    /// A column that can be compared and sorted.
    pub(super) fn column(&mut self) -> Node {
        let found = self.pick_column(Type::is_scalar);
        Node::word(Column, found.unwrap_or_else(|| "1".to_owned()))
    }

    pub(super) fn int(&mut self) -> Node {
        let found = self.pick_column(|of| matches!(of, Type::Int32 | Type::Int64));
        Node::word(Number, found.unwrap_or_else(|| "3".to_owned()))
    }

    fn words(&mut self) -> Node {
        let found = self.pick_column(|of| of == Type::Text);
        Node::word(Text, found.unwrap_or_else(|| "'12'".to_owned()))
    }

    /// That reads as a number in most worlds.
    fn digits(&mut self) -> Node {
        self.named("note", "'12'")
    }

    /// That reads as a date in most worlds.
    fn day(&mut self) -> Node {
        self.named("ssn", "'2021-03-04'")
    }

    fn named(&mut self, name: &str, default: &str) -> Node {
        let sources = self.sources.iter();
        let of = sources.filter(|it| {
            it.columns
                .iter()
                .any(|(it, of)| it == name && *of == Type::Text)
        });
        let all: Vec<_> = of.map(|it| format!("{}.{name}", it.alias)).collect();
        if self.rng.percent(6) {
            return self.words();
        }
        let found = (!all.is_empty()).then(|| self.rng.pick(&all).clone());
        Node::word(Text, found.unwrap_or_else(|| default.to_owned()))
    }

    /// Of a type that not every table has; else an integer.
    fn special(&mut self, of: Type, template: &str) -> Node {
        let nested = self.nested;
        match self.pick_column(|it| it == of && (nested || it.is_scalar())) {
            Some(column) => Node::word(Number, template.replace('@', &column)),
            None => self.int(),
        }
    }

    pub(super) fn number(&mut self, depth: usize) -> Node {
        let new = |template: &str, nodes: Vec<Node>| Node::new(Number, template, nodes);
        let constant = (1 + self.rng.below(9)).to_string();
        match self.rng.below(40) {
            0 | 1 => new("100 / @", vec![self.int()]),
            2 => new("CAST(@ AS INT)", vec![self.digits()]),
            3 => new("CAST(@ AS BIGINT)", vec![self.digits()]),
            4 => new("CAST(@ AS SMALLINT)", vec![self.int()]),
            5 => new("-@", vec![self.int()]),
            6 => new("abs(@)", vec![self.int()]),
            7 => new("@ % @", vec![self.int(), self.int()]),
            8 => new(
                "coalesce(1 / nullif(@, 0), @)",
                vec![self.int(), self.int()],
            ),
            9 => new(
                "CASE WHEN @ = 0 THEN 0 ELSE 10 / @ END",
                vec![self.int(), self.int()],
            ),
            10 => new("length(@)", vec![self.words()]),
            11 => new("strpos(@, '1')", vec![self.words()]),
            12 if depth > 0 => new("@ + @", vec![self.int(), self.number(depth - 1)]),
            13 if depth > 0 => new("100 / (@)", vec![self.number(depth - 1)]),
            14 if depth > 0 => new(
                "CASE WHEN @ THEN @ END",
                vec![self.boolean(depth - 1), self.number(depth - 1)],
            ),
            15 if self.depth > 0 => {
                let rows = self.subselect("max(@)", true);
                new("(@)", vec![rows])
            }
            16 if self.depth > 0 => {
                let rows = self.subselect("count(@)", true);
                new("(@)", vec![rows])
            }
            17 => self.special(Type::Date, "date_part('month', @)"),
            18 => self.special(Type::Timestamp, "date_part('hour', @)"),
            19 => new("factorial(@)", vec![self.int()]),
            20 => new(&format!("1 / (@ - {constant}7)"), vec![self.int()]),
            21 => new(
                "coalesce(1 / nullif(@, 0), 1 / @)",
                vec![self.int(), self.int()],
            ),
            22 => self.special(Type::Tags, "@[1]"),
            23 => self.special(Type::Tags, "100 / @[1]"),
            24 => self.special(Type::Tags, "array_length(@)"),
            25 => self.special(Type::Doc, "@['b']"),
            26 => self.special(Type::Doc, "100 / @['b']"),
            27 => self.special(Type::Doc, "CAST(@['a'] AS INT)"),
            28 => self.special(Type::Decimal, "CAST(@ AS INT)"),
            29 => self.special(Type::Decimal, "CAST(@ * 1000 AS SMALLINT)"),
            30 => self.special(Type::Float, "CAST(@ AS SMALLINT)"),
            31 => self.special(Type::Bool, "CAST(@ AS INT)"),
            32 => new("arrow_cast(@, 'Int16')", vec![self.int()]),
            33 => new("gcd(@, @)", vec![self.int(), self.int()]),
            34 => new("CAST(split_part(@, ',', 1) AS INT)", vec![self.digits()]),
            35 => new("ascii(@)", vec![self.words()]),
            _ => self.int(),
        }
    }

    pub(super) fn text(&mut self, depth: usize) -> Node {
        let new = |template: &str, nodes: Vec<Node>| Node::new(Text, template, nodes);
        match self.rng.below(22) {
            0 => new("upper(@)", vec![self.words()]),
            1 => new("split_part(@, ',', 1)", vec![self.words()]),
            2 => new("split_part(@, ',', @)", vec![self.words(), self.int()]),
            3 if depth > 0 => new("CAST(@ AS VARCHAR)", vec![self.number(depth - 1)]),
            4 => new("@ || 'x'", vec![self.words()]),
            5 => new(
                "regexp_replace(@, @, 'x')",
                vec![self.words(), self.words()],
            ),
            6 => new("substr(@, 2)", vec![self.words()]),
            7 => new("encode(decode(@, 'hex'), 'hex')", vec![self.digits()]),
            8 => new("left(@, 2)", vec![self.words()]),
            9 => new("reverse(@)", vec![self.words()]),
            10 => new("coalesce(@, @)", vec![self.words(), self.words()]),
            11 if depth > 0 => new(
                "CASE WHEN @ THEN @ ELSE 'no' END",
                vec![self.boolean(depth - 1), self.text(depth - 1)],
            ),
            12 => new("CAST(CAST(@ AS DATE) AS VARCHAR)", vec![self.day()]),
            13 => new("to_char(CAST(@ AS TIMESTAMP), '%Y')", vec![self.day()]),
            14 if self.nested => {
                let found = self.pick_column(|of| of == Type::Doc);
                match found {
                    Some(doc) => Node::word(Text, format!("{doc}['a']")),
                    None => self.words(),
                }
            }
            15 => new("chr(@)", vec![self.int()]),
            _ => self.words(),
        }
    }

    pub(super) fn boolean(&mut self, depth: usize) -> Node {
        let new = |template: &str, nodes: Vec<Node>| Node::new(Bool, template, nodes);
        let constant = self.rng.below(40).to_string();
        let less = depth.saturating_sub(1);
        match self.rng.below(42) {
            0 | 1 => new(&format!("@ > {constant}"), vec![self.number(less)]),
            2 => new("@ = @", vec![self.number(0), self.number(less)]),
            3 => new("@ IS NULL", vec![self.column()]),
            4 => new("@ IS NOT NULL", vec![self.column()]),
            5 => new("@ LIKE '1%'", vec![self.text(less)]),
            6 => new("@ ~ @", vec![self.words(), self.words()]),
            7 => new("to_date(@) IS NOT NULL", vec![self.day()]),
            8 => new("CAST(@ AS DATE) IS NULL", vec![self.day()]),
            9 => new("@ IN ('EU', '12', 'secret-1')", vec![self.words()]),
            10 => new("@ BETWEEN 2 AND 20", vec![self.number(0)]),
            11 if depth > 0 => new("NOT (@)", vec![self.boolean(less)]),
            12 | 13 if depth > 0 => new("(@ OR @)", vec![self.boolean(less), self.boolean(less)]),
            14 if depth > 0 => new("(@ AND @)", vec![self.boolean(less), self.boolean(less)]),
            15 if self.depth > 0 => {
                let rows = self.subselect("@", false);
                new("@ IN (@)", vec![self.number(0), rows])
            }
            16 if self.depth > 0 => {
                let rows = self.subselect("@", false);
                new("@ NOT IN (@)", vec![self.number(0), rows])
            }
            17 | 18 if self.depth > 0 => {
                let rows = self.subselect("@", true);
                let template = if self.rng.percent(60) {
                    "EXISTS (@)"
                } else {
                    "NOT EXISTS (@)"
                };
                new(template, vec![rows])
            }
            19 if self.depth > 0 => {
                let rows = self.subselect("max(@)", true);
                new("@ > (@)", vec![self.number(0), rows])
            }
            20 => new("1 / (@ - 77) = 1", vec![self.int()]),
            21 => new("CAST(@ AS TIMESTAMP) > '2020-01-01'", vec![self.day()]),
            22 => new("regexp_like(@, @)", vec![self.words(), self.words()]),
            23 => new("factorial(@) > 1", vec![self.int()]),
            24 => new("decode(@, 'hex') IS NOT NULL", vec![self.digits()]),
            25 => new("make_date(2020, @, 1) IS NOT NULL", vec![self.int()]),
            26 => new("@ IS DISTINCT FROM @", vec![self.number(0), self.number(0)]),
            27 => new("@ ~ '^[0-9]+$'", vec![self.words()]),
            28 => new("CAST(@ AS SMALLINT) < 50", vec![self.digits()]),
            29 => match self.pick_column(|of| of == Type::Bool) {
                Some(column) => Node::word(Bool, column),
                None => new("@ > 4", vec![self.int()]),
            },
            30 => match self.pick_column(|of| matches!(of, Type::Decimal | Type::Float)) {
                Some(column) => Node::word(Bool, format!("100 / {column} > 3")),
                None => new("@ <> 4", vec![self.int()]),
            },
            31 => match self.pick_column(|of| matches!(of, Type::Date | Type::Timestamp)) {
                Some(column) => Node::new(
                    Bool,
                    &format!("{column} > CAST(@ AS TIMESTAMP)"),
                    [self.day()],
                ),
                None => new("@ = 4", vec![self.int()]),
            },
            32 => match self.pick_column(|of| matches!(of, Type::Date | Type::Timestamp)) {
                Some(column) => Node::word(Bool, format!("{column} >= '2022-06-01'")),
                None => new("@ >= 4", vec![self.int()]),
            },
            33 if self.nested => match self.pick_column(|of| of == Type::Tags) {
                Some(column) => Node::word(Bool, format!("array_has({column}, 3)")),
                None => new("@ <= 4", vec![self.int()]),
            },
            34 => new("@ IN (1, 2, 3, 5, 8, 13, 21)", vec![self.int()]),
            35 => new("starts_with(@, '1')", vec![self.words()]),
            _ => new(&format!("@ < {constant}"), vec![self.int()]),
        }
    }

    /// A `SELECT` of `item` with a number at its `@` from some table; where
    /// `correlated` in most cases tied to the rows outside.
    pub(super) fn subselect(&mut self, item: &str, correlated: bool) -> Node {
        let tables = self.tables;
        let table = self.rng.pick(tables);
        let depth = self.depth.saturating_sub(1);
        let alias = format!("s{depth}");
        let outer = correlated && self.rng.percent(60);
        let tie = outer.then(|| (self.int(), self.rng.percent(70)));
        let mut inner = Scope {
            rng: &mut *self.rng,
            tables,
            sources: vec![Source::of(table, &alias)],
            depth,
            nested: self.nested,
        };
        let mut number = inner.number(1);
        if item != "@" {
            number = Node::new(Number, item, [number]);
        }
        let mut conditions = Vec::new();
        if inner.rng.percent(60) {
            conditions.push(inner.boolean(1));
        }
        if let Some((left, plain)) = tie {
            let right = if plain { inner.int() } else { inner.number(0) };
            conditions.push(Node::new(Bool, "@ = @", [left, right]));
        }
        Node::new(Kind::Rows, "SELECT @", [number])
            .and_word(format!(" FROM {} {alias}", table.name))
            .and_list(" WHERE ", " AND ", 0, conditions)
    }
}
