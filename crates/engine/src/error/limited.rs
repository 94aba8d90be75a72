//! What those read who reach a limit of the mesh: its name, its number, and
//! what to do.

use std::{fmt, time::Duration};

use weft_mesh::ByteSize;
use weft_policy::Limit;

use super::{Error, shortened};

/// Before the text of a memory limit, inside of texts of the query engine.
const OVER_MEMORY: &str = "over a limit of the mesh: ";

impl Error {
    pub(crate) fn over_rows(limit: &Limit<u64>) -> Self {
        let (named, most) = (named(limit, "rows"), limit.most);
        Self::ResourceExhausted(shortened(format!(
            "{named}: the statement returns more; filter or aggregate, or write `LIMIT {most}`"
        )))
    }

    pub(crate) fn over_bytes(limit: &Limit<ByteSize>) -> Self {
        let named = named(limit, "bytes");
        Self::ResourceExhausted(shortened(format!(
            "{named}: the statement returns more; select fewer columns or rows"
        )))
    }

    /// Too long a wait for a turn, because the principal has as many as it may have.
    pub(crate) fn over_concurrency(limit: &Limit<usize>, waited: Duration) -> Self {
        let (named, waited) = (named(limit, "concurrency"), waited.as_secs());
        Self::Unavailable(shortened(format!(
            "{named}: so many of your statements run, and this one waited {waited} s for one of them to end; try again"
        )))
    }

    /// No place to wait for a turn, because the principal has as many as it may have.
    pub(crate) fn no_place_to_wait(limit: &Limit<usize>, waiting: usize) -> Self {
        let named = named(limit, "concurrency");
        Self::Unavailable(shortened(format!(
            "{named}: so many of your statements run, and {waiting} wait; try again when one of yours has ended"
        )))
    }
}

/// What an operator is told that wants too much.
pub(crate) fn over_memory(limit: &Limit<ByteSize>) -> String {
    format!(
        "{OVER_MEMORY}{}: the query needs more; select less, or join and group less at a time",
        named(limit, "memory")
    )
}

/// The text of a memory limit, out of one that the query engine made of it.
pub(super) fn memory_limit(text: &str) -> Option<&str> {
    text.split_once(OVER_MEMORY).map(|(_, named)| named)
}

pub(super) fn out_of_time(name: &str, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "limit `{name}` (time {seconds}s): the statement was stopped after {seconds} s; ask for less at a time"
    )
}

fn named<T: fmt::Display>(limit: &Limit<T>, kind: &str) -> String {
    format!("limit `{}` ({kind} {})", limit.name, limit.most)
}
