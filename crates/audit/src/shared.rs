//! What the threads of a trail know together.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_mesh::WhenUnwritable;

use crate::error::Unwritable;
use crate::journal::JournalFile;
use crate::name::Name;

/// Whether the trail can be written, and which journals there are.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) policy: WhenUnwritable,
    failing: AtomicBool,
    why: Mutex<Option<Unwritable>>,
    /// What the journal holds may not be on disk, and cannot be put there.
    pub(crate) suspect: AtomicBool,
    /// Statements that were refused because nothing can be recorded.
    pub(crate) refused: AtomicU64,
    /// Statements that have begun and not ended.
    pub(crate) running: AtomicU32,
    /// Oldest first.
    journals: Mutex<Vec<Arc<Journal>>>,
}

/// A journal that is not archived yet.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) name: Name,
    /// Bytes of whole lines.
    pub(crate) length: AtomicU64,
    /// What a later journal tells of. Filled when it is closed.
    pub(crate) elsewhere: Mutex<Option<HashSet<u64>>>,
    /// Holds it, so that no other server takes it.
    pub(crate) file: Arc<dyn JournalFile>,
}

impl Journal {
    pub(crate) fn new(name: Name, file: Arc<dyn JournalFile>) -> Self {
        Self {
            name,
            length: AtomicU64::new(0),
            elsewhere: Mutex::new(None),
            file,
        }
    }

    /// What a later journal tells of; `None` while this is the last.
    pub(crate) fn elsewhere(&self) -> Option<HashSet<u64>> {
        lock(&self.elsewhere).clone()
    }

    pub(crate) fn close(&self, elsewhere: HashSet<u64>) {
        *lock(&self.elsewhere) = Some(elsewhere);
    }
}

impl Shared {
    pub(crate) fn new(policy: WhenUnwritable) -> Self {
        Self {
            policy,
            failing: AtomicBool::new(false),
            why: Mutex::new(None),
            suspect: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            running: AtomicU32::new(0),
            journals: Mutex::new(Vec::new()),
        }
    }

    /// Why nothing can be recorded now.
    pub(crate) fn failing(&self) -> Option<Unwritable> {
        if !self.failing.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.why).clone()
    }

    /// Returns whether it is news.
    pub(crate) fn fail(&self, why: Unwritable) -> bool {
        let mut place = lock(&self.why);
        let is_news = place.is_none();
        place.get_or_insert(why);
        self.failing.store(true, Ordering::Release);
        is_news
    }

    pub(crate) fn recovered(&self) {
        *lock(&self.why) = None;
        self.failing.store(false, Ordering::Release);
    }

    pub(crate) fn add(&self, journal: Arc<Journal>) {
        lock(&self.journals).push(journal);
    }

    /// It is archived, or was empty.
    pub(crate) fn remove(&self, name: &Name) {
        lock(&self.journals).retain(|journal| journal.name != *name);
    }

    pub(crate) fn journals(&self) -> MutexGuard<'_, Vec<Arc<Journal>>> {
        lock(&self.journals)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
