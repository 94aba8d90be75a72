//! The one thread that writes the journal.
//!
//! It takes what waits for it, appends it with one call, and leaves bringing it to disk to
//! [`commit`](crate::commit). After an error the journal is cut back to its last whole line,
//! and nothing is recorded until a later attempt succeeds.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;
use weft_mesh::WhenUnwritable;

use crate::commit::{Commit, Written};
use crate::error::Unwritable;
use crate::journal::Disk;
use crate::line::{self, Mark};
use crate::name::Name;
use crate::record::{AuditRecord, Kind, Outcome};
use crate::shared::{Journal, Shared};

/// How often an idle writer looks at the clock.
const TICK: Duration = Duration::from_millis(250);
/// How long is waited for more lines, for each other statement that runs, up to so many.
const GATHERING: Duration = Duration::from_micros(500);
const MOST_GATHERED: u32 = 8;
/// Lines that are appended together.
const TOGETHER: usize = 512;
/// What must fit on the disk before it counts as writable again.
const ROOM: usize = 256 << 10;
/// Bytes of records that are kept in memory while they cannot be written.
const KEPT: usize = 16 << 20;
/// After a new journal could not be made.
const ROTATE_AGAIN: Duration = Duration::from_secs(5);

pub(crate) enum Message {
    Write {
        mark: Mark,
        number: u64,
        record: Box<AuditRecord>,
        done: Option<oneshot::Sender<Written>>,
    },
    /// Close the journal and begin another.
    Rotate,
    /// Close the journal and end.
    Stop,
}

/// What a writer is told once.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) run: Uuid,
    pub(crate) rotate_every: Duration,
    pub(crate) rotate_size: u64,
}

pub(crate) struct Writer<D> {
    shared: Arc<Shared>,
    settings: Settings,
    disk: D,
    commits: Sender<Commit>,
    closed: Sender<Arc<Journal>>,
    journal: Arc<Journal>,
    length: u64,
    /// Of which so much was carried over from the journal before.
    carried: u64,
    sequence: u64,
    begun: Instant,
    /// When to try again to rotate.
    rotate_not_before: Instant,
    /// The lines of what has begun and not ended: the next journal begins with them.
    open: HashMap<u64, Vec<u8>>,
    failure: Option<Failure>,
    buffer: Vec<u8>,
}

/// While nothing can be written.
struct Failure {
    since: DateTime<Utc>,
    why: Unwritable,
    /// The last attempt to write.
    tried: Instant,
    /// Lines for later, and their numbers.
    kept: Vec<u8>,
    numbers: Vec<u64>,
    lost: u64,
}

impl<D: Disk> Writer<D> {
    /// # Errors
    /// When there can be no journal.
    pub(crate) fn new(
        shared: Arc<Shared>,
        settings: Settings,
        disk: D,
        commits: Sender<Commit>,
        closed: Sender<Arc<Journal>>,
    ) -> io::Result<Self> {
        let name = Name::new(Utc::now(), settings.run, 1);
        let file = disk.create(&name)?;
        let journal = Arc::new(Journal::new(name, file));
        shared.add(Arc::clone(&journal));
        Ok(Self {
            shared,
            settings,
            disk,
            commits,
            closed,
            journal,
            length: 0,
            carried: 0,
            sequence: 1,
            begun: Instant::now(),
            rotate_not_before: Instant::now(),
            open: HashMap::new(),
            failure: None,
            buffer: Vec::new(),
        })
    }

