//! Which statements may be planned: queries, plain `EXPLAIN` of a query,
//! `DESCRIBE`, and `SHOW` of names. What is not on the list is refused, and so
//! is each clause that the planner would silently ignore.

use std::ops::ControlFlow;

use datafusion::{
    common::format::ExplainStatementOptions,
    sql::{
        parser::{ExplainStatement, Statement as DfStatement},
        sqlparser::ast::{
            ArrayElemTypeDef, DataType, DescribeAlias, Expr, ObjectName, ObjectNamePart, Query,
            Select, SetExpr, Spanned, Statement, TableFactor, Visit, Visitor,
        },
    },
};

use super::show;
use crate::error::{Error, Result};

/// The statement to plan for `statement`.
pub(super) fn check(statement: DfStatement, catalog: &str) -> Result<DfStatement> {
    match statement {
        DfStatement::Statement(statement) => sql(*statement, catalog),
        DfStatement::Explain(explain) => explain_query(explain),
        DfStatement::Reset(_) => Err(settings()),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) => Err(Error::ReadOnly),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is not allowed is refused"
)]
fn sql(statement: Statement, catalog: &str) -> Result<DfStatement> {
    match &statement {
        Statement::Query(query) => check_query(query)?,
        Statement::ExplainTable {
            describe_alias,
            hive_format: None,
            ..
        } if describes(*describe_alias) => {}
        Statement::Explain {
            describe_alias,
            analyze: false,
            verbose: false,
            query_plan: false,
            estimate: false,
            statement: described,
            format: None,
            options: None,
        } if describes(*describe_alias) => match described.as_ref() {
            Statement::Query(query) => check_query(query)?,
            _ => return Err(Error::ReadOnly),
        },
        Statement::ShowFunctions { filter: None } => {}
        Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowCatalogs { .. } => return show::as_query(statement, catalog),
        Statement::Set(_)
        | Statement::Use(_)
        | Statement::ShowVariable { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowStatus { .. } => return Err(settings()),
        Statement::ShowCreate { .. }
        | Statement::ShowFunctions { .. }
        | Statement::ShowViews { .. }
        | Statement::ShowProcessList { .. }
        | Statement::ShowCharset(_)
        | Statement::ShowCollation { .. } => {
            return Err(Error::unimplemented("this `SHOW` is not supported"));
        }
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => {
            return Err(Error::unimplemented(
                "transactions are not supported: weft is read-only",
            ));
        }
        Statement::ExplainTable { .. } | Statement::Explain { .. } => {
            return Err(only_plain_explain());
        }
        _ => return Err(Error::ReadOnly),
    }
    Ok(DfStatement::Statement(Box::new(statement)))
}

fn describes(alias: DescribeAlias) -> bool {
    matches!(alias, DescribeAlias::Describe | DescribeAlias::Desc)
}

fn settings() -> Error {
    Error::PermissionDenied(
        "settings are neither shown nor changed by SQL; use session options".to_owned(),
    )
}

fn only_plain_explain() -> Error {
    Error::PermissionDenied("only plain `EXPLAIN` of a query is allowed".to_owned())
}

fn explain_query(explain: ExplainStatement) -> Result<DfStatement> {
    let ExplainStatement { options, statement } = explain;
    let ExplainStatementOptions {
        analyze,
        verbose,
        format,
        analyze_level,
        analyze_categories,
        show_statistics,
    } = options;
    let inner = match *statement {
        DfStatement::Statement(inner) => inner,
        DfStatement::Explain(_) | DfStatement::Reset(_) => return Err(only_plain_explain()),
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) => {
            return Err(Error::ReadOnly);
        }
    };
    let Statement::Query(query) = inner.as_ref() else {
        return Err(Error::ReadOnly);
    };
    check_query(query)?;
    let plain = !analyze
        && !verbose
        && analyze_level.is_none()
        && analyze_categories.is_none()
        && show_statistics != Some(true);
    if !plain {
        return Err(only_plain_explain());
    }
    let options = ExplainStatementOptions {
        analyze: false,
        verbose: false,
        format,
        analyze_level: None,
        analyze_categories: None,
        show_statistics: None,
    };
    Ok(DfStatement::Explain(ExplainStatement {
        options,
        statement: Box::new(DfStatement::Statement(inner)),
    }))
}

