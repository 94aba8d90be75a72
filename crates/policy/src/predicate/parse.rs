//! From the syntax tree to a typed predicate: what is not named here is
//! refused.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what the language does not name is refused"
)]

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, ValueWithSpan};
use weft_mesh::{Fault, Span, Table};

use super::{
    CompareOp, Entitlements, Operand, RowPredicate,
    entitlement::in_subquery,
    syntax::{MAX_DEPTH, Problem, literal, location, parse_expression, too_deep},
    values::{
        FUNCTIONS, Term, arguments, coerce, describe, function_name, name_argument, term, text,
        unify, widen, wrong_arguments,
    },
};
use crate::{literal::SqlLiteral, suggest::did_you_mean};

/// The longest LIKE pattern, in characters: it compiles to an automaton whose
/// size is limited.
const MAX_PATTERN: usize = 256;

const ALLOWED: &str = "allowed are comparisons, IN with literals or one SELECT, BETWEEN, LIKE, IS NULL, AND, OR, \
                       NOT, starts_with, lower, upper, columns and session values";

impl RowPredicate {
    /// Reads the predicate language against a table's columns. Every fault
    /// stands at `span`, where the text is in its manifest, and says where in
    /// the text it is.
    ///
    /// # Errors
    /// The text is too long or nested too deeply, does not parse, uses what
    /// the language has not, names an unknown column, or its types do not
    /// meet. All faults of the parts of an AND or OR are reported.
    pub(crate) fn parse(
        text: &str,
        span: &Span,
        table: &Table,
        entitlements: Entitlements<'_>,
    ) -> Result<Self, Vec<Fault>> {
        let scope = Scope {
            table,
            entitlements: Some(entitlements),
            positive: true,
        };
        let problems = match parse_expression(text) {
            Ok(expr) => match condition(&expr, scope, 0) {
                Ok(predicate) => return Ok(predicate),
                Err(problems) => problems,
            },
            Err(problem) => vec![problem],
        };
        let single_line = !text.contains('\n');
        Err(problems
            .into_iter()
            .map(|problem| fault(problem, span, single_line))
            .collect())
    }
}

impl RowPredicate {
    /// Whether a text is an expression at all, whatever it is about.
    pub(crate) fn check_syntax(text: &str, span: &Span) -> Result<(), Fault> {
        let single_line = !text.contains('\n');
        match parse_expression(text) {
            Ok(_) => Ok(()),
            Err(problem) => Err(fault(problem, span, single_line)),
        }
    }
}

/// What a condition can name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) table: &'a Table,
    /// `None` inside of one.
    pub(super) entitlements: Option<Entitlements<'a>>,
    /// Whether a row comes in where the condition is TRUE, and only there.
    pub(super) positive: bool,
}

impl Scope<'_> {
    /// Below NOT or IS.
    fn turned(self) -> Self {
        Self {
            positive: false,
            ..self
        }
    }
}

fn fault(problem: Problem, span: &Span, single_line: bool) -> Fault {
    let place = match problem.at {
        Some((_, character)) if single_line => format!(" (at character {character})"),
        Some((line, character)) => format!(" (at line {line}, character {character})"),
        None => String::new(),
    };
    let fault = Fault::error(
        span.clone(),
        problem.rule,
        format!("{}{place}", problem.message),
    );
    match problem.help {
        Some(help) => fault.with_help(help),
        None => fault,
    }
}