    /// Writes until it is told to stop, or nobody is left to tell.
    pub(crate) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let mut together = Vec::new();
            match messages.recv_timeout(TICK) {
                Ok(first) => {
                    together.push(first);
                    // Asleep it is not woken by each of those that come meanwhile.
                    thread::sleep(self.gathering());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => together.push(Message::Stop),
            }
            together.extend(messages.try_iter().take(TOGETHER));
            if self.turn(together).is_break() {
                return;
            }
        }
    }

    /// How long to wait for more before writing: the more statements run, the more come.
    /// A client that is alone does not wait.
    fn gathering(&self) -> Duration {
        let running = self.shared.running.load(Ordering::Relaxed);
        let others = running.saturating_sub(1).min(MOST_GATHERED);
        GATHERING * others
    }

    fn turn(&mut self, messages: Vec<Message>) -> std::ops::ControlFlow<()> {
        if self.shared.suspect.load(Ordering::Acquire) && self.failure.is_none() {
            let why = self.shared.failing().unwrap_or_else(Unwritable::closed);
            self.fail(why);
        }
        let (mut rotate, mut stop) = (false, false);
        let mut writes = Vec::new();
        for message in messages {
            match message {
                Message::Write {
                    mark,
                    number,
                    record,
                    done,
                } => writes.push(Write {
                    mark,
                    number,
                    record,
                    done,
                }),
                Message::Rotate => rotate = true,
                Message::Stop => stop = true,
            }
        }
        if !writes.is_empty() {
            self.write(writes);
        }
        let is_time = |failure: &Failure| failure.tried.elapsed() >= TICK || stop;
        if self.failure.as_ref().is_some_and(is_time) {
            self.recover();
        }
        if stop {
            self.stop();
            return std::ops::ControlFlow::Break(());
        }
        let is_old = self.begun.elapsed() >= self.settings.rotate_every;
        let is_due = is_old || self.length - self.carried >= self.settings.rotate_size;
        let may = Instant::now() >= self.rotate_not_before && self.length > 0;
        if (rotate || (is_due && may)) && self.failure.is_none() {
            self.rotate();
        }
        std::ops::ControlFlow::Continue(())
    }

    fn write(&mut self, writes: Vec<Write>) {
        if self.failure.is_some() {
            for write in writes {
                self.write_later(write);
            }
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut begun: Vec<(u64, usize)> = Vec::new();
        for write in &writes {
            let start = buffer.len();
            if let Err(error) = line::append(&mut buffer, write.mark, write.number, &write.record) {
                tracing::error!(%error, "an audit record cannot be written as JSON");
            }
            if write.mark == Mark::Begin {
                begun.push((write.number, start));
            }
        }
        match self.journal.file.append(&buffer) {
            Ok(()) => {
                self.length += buffer.len() as u64;
                self.journal.length.store(self.length, Ordering::Release);
                for (number, start) in begun {
                    let line = buffer.get(start..).unwrap_or_default();
                    let end = line.iter().position(|byte| *byte == b'\n');
                    let line = line.get(..=end.unwrap_or_default()).unwrap_or_default();
                    self.open.insert(number, line.to_vec());
                }
                self.written(writes);
            }
            Err(error) => {
                self.fail(Unwritable::of(&error));
                for write in writes {
                    self.write_later(write);
                }
            }
        }
        buffer.shrink_to(1 << 20);
        self.buffer = buffer;
    }

    /// Begins are told at once: a line that is written outlives this process.
    fn written(&mut self, writes: Vec<Write>) {
        let mut ended = false;
        let mut waiting = Vec::new();
        for write in writes {
            match write.mark {
                Mark::Begin => {
                    if let Some(done) = write.done {
                        let _ = done.send(Ok(()));
                    }
                }
                Mark::End => {
                    ended = true;
                    self.open.remove(&write.number);
                    waiting.extend(write.done);
                }
            }
        }
        if ended {
            let file = Arc::clone(&self.journal.file);
            // The other end outlives this one.
            let _ = self.commits.send(Commit { file, waiting });
        }
    }

    fn fail(&mut self, why: Unwritable) {
        if self.shared.fail(why.clone()) || self.failure.is_none() {
            match self.shared.policy {
                WhenUnwritable::Refuse => tracing::error!(
                    reason = why.reason,
                    "the audit trail cannot be written: statements are refused until it can"
                ),
                WhenUnwritable::Serve => tracing::error!(
                    reason = why.reason,
                    "the audit trail cannot be written: STATEMENTS RUN UNRECORDED until it can (`whenUnwritable: serve`)"
                ),
            }
        }
        self.cut_back();
        self.failure.get_or_insert_with(|| Failure {
            since: Utc::now(),
            why,
            tried: Instant::now(),
            kept: Vec::new(),
            numbers: Vec::new(),
            lost: 0,
        });
    }

    /// Forgets half a line.
    fn cut_back(&self) {
        if self.journal.file.cut(self.length).is_err() {
            self.shared.suspect.store(true, Ordering::Release);
        }
    }

    /// What cannot be written now: the end of a statement is kept as long as there is room.
    fn write_later(&mut self, write: Write) {
        let Some(failure) = &mut self.failure else {
            return;
        };
        let refuse = self.shared.policy == WhenUnwritable::Refuse;
        let answer = if refuse {
            Err(failure.why.clone())
        } else {
            Ok(())
        };
        let is_heard = write.done.is_some_and(|done| done.send(answer).is_ok());
        // Whoever hears that it was not written tells us how the statement ended with that.
        if write.mark == Mark::Begin || (refuse && is_heard) {
            return;
        }
        self.open.remove(&write.number);
        let before = failure.kept.len();
        let kept = line::append(&mut failure.kept, Mark::End, write.number, &write.record);
        if kept.is_err() || failure.kept.len() > KEPT {
            failure.kept.truncate(before);
            failure.lost += 1;
        } else {
            failure.numbers.push(write.number);
        }
    }

    /// Writes what was kept, and for how long nothing could be written.
    fn recover(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.tried = Instant::now();
        }
        let suspect = self.shared.suspect.load(Ordering::Acquire);
        if suspect {
            // Of this file nobody knows what is on disk: it is left as it is.
            if self.next_journal().is_err() {
                return;
            }
        } else {
            self.cut_back();
        }
        let Some(failure) = &self.failure else {
            return;
        };
        let number = u64::MAX - self.sequence_of_note();
        let mut note = AuditRecord::new(Kind::Trail);
        note.server = self.settings.run;
        note.started_at = failure.since;
        note.ended_at = Some(Utc::now());
        note.outcome = Outcome::Error;
        note.left_out = failure.lost;
        note.error = Some(format!(
            "the trail could not be written ({}): {} statements were refused, {} records were lost",
            failure.why.reason,
            self.shared.refused.load(Ordering::Relaxed),
            failure.lost
        ));
        let mut lines = failure.kept.clone();
        let added = line::append(&mut lines, Mark::End, number, &note).is_ok();
        let file = &self.journal.file;
        // Blank lines mean nothing, should a crash leave them.
        let written = file
            .append(&vec![b'\n'; ROOM])
            .and_then(|()| file.cut(self.length))
            .and_then(|()| file.append(&lines))
            .and_then(|()| file.sync());
        if written.is_err() || !added {
            self.cut_back();
            return;
        }
        self.length += lines.len() as u64;
        self.journal.length.store(self.length, Ordering::Release);
        self.shared.refused.store(0, Ordering::Relaxed);
        tracing::warn!(
            lost = failure.lost,
            since = %failure.since,
            "the audit trail can be written again"
        );
        self.failure = None;
        self.shared.recovered();
    }

    /// Notes count down from the end of the numbers, statements up.
    fn sequence_of_note(&self) -> u64 {
        (self.sequence << 32) | (self.length & 0xffff_ffff)
    }

    fn rotate(&mut self) {
        if let Err(error) = self.next_journal() {
            self.rotate_not_before = Instant::now() + ROTATE_AGAIN;
            tracing::warn!(%error, "a new audit journal cannot be made, the old one goes on");
        }
    }

    /// Begins a journal, with everything that has not ended, and hands the last one over.
    fn next_journal(&mut self) -> io::Result<()> {
        let name = Name::new(Utc::now(), self.settings.run, self.sequence + 1);
        // The name of an attempt that failed is not used again.
        self.sequence += 1;
        let file = self.disk.create(&name)?;
        let carried: Vec<u8> = self.open.values().flatten().copied().collect();
        let journal = Arc::new(Journal::new(name, file));
        let written = journal
            .file
            .append(&carried)
            .and_then(|()| journal.file.sync());
        if let Err(error) = written {
            // Whatever is in it is in the old one as well.
            journal.close(HashSet::new());
            let _ = journal.file.cut(0);
            let _ = self.closed.send(journal);
            return Err(error);
        }
        self.length = carried.len() as u64;
        self.carried = self.length;
        journal.length.store(self.length, Ordering::Release);
        {
            let mut journals = self.shared.journals();
            let kept = self.failure.iter().flat_map(|failure| &failure.numbers);
            let elsewhere = self.open.keys().chain(kept).copied().collect();
            self.journal.close(elsewhere);
            journals.push(Arc::clone(&journal));
        }
        let old = std::mem::replace(&mut self.journal, journal);
        // The other end outlives this one.
        let _ = self.closed.send(old);
        self.shared.suspect.store(false, Ordering::Release);
        self.begun = Instant::now();
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(failure) = &self.failure {
            let lost = failure.lost + failure.numbers.len() as u64;
            tracing::error!(
                lost,
                "audit records are lost: the trail cannot be written to its end"
            );
        }
        self.journal.close(HashSet::new());
        if let Err(error) = self.journal.file.sync() {
            tracing::error!(%error, "the audit trail cannot be brought to disk");
        }
        let _ = self.closed.send(Arc::clone(&self.journal));
    }
}

struct Write {
    mark: Mark,
    number: u64,
    record: Box<AuditRecord>,
    done: Option<oneshot::Sender<Written>>,
}
