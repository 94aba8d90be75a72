//! Random SQL over what is visible, with a liking for expressions that fail.
//!
//! A query is a tree of text, so that a failing one can be cut down without
//! knowing what it says: a part gives way to one of its own kind inside it.

mod expression;
mod select;
mod tree;

use super::model::Type;
use super::rng::Rng;

pub(super) use self::tree::Node;

/// A table as a query can see it.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub(super) name: String,
    pub(super) columns: Vec<(&'static str, Type)>,
}

/// A source of rows under an alias.
#[derive(Clone, Debug)]
struct Source {
    alias: String,
    columns: Vec<(String, Type)>,
}

/// What an expression may refer to.
struct Scope<'a, 'r> {
    rng: &'r mut Rng,
    tables: &'a [Visible],
    sources: Vec<Source>,
    /// Of subqueries.
    depth: usize,
    /// Whether structs and lists may be read: no order is total over them.
    nested: bool,
}

pub(super) fn query(rng: &mut Rng, tables: &[Visible]) -> Node {
    let mut scope = Scope {
        rng,
        tables,
        sources: vec![],
        depth: 2,
        nested: true,
    };
    scope.query()
}

/// Queries about names: what is hidden must not be there.
pub(super) fn name_queries(rng: &mut Rng, tables: &[Visible]) -> Vec<String> {
    let mut queries: Vec<String> = [
        "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2",
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns ORDER BY 1, 2",
        "SELECT t.table_name, count(*) FROM information_schema.tables t LEFT JOIN information_schema.columns c USING (table_name) GROUP BY 1 ORDER BY 1",
        "SELECT schema_name FROM information_schema.schemata ORDER BY 1",
        "SELECT * FROM d0.b",
        "SELECT * FROM d0.ent",
        "SELECT * FROM d1.c",
        "SELECT ent.k FROM d0.ent, d1.c",
        "SHOW TABLES",
        "DESCRIBE d0.b",
        "EXPLAIN SELECT * FROM d1.c",
    ]
    .map(str::to_owned)
    .into();
    for table in tables {
        let name = &table.name;
        let hidden: Vec<_> = table
            .columns
            .iter()
            .map(|(name, _)| format!("cell_hidden({name})"))
            .collect();
        let any = *rng.pick(&["ssn", "ref", "amt", "doc", "tags", "ratio", "nope"]);
        queries.extend([
            format!("SELECT {any} FROM {name}"),
            format!("SELECT count({any}), count(amt) FROM {name}"),
            format!("SELECT 1 FROM {name} WHERE {any} IS NULL"),
            format!("SELECT 1 FROM {name} ORDER BY {any} LIMIT 1"),
            format!("SELECT count(*) FROM {name} t GROUP BY t.{any}"),
            format!("SELECT 1 FROM {name} t JOIN {name} u USING ({any})"),
            format!("SELECT \"{}\" FROM {name}", any.to_uppercase()),
            format!("SELECT arrow_typeof({any}) FROM {name}"),
            format!("SHOW COLUMNS FROM {name}"),
            format!("SELECT {} FROM {name}", hidden.join(", ")),
        ]);
    }
    queries
}
