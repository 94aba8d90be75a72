//! Errors as gRPC statuses: the one place that maps a cause to a code.
//!
//! Messages travel in headers: they stay under 2 KB as encoded there, and end
//! with the query id where there is one, so that a user can quote it.

use arrow::error::ArrowError;
use arrow_flight::sql::Any;
use prost::Message;
use tonic::{Code, Status};
use tracing::error;
use uuid::Uuid;
use weft_engine::Error;

use crate::messages::{BadRequest, DurationMessage, FieldViolation, RetryInfo, RpcStatus};

/// Room for the query id is kept below 2 KB.
const LIMIT_BYTES: usize = 1_900;
/// When a client may try again.
const RETRY_SECONDS: i64 = 1;

/// The status of an error of the engine, about `query_id` if it has one yet.
pub(crate) fn of_engine(error: &Error, query_id: Option<Uuid>) -> Status {
    let code = match error {
        Error::InvalidArgument { .. } => Code::InvalidArgument,
        Error::NotFound(_) => Code::NotFound,
        Error::PermissionDenied(_) | Error::ReadOnly => Code::PermissionDenied,
        Error::FailedPrecondition(_) => Code::FailedPrecondition,
        Error::ResourceExhausted(_) => Code::ResourceExhausted,
        Error::Unavailable(_) => Code::Unavailable,
        Error::Cancelled => Code::Cancelled,
        Error::DeadlineExceeded(_) => Code::DeadlineExceeded,
        Error::Unimplemented(_) => Code::Unimplemented,
        Error::Internal { .. } => Code::Internal,
    };
    let text = shorten(&error.to_string());
    let message = match query_id {
        Some(query_id) => format!("{text} (query {query_id})"),
        None => text,
    };
    if let Error::InvalidArgument {
        position: Some((line, column)),
        ..
    } = error
    {
        misplaced(&message, *line, *column)
    } else if code == Code::Unavailable {
        unavailable(&message)
    } else {
        Status::new(code, message)
    }
}

/// A fault of a statement at a place in its text, counted from 1; both clients and
/// people read where.
fn misplaced(message: &str, line: u64, column: u64) -> Status {
    let request = BadRequest {
        field_violations: vec![FieldViolation {
            field: "query".to_owned(),
            description: format!("line {line}, column {column}"),
        }],
    };
    let (name, value) = ("google.rpc.BadRequest", request.encode_to_vec());
    detailed(Code::InvalidArgument, message, name, value)
}

/// A fault of ours: the client reads a reference, the log the cause.
pub(crate) fn internal(cause: &str) -> Status {
    let reference = Uuid::new_v4();
    error!(%reference, cause, "internal error");
    Status::internal(format!("internal error, ref {reference}"))
}

/// A fault of ours with Arrow data.
pub(crate) fn of_arrow(cause: &ArrowError) -> Status {
    internal(&cause.to_string())
}

/// A condition that passes: the client may send the call again.
pub(crate) fn unavailable(message: &str) -> Status {
    let retry = RetryInfo {
        retry_delay: Some(DurationMessage {
            seconds: RETRY_SECONDS,
            nanos: 0,
        }),
    };
    let (name, value) = ("google.rpc.RetryInfo", retry.encode_to_vec());
    detailed(Code::Unavailable, message, name, value)
}

/// A status with one message of details, as `google.rpc.Status` has them.
fn detailed(code: Code, message: &str, name: &str, value: Vec<u8>) -> Status {
    let details = RpcStatus {
        code: code.into(),
        // Go's clients read this one and not the status's own.
        message: message.to_owned(),
        details: vec![Any {
            type_url: format!("type.googleapis.com/{name}"),
            value: value.into(),
        }],
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// Cuts `message` so that it fits into a header once percent-encoded.
pub(crate) fn shorten(message: &str) -> String {
    let mut encoded = 0;
    for (position, character) in message.char_indices() {
        encoded += match character {
            '%' => 3,
            ' '..='~' => 1,
            other => 3 * other.len_utf8(),
        };
        if encoded > LIMIT_BYTES {
            let kept = message.get(..position).unwrap_or_default();
            return format!("{kept}...");
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let text = || "no".to_owned();
        let id = Uuid::from_u128(7);
        let cases = [
            (
                Error::InvalidArgument {
                    message: text(),
                    position: Some((1, 8)),
                },
                Code::InvalidArgument,
            ),
            (Error::NotFound(text()), Code::NotFound),
            (Error::PermissionDenied(text()), Code::PermissionDenied),
            (Error::ReadOnly, Code::PermissionDenied),
            (Error::FailedPrecondition(text()), Code::FailedPrecondition),
            (Error::ResourceExhausted(text()), Code::ResourceExhausted),
            (Error::Unavailable(text()), Code::Unavailable),
            (Error::Cancelled, Code::Cancelled),
            (
                Error::DeadlineExceeded(Duration::from_secs(1).into()),
                Code::DeadlineExceeded,
            ),
            (Error::Unimplemented(text()), Code::Unimplemented),
            (Error::Internal { reference: id }, Code::Internal),
        ];
        for (error, code) in cases {
            let status = of_engine(&error, Some(id));
            assert_eq!(status.code(), code);
            assert!(
                status.message().ends_with(&format!("(query {id})")),
                "{status:?}"
            );
        }
    }

    #[test]
    fn long_messages_are_cut_by_their_encoded_length() {
        assert_eq!(shorten("short"), "short");
        assert!(shorten(&"x".repeat(10_000)).len() <= LIMIT_BYTES + 3);
        let wide = shorten(&"ü".repeat(10_000));
        assert!(wide.chars().count() * 6 <= LIMIT_BYTES + 30);
    }

    #[test]
    fn a_fault_in_a_statement_says_where() {
        let error = Error::InvalidArgument {
            message: "ü".repeat(5_000),
            position: Some((3, 8)),
        };
        let status = of_engine(&error, Some(Uuid::from_u128(7)));
        let details = RpcStatus::decode(status.details()).unwrap();
        let request = BadRequest::decode(details.details[0].value.clone()).unwrap();
        assert_eq!(request.field_violations[0].description, "line 3, column 8");
        assert_eq!(details.message, status.message());
        assert!(status.details().len() < 2_048, "{}", status.details().len());
    }

    #[test]
    fn unavailable_says_when_to_try_again() {
        let status = unavailable("busy");
        let details = RpcStatus::decode(status.details()).unwrap();
        let retry = RetryInfo::decode(details.details[0].value.clone()).unwrap();
        assert_eq!(retry.retry_delay.unwrap().seconds, RETRY_SECONDS);
    }
}
