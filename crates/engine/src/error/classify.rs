//! Which [`Error`] an error of the query engine is.
//!
//! The layers around a cause (contexts, diagnostics, shared and external
//! errors) are taken off one by one, exhaustively: what is not known to speak
//! about the statement or the data it may read is internal.

use std::error::Error as StdError;

use datafusion::{
    arrow::error::ArrowError,
    common::{Column, ResolvedTableReference, SchemaError, TableReference},
    error::DataFusionError,
    sql::sqlparser::parser::ParserError,
};
use weft_catalog::{SourceError, SourceErrorKind};

use super::{Error, limited::memory_limit, shortened};
use crate::runtime::panicked;

/// How many columns an error lists.
const LISTED: usize = 20;

/// What a client may read of `error`.
pub(crate) fn classify(error: DataFusionError) -> Error {
    if let Some(source) = SourceError::find(&error) {
        return unavailable(source);
    }
    peel(error, None)
}

/// As [`classify`], with the names that `references` has in the statement for
/// a table that cannot be found. Where `whom_to_ask` knows of it, it may be
/// known that it exists.
pub(crate) fn with_references(
    error: DataFusionError,
    references: &[TableReference],
    (catalog, schema): (&str, &str),
    whom_to_ask: impl Fn(&ResolvedTableReference) -> Option<String>,
) -> Error {
    let text = error.find_root().strip_backtrace();
    let missing = references.iter().find(|reference| {
        let resolved = (*reference).clone().resolve(catalog, schema);
        text.ends_with(&format!("table '{resolved}' not found"))
    });
    match missing {
        Some(reference) => {
            let resolved = reference.clone().resolve(catalog, schema);
            match whom_to_ask(&resolved) {
                Some(whom) => Error::not_granted(&reference.to_string(), &whom),
                None => Error::not_found("table", &reference.to_string()),
            }
        }
        None => classify(error),
    }
}

fn unavailable(source: &SourceError) -> Error {
    let text = shortened(source.to_string());
    match source.kind() {
        SourceErrorKind::Unavailable => Error::Unavailable(text),
        SourceErrorKind::Changed | SourceErrorKind::Schema => Error::FailedPrecondition(text),
        SourceErrorKind::Invalid => Error::Internal {
            reference: source.reference(),
        },
    }
}

fn peel(error: DataFusionError, position: Option<(u64, u64)>) -> Error {
    match error {
        DataFusionError::Context(_, inner) => peel(*inner, position),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let start = diagnostic
                .span
                .map(|span| (span.start.line, span.start.column));
            peel(*inner, position.or(start))
        }
        DataFusionError::Shared(inner) => peel_shared(&inner, position),
        DataFusionError::Collection(all) => match all.into_iter().next() {
            Some(first) => peel(first, position),
            None => Error::internal(&"an empty collection of errors"),
        },
        DataFusionError::External(inner) => external(inner, position),
        DataFusionError::ArrowError(inner, _) => arrow(*inner, position),
        DataFusionError::SQL(inner, _) => parser(*inner),
        DataFusionError::SchemaError(inner, _) => Error::invalid_at(column(&inner), position),
        DataFusionError::Plan(text) => plan(text, position),
        // Outside a seal there is only data that the principal may read.
        DataFusionError::Execution(text) => Error::invalid_at(text, position),
        DataFusionError::NotImplemented(text) => unimplemented(&text),
        DataFusionError::ResourcesExhausted(text) => exhausted(&text),
        DataFusionError::ExecutionJoin(join) => match (*join).try_into_panic() {
            Ok(panic) => panicked(panic.as_ref()),
            Err(_) => Error::Cancelled,
        },
        other @ (DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::Internal(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_)) => Error::internal(&other),
    }
}

/// A shared error cannot be taken apart by value: what matters is copied.
fn peel_shared(error: &DataFusionError, position: Option<(u64, u64)>) -> Error {
    match error {
        DataFusionError::Context(_, inner) => peel_shared(inner, position),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let start = diagnostic
                .span
                .map(|span| (span.start.line, span.start.column));
            peel_shared(inner, position.or(start))
        }
        DataFusionError::Shared(inner) => peel_shared(inner, position),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => peel_shared(first, position),
            None => Error::internal(&"an empty collection of errors"),
        },
        DataFusionError::External(inner) => external_shared(inner.as_ref(), position),
        DataFusionError::ArrowError(inner, _) => arrow_shared(inner, position),
        DataFusionError::SQL(inner, _) => parser((**inner).clone()),
        DataFusionError::SchemaError(inner, _) => Error::invalid_at(column(inner), position),
        DataFusionError::Plan(text) => plan(text.clone(), position),
        DataFusionError::Execution(text) => Error::invalid_at(text.clone(), position),
        DataFusionError::NotImplemented(text) => unimplemented(text),
        DataFusionError::ResourcesExhausted(text) => exhausted(text),
        DataFusionError::ExecutionJoin(join) if join.is_cancelled() => Error::Cancelled,
        other @ (DataFusionError::ExecutionJoin(_)
        | DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::Internal(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_)) => Error::internal(other),
    }
}

