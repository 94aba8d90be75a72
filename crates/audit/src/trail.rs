//! The trail of one server.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;
use weft_mesh::{AuditManifest, WhenUnwritable};

use crate::archive::Archive;
use crate::archiver::Archiver;
use crate::commit::{self, Commit, Written};
use crate::error::{Error, Result, Unwritable};
use crate::journal::{Disk, Spool, make_folder};
use crate::line::Mark;
use crate::read::TrailReader;
use crate::record::{AuditRecord, Outcome};
use crate::recover::left_behind;
use crate::shared::{Shared, lock};
use crate::writer::{Message, Settings, Writer};

/// Where statements are recorded.
pub struct Trail {
    run: Uuid,
    numbers: AtomicU64,
    shared: Arc<Shared>,
    messages: Sender<Message>,
    archive: Archive,
    spool: Spool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Trail {
    /// Opens the trail that a mesh names, and sees to the journals that were left behind.
    ///
    /// # Errors
    /// When its places cannot be used.
    pub fn open(manifest: &AuditManifest) -> Result<Arc<Self>> {
        let spool = Spool(manifest.spool.clone());
        make_folder(&spool.0).map_err(|cause| Error::folder("make", &spool.0, &cause))?;
        Self::open_on(manifest, spool)
    }

    pub(crate) fn open_on(
        manifest: &AuditManifest,
        disk: impl Disk + 'static,
    ) -> Result<Arc<Self>> {
        let spool = Spool(manifest.spool.clone());
        let archive = Archive::open(manifest)?;
        let shared = Arc::new(Shared::new(manifest.when_unwritable));
        let read = |cause: io::Error| Error::folder("read", &spool.0, &cause);
        let left = left_behind(&spool).map_err(read)?;
        for journal in &left {
            shared.add(Arc::clone(journal));
        }
        let run = Uuid::new_v4();
        let (messages, taken) = mpsc::channel();
        let (commits, waiting) = mpsc::channel::<Commit>();
        let (closed, to_archive) = mpsc::channel();
        for journal in left {
            // The other end outlives this one.
            let _ = closed.send(journal);
        }
        let settings = Settings {
            run,
            rotate_every: manifest.rotate_every,
            rotate_size: manifest.rotate_size,
        };
        let writer = Writer::new(Arc::clone(&shared), settings, disk, commits, closed)
            .map_err(|cause| Error::folder("write to", &spool.0, &cause))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::Place(format!("cannot start the audit trail: {cause}")))?;
        let archiver = Archiver {
            shared: Arc::clone(&shared),
            archive: archive.clone(),
            spool: spool.clone(),
            retention: manifest.retention,
            runtime,
        };
        let committing = Arc::clone(&shared);
        let threads = vec![
            spawn("audit-writer", move || writer.run(&taken))?,
            spawn("audit-commit", move || commit::run(&committing, &waiting))?,
            spawn("audit-archive", move || archiver.run(&to_archive))?,
        ];
        Ok(Arc::new(Self {
            run,
            numbers: AtomicU64::new(1),
            shared,
            messages,
            archive,
            spool,
            threads: Mutex::new(threads),
        }))
    }

