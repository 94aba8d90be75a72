//! What a statement does, as spans: for a collector of traces below the span of its call, and
//! for the log, whose lines have the query id of the statement that they are of.

use tracing::{Instrument, Span, field::Empty, instrument::Instrumented};
use uuid::Uuid;
use weft_catalog::TRACES;

/// What is logged within it has the query id.
pub(crate) fn of_log(query_id: Uuid) -> Span {
    tracing::info_span!("statement", %query_id)
}

/// Planning, within the call of `statement`.
pub(crate) fn planning<F: Future>(statement: &Span, query_id: Uuid, work: F) -> Instrumented<F> {
    let span = below(statement, || {
        tracing::info_span!(
            target: TRACES,
            parent: statement,
            "plan",
            "weft.query_id" = %query_id,
        )
    });
    work.instrument(span)
}

/// Waiting for a turn, within the call of `statement`.
pub(crate) fn queue(statement: &Span) -> Span {
    below(
        statement,
        || tracing::info_span!(target: TRACES, parent: statement, "queue"),
    )
}

/// Running, within the call of `statement`, until it is dropped.
pub(crate) fn execution(statement: &Span, query_id: Uuid) -> Span {
    below(statement, || {
        tracing::info_span!(
            target: TRACES,
            parent: statement,
            "execute",
            "weft.query_id" = %query_id,
            "weft.rows" = Empty,
            "otel.status_code" = Empty,
        )
    })
}

/// A span below one that is collected; where that is not, nothing below it is.
fn below(statement: &Span, span: impl FnOnce() -> Span) -> Span {
    if statement.is_disabled() {
        Span::none()
    } else {
        span()
    }
}
