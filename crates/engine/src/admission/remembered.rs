//! Which statements were not over in the time of the quick ones when they ran last.
//!
//! Whoever asks for the same again would only take that time from others, and be let go again.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

use tokio::time::Instant;
use weft_policy::Owner;

/// A statement of one owner: nobody's time tells of what others have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statement(u64);

/// The statements of late, and when they were slow; the oldest make room.
#[derive(Debug, Default)]
pub(super) struct Remembered(VecDeque<(Statement, Instant)>);

/// It is looked through from one end to the other.
const MOST: usize = 1024;

/// Then it has its chance again: what was slow may have been the store, or the crowd.
const LONGEST: Duration = Duration::from_secs(600);

impl Statement {
    /// `plan` by its parts, literals included.
    pub(super) fn of(keys: &RandomState, owner: &Owner, plan: &impl Hash) -> Self {
        Self(keys.hash_one((owner, plan)))
    }
}

impl Remembered {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&mut self, statement: Statement, now: Instant) -> bool {
        self.0.retain(|(_, since)| now - *since < LONGEST);
        self.0.iter().any(|(it, _)| *it == statement)
    }

    pub(super) fn add(&mut self, statement: Statement, now: Instant) {
        if self.has(statement, now) {
            return;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((statement, now));
    }

    pub(super) fn remove(&mut self, statement: Statement) {
        self.0.retain(|(it, _)| *it != statement);
    }
}
