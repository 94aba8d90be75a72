//! What can end a command, and the exit code that scripts see.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use tonic::{Code, Status};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// No server answers at this address.
    #[error("cannot connect to `{url}`: {cause}")]
    Connect { url: String, cause: String },
    /// The server answered, and the answer is no.
    #[error("{}", describe(.0))]
    Refused(Box<Status>),
    /// A mesh, a server or a file of ours does not work.
    #[error("{0}")]
    Failed(String),
    /// Whoever read standard output has gone; nothing to say, and nobody to say it to.
    #[error("standard output is closed")]
    OutputClosed,
}

impl Error {
    pub(crate) fn io(what: &str, cause: &io::Error) -> Self {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Failed(format!("cannot {what}: {cause}"))
        }
    }

    pub(crate) fn file(verb: &str, path: &Path, cause: &io::Error) -> Self {
        Self::Failed(format!("cannot {verb} `{}`: {cause}", path.display()))
    }

    /// The codes that `weft query --help` documents.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Connect { .. } => 3,
            Self::Refused(status) => refusal_code(status.code()),
        })
    }
}

fn refusal_code(code: Code) -> u8 {
    match code {
        Code::Unavailable => 3,
        Code::Unauthenticated => 4,
        Code::NotFound | Code::PermissionDenied => 5,
        Code::Cancelled | Code::DeadlineExceeded | Code::ResourceExhausted => 6,
        Code::Internal | Code::DataLoss | Code::Unknown => 7,
        Code::Ok
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented => 1,
    }
}

fn describe(status: &Status) -> String {
    let kind = match status.code() {
        Code::Unauthenticated => "not authenticated",
        Code::PermissionDenied => "denied",
        Code::NotFound => "not found",
        Code::InvalidArgument => "invalid query",
        Code::Unavailable => "unavailable",
        Code::ResourceExhausted => "too large",
        Code::Cancelled => "cancelled",
        Code::DeadlineExceeded => "took too long",
        Code::FailedPrecondition => "out of date",
        Code::Unimplemented => "not supported",
        Code::Internal => "internal error",
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => "error",
    };
    match status.message() {
        "" => kind.to_owned(),
        message => format!("{kind}: {message}"),
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<FlightError> for Error {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => Self::Refused(status),
            FlightError::Arrow(_)
            | FlightError::NotYetImplemented(_)
            | FlightError::ProtocolError(_)
            | FlightError::DecodeError(_)
            | FlightError::ExternalError(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_kind_it_is() {
        let error = Error::from(Status::not_found("table `sales.oders` does not exist"));
        assert_eq!(
            error.to_string(),
            "not found: table `sales.oders` does not exist"
        );
        assert_eq!(
            Error::from(Status::unauthenticated("")).to_string(),
            "not authenticated"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = Error::io("write", &io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(error, Error::OutputClosed));
    }
}
