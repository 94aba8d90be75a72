//! `grpc.reflection`: the protocol's messages, for clients such as `grpcurl`.
//!
//! It tells what `Flight.proto` and `FlightSql.proto` say, to whoever asks, and nothing
//! of the mesh.

use tonic_reflection::server::{Builder, v1, v1alpha};

use crate::error::{Error, Result};

/// `protoc --include_imports --descriptor_set_out` of tests/conformance/proto.
const FLIGHT_SQL: &[u8] = include_bytes!("reflection/flight_sql.bin");

fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(FLIGHT_SQL)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

fn unreadable(error: impl std::error::Error) -> Error {
    Error::Transport(error.to_string())
}

/// # Errors
/// When the descriptors cannot be read.
pub(crate) fn newest() -> Result<v1::ServerReflectionServer<impl v1::ServerReflection>> {
    builder().build_v1().map_err(unreadable)
}

/// As most tools still ask.
///
/// # Errors
/// When the descriptors cannot be read.
pub(crate) fn usual() -> Result<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>> {
    builder().build_v1alpha().map_err(unreadable)
}