fn external(error: Box<dyn StdError + Send + Sync>, position: Option<(u64, u64)>) -> Error {
    let error = match error.downcast::<DataFusionError>() {
        Ok(inner) => return peel(*inner, position),
        Err(error) => error,
    };
    match error.downcast::<ArrowError>() {
        Ok(inner) => arrow(*inner, position),
        Err(error) => external_shared(error.as_ref(), position),
    }
}

fn external_shared(
    error: &(dyn StdError + Send + Sync + 'static),
    position: Option<(u64, u64)>,
) -> Error {
    if let Some(own) = error.downcast_ref::<Error>() {
        own.clone()
    } else if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        peel_shared(inner, position)
    } else if let Some(inner) = error.downcast_ref::<ArrowError>() {
        arrow_shared(inner, position)
    } else if let Some(source) = error.downcast_ref::<SourceError>() {
        unavailable(source)
    } else if let Some(text) = regular_expression(&error.to_string()) {
        Error::invalid_at(text, position)
    } else {
        Error::internal(error)
    }
}

fn arrow(error: ArrowError, position: Option<(u64, u64)>) -> Error {
    if let ArrowError::ExternalError(inner) = error {
        external(inner, position)
    } else {
        arrow_shared(&error, position)
    }
}

fn arrow_shared(error: &ArrowError, position: Option<(u64, u64)>) -> Error {
    match error {
        ArrowError::ExternalError(inner) => external_shared(inner.as_ref(), position),
        ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::InvalidArgumentError(_) => Error::invalid_at(error.to_string(), position),
        ArrowError::NotYetImplemented(text) => Error::unimplemented(text.clone()),
        ArrowError::MemoryError(_) => exhausted(""),
        ArrowError::OffsetOverflowError(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError => {
            Error::ResourceExhausted("a batch of the result is too big".to_owned())
        }
        ArrowError::SchemaError(_)
        | ArrowError::CsvError(_)
        | ArrowError::JsonError(_)
        | ArrowError::AvroError(_)
        | ArrowError::IoError(_, _)
        | ArrowError::IpcError(_)
        | ArrowError::ParquetError(_)
        | ArrowError::CDataInterface(_) => Error::internal(error),
    }
}

/// The planner's parser of regular expressions and the one that runs them have
/// errors of two crates and one text: an arrow under the place, then the cause.
fn regular_expression(text: &str) -> Option<String> {
    let drawn = text.strip_prefix("regex parse error:")?;
    let cause = drawn.lines().last()?;
    let cause = cause.strip_prefix("error: ").unwrap_or(cause);
    Some(format!("the regular expression is not valid: {cause}"))
}

/// The engine's text for a subquery that it cannot unnest prints the plan.
fn unimplemented(text: &str) -> Error {
    if text.starts_with("Physical plan does not support logical expression") {
        return Error::unimplemented("this kind of subquery is not supported");
    }
    Error::unimplemented(text)
}

/// The engine's text lists the operators of every query.
fn exhausted(text: &str) -> Error {
    if let Some(limit) = memory_limit(text) {
        return Error::ResourceExhausted(shortened(limit.to_owned()));
    }
    tracing::warn!(text, "no memory left");
    Error::ResourceExhausted(
        "the query needs more memory than it may have; select less, or try again later".to_owned(),
    )
}

fn parser(error: ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return Error::invalid("the statement is nested too deeply");
        }
    };
    let (message, position) = located(&text);
    Error::invalid_at(message, position)
}