/// A refusal that names the construct.
pub(super) fn refuse(expr: &Expr) -> Problem {
    let construct = match expr {
        Expr::Function(function) => return refuse_function(expr, function),
        Expr::BinaryOp { op, .. } if *op == BinaryOperator::Divide => "division".to_owned(),
        Expr::BinaryOp { op, .. } => format!("operator `{op}`"),
        Expr::UnaryOp { op, .. } => format!("operator `{op}`"),
        Expr::Cast { .. } | Expr::Convert { .. } => "CAST".to_owned(),
        Expr::Case { .. } => "CASE".to_owned(),
        Expr::Subquery(_) | Expr::Exists { .. } => "a subquery".to_owned(),
        Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => "IS DISTINCT FROM".to_owned(),
        Expr::SimilarTo { .. } | Expr::RLike { .. } => "a regular expression".to_owned(),
        Expr::AnyOp { .. } => "ANY".to_owned(),
        Expr::AllOp { .. } => "ALL".to_owned(),
        Expr::InUnnest { .. } => "IN UNNEST".to_owned(),
        Expr::AtTimeZone { .. } => "AT TIME ZONE".to_owned(),
        Expr::Extract { .. } => "EXTRACT".to_owned(),
        Expr::Ceil { .. } => "CEIL".to_owned(),
        Expr::Floor { .. } => "FLOOR".to_owned(),
        Expr::Position { .. } => "POSITION".to_owned(),
        Expr::Substring { .. } => "SUBSTRING".to_owned(),
        Expr::Trim { .. } => "TRIM".to_owned(),
        Expr::Overlay { .. } => "OVERLAY".to_owned(),
        Expr::Collate { .. } => "COLLATE".to_owned(),
        Expr::Tuple(_) => "a row of values".to_owned(),
        Expr::Array(_) => "an array".to_owned(),
        Expr::Interval(_) => "an interval".to_owned(),
        Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => "field access".to_owned(),
        Expr::Value(ValueWithSpan {
            value: Value::Placeholder(name),
            ..
        }) => {
            format!("placeholder `{name}`")
        }
        Expr::Value(_) | Expr::TypedString(_) => "a literal of this kind".to_owned(),
        Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_) => "a condition as a value".to_owned(),
        _ => "this construct".to_owned(),
    };
    Problem::new(
        "predicate-not-allowed",
        format!("{construct} is not allowed in a row predicate"),
    )
    .with_help(ALLOWED)
    .at(location(expr))
}

fn refuse_function(expr: &Expr, function: &sqlparser::ast::Function) -> Problem {
    let name = function_name(function).unwrap_or_else(|| "this".to_owned());
    let problem = match name.as_str() {
        "user" | "current_user" | "session_user" | "session.user" => Problem::new(
            "predicate-not-allowed",
            format!("function `{name}` is not allowed in a row predicate"),
        )
        .with_help("the principal's name is `session.user`"),
        _ => {
            let help = did_you_mean(&name, FUNCTIONS).unwrap_or_else(|| ALLOWED.to_owned());
            Problem::new(
                "predicate-not-allowed",
                format!("function `{name}` is not allowed in a row predicate"),
            )
            .with_help(help)
        }
    };
    problem.at(location(expr))
}

/// Reads a condition. The parser limits how deep parentheses nest, not how
/// long a chain of suffixes is, so the depth is counted here again.
pub(super) fn condition(
    expr: &Expr,
    scope: Scope<'_>,
    depth: usize,
) -> Result<RowPredicate, Vec<Problem>> {
    let table = scope.table;
    if depth > MAX_DEPTH {
        return Err(vec![too_deep()]);
    }
    let one = |problem| vec![problem];
    let truth = |inner: &Expr, truth, negated| {
        let predicate = Box::new(condition(inner, scope.turned(), depth + 1)?);
        Ok(RowPredicate::IsTruth {
            predicate,
            truth,
            negated,
        })
    };
    match expr {
        Expr::Nested(inner) => condition(inner, scope, depth + 1),
        Expr::BinaryOp {
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            ..
        } => {
            let parts = chain(expr, op, scope, depth)?;
            Ok(match op {
                BinaryOperator::And => RowPredicate::And(parts),
                _ => RowPredicate::Or(parts),
            })
        }
        Expr::BinaryOp { left, op, right } => {
            let op = compare_op(op).ok_or_else(|| one(refuse(expr)))?;
            compare(left, op, right, table).map_err(one)
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => Ok(RowPredicate::Not(Box::new(condition(
            expr,
            scope.turned(),
            depth + 1,
        )?))),
        Expr::IsTrue(inner) => truth(inner, Some(true), false),
        Expr::IsNotTrue(inner) => truth(inner, Some(true), true),
        Expr::IsFalse(inner) => truth(inner, Some(false), false),
        Expr::IsNotFalse(inner) => truth(inner, Some(false), true),
        Expr::IsUnknown(inner) => truth(inner, None, false),
        Expr::IsNotUnknown(inner) => truth(inner, None, true),
        Expr::IsNull(inner) => is_null(inner, table, false).map_err(one),
        Expr::IsNotNull(inner) => is_null(inner, table, true).map_err(one),
        Expr::InList {
            expr,
            list,
            negated,
        } => in_list(expr, list, *negated, table).map_err(one),
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => in_subquery(expr, subquery, *negated, scope, depth),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let inside = RowPredicate::And(vec![
                compare(expr, CompareOp::GtEq, low, table).map_err(one)?,
                compare(expr, CompareOp::LtEq, high, table).map_err(one)?,
            ]);
            Ok(if *negated {
                RowPredicate::Not(Box::new(inside))
            } else {
                inside
            })
        }
        Expr::Like {
            negated,
            any: false,
            expr,
            pattern,
            escape_char,
        } => like(expr, pattern, escape_char.as_ref(), table, false, *negated).map_err(one),
        Expr::ILike {
            negated,
            any: false,
            expr,
            pattern,
            escape_char,
        } => like(expr, pattern, escape_char.as_ref(), table, true, *negated).map_err(one),
        Expr::Function(function) => match function_name(function).as_deref() {
            Some("starts_with") => starts_with(expr, function, table).map_err(one),
            Some("session.in_group") => name_argument(function, expr, "session.in_group('g')")
                .map(RowPredicate::InGroup)
                .map_err(one),
            Some(_) | None => truth_value(expr, table).map_err(one),
        },
        _ => truth_value(expr, table).map_err(one),
    }
}

