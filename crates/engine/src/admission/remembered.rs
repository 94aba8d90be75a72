//! Which statements were over in the time of the quick ones when they ran last, and which not.
//!
//! Whoever asks again for what was not would only take that time from others, and be let go again.
//! Before a statement has run, the planner's guess has to do.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

use tokio::time::Instant;
use weft_policy::Owner;

/// A statement of one owner: nobody's time tells of what others have run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    key: u64,
    /// Whether the planner knows of more than is read in the time of the quick ones.
    is_large: bool,
}

/// The statements of late that were slow, or quick where they were not expected to be; the
/// oldest make room.
#[derive(Debug, Default)]
pub(super) struct Remembered(VecDeque<Ran>);

/// How a statement ran the last time.
#[derive(Debug)]
struct Ran {
    key: u64,
    was_slow: bool,
    at: Instant,
}

/// It is looked through from one end to the other.
const MOST: usize = 1024;

/// Then it has its chance again: what was slow may have been the store, or the crowd.
const LONGEST: Duration = Duration::from_secs(600);

impl Statement {
    /// `plan` by its parts, literals included.
    pub(super) fn of(keys: &RandomState, owner: &Owner, plan: &impl Hash, is_large: bool) -> Self {
        let key = keys.hash_one((owner, plan));
        Self { key, is_large }
    }
}

impl Remembered {
    /// How many were slow.
    pub(super) fn slow(&self) -> usize {
        self.0.iter().filter(|it| it.was_slow).count()
    }

    /// Whether it is taken to be slow: by its last run, or by what the planner expects.
    pub(super) fn is_slow(&mut self, statement: Statement, now: Instant) -> bool {
        self.ran(statement, now).unwrap_or(statement.is_large)
    }

    /// That it was slow. It keeps its time: after that it has its chance again.
    pub(super) fn note_slow(&mut self, statement: Statement, now: Instant) {
        if self.ran(statement, now) != Some(true) {
            self.note(statement, true, now);
        }
    }

    /// That it was not, which is worth a note of what is expected to be, or was the last time.
    pub(super) fn note_quick(&mut self, statement: Statement, now: Instant) {
        if self.ran(statement, now).is_some() || statement.is_large {
            self.note(statement, false, now);
        }
    }

    fn note(&mut self, Statement { key, .. }: Statement, was_slow: bool, at: Instant) {
        self.0.retain(|it| it.key != key);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Ran { key, was_slow, at });
    }

    /// Whether it was slow the last time, if that is known.
    fn ran(&mut self, statement: Statement, now: Instant) -> Option<bool> {
        self.0.retain(|it| now - it.at < LONGEST);
        let ran = self.0.iter().find(|it| it.key == statement.key);
        ran.map(|it| it.was_slow)
    }
}