/// Splits `… at Line: 1, Column: 8` as the parser writes it.
fn located(text: &str) -> (&str, Option<(u64, u64)>) {
    let split = || {
        let (message, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((
            message,
            (line.trim().parse().ok()?, column.trim().parse().ok()?),
        ))
    };
    match split() {
        Some((message, position)) => (message, Some(position)),
        None => (text, None),
    }
}

fn plan(text: String, position: Option<(u64, u64)>) -> Error {
    let missing = text
        .strip_prefix("table '")
        .and_then(|rest| rest.strip_suffix("' not found"));
    match missing {
        Some(name) => Error::not_found("table", name),
        None => Error::invalid_at(text, position),
    }
}

/// Names only what the schemas at hand hold: authorised columns.
fn column(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = error
    else {
        return error.to_string();
    };
    let mut text = format!("column `{}` does not exist", field.flat_name());
    let name = field.name.to_lowercase();
    if let Some(other) = valid_fields
        .iter()
        .find(|other| other.name.to_lowercase() == name)
    {
        text.push_str(&format!(
            "; `{}` does: quote names that are not all lower case",
            other.flat_name()
        ));
        return text;
    }
    let mut names: Vec<_> = valid_fields.iter().map(Column::flat_name).collect();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    if !names.is_empty() {
        text.push_str(&format!("; there are {}", names.join(", ")));
    }
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::common::{Diagnostic, Span};
    use weft_mesh::ByteSize;
    use weft_policy::Limit;

    use super::*;
    use crate::error::over_memory;

    fn wrapped(error: DataFusionError) -> DataFusionError {
        let arrow = ArrowError::ExternalError(Box::new(error.context("somewhere")));
        let shared =
            DataFusionError::Shared(Arc::new(DataFusionError::ArrowError(Box::new(arrow), None)));
        DataFusionError::External(Box::new(shared))
    }

    #[test]
    fn a_cause_is_found_under_every_layer() {
        let error = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert_eq!(
            classify(wrapped(error)),
            Error::invalid("Divide by zero error")
        );
        let own = DataFusionError::External(Box::new(Error::ReadOnly));
        assert_eq!(classify(wrapped(own)), Error::ReadOnly);
        let one = DataFusionError::Collection(vec![DataFusionError::NotImplemented("x".into())]);
        assert_eq!(classify(wrapped(one)), Error::Unimplemented("x".into()));
    }

    #[test]
    fn memory_errors_do_not_list_the_operators_of_others() {
        let text = "Failed to allocate with top memory consumers (across reservations) as: HashJoinInput[7]";
        let error = classify(wrapped(DataFusionError::ResourcesExhausted(text.into())));
        assert!(
            matches!(&error, Error::ResourceExhausted(text) if !text.contains("HashJoin")),
            "{error}"
        );
    }

    #[test]
    fn a_memory_limit_is_named_whatever_is_around_it() {
        let limit = Limit {
            name: "interns".into(),
            most: ByteSize::parse("64MiB").unwrap(),
        };
        let text = over_memory(&limit);
        let around = format!("failed to spill: Resources exhausted: {text}");
        for text in [text, around] {
            let error = classify(wrapped(DataFusionError::ResourcesExhausted(text)));
            assert_eq!(
                error,
                Error::ResourceExhausted(
                    "limit `interns` (memory 64MiB): the query needs more; select less, or join and group less at a time"
                        .to_owned()
                )
            );
        }
    }

    #[test]
    fn the_unexpected_is_a_reference() {
        for error in [
            DataFusionError::Internal("secret".into()),
            DataFusionError::IoError(std::io::Error::other("/secret/path")),
            DataFusionError::Configuration("secret".into()),
            DataFusionError::External("secret".into()),
            DataFusionError::ArrowError(Box::new(ArrowError::ParquetError("secret".into())), None),
        ] {
            let error = classify(wrapped(error));
            assert!(matches!(error, Error::Internal { .. }), "{error}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn positions_come_from_diagnostics_and_from_the_parser() {
        let span = Span::new(
            datafusion::common::Location { line: 3, column: 5 },
            datafusion::common::Location { line: 3, column: 9 },
        );
        let error = DataFusionError::Plan("no".into())
            .with_diagnostic(Diagnostic::new_error("no", Some(span)));
        assert_eq!(classify(error), Error::invalid_at("no", Some((3, 5))));
        let error = ParserError::ParserError("expected x, found: y at Line: 2, Column: 7".into());
        assert_eq!(
            parser(error),
            Error::invalid_at("expected x, found: y", Some((2, 7)))
        );
        assert_eq!(
            Error::invalid_at("expected x", Some((2, 7))).to_string(),
            "expected x (line 2, column 7)"
        );
    }

    #[test]
    fn columns_are_listed_and_texts_stay_short() {
        let valid_fields = (0..5000)
            .map(|n| Column::from_name(format!("column_with_a_long_name_{n}")))
            .collect();
        let field = Box::new(Column::from_name("nope"));
        let error = DataFusionError::SchemaError(
            Box::new(SchemaError::FieldNotFound {
                field,
                valid_fields,
            }),
            Box::new(None),
        );
        let text = classify(error).to_string();
        assert!(
            text.starts_with("column `nope` does not exist; there are column_with"),
            "{text}"
        );
        assert!(text.ends_with("and 4980 more"), "{text}");
        assert!(Error::invalid("x".repeat(10_000)).to_string().len() < 2000);
    }

    #[test]
    fn a_missing_table_is_named_as_the_statement_names_it() {
        let references = [TableReference::partial("sales", "nope")];
        let error = DataFusionError::Plan("table 'mesh.sales.nope' not found".into());
        assert_eq!(
            with_references(error, &references, ("mesh", "crm"), |_| None).to_string(),
            "table `sales.nope` does not exist or is not granted to you"
        );
        let error = DataFusionError::Plan("table 'mesh.sales.nope' not found".into());
        let asked = |table: &ResolvedTableReference| {
            (table.to_string() == "mesh.sales.nope").then(|| "otto".to_owned())
        };
        assert_eq!(
            with_references(error, &references, ("mesh", "crm"), asked).to_string(),
            "table `sales.nope` can be found, and is not granted to you; ask otto for access"
        );
    }
}