/// The parts of `a AND b AND c`, which parses as a tree leaning to the left
/// as deep as the chain is long.
fn chain(
    expr: &Expr,
    chained: &BinaryOperator,
    scope: Scope<'_>,
    depth: usize,
) -> Result<Vec<RowPredicate>, Vec<Problem>> {
    let mut operands = Vec::new();
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, right } = rest
        && op == chained
    {
        operands.push(right.as_ref());
        rest = left;
    }
    operands.push(rest);
    let mut parts = Vec::with_capacity(operands.len());
    let mut problems = Vec::new();
    for operand in operands.into_iter().rev() {
        match condition(operand, scope, depth + 1) {
            Ok(part) => parts.push(part),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(parts)
    } else {
        Err(problems)
    }
}

/// TRUE, FALSE, or a column of type Boolean.
fn truth_value(expr: &Expr, table: &Table) -> Result<RowPredicate, Problem> {
    let message = match term(expr, table)? {
        Term::Literal(SqlLiteral::Boolean(value)) => {
            return Ok(RowPredicate::Literal(Some(value)));
        }
        Term::Typed(operand) if operand.data_type() == arrow_schema::DataType::Boolean => {
            return Ok(RowPredicate::Bool(operand));
        }
        Term::Typed(operand) => format!("{}, not a condition", describe(&operand)),
        Term::Literal(literal) => format!("{literal} is not a condition"),
    };
    Err(Problem::new("predicate-type", message)
        .with_help("compare it with something")
        .at(location(expr)))
}

fn compare_op(op: &BinaryOperator) -> Option<CompareOp> {
    Some(match op {
        BinaryOperator::Eq => CompareOp::Eq,
        BinaryOperator::NotEq => CompareOp::NotEq,
        BinaryOperator::Lt => CompareOp::Lt,
        BinaryOperator::LtEq => CompareOp::LtEq,
        BinaryOperator::Gt => CompareOp::Gt,
        BinaryOperator::GtEq => CompareOp::GtEq,
        _ => return None,
    })
}

fn compare(
    left: &Expr,
    op: CompareOp,
    right: &Expr,
    table: &Table,
) -> Result<RowPredicate, Problem> {
    let (left, right) = unify(left, right, table)?;
    Ok(RowPredicate::Compare { left, op, right })
}

fn is_null(expr: &Expr, table: &Table, negated: bool) -> Result<RowPredicate, Problem> {
    match term(expr, table)? {
        Term::Typed(operand) => Ok(RowPredicate::IsNull { operand, negated }),
        Term::Literal(literal) => Err(Problem::new(
            "predicate-type",
            format!("IS NULL of the literal {literal}"),
        )
        .with_help("test a column or a session value")
        .at(location(expr))),
    }
}

