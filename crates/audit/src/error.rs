//! What can go wrong with a trail.

use std::path::Path;

/// Why a trail cannot be opened or read: for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Place(String),
    #[error("cannot read the audit trail: {0}")]
    Read(String),
}

/// What opening and reading return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn folder(what: &str, path: &Path, cause: &std::io::Error) -> Self {
        Self::Place(format!(
            "cannot {what} the folder `{}` of the audit trail: {cause}; give the server the right to write there, or \
             change `audit` in mesh.yaml",
            path.display()
        ))
    }

    pub(crate) fn read(cause: impl std::fmt::Display) -> Self {
        Self::Read(cause.to_string())
    }
}

/// The trail cannot be written. The text may be read by clients: it has no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the audit trail cannot be written: {reason}; weft answers nothing that it cannot record, so try again when the \
     server's operator has put that right"
)]
pub struct Unwritable {
    pub(crate) reason: String,
}

impl Unwritable {
    pub(crate) fn of(error: &std::io::Error) -> Self {
        // The kind in words: the error itself may name a file.
        Self {
            reason: error.kind().to_string(),
        }
    }

    pub(crate) fn closed() -> Self {
        Self {
            reason: "it is closed".to_owned(),
        }
    }
}
