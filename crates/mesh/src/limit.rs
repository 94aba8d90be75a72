//! Limits as `mesh.yaml` states them: what statements may take of the server.

use std::time::Duration;

use crate::fault::Spanned;
use crate::grant::Grantee;
use crate::measure::ByteSize;

/// One item of `limits:`. It has at least one limit, and none of them is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitManifest {
    /// Unique in the mesh; whoever reaches the limit reads it.
    pub name: Spanned<String>,
    /// Whom it binds.
    pub whom: Vec<Spanned<Grantee>>,
    /// Statements of one principal that run at a time.
    pub concurrency: Option<usize>,
    /// What the operators of one statement may hold.
    pub memory: Option<ByteSize>,
    /// How long one statement may take, waiting for its turn included.
    pub time: Option<Duration>,
    /// Rows that one statement may return.
    pub rows: Option<u64>,
    /// What the values that one statement returns may weigh.
    pub bytes: Option<ByteSize>,
}
