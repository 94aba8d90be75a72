//! Protobuf messages of Flight and Flight SQL that `arrow-flight` does not
//! generate: session options, the result of preparing with `is_update`, and the
//! two `google.rpc` messages behind retry hints.
//!
//! Field numbers are those of `Flight.proto`, `FlightSql.proto` and
//! `google/rpc/error_details.proto`.

use std::collections::BTreeMap;

use arrow_flight::sql::Any;
use bytes::Bytes;
use prost::Message;

/// One session option; no value set erases the option.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(crate) option_value: Option<OptionValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum OptionValue {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Int64(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    StringList(StringListValue),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringListValue {
    #[prost(string, repeated, tag = "1")]
    pub(crate) values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) session_options: BTreeMap<String, SessionOptionValue>,
}

/// Why one option was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum OptionErrorValue {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptionError {
    #[prost(enumeration = "OptionErrorValue", tag = "1")]
    pub(crate) value: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsResult {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) errors: BTreeMap<String, OptionError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) session_options: BTreeMap<String, SessionOptionValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum CloseStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CloseSessionResult {
    #[prost(enumeration = "CloseStatus", tag = "1")]
    pub(crate) status: i32,
}

/// `ActionCreatePreparedStatementResult` with the field that tells ADBC whether
/// the statement changes data.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreatePreparedStatementResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) prepared_statement_handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) parameter_schema: Bytes,
    #[prost(bool, optional, tag = "4")]
    pub(crate) is_update: Option<bool>,
}

impl CreatePreparedStatementResult {
    pub(crate) fn to_any(&self) -> Any {
        Any {
            type_url:
                "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult"
                    .to_owned(),
            value: self.encode_to_vec().into(),
        }
    }
}

/// `google.rpc.Status`, what travels in `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<DurationMessage>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldViolation {
    /// The field of the request that is at fault.
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DurationMessage {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `protoc` gives for
    /// `session_options { key: "a" value { int64_value: 1 } }`.
    #[test]
    fn session_options_use_the_numbers_of_flight_proto() {
        let request = SetSessionOptionsRequest {
            session_options: BTreeMap::from([(
                "a".to_owned(),
                SessionOptionValue {
                    option_value: Some(OptionValue::Int64(1)),
                },
            )]),
        };
        let bytes = request.encode_to_vec();
        let expected = [
            0x0a, 0x0e, // field 1, entry of 14 bytes
            0x0a, 0x01, b'a', // key
            0x12, 0x09, 0x19, 1, 0, 0, 0, 0, 0, 0, 0, // value, field 3 as sfixed64
        ];
        assert_eq!(bytes, expected);
        assert_eq!(
            SetSessionOptionsRequest::decode(bytes.as_slice()).unwrap(),
            request
        );
    }

    #[test]
    fn an_option_without_a_value_erases() {
        let value = SessionOptionValue { option_value: None };
        assert!(value.encode_to_vec().is_empty());
    }
}
