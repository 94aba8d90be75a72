//! Columns by the names that a predicate's author writes.

use sqlparser::ast::Ident;
use weft_mesh::Table;

use super::{Operand, syntax::Problem};
use crate::{scalar_type::is_comparable, suggest::did_you_mean};

/// The column that an identifier names: exactly if quoted, otherwise in lower
/// case and, failing that, as written.
pub(super) fn resolve(ident: &Ident, table: &Table) -> Result<Operand, Problem> {
    let named = |name: &str| table.columns.iter().position(|column| column.name == name);
    let found = match ident.quote_style {
        Some(_) => named(&ident.value),
        None => named(&ident.value.to_lowercase()).or_else(|| named(&ident.value)),
    };
    let Some((index, column)) = found.and_then(|at| Some((at, table.columns.get(at)?))) else {
        return Err(unknown(ident, table).at(Some(ident.span.start)));
    };
    if !is_comparable(&column.data_type) {
        let message = format!(
            "column `{}` is {}, which a row predicate cannot read",
            column.name, column.data_type
        );
        return Err(Problem::new("predicate-type", message)
            .with_help("use a column of a scalar type")
            .at(Some(ident.span.start)));
    }
    Ok(Operand::Column {
        index,
        name: column.name.clone(),
        data_type: column.data_type.clone(),
    })
}

fn unknown(ident: &Ident, table: &Table) -> Problem {
    let problem = Problem::new(
        "unknown-column",
        format!("column `{}` is not in table `{}`", ident.value, table.name),
    );
    let other_case = table
        .columns
        .iter()
        .find(|column| column.name.to_lowercase() == ident.value.to_lowercase());
    let help = match (ident.value.as_str(), ident.quote_style, other_case) {
        ("user" | "current_user" | "session_user", None, _) => {
            Some("the principal's name is `session.user`".to_owned())
        }
        (_, Some('"'), None) => {
            Some("double quotes make a column's name; text stands in single quotes".to_owned())
        }
        (_, _, Some(column)) => Some(format!("did you mean `\"{}\"`?", column.name)),
        (_, _, None) => did_you_mean(
            &ident.value,
            table.columns.iter().map(|column| column.name.as_str()),
        ),
    };
    match help {
        Some(help) => problem.with_help(help),
        None => problem,
    }
}
