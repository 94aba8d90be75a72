//! Ends a running query from elsewhere, and says why.

use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// Clones are one interrupt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    cancelled: CancellationToken,
    revoked: CancellationToken,
}

impl Interrupt {
    /// The query is no longer wanted.
    pub(crate) fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// The query is no longer allowed.
    pub(crate) fn revoke(&self) {
        self.revoked.cancel();
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.is_cancelled()
    }

    /// Comes when the query is no longer allowed.
    pub(crate) async fn revoked(&self) -> Error {
        self.revoked.cancelled().await;
        Error::revoked()
    }

    /// Comes when the query has to end, and says why.
    pub(crate) async fn interrupted(&self) -> Error {
        tokio::select! {
            biased;
            reason = self.revoked() => reason,
            () = self.cancelled.cancelled() => Error::Cancelled,
        }
    }
}
