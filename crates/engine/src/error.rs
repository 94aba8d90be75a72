//! What went wrong, in the words that a client may read.
//!
//! Everything unexpected becomes a reference to the log: paths, policy and
//! other tenants' operators stand there alone.

mod classify;

use std::{fmt, time::Duration};

use uuid::Uuid;

pub(crate) use classify::{classify, with_references};

/// Why a statement was not planned or did not finish. Texts stay under 2 KB,
/// because they travel in headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The statement or a parameter is wrong, or fails on the data it reads.
    #[error("{message}{}", At(*.position))]
    InvalidArgument {
        message: String,
        /// Line and column in the statement, from 1.
        position: Option<(u64, u64)>,
    },
    /// A catalog, schema or table does not exist or is not granted: one text for both.
    #[error("{0}")]
    NotFound(String),
    /// A statement that nobody may send.
    #[error("{0}")]
    PermissionDenied(String),
    #[error("weft is read-only")]
    ReadOnly,
    /// A source is not in the state that the statement was planned for.
    #[error("{0}")]
    FailedPrecondition(String),
    /// Memory, or a limit on size.
    #[error("{0}")]
    ResourceExhausted(String),
    /// A source is out of reach, or the engine is busy. Trying again may help.
    #[error("{0}")]
    Unavailable(String),
    #[error("the query was cancelled")]
    Cancelled,
    #[error("the statement was stopped after {}", Seconds(*.0))]
    DeadlineExceeded(Duration),
    #[error("{0}")]
    Unimplemented(String),
    /// A fault of ours; the log says more under this reference.
    #[error("internal error, ref {reference}")]
    Internal { reference: Uuid },
}

/// What planning and running return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Room for a query id under the 2 KB that a header holds.
const LONGEST: usize = 1800;

impl Error {
    /// A mistake in a statement or a parameter, at no known place.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidArgument {
            message: shortened(message.into()),
            position: None,
        }
    }

    pub(crate) fn invalid_at(message: impl Into<String>, position: Option<(u64, u64)>) -> Self {
        Self::InvalidArgument {
            message: shortened(message.into()),
            position,
        }
    }

    /// Whether a query ended because access to what it read has changed.
    pub fn is_revoked(&self) -> bool {
        *self == Self::revoked()
    }

    /// What a query read is no longer granted as it was.
    pub(crate) fn revoked() -> Self {
        Self::PermissionDenied("access was revoked while the query ran".to_owned())
    }

    /// One text for what is hidden and what does not exist.
    pub(crate) fn not_found(kind: &str, name: &str) -> Self {
        Self::NotFound(shortened(format!(
            "{kind} `{name}` does not exist or is not granted to you"
        )))
    }

    /// For a table that the principal may know of, and not read.
    pub(crate) fn not_granted(table: &str, whom: &str) -> Self {
        Self::PermissionDenied(shortened(format!(
            "table `{table}` can be found, and is not granted to you; ask {whom} for access"
        )))
    }

    pub(crate) fn unimplemented(message: impl Into<String>) -> Self {
        Self::Unimplemented(shortened(message.into()))
    }

    /// Logs `detail` under a new reference.
    pub(crate) fn internal(detail: &dyn fmt::Display) -> Self {
        let reference = Uuid::new_v4();
        tracing::error!(%reference, %detail, "internal error");
        Self::Internal { reference }
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST {
        let end = message.floor_char_boundary(LONGEST);
        message.truncate(end);
        message.push('…');
    }
    message
}

struct At(Option<(u64, u64)>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}
