//! The values of a predicate, and the types that two of them meet in.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what the language does not name is refused"
)]

use arrow_schema::DataType;
use datafusion_common::ScalarValue;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart,
};
use weft_mesh::Table;

use super::{
    Operand, names,
    parse::refuse,
    syntax::{Problem, literal, location},
};
use crate::{
    literal::SqlLiteral,
    scalar_type::{common_type, is_string},
    suggest::did_you_mean,
};

pub(super) const FUNCTIONS: [&str; 5] = [
    "starts_with",
    "lower",
    "upper",
    "session.attr",
    "session.in_group",
];

/// A value that has a type, or a literal that takes that of its neighbour.
#[derive(Debug)]
pub(super) enum Term {
    Typed(Operand),
    Literal(SqlLiteral),
}

/// Reads a column, a literal, a session value, or `lower` or `upper` of one.
pub(super) fn term(expr: &Expr, table: &Table) -> Result<Term, Problem> {
    let mut expr = expr;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    if let Some(literal) = literal(expr) {
        return Ok(Term::Literal(literal));
    }
    match expr {
        Expr::Identifier(ident) => names::resolve(ident, table).map(Term::Typed),
        Expr::CompoundIdentifier(parts) => session_value(parts, table).map(Term::Typed),
        Expr::Function(function) => {
            let name = function_name(function);
            match name.as_deref() {
                // `user` is a word of SQL, so the parser takes it for a call
                // without parentheses.
                Some("session.user") if function.args == FunctionArguments::None => {
                    Ok(Term::Typed(Operand::User))
                }
                Some("session.attr") => Ok(Term::Typed(Operand::Attr(name_argument(
                    function,
                    expr,
                    "session.attr('x')",
                )?))),
                Some(case @ ("lower" | "upper")) => {
                    let [argument] = arguments(function, expr)?.try_into().map_err(|_| {
                        wrong_arguments(expr, &format!("`{case}` takes one argument"))
                    })?;
                    let inner = Box::new(text(argument, table)?);
                    Ok(Term::Typed(if case == "lower" {
                        Operand::Lower(inner)
                    } else {
                        Operand::Upper(inner)
                    }))
                }
                Some(condition @ ("starts_with" | "session.in_group")) => Err(Problem::new(
                    "predicate-type",
                    format!("`{condition}` is a condition, not a value"),
                )
                .at(location(expr))),
                Some(_) | None => Err(refuse(expr)),
            }
        }
        _ => Err(refuse(expr)),
    }
}

/// Reads a value of a string type.
pub(super) fn text(expr: &Expr, table: &Table) -> Result<Operand, Problem> {
    let problem = match term(expr, table)? {
        Term::Literal(SqlLiteral::Text(text)) => {
            return Ok(Operand::Literal(ScalarValue::Utf8(Some(text))));
        }
        Term::Typed(operand) if is_string(&operand.data_type()) => return Ok(operand),
        Term::Typed(operand) => format!("text is needed, and {}", describe(&operand)),
        Term::Literal(literal) => format!("text is needed, and {literal} is not text"),
    };
    Err(Problem::new("predicate-type", problem).at(location(expr)))
}

/// Brings two values to one type.
pub(super) fn unify(
    left: &Expr,
    right: &Expr,
    table: &Table,
) -> Result<(Operand, Operand), Problem> {
    match (term(left, table)?, term(right, table)?) {
        (Term::Typed(a), Term::Literal(b)) => {
            let b = coerce(&b, &a, right)?;
            Ok((a, Operand::Literal(b)))
        }
        (Term::Literal(a), Term::Typed(b)) => {
            let a = coerce(&a, &b, left)?;
            Ok((Operand::Literal(a), b))
        }
        (Term::Literal(a), Term::Literal(b)) => Err(Problem::new(
            "predicate-type",
            format!("{a} and {b} are both literals"),
        )
        .with_help("compare a column or a session value; `TRUE` and `FALSE` stand alone")
        .at(location(left))),
        (Term::Typed(a), Term::Typed(b)) => {
            let (a_type, b_type) = (a.data_type(), b.data_type());
            match common_type(&a_type, &b_type) {
                Some(common) => Ok((widen(a, &common), widen(b, &common))),
                None => Err(Problem::new(
                    "predicate-type",
                    format!("{}, but {}", describe(&a), describe(&b)),
                )
                .with_help("compare columns of one type, or of one that widens to the other")
                .at(location(left))),
            }
        }
    }
}

/// The literal in the type of the operand that it stands next to.
pub(super) fn coerce(
    literal: &SqlLiteral,
    operand: &Operand,
    expr: &Expr,
) -> Result<ScalarValue, Problem> {
    if *literal == SqlLiteral::Null {
        return Err(
            Problem::new("predicate-type", "a comparison with NULL is never true")
                .with_help("write `IS NULL` or `IS NOT NULL`")
                .at(location(expr)),
        );
    }
    literal.coerce(&operand.data_type()).map_err(|reason| {
        let message = match operand {
            Operand::Column { name, .. } => format!("column `{name}`: {reason}"),
            Operand::Literal(_)
            | Operand::User
            | Operand::Purpose
            | Operand::Attr(_)
            | Operand::Lower(_)
            | Operand::Upper(_)
            | Operand::Widen(..) => format!("{operand}: {reason}"),
        };
        Problem::new("predicate-type", message).at(location(expr))
    })
}

