//! Group commit: one write to disk for all statements that wait for theirs. While one is under
//! way the next group gathers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;
use weft_mesh::WhenUnwritable;

use crate::error::Unwritable;
use crate::journal::JournalFile;
use crate::shared::Shared;

/// Whether a record is kept.
pub(crate) type Written = Result<(), Unwritable>;

/// Lines that were appended to `file`, and who waits for them to be on disk.
pub(crate) struct Commit {
    pub(crate) file: Arc<dyn JournalFile>,
    pub(crate) waiting: Vec<oneshot::Sender<Written>>,
}

/// Commits until nobody is left to ask.
pub(crate) fn run(shared: &Shared, commits: &Receiver<Commit>) {
    while let Ok(first) = commits.recv() {
        let mut group = vec![first];
        group.extend(commits.try_iter());
        while let Some(Commit { file, mut waiting }) = group.pop() {
            group.retain_mut(|other| {
                let is_same = Arc::ptr_eq(&other.file, &file);
                if is_same {
                    waiting.append(&mut other.waiting);
                }
                !is_same
            });
            let written = sync(shared, &*file);
            for waiter in waiting {
                // An error means that the client has gone.
                let _ = waiter.send(written.clone());
            }
        }
    }
}

fn sync(shared: &Shared, file: &dyn JournalFile) -> Written {
    let Err(error) = file.sync() else {
        return Ok(());
    };
    let why = Unwritable::of(&error);
    shared.suspect.store(true, Ordering::Release);
    if shared.fail(why.clone()) {
        tracing::error!(%error, "the audit trail cannot be brought to disk");
    }
    match shared.policy {
        WhenUnwritable::Refuse => Err(why),
        WhenUnwritable::Serve => Ok(()),
    }
}
