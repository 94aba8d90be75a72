//! How large results of functions may be, and how long planning may take.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use datafusion::error::DataFusionError;

use crate::error::Error;

const MIB: usize = 1 << 20;

/// Bytes of one value.
const VALUE: usize = 16 * MIB;
/// Bytes of one function's values in one batch, and what a function may be
/// given room for before its true result is known.
const BATCH: usize = 256 * MIB;
/// Bytes of one value, and of all, that become constants of a plan: the planner
/// prints and compares constants again and again. What is larger is computed
/// when the query runs.
const CONSTANT: usize = 64 << 10;
const CONSTANTS: usize = 16 * MIB;

/// The caps of one statement.
#[derive(Debug)]
pub(crate) struct Caps {
    planning: AtomicBool,
    left: AtomicUsize,
    batch: AtomicUsize,
    deadline: Mutex<(Instant, Duration)>,
}

impl Caps {
    pub(crate) fn new(plan_timeout: Duration) -> Self {
        Self {
            planning: AtomicBool::new(true),
            left: AtomicUsize::new(CONSTANTS),
            batch: AtomicUsize::new(BATCH),
            deadline: Mutex::new((Instant::now(), plan_timeout)),
        }
    }

    /// From here on the time for planning runs again.
    pub(crate) fn start_planning(&self, plan_timeout: Duration) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) =
            (Instant::now(), plan_timeout);
    }

    /// Whether the time for planning is over.
    pub(crate) fn check_time(&self) -> Result<(), DataFusionError> {
        let (started, timeout) = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        if started.elapsed() > timeout {
            return Err(DataFusionError::External(Box::new(
                Error::DeadlineExceeded(timeout.into()),
            )));
        }
        Ok(())
    }

    /// From here on functions run on batches; `calls` of them share what a
    /// batch may hold.
    pub(crate) fn start_running(&self, calls: usize) {
        self.batch
            .store((2 * BATCH / calls.max(1)).min(BATCH), Ordering::Relaxed);
        self.planning.store(false, Ordering::Relaxed);
    }

    /// The most that a function may be given room for at once.
    pub(crate) fn room(&self) -> usize {
        if self.planning.load(Ordering::Relaxed) {
            MIB
        } else {
            self.batch.load(Ordering::Relaxed)
        }
    }

    /// Refuses a value of `bytes`.
    pub(crate) fn check_value(&self, function: &str, bytes: usize) -> Result<(), DataFusionError> {
        if bytes > VALUE {
            return Err(exceeded(format!(
                "{function}: result over {} MiB a value",
                VALUE / MIB
            )));
        }
        Ok(())
    }

    /// Refuses a batch of `bytes`, or what is too much for planning.
    pub(crate) fn take(&self, function: &str, bytes: usize) -> Result<(), DataFusionError> {
        let room = self.room();
        if bytes > room {
            return Err(exceeded(format!(
                "{function}: result over {} a batch",
                readable(room)
            )));
        }
        if self.planning.load(Ordering::Relaxed) {
            if bytes > CONSTANT {
                return Err(exceeded(format!(
                    "{function}: constant over {} KiB",
                    CONSTANT / 1024
                )));
            }
            self.left
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(bytes)
                })
                .map_err(|_| {
                    exceeded(format!(
                        "{function}: constants over {} MiB a statement",
                        CONSTANTS / MIB
                    ))
                })?;
        }
        Ok(())
    }
}

fn readable(bytes: usize) -> String {
    if bytes >= MIB {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{} KiB", bytes / 1024)
    }
}

/// The error that a client reads.
pub(super) fn exceeded(text: String) -> DataFusionError {
    DataFusionError::External(Box::new(Error::ResourceExhausted(text)))
}