fn in_list(
    expr: &Expr,
    list: &[Expr],
    negated: bool,
    table: &Table,
) -> Result<RowPredicate, Problem> {
    let operand = match term(expr, table)? {
        Term::Typed(operand) => operand,
        Term::Literal(literal) => {
            return Err(Problem::new(
                "predicate-type",
                format!("{literal} is a literal on the left of IN"),
            )
            .with_help("test a column or a session value")
            .at(location(expr)));
        }
    };
    let values = list
        .iter()
        .map(|item| match literal(item) {
            Some(SqlLiteral::Null) => Err(Problem::new(
                "predicate-type",
                "NULL in an IN list is never equal to anything",
            )
            .with_help("add `OR … IS NULL`")
            .at(location(item))),
            Some(literal) => coerce(&literal, &operand, item),
            None => Err(
                Problem::new("predicate-not-allowed", "IN takes literals only")
                    .with_help("write `a = x OR a = y` to compare with columns or session values")
                    .at(location(item)),
            ),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() {
        return Err(Problem::new("predicate-syntax", "the IN list is empty").at(location(expr)));
    }
    Ok(RowPredicate::InList {
        operand,
        list: values,
        negated,
    })
}

fn like(
    expr: &Expr,
    pattern: &Expr,
    escape: Option<&ValueWithSpan>,
    table: &Table,
    case_insensitive: bool,
    negated: bool,
) -> Result<RowPredicate, Problem> {
    let operand = text(expr, table)?;
    if !operand.reads_row() && matches!(operand, Operand::Literal(_)) {
        return Err(Problem::new("predicate-type", "LIKE on a literal")
            .with_help("match a column or a session value")
            .at(location(expr)));
    }
    let Some(SqlLiteral::Text(written)) = literal(pattern) else {
        return Err(Problem::new(
            "predicate-not-allowed",
            "the pattern of LIKE has to be a literal text",
        )
        .with_help("`starts_with(x, session.attr('y'))` compares with a session value")
        .at(location(pattern)));
    };
    let escape = match escape.map(|escape| &escape.value) {
        None => '\\',
        Some(Value::SingleQuotedString(escape)) if escape.chars().count() == 1 => {
            escape.chars().next().unwrap_or('\\')
        }
        Some(_) => {
            return Err(
                Problem::new("predicate-syntax", "ESCAPE takes one character")
                    .at(location(pattern)),
            );
        }
    };
    let pattern = with_backslash(&written, escape)
        .map_err(|message| Problem::new("predicate-syntax", message).at(location(pattern)))?;
    Ok(RowPredicate::Like {
        operand,
        pattern,
        case_insensitive,
        negated,
    })
}

/// The pattern with `\` as its escape character.
fn with_backslash(pattern: &str, escape: char) -> Result<String, String> {
    if pattern.chars().count() > MAX_PATTERN {
        return Err(format!(
            "a LIKE pattern has at most {MAX_PATTERN} characters"
        ));
    }
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        let escaped = match next {
            next if next == escape => match rest.next() {
                Some(escaped) if matches!(escaped, '%' | '_') || escaped == escape => Some(escaped),
                Some(_) | None => {
                    return Err(format!(
                        "`{escape}` in a LIKE pattern has to stand before `%`, `_` or `{escape}`"
                    ));
                }
            },
            '\\' => Some('\\'),
            _ => None,
        };
        match escaped {
            Some(escaped @ ('%' | '_' | '\\')) => out.extend(['\\', escaped]),
            Some(plain) => out.push(plain),
            None => out.push(next),
        }
    }
    Ok(out)
}

fn starts_with(
    expr: &Expr,
    function: &sqlparser::ast::Function,
    table: &Table,
) -> Result<RowPredicate, Problem> {
    let [subject, prefix_expr] = arguments(function, expr)?
        .try_into()
        .map_err(|_| wrong_arguments(expr, "`starts_with` takes two arguments"))?;
    let (operand, prefix) = (text(subject, table)?, text(prefix_expr, table)?);
    if prefix.reads_row() {
        return Err(Problem::new(
            "predicate-not-allowed",
            "the prefix of `starts_with` has to be a literal or a session value",
        )
        .at(location(prefix_expr)));
    }
    // Text layouts always meet: the first is the wider where they differ.
    let common = operand.data_type();
    let prefix = widen(prefix, &common);
    Ok(RowPredicate::StartsWith { operand, prefix })
}
