//! The tables that a statement names, before anything is known of them.

use std::collections::BTreeSet;

use datafusion::sql::resolve::resolve_table_references;

use crate::{
    error::{Result, classify},
    sql,
};

/// Schema, where one is named, and table of every name in `sql` that stands for
/// a table of the mesh called `mesh`: there or not, granted or not.
///
/// # Errors
/// A statement that nobody may send, or that is none.
pub fn named_tables(sql: &str, mesh: &str) -> Result<BTreeSet<(Option<String>, String)>> {
    let parsed = sql::parse(sql, mesh)?;
    let (references, _) = resolve_table_references(&parsed.statement, true).map_err(classify)?;
    let names = references.iter().map(|reference| {
        let schema = reference.schema().map(str::to_owned);
        (schema, reference.table().to_owned())
    });
    Ok(names.collect())
}