    /// Whether a statement may begin.
    ///
    /// # Errors
    /// When it could not be recorded, unless the mesh says that it may run all the same.
    pub fn check(&self) -> Result<(), Unwritable> {
        match self.shared.failing() {
            Some(why) if self.shared.policy == WhenUnwritable::Refuse => {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                Err(why)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Something begins. It is written down when it ends, or when [`Entry::begun`] asks for
    /// that: most statements are over at once, and one line is enough for them.
    pub fn begin(self: &Arc<Self>, mut record: AuditRecord) -> Entry {
        record.server = self.run;
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        Entry {
            trail: Arc::clone(self),
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            record,
            begun: None,
            started: Instant::now(),
            ended: false,
        }
    }

    /// Records something that is over already, and returns when it is on disk.
    ///
    /// # Errors
    /// When it cannot be recorded: then it must not be answered.
    pub async fn record(&self, mut record: AuditRecord) -> Result<(), Unwritable> {
        record.server = self.run;
        record.ended_at.get_or_insert_with(Utc::now);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (done, written) = oneshot::channel();
        self.send(Mark::End, number, record, Some(done))?;
        self.wait(written).await
    }

    /// The same without waiting: for what nobody waits for any more.
    pub fn record_later(&self, mut record: AuditRecord) {
        record.server = self.run;
        record.ended_at.get_or_insert_with(Utc::now);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        // A trail that is closed has said so.
        let _ = self.send(Mark::End, number, record, None);
    }

    /// The trail as it is now.
    ///
    /// # Errors
    /// When a journal cannot be opened.
    pub fn reader(&self) -> Result<TrailReader> {
        TrailReader::new(&self.shared, &self.archive, &self.spool).map_err(Error::read)
    }

    /// Makes a finished file of what there is, soon.
    pub fn rotate(&self) {
        // A writer that has ended has nothing left.
        let _ = self.messages.send(Message::Rotate);
    }

    /// Ends: everything is written, and archived if that can be done now. It blocks.
    pub fn close(&self) {
        let _ = self.messages.send(Message::Stop);
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the audit trail panicked");
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn send(
        &self,
        mark: Mark,
        number: u64,
        record: AuditRecord,
        done: Option<oneshot::Sender<Written>>,
    ) -> Written {
        let message = Message::Write {
            mark,
            number,
            record: Box::new(record),
            done,
        };
        let sent = self.messages.send(message);
        sent.map_err(|_| Unwritable::closed())
            .or_else(|why| self.excused(why))
    }

    async fn wait(&self, written: oneshot::Receiver<Written>) -> Written {
        match written.await {
            Ok(written) => written,
            Err(_) => self.excused(Unwritable::closed()),
        }
    }

    fn excused(&self, why: Unwritable) -> Written {
        match self.shared.policy {
            WhenUnwritable::Refuse => Err(why),
            WhenUnwritable::Serve => Ok(()),
        }
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail")
            .field("run", &self.run)
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|cause| Error::Place(format!("cannot start the audit trail: {cause}")))
}

/// A statement that runs. When it is dropped its record says that it was cancelled.
#[derive(Debug)]
pub struct Entry {
    trail: Arc<Trail>,
    number: u64,
    record: AuditRecord,
    /// None when it is not written down yet.
    begun: Option<Written>,
    started: Instant,
    ended: bool,
}

impl Entry {
    /// What is known of it so far.
    pub fn record(&mut self) -> &mut AuditRecord {
        &mut self.record
    }

    /// Writes down that it runs, and returns when a crash of the server could not make it
    /// unrecorded any more.
    ///
    /// # Errors
    /// When it is not recorded: then nothing of its answer may leave.
    pub async fn begun(&mut self) -> Result<(), Unwritable> {
        if let Some(begun) = &self.begun {
            return begun.clone();
        }
        let (done, written) = oneshot::channel();
        let record = self.record.clone();
        let begun = match self
            .trail
            .send(Mark::Begin, self.number, record, Some(done))
        {
            Ok(()) => self.trail.wait(written).await,
            Err(why) => Err(why),
        };
        self.begun = Some(begun.clone());
        begun
    }

    /// Records how it ended, and returns when that is on disk.
    ///
    /// # Errors
    /// When it cannot be recorded: then the last of its answer must not leave. How it ended
    /// is for [`end_later`](Self::end_later) to say.
    pub async fn end(&mut self, outcome: Outcome) -> Result<(), Unwritable> {
        let (done, written) = oneshot::channel();
        self.send(outcome, Some(done))?;
        self.trail.wait(written).await
    }

    /// Records how it ended without waiting for it.
    pub fn end_later(&mut self, outcome: Outcome) {
        // A trail that is closed has said so.
        let _ = self.send(outcome, None);
    }

    fn send(&mut self, outcome: Outcome, done: Option<oneshot::Sender<Written>>) -> Written {
        self.ended = true;
        self.record.outcome = outcome;
        let taken = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        self.record.ended_at = Some(self.record.started_at + taken);
        self.trail
            .send(Mark::End, self.number, self.record.clone(), done)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.ended {
            self.record
                .error
                .get_or_insert_with(|| "the client went away".to_owned());
            self.end_later(Outcome::Cancelled);
        }
        self.trail.shared.running.fetch_sub(1, Ordering::Relaxed);
    }
}
