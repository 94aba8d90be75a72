//! From text to one statement that may be planned.
//!
//! Size and nesting are checked on the tokens, before a tree exists: trees
//! that are too deep overflow the stack when they are parsed, planned or only
//! dropped. The statement is checked on the tree, against a list of what is
//! allowed.

mod access;
mod allow;
mod expansion;
mod from_first;
mod limits;
mod placeholders;
mod show;

use datafusion::{
    error::DataFusionError,
    sql::{
        parser::{DFParserBuilder, Statement},
        sqlparser::{
            ast::Statement as SqlStatement,
            dialect::GenericDialect,
            parser::ParserError,
            tokenizer::{Token, Tokenizer},
        },
    },
};

pub(crate) use self::access::ExplainAccess;
use crate::error::{Error, Result, classify};

/// A statement that may be planned.
#[derive(Debug)]
pub(crate) struct AllowedStatement {
    pub(crate) statement: Statement,
    /// The highest `$n`.
    pub(crate) parameters: usize,
    /// Whether not the query is asked for, but who may see what of it.
    pub(crate) explains_access: Option<ExplainAccess>,
}

/// Parses the one statement of `sql`; `catalog` is the name of the mesh, for
/// statements that list it.
pub(crate) fn parse(sql: &str, catalog: &str) -> Result<AllowedStatement> {
    limits::check_length(sql)?;
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| classify(DataFusionError::from(ParserError::from(error))))?;
    limits::check_tokens(&tokens)?;
    let explains_access = access::take(&mut tokens)?;
    let parameters = placeholders::number(&mut tokens)?;

    if tokens.iter().all(|token| {
        matches!(
            token.token,
            Token::Whitespace(_) | Token::SemiColon | Token::EOF
        )
    }) {
        return Err(Error::invalid("there is no statement"));
    }
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(limits::PARSER_RECURSION)
        .build()
        .map_err(classify)?;
    let mut statements = parser.parse_statements().map_err(|error| {
        // The one configuration that a statement may hold.
        if let DataFusionError::Configuration(_) = error {
            Error::invalid(
                "`EXPLAIN` has no such format; there are `indent`, `tree`, `pgjson` and `graphviz`",
            )
        } else {
            classify(error)
        }
    })?;
    let Some(statement) = statements.pop_front() else {
        return Err(Error::invalid("there is no statement"));
    };
    if !statements.is_empty() {
        return Err(Error::invalid("one statement at a time, please"));
    }
    let mut statement = allow::check(statement, catalog)?;
    if explains_access.is_some() && !is_query(&statement) {
        return Err(Error::invalid("`EXPLAIN ACCESS` explains a query"));
    }
    from_first::select_all(&mut statement);
    expansion::check(&statement)?;
    Ok(AllowedStatement {
        statement,
        parameters,
        explains_access,
    })
}

fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(it) if matches!(**it, SqlStatement::Query(_)))
}
