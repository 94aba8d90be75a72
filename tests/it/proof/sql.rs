//! Random SQL over what is visible, with a liking for expressions that fail.

use std::fmt;

use super::model::Type;
use super::rng::Rng;

/// A table as a query can see it.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub(super) name: String,
    pub(super) columns: Vec<(&'static str, Type)>,
}

/// A query in parts, so that parts can be left out when it is shrunk.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) with: Vec<String>,
    pub(super) distinct: bool,
    pub(super) items: Vec<String>,
    pub(super) from: String,
    pub(super) wheres: Vec<String>,
    pub(super) group: Vec<String>,
    pub(super) having: Vec<String>,
    /// ` UNION ALL SELECT …` and such.
    pub(super) tail: Vec<String>,
    /// Leading sort keys; all items follow, so that the order is total.
    pub(super) order: Vec<String>,
    pub(super) limit: Option<usize>,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.with.is_empty() {
            write!(f, "WITH {} ", self.with.join(", "))?;
        }
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        write!(
            f,
            "SELECT {distinct}{} FROM {}",
            self.items.join(", "),
            self.from
        )?;
        if !self.wheres.is_empty() {
            write!(f, " WHERE {}", self.wheres.join(" AND "))?;
        }
        if !self.group.is_empty() {
            write!(f, " GROUP BY {}", self.group.join(", "))?;
        }
        if !self.having.is_empty() {
            write!(f, " HAVING {}", self.having.join(" AND "))?;
        }
        for tail in &self.tail {
            f.write_str(tail)?;
        }
        if let Some(limit) = self.limit {
            let all = (1..=self.items.len()).map(|it| it.to_string());
            let keys: Vec<_> = self.order.iter().cloned().chain(all).collect();
            write!(f, " ORDER BY {} LIMIT {limit}", keys.join(", "))?;
        }
        Ok(())
    }
}

/// A table under an alias.
struct Source<'a> {
    alias: &'static str,
    table: &'a Visible,
}

struct Scope<'a, 'r> {
    rng: &'r mut Rng,
    tables: &'a [Visible],
    sources: Vec<Source<'a>>,
    depth: usize,
}

pub(super) fn query(rng: &mut Rng, tables: &[Visible]) -> Query {
    let table = rng.pick(tables);
    let mut scope = Scope {
        rng,
        tables,
        sources: vec![Source { alias: "t", table }],
        depth: 2,
    };
    scope.query()
}

