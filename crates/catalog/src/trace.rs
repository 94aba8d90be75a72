//! Spans for a collector of traces. They hold ids, names of tables, counts and outcomes: never
//! the text of a statement, a value or a predicate.

use tracing::Span;

/// The target of every span that is exported, and of nothing else: it is no part of the log.
pub const TRACES: &str = "weft::traces";

/// The span of the call that plans or runs a statement. It travels as an extension of the
/// session's configuration, to be the parent of what happens below.
#[derive(Clone, Debug)]
pub struct StatementSpan(pub Span);

/// A count as a number of a span: unsigned ones would be sent as texts.
pub fn counted(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
