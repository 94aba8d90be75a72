//! `SHOW` of names as queries on `information_schema`.

use datafusion::sql::{
    parser::{DFParserBuilder, Statement as DfStatement},
    sqlparser::ast::{
        ObjectName, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementIn,
        ShowStatementInParentType, ShowStatementOptions, Statement,
    },
};

use crate::error::{Error, Result, classify};

/// The query that answers `statement`; `SHOW COLUMNS` is left to the planner,
/// which knows whether the table exists.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only `SHOW` of names comes here"
)]
pub(super) fn as_query(statement: Statement, catalog: &str) -> Result<DfStatement> {
    let query = match &statement {
        Statement::ShowColumns { .. } => return Ok(DfStatement::Statement(Box::new(statement))),
        Statement::ShowTables {
            terse: false,
            history: false,
            extended: false,
            full: false,
            external: false,
            show_options,
        } => tables(show_options)?,
        Statement::ShowSchemas {
            terse: false,
            history: false,
            show_options,
        } => {
            let filter = like("schema_name", show_options)?;
            names_only(show_options)?;
            format!(
                "SELECT schema_name FROM information_schema.schemata{filter} ORDER BY schema_name"
            )
        }
        Statement::ShowDatabases {
            terse: false,
            history: false,
            show_options,
        } => {
            let filter = like("schema_name", show_options)?;
            names_only(show_options)?;
            format!(
                "SELECT schema_name AS database_name FROM information_schema.schemata{filter} ORDER BY 1"
            )
        }
        Statement::ShowCatalogs {
            terse: false,
            history: false,
            show_options,
        } => {
            let filter = like("catalog_name", show_options)?;
            names_only(show_options)?;
            format!(
                "SELECT * FROM (VALUES ({})) AS catalogs(catalog_name){filter}",
                literal(catalog)
            )
        }
        _ => return Err(Error::unimplemented("this form of `SHOW` is not supported")),
    };
    let mut parser = DFParserBuilder::new(query.as_str())
        .build()
        .map_err(classify)?;
    let mut statements = parser.parse_statements().map_err(classify)?;
    statements
        .pop_front()
        .ok_or_else(|| Error::internal(&"a rewritten `SHOW` is empty"))
}

fn tables(options: &ShowStatementOptions) -> Result<String> {
    let filter = like("table_name", options)?;
    let schema = match &options.show_in {
        None => String::new(),
        Some(ShowStatementIn {
            parent_type:
                None | Some(ShowStatementInParentType::Schema | ShowStatementInParentType::Database),
            parent_name: Some(name),
            ..
        }) => {
            let and = if filter.is_empty() { " WHERE" } else { " AND" };
            format!("{and} table_schema = {}", literal(&last(name)?))
        }
        Some(_) => {
            return Err(Error::unimplemented(
                "this form of `SHOW TABLES` is not supported",
            ));
        }
    };
    Ok(format!(
        "SELECT table_catalog, table_schema, table_name, table_type \
         FROM information_schema.tables{filter}{schema} ORDER BY 1, 2, 3"
    ))
}

fn names_only(options: &ShowStatementOptions) -> Result<()> {
    match options.show_in {
        None => Ok(()),
        Some(_) => Err(Error::unimplemented(
            "`SHOW … IN` is supported for tables and columns only",
        )),
    }
}

/// ` WHERE column LIKE '…'`, if asked for.
fn like(column: &str, options: &ShowStatementOptions) -> Result<String> {
    if options.starts_with.is_some() || options.limit.is_some() || options.limit_from.is_some() {
        return Err(Error::unimplemented(
            "`SHOW` supports `LIKE`, not `STARTS WITH` or `LIMIT`",
        ));
    }
    let filter = match &options.filter_position {
        None => return Ok(String::new()),
        Some(
            ShowStatementFilterPosition::Infix(filter)
            | ShowStatementFilterPosition::Suffix(filter),
        ) => filter,
    };
    match filter {
        ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern) => {
            Ok(format!(" WHERE {column} LIKE {}", literal(pattern)))
        }
        ShowStatementFilter::ILike(pattern) => {
            Ok(format!(" WHERE {column} ILIKE {}", literal(pattern)))
        }
        ShowStatementFilter::Where(_) => Err(Error::unimplemented(
            "`SHOW` supports `LIKE`, not `WHERE`; query `information_schema` instead",
        )),
    }
}

/// The schema of `schema` or `catalog.schema`, folded as an identifier is.
fn last(name: &ObjectName) -> Result<String> {
    let ident = name.0.last().and_then(|part| part.as_ident());
    let ident =
        ident.ok_or_else(|| Error::invalid("`SHOW TABLES FROM` takes the name of a schema"))?;
    Ok(if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    })
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