impl Scope<'_, '_> {
    fn query(&mut self) -> Query {
        let name = self.sources[0].table.name.clone();
        let mut query = Query {
            with: vec![],
            distinct: false,
            items: vec![],
            from: format!("{name} t"),
            wheres: vec![],
            group: vec![],
            having: vec![],
            tail: vec![],
            order: vec![],
            limit: None,
        };
        self.from(&mut query);
        for _ in 0..self.rng.below(3) {
            let condition = self.boolean(2);
            query.wheres.push(condition);
        }
        match self.rng.below(10) {
            0 | 1 => self.grouped(&mut query),
            2 => query.items = vec![self.aggregate(), self.aggregate()],
            3 => self.windows(&mut query),
            4 => {
                query.items = vec![self.number(2)];
                let other = self.subselect();
                let word = *self
                    .rng
                    .pick(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
                query.tail.push(format!(" {word} {other}"));
            }
            5 => query.items = vec!["count(*)".to_owned()],
            6 => {
                let columns: Vec<_> = self.sources[0]
                    .table
                    .columns
                    .iter()
                    .map(|(name, _)| format!("t.{name}"))
                    .collect();
                query.items = columns;
                query.distinct = self.rng.percent(30);
            }
            _ => {
                for _ in 0..1 + self.rng.below(3) {
                    let item = match self.rng.below(4) {
                        0 => self.text(2),
                        1 => self.boolean(1),
                        2 => self.column(),
                        _ => self.number(2),
                    };
                    query.items.push(item);
                }
                query.distinct = self.rng.percent(15);
            }
        }
        if self.rng.percent(30) {
            query.limit = Some(1 + self.rng.below(6));
            if query.group.is_empty()
                && query.tail.is_empty()
                && !query.distinct
                && self.rng.percent(50)
                && !query.items[0].contains('(')
            {
                let key = self.number(1);
                query.order.push(key);
            }
        }
        query
    }

    /// Joins, derived tables, CTEs.
    fn from(&mut self, query: &mut Query) {
        let tables = self.tables;
        let first = self.sources[0].table;
        match self.rng.below(12) {
            0..=4 => {}
            5 => {
                query
                    .with
                    .push(format!("t AS (SELECT * FROM {})", first.name));
                query.from = "t".to_owned();
            }
            6 => {
                let condition = self.boolean(1).replace("t.", "i.");
                query.from = format!("(SELECT * FROM {} i WHERE {condition}) t", first.name);
            }
            7 if first.columns.iter().any(|(name, _)| *name == "id") => {
                query.from = format!("{} t JOIN {} u USING (id)", first.name, first.name);
            }
            8 => {
                let key = self.number(1).replace("t.", "i.");
                query.from = format!(
                    "{} t, LATERAL (SELECT count(*) AS n FROM {} i WHERE {key} > 0) l",
                    first.name, first.name
                );
            }
            _ => {
                let table = self.rng.pick(tables);
                let left = self.number(1);
                self.sources.push(Source { alias: "u", table });
                let right = {
                    let keep = self.sources.remove(0);
                    let right = self.number(1);
                    self.sources.insert(0, keep);
                    right
                };
                let kind = *self.rng.pick(&[
                    "JOIN",
                    "LEFT JOIN",
                    "RIGHT JOIN",
                    "FULL JOIN",
                    "LEFT SEMI JOIN",
                    "LEFT ANTI JOIN",
                ]);
                query.from = format!(
                    "{} t {kind} {} u ON {left} = {right}",
                    first.name, table.name
                );
                if kind.contains("SEMI") || kind.contains("ANTI") {
                    self.sources.pop();
                }
            }
        }
    }

    fn grouped(&mut self, query: &mut Query) {
        let keys: Vec<_> = (0..1 + self.rng.below(2))
            .map(|_| {
                if self.rng.percent(50) {
                    self.column()
                } else {
                    self.number(1)
                }
            })
            .collect();
        query.items = keys.clone();
        query.items.push(self.aggregate());
        query.group = match self.rng.below(4) {
            0 if keys.len() > 1 => vec![format!(
                "GROUPING SETS (({}), ({}), ())",
                keys.join(", "),
                keys[0]
            )],
            1 => vec![format!("ROLLUP ({})", keys.join(", "))],
            _ => keys,
        };
        if self.rng.percent(25) {
            let having = format!("{} IS NOT NULL", self.aggregate());
            query.having.push(having);
        }
    }

    fn windows(&mut self, query: &mut Query) {
        let all: Vec<_> = self
            .sources
            .iter()
            .flat_map(|it| {
                it.table
                    .columns
                    .iter()
                    .map(|(name, _)| format!("{}.{name}", it.alias))
            })
            .collect();
        let (column, number) = (self.column(), self.number(1));
        let function = match self.rng.below(4) {
            0 => "row_number()".to_owned(),
            1 => format!("lag({number})"),
            2 => format!("sum({number})"),
            _ => "rank()".to_owned(),
        };
        query.items = vec![
            column.clone(),
            format!(
                "{function} OVER (PARTITION BY {column} ORDER BY {number}, {})",
                all.join(", ")
            ),
        ];
    }

    fn aggregate(&mut self) -> String {
        match self.rng.below(8) {
            0 => "count(*)".to_owned(),
            1 => format!("count(DISTINCT {})", self.column()),
            2 => format!("min({})", self.text(1)),
            3 => format!("sum({}) FILTER (WHERE {})", self.number(1), self.boolean(1)),
            4 => format!("bool_or({})", self.boolean(1)),
            5 => format!("count({})", self.number(1)),
            6 => format!("min({})", self.number(1)),
            _ => format!("max({})", self.number(1)),
        }
    }

    /// A select of one number from some table.
    fn subselect(&mut self) -> String {
        let tables = self.tables;
        let table = self.rng.pick(tables);
        let mut inner = Scope {
            rng: &mut *self.rng,
            tables,
            sources: vec![Source { alias: "s", table }],
            depth: self.depth.saturating_sub(1),
        };
        let number = inner.number(1);
        let condition = inner.boolean(1);
        format!("SELECT {number} FROM {} s WHERE {condition}", table.name)
    }

    fn columns(&self, of: impl Fn(Type) -> bool) -> Vec<String> {
        let all = self.sources.iter().flat_map(|it| {
            it.table
                .columns
                .iter()
                .map(move |(name, data_type)| (it.alias, *name, *data_type))
        });
        all.filter(|(_, _, data_type)| of(*data_type))
            .map(|(alias, name, _)| format!("{alias}.{name}"))
            .collect()
    }

    fn column(&mut self) -> String {
        let all = self.columns(|_| true);
        self.rng.pick(&all).clone()
    }

    fn number(&mut self, depth: usize) -> String {
        let ints = self.columns(|of| matches!(of, Type::Int32 | Type::Int64));
        let texts = self.columns(|of| of == Type::Text);
        let int = |scope: &mut Self| {
            if ints.is_empty() {
                "3".to_owned()
            } else {
                scope.rng.pick(&ints).clone()
            }
        };
        let text = |scope: &mut Self| {
            if texts.is_empty() {
                "'12'".to_owned()
            } else {
                scope.rng.pick(&texts).clone()
            }
        };
        match self.rng.below(20) {
            0 => format!("100 / {}", int(self)),
            1 => format!("CAST({} AS INT)", text(self)),
            2 => format!("CAST({} AS BIGINT)", text(self)),
            3 => format!("CAST({} AS SMALLINT)", int(self)),
            4 => format!("-{}", int(self)),
            5 => format!("abs({})", int(self)),
            6 => format!("{} % {}", int(self), int(self)),
            7 => format!("coalesce(1 / nullif({}, 0), {})", int(self), int(self)),
            8 => format!("CASE WHEN {0} = 0 THEN 0 ELSE 10 / {0} END", int(self)),
            9 => format!("length({})", text(self)),
            10 => format!("strpos({}, '1')", text(self)),
            11 if depth > 0 => format!("{} + {}", int(self), self.number(depth - 1)),
            12 if depth > 0 => format!(
                "CASE WHEN {} THEN {} END",
                self.boolean(depth - 1),
                int(self)
            ),
            13 if self.depth > 0 => format!(
                "(SELECT max({}) FROM {} s)",
                self.subnumber(),
                self.sources[0].table.name
            ),
            14 => {
                let days = self.columns(|of| matches!(of, Type::Date | Type::Timestamp));
                if days.is_empty() {
                    int(self)
                } else {
                    format!("date_part('month', {})", self.rng.pick(&days))
                }
            }
            _ => int(self),
        }
    }

    /// A number over the first table under the alias `s`.
    fn subnumber(&mut self) -> String {
        let table = self.sources[0].table;
        let tables = self.tables;
        let mut inner = Scope {
            rng: &mut *self.rng,
            tables,
            sources: vec![Source { alias: "s", table }],
            depth: 0,
        };
        inner.number(0)
    }

    fn text(&mut self, depth: usize) -> String {
        let texts = self.columns(|of| of == Type::Text);
        let text = |scope: &mut Self| {
            if texts.is_empty() {
                "'12'".to_owned()
            } else {
                scope.rng.pick(&texts).clone()
            }
        };
        match self.rng.below(10) {
            0 => format!("upper({})", text(self)),
            1 => format!("split_part({}, ',', 1)", text(self)),
            2 => format!("CAST({} AS VARCHAR)", self.number(depth.saturating_sub(1))),
            3 => format!("{} || 'x'", text(self)),
            4 => format!("regexp_replace({0}, {0}, 'x')", text(self)),
            5 => format!("substr({}, 2)", text(self)),
            6 => format!("encode(decode({}, 'hex'), 'hex')", text(self)),
            _ => text(self),
        }
    }

    fn boolean(&mut self, depth: usize) -> String {
        let column = self.column();
        let text = self.text(0);
        match self.rng.below(18) {
            0 => format!(
                "{} > {}",
                self.number(depth.saturating_sub(1)),
                self.rng.below(30)
            ),
            1 => format!("{} = {}", self.number(0), self.number(0)),
            2 => format!("{column} IS NULL"),
            3 => format!("{column} IS NOT NULL"),
            4 => format!("{text} LIKE '1%'"),
            5 => format!("{text} ~ {text}"),
            6 => format!("to_date({text}) IS NOT NULL"),
            7 => format!("CAST({text} AS DATE) IS NULL"),
            8 => format!("{text} IN ('EU', '12', 'secret-1')"),
            9 => format!("{} BETWEEN 2 AND 20", self.number(0)),
            10 if depth > 0 => format!("NOT ({})", self.boolean(depth - 1)),
            11 if depth > 0 => format!(
                "({} OR {})",
                self.boolean(depth - 1),
                self.boolean(depth - 1)
            ),
            12 if self.depth > 0 => format!("{} IN ({})", self.number(0), self.subselect()),
            13 if self.depth > 0 => {
                let (inner, outer) = (self.subnumber(), self.number(0));
                format!(
                    "EXISTS (SELECT 1 FROM {} s WHERE {inner} = {outer})",
                    self.sources[0].table.name
                )
            }
            _ => format!("{} < {}", self.number(0), self.rng.below(40)),
        }
    }
}

/// Queries about names: what is hidden must not be there.
pub(super) fn name_queries(tables: &[Visible]) -> Vec<String> {
    let mut queries = vec![
        "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2".to_owned(),
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns ORDER BY 1, 2".to_owned(),
        "SELECT * FROM d0.b".to_owned(),
        "SELECT * FROM d0.ent".to_owned(),
        "SELECT * FROM d1.c".to_owned(),
        "SHOW TABLES".to_owned(),
    ];
    for table in tables {
        queries.push(format!("SELECT ssn FROM {}", table.name));
        queries.push(format!(
            "SELECT count(*) FROM {} WHERE ref > amt",
            table.name
        ));
        queries.push(format!("SHOW COLUMNS FROM {}", table.name));
        let hidden: Vec<_> = table
            .columns
            .iter()
            .map(|(name, _)| format!("cell_hidden({name})"))
            .collect();
        queries.push(format!("SELECT {} FROM {}", hidden.join(", "), table.name));
    }
    queries
}