pub(super) fn widen(operand: Operand, data_type: &DataType) -> Operand {
    match operand {
        operand if operand.data_type() == *data_type => operand,
        Operand::Literal(value) => match value.cast_to(data_type) {
            Ok(cast) => Operand::Literal(cast),
            Err(_) => Operand::Widen(Box::new(Operand::Literal(value)), data_type.clone()),
        },
        operand => Operand::Widen(Box::new(operand), data_type.clone()),
    }
}

pub(super) fn describe(operand: &Operand) -> String {
    match operand {
        Operand::Column {
            name, data_type, ..
        } => format!("column `{name}` is {data_type}"),
        Operand::User | Operand::Purpose | Operand::Attr(_) => {
            format!("`{operand}` is text")
        }
        Operand::Literal(_) | Operand::Lower(_) | Operand::Upper(_) | Operand::Widen(..) => {
            format!("`{operand}` is {}", operand.data_type())
        }
    }
}

/// The function's name in lower case, with dots, if all its parts are plain.
pub(super) fn function_name(function: &Function) -> Option<String> {
    let parts: Option<Vec<_>> = function
        .name
        .0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) if ident.quote_style.is_none() => {
                Some(ident.value.to_lowercase())
            }
            ObjectNamePart::Identifier(_) | ObjectNamePart::Function(_) => None,
        })
        .collect();
    Some(parts?.join("."))
}

/// The arguments, if they are plain expressions and nothing else is said.
pub(super) fn arguments<'a>(function: &'a Function, expr: &Expr) -> Result<Vec<&'a Expr>, Problem> {
    let plain = !function.uses_odbc_syntax
        && function.parameters == FunctionArguments::None
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.over.is_none()
        && function.within_group.is_empty();
    let list = match &function.args {
        FunctionArguments::List(list)
            if plain && list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            &list.args
        }
        FunctionArguments::List(_) | FunctionArguments::None | FunctionArguments::Subquery(_) => {
            return Err(wrong_arguments(
                expr,
                "a function takes plain arguments only",
            ));
        }
    };
    list.iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
            _ => Err(wrong_arguments(
                expr,
                "a function takes plain arguments only",
            )),
        })
        .collect()
}

/// The one argument that has to be a literal text.
pub(super) fn name_argument(
    function: &Function,
    expr: &Expr,
    usage: &str,
) -> Result<String, Problem> {
    match arguments(function, expr)?.as_slice() {
        [argument] => match literal(argument) {
            Some(SqlLiteral::Text(name)) if !name.is_empty() => Ok(name),
            _ => Err(wrong_arguments(
                expr,
                &format!("write `{usage}`, a literal text"),
            )),
        },
        _ => Err(wrong_arguments(
            expr,
            &format!("write `{usage}`, one literal text"),
        )),
    }
}

pub(super) fn wrong_arguments(expr: &Expr, message: &str) -> Problem {
    Problem::new("predicate-not-allowed", message).at(location(expr))
}

/// `session.user`; every other dotted name is refused.
fn session_value(parts: &[Ident], table: &Table) -> Result<Operand, Problem> {
    let at = parts.first().map(|ident| ident.span.start);
    let spelt: Vec<_> = parts.iter().map(|part| part.value.as_str()).collect();
    let spelt = spelt.join(".");
    let lower: Vec<_> = parts.iter().map(|part| part.value.to_lowercase()).collect();
    let unquoted = parts.iter().all(|part| part.quote_style.is_none());
    let problem = match lower
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["session", "user"] if unquoted => return Ok(Operand::User),
        ["session", "purpose"] if unquoted => return Ok(Operand::Purpose),
        ["session", name] if unquoted => {
            let problem = Problem::new("predicate-not-allowed", format!("there is no `{spelt}`"));
            let known = ["user", "purpose", "attr('x')", "in_group('g')"];
            match (
                *name,
                did_you_mean(&spelt, ["session.user", "session.purpose"]),
            ) {
                ("attr" | "in_group", _) => {
                    problem.with_help(format!("write `session.{name}('x')`"))
                }
                (_, Some(help)) if help.starts_with("did") => problem.with_help(help),
                _ => problem.with_help(format!("the session has `{}`", known.join("`, `"))),
            }
        }
        [qualifier, _] if *qualifier == table.name.as_str().to_lowercase() => Problem::new(
            "predicate-not-allowed",
            format!("`{spelt}` names its table"),
        )
        .with_help("write the column's name alone: a predicate reads one table"),
        _ => Problem::new("predicate-not-allowed", format!("`{spelt}` has a dot"))
            .with_help("write the column's name alone; fields of structs cannot be read"),
    };
    Err(problem.at(at))
}