fn check_query(query: &Query) -> Result<()> {
    match query.visit(&mut QueryCheck) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Walks a query down to its last subquery.
struct QueryCheck;

impl Visitor for QueryCheck {
    type Break = Error;

    /// An `INSERT` and its like inside a query.
    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<Error> {
        ControlFlow::Break(Error::ReadOnly)
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        if !query.locks.is_empty() {
            return ControlFlow::Break(Error::ReadOnly);
        }
        writes_nothing(&query.body)?;
        unsupported(query.for_clause.is_some(), "FOR XML", query)?;
        unsupported(query.settings.is_some(), "SETTINGS", query)?;
        unsupported(query.format_clause.is_some(), "FORMAT", query)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        if select.into.is_some() {
            return ControlFlow::Break(Error::ReadOnly);
        }
        unsupported(select.prewhere.is_some(), "PREWHERE", select)?;
        unsupported(!select.connect_by.is_empty(), "CONNECT BY", select)?;
        unsupported(!select.distribute_by.is_empty(), "DISTRIBUTE BY", select)?;
        unsupported(select.value_table_mode.is_some(), "SELECT AS", select)?;
        unsupported(select.exclude.is_some(), "EXCLUDE behind a list", select)?;
        unsupported(select.select_modifiers.is_some(), "this modifier", select)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the planner refuses the tables that it does not know"
    )]
    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Error> {
        match table {
            TableFactor::Table {
                name,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                alias: _,
            } => {
                plain_name(name)?;
                unsupported(version.is_some(), "AS OF", table)?;
                unsupported(!with_hints.is_empty(), "WITH", table)?;
                unsupported(*with_ordinality, "WITH ORDINALITY", table)?;
                unsupported(!partitions.is_empty(), "PARTITION", table)?;
                unsupported(json_path.is_some(), "a path behind a table", table)?;
                unsupported(sample.is_some(), "TABLESAMPLE", table)?;
                unsupported(!index_hints.is_empty(), "INDEX", table)?;
                let settings = args.as_ref().is_some_and(|args| args.settings.is_some());
                unsupported(settings, "SETTINGS", table)?;
                unsupported(
                    args.is_some() && name.0.len() > 1,
                    "a table function with a schema",
                    table,
                )
            }
            TableFactor::Derived { sample, .. } => {
                unsupported(sample.is_some(), "TABLESAMPLE", table)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only types are looked at here"
    )]
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        let sized = match expr {
            Expr::Cast { data_type, .. } => has_size(data_type),
            Expr::Convert { data_type, .. } => data_type.as_ref().is_some_and(has_size),
            Expr::TypedString(typed) => has_size(&typed.data_type),
            Expr::Struct { fields, .. } => fields.iter().any(|field| has_size(&field.field_type)),
            _ => false,
        };
        unsupported(sized, "an array of a fixed size", expr)
    }
}

fn writes_nothing(body: &SetExpr) -> ControlFlow<Error> {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            ControlFlow::Break(Error::ReadOnly)
        }
        // Their parts are visited as queries and statements of their own.
        SetExpr::Select(_)
        | SetExpr::Query(_)
        | SetExpr::SetOperation { .. }
        | SetExpr::Values(_)
        | SetExpr::Table(_) => ControlFlow::Continue(()),
    }
}

fn plain_name(name: &ObjectName) -> ControlFlow<Error> {
    let plain = name
        .0
        .iter()
        .all(|part| matches!(part, ObjectNamePart::Identifier(_)));
    unsupported(!plain, "a computed table name", name)
}

/// A null of such a type is as large as the type says.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other types have no size or are unknown to the planner"
)]
fn has_size(data_type: &DataType) -> bool {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, size)) => {
            size.is_some() || has_size(inner)
        }
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::Parenthesis(inner),
        ) => has_size(inner),
        DataType::Struct(fields, _) => fields.iter().any(|field| has_size(&field.field_type)),
        DataType::FixedString(_) => true,
        DataType::Map(key, value) => has_size(key) || has_size(value),
        DataType::Nullable(inner) | DataType::LowCardinality(inner) => has_size(inner),
        _ => false,
    }
}

fn unsupported(found: bool, what: &str, place: &impl Spanned) -> ControlFlow<Error> {
    if !found {
        return ControlFlow::Continue(());
    }
    let start = place.span().start;
    let place = if start.line > 0 {
        format!(" (line {}, column {})", start.line, start.column)
    } else {
        String::new()
    };
    ControlFlow::Break(Error::unimplemented(format!(
        "`{what}` is not supported{place}"
    )))
}
