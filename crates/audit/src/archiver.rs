//! The thread that makes finished files of closed journals, and deletes what is too old.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Runtime;

use crate::archive::{Archive, is_over};
use crate::journal::{self, Part, Spool};
use crate::record::Outcome;
use crate::shared::{Journal, Shared};

/// Records in one row group's batch.
const SOME: usize = 4096;
/// After a file could not be made.
const AGAIN: Duration = Duration::from_secs(15);
const RETENTION_EVERY: Duration = Duration::from_secs(15 * 60);

pub(crate) struct Archiver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) archive: Archive,
    pub(crate) spool: Spool,
    pub(crate) retention: Option<Duration>,
    pub(crate) runtime: Runtime,
}

impl Archiver {
    /// Archives until nobody is left to send journals; then once more what is left.
    pub(crate) fn run(self, closed: &Receiver<Arc<Journal>>) {
        let mut waiting: Vec<Arc<Journal>> = Vec::new();
        let mut said = false;
        let mut cleaned: Option<Instant> = None;
        loop {
            let patience = if waiting.is_empty() {
                RETENTION_EVERY
            } else {
                AGAIN
            };
            let ended = match closed.recv_timeout(patience) {
                Ok(journal) => {
                    waiting.push(journal);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            waiting.extend(closed.try_iter());
            waiting.retain(|journal| match self.archive_or_say_why(journal) {
                Ok(()) => {
                    said = false;
                    false
                }
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::error!(
                            %error,
                            "an audit journal cannot be archived: it stays in the spool, and is tried again"
                        );
                    }
                    true
                }
            });
            if ended {
                return;
            }
            if cleaned.is_none_or(|last| last.elapsed() >= RETENTION_EVERY) {
                cleaned = Some(Instant::now());
                if let Err(error) = self.clean() {
                    tracing::warn!(%error, "old files of the audit trail cannot be deleted");
                }
            }
        }
    }

    /// A panic over one journal must not keep the others.
    fn archive_or_say_why(&self, journal: &Journal) -> io::Result<()> {
        catch_unwind(AssertUnwindSafe(|| self.archive(journal)))
            .unwrap_or_else(|_| Err(io::Error::other("archiving panicked")))
    }

    fn archive(&self, journal: &Journal) -> io::Result<()> {
        let path = self.spool.path(&journal.name);
        let length = journal.length.load(Ordering::Acquire);
        let mut part = Part::open(&path, Some(length))?;
        let damaged = journal::contents(&mut part)?.damaged;
        let elsewhere = journal.elsewhere().unwrap_or_default();
        let made = self.archive.put(&journal.name, |draft| {
            journal::records(
                &mut part,
                &elsewhere,
                Outcome::Interrupted,
                SOME,
                |records| draft.add(&records),
            )
        });
        self.runtime.block_on(made)?;
        if damaged > 0 {
            let kept = path.with_extension("damaged");
            tracing::error!(
                damaged,
                journal = %kept.display(),
                "lines of an audit journal have wrong checksums: the others are archived, and the journal is kept"
            );
            fs::rename(&path, kept)?;
        } else {
            fs::remove_file(&path)?;
        }
        self.shared.remove(&journal.name);
        Ok(())
    }

    fn clean(&self) -> io::Result<()> {
        let Some(retention) = self.retention else {
            return Ok(());
        };
        let now = SystemTime::now();
        self.runtime.block_on(async {
            for finished in self.archive.list().await? {
                if is_over(&finished, retention, now) {
                    self.archive.delete(&finished.name).await?;
                    tracing::info!(
                        file = finished.name.archive(),
                        "deleted from the audit trail by its retention"
                    );
                }
            }
            Ok(())
        })
    }
}
