//! What went wrong, in the words that a client may read.
//!
//! Everything unexpected becomes a reference to the log: paths, policy and
//! other tenants' operators stand there alone.

mod classify;
mod limited;

use std::{fmt, sync::Arc, time::Duration};

use uuid::Uuid;

pub(crate) use classify::{classify, with_references};
pub(crate) use limited::over_memory;

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
    #[error("{0}")]
    DeadlineExceeded(Timeout),
    #[error("{0}")]
    Unimplemented(String),
    /// A fault of ours; the log says more under this reference.
    #[error("internal error, ref {reference}")]
    Internal { reference: Uuid },
}

/// How long a statement could take, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeout {
    pub after: Duration,
    /// The limit of the mesh that is shorter than the engine's own and the session's.
    pub limit: Option<Arc<str>>,
}

impl From<Duration> for Timeout {
    fn from(after: Duration) -> Self {
        Self { after, limit: None }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.limit {
            Some(name) => f.write_str(&limited::out_of_time(name, self.after)),
            None => {
                let seconds = self.after.as_secs_f64();
                write!(f, "the statement was stopped after {seconds} s")
            }
        }
    }
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
