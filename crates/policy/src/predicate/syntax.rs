//! From text to a syntax tree, within limits, and where things stand in it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what the language does not name is refused"
)]

use sqlparser::{
    ast::{Expr, ObjectNamePart, Spanned as _, UnaryOperator, Value},
    dialect::GenericDialect,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, Tokenizer, TokenizerError, Whitespace},
};

use crate::literal::{SqlLiteral, TemporalKind, short};

/// The longest predicate, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How deep parentheses and operators may nest.
pub(super) const MAX_DEPTH: usize = 64;

/// What is wrong with a predicate, and where in its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) rule: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Line and character, counted from 1.
    pub(super) at: Option<(u64, u64)>,
}

impl Problem {
    pub(super) fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            rule,
            message: message.into(),
            help: None,
            at: None,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(mut self, location: Option<Location>) -> Self {
        self.at = location
            .filter(|location| location.line > 0)
            .map(|location| (location.line, location.column));
        self
    }
}

/// Parses one expression and nothing after it.
pub(super) fn parse_expression(text: &str) -> Result<Expr, Problem> {
    if text.trim().is_empty() {
        return Err(
            Problem::new("predicate-syntax", "the row predicate is empty")
                .with_help("leave `rows` out to give every row"),
        );
    }
    if text.len() > MAX_BYTES {
        return Err(Problem::new(
            "predicate-too-long",
            format!(
                "the row predicate has {} bytes, more than {MAX_BYTES}",
                text.len()
            ),
        ));
    }
    let syntax = |error: ParserError| match error {
        ParserError::RecursionLimitExceeded => too_deep(),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => Problem::new(
            "predicate-syntax",
            format!("the row predicate does not parse: {message}"),
        ),
    };
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|TokenizerError { message, location }| {
            syntax(ParserError::TokenizerError(message)).at(Some(location))
        })?;
    // YAML folds lines: what stood below `-- …` in the file would stand behind
    // it here, and would limit nothing.
    if let Some(comment) = tokens.iter().find(|token| {
        matches!(
            token.token,
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)
            )
        )
    }) {
        return Err(Problem::new(
            "predicate-comment",
            "a row predicate takes no comments: YAML can fold what follows into them",
        )
        .with_help("write it as a YAML comment (`# …`) on a line above")
        .at(Some(comment.span.start)));
    }
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(syntax)?;
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(expr);
    }
    let problem = Problem::new(
        "predicate-syntax",
        format!(
            "the row predicate should end before `{}`",
            short(&next.token.to_string())
        ),
    );
    Err(problem.at(Some(next.span.start)))
}

pub(super) fn too_deep() -> Problem {
    Problem::new(
        "predicate-too-deep",
        "the row predicate is nested too deeply",
    )
    .with_help(format!(
        "at most {MAX_DEPTH} levels; `IN` replaces many `OR`s"
    ))
}

/// The literal that `text` is, for the arguments of masks.
pub(crate) fn parse_literal(text: &str) -> Option<SqlLiteral> {
    literal(&parse_expression(text).ok()?)
}

/// The literal that an expression is, with its sign; `None` for all else.
pub(super) fn literal(expr: &Expr) -> Option<SqlLiteral> {
    if let Expr::UnaryOp { op, expr } = expr {
        let sign = match op {
            UnaryOperator::Minus => "-",
            UnaryOperator::Plus => "",
            _ => return None,
        };
        return match literal(expr)? {
            SqlLiteral::Number(number) if !number.starts_with('-') => {
                Some(SqlLiteral::Number(format!("{sign}{number}")))
            }
            _ => None,
        };
    }
    if let Expr::TypedString(typed) = expr {
        use sqlparser::ast::{DataType, TimezoneInfo};
        let kind = match typed.data_type {
            DataType::Date => TemporalKind::Date,
            DataType::Time(None, TimezoneInfo::None) => TemporalKind::Time,
            DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithTimeZone) => {
                TemporalKind::Timestamp
            }
            _ => return None,
        };
        return match &typed.value.value {
            Value::SingleQuotedString(text) => Some(SqlLiteral::Temporal(kind, text.clone())),
            _ => None,
        };
    }
    let Expr::Value(value) = expr else {
        return None;
    };
    match &value.value {
        Value::Null => Some(SqlLiteral::Null),
        Value::Boolean(value) => Some(SqlLiteral::Boolean(*value)),
        Value::Number(text, false) => Some(SqlLiteral::Number(text.clone())),
        Value::SingleQuotedString(text) => Some(SqlLiteral::Text(text.clone())),
        Value::HexStringLiteral(text) => bytes_of_hex(text).map(SqlLiteral::Bytes),
        _ => None,
    }
}

/// Where an expression begins. It walks down the left side only: a tree of
/// one long chain of operators is as deep as its text is long.
pub(super) fn location(expr: &Expr) -> Option<Location> {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => {
                left
            }
            Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::IsDistinctFrom(inner, _)
            | Expr::IsNotDistinctFrom(inner, _)
            | Expr::Nested(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::InList { expr: inner, .. }
            | Expr::InSubquery { expr: inner, .. }
            | Expr::Between { expr: inner, .. }
            | Expr::Like { expr: inner, .. }
            | Expr::ILike { expr: inner, .. }
            | Expr::SimilarTo { expr: inner, .. }
            | Expr::RLike { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::Collate { expr: inner, .. }
            | Expr::AtTimeZone {
                timestamp: inner, ..
            }
            | Expr::CompoundFieldAccess { root: inner, .. } => inner,
            Expr::Identifier(ident) => return Some(ident.span.start),
            Expr::CompoundIdentifier(parts) => return Some(parts.first()?.span.start),
            Expr::Value(value) => return Some(value.span.start),
            Expr::TypedString(typed) => return Some(typed.value.span.start),
            Expr::Function(function) => {
                return match function.name.0.first()? {
                    ObjectNamePart::Identifier(ident) => Some(ident.span.start),
                    part @ ObjectNamePart::Function(_) => Some(part.span().start),
                };
            }
            Expr::Case { case_token, .. } => return Some(case_token.0.span.start),
            _ => return None,
        };
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits?;
    if pairs.len() % 2 != 0 {
        return None;
    }
    pairs
        .chunks(2)
        .map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit)).ok())
        .collect()
}
