//! Why a text is not the value that it should be.

use std::path::PathBuf;

/// Why a text could not become a value of the mesh. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that SQL or the mesh could not use.
    #[error("`{name}` is not a {what} name: {reason}")]
    Name {
        what: &'static str,
        name: String,
        reason: String,
    },
    /// A grantee that is neither `everyone` nor `user:`, `group:` or `service:` with a name.
    #[error("`{0}` is not a grantee")]
    Grantee(String),
    /// A text that names no tables.
    #[error("`{0}` names no tables of a domain")]
    TablePattern(String),
    /// A location that could lead out of its storage, or is no glob.
    #[error("location `{location}` {reason}")]
    Location { location: String, reason: String },
    /// A text that is no number of bytes with its unit.
    #[error("`{0}` is not a size such as `512KiB`, `64MiB` or `1GiB`")]
    ByteSize(String),
    /// A secret written out, or a reference that is not one. The text is left out on purpose.
    #[error("a secret is given by reference, `env:NAME` or `file:PATH`")]
    LiteralSecret,
    /// An environment variable that a reference names is not set, or is not UTF-8.
    #[error("environment variable `{0}` is not set or not UTF-8")]
    MissingVariable(String),
    /// A file that a reference names could not be read.
    #[error("secret file `{path}` could not be read: {reason}")]
    UnreadableFile { path: PathBuf, reason: String },
    /// A secret that is there, and empty.
    #[error("the secret at `{0}` is empty")]
    EmptySecret(String),
}

/// The result of turning text into a value of the mesh.
pub type Result<T, E = Error> = std::result::Result<T, E>;
