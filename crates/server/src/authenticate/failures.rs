//! Guessing passwords gets slower with every wrong guess.
//!
//! After a few failures a user must wait before the next password is even
//! hashed, each time longer. Who is logged in already (a verified password, a
//! session bearer) does not notice, so nobody is locked out by a stranger.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const FREE_ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
const CAPACITY: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Failures {
    by_user: Mutex<HashMap<String, Failure>>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    count: u32,
    last: Instant,
}

impl Failure {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE_ATTEMPTS) {
            None => Duration::ZERO,
            Some(excess) => FIRST_WAIT
                .saturating_mul(1 << excess.min(16))
                .min(LONGEST_WAIT),
        }
    }
}

impl Failures {
    /// How long `user` must still wait; `None` if the next attempt is free.
    pub(crate) fn wait(&self, user: &str, now: Instant) -> Option<Duration> {
        let by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = by_user.get(user)?;
        (failure.last + failure.wait())
            .checked_duration_since(now)
            .filter(|wait| !wait.is_zero())
    }

    pub(crate) fn record(&self, user: &str, now: Instant) {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if by_user.len() >= CAPACITY {
            by_user.retain(|_, failure| now.duration_since(failure.last) < LONGEST_WAIT);
        }
        if by_user.len() >= CAPACITY {
            by_user.clear();
        }
        let failure = by_user.entry(user.to_owned()).or_insert(Failure {
            count: 0,
            last: now,
        });
        if now.duration_since(failure.last) > FORGOTTEN_AFTER {
            failure.count = 0;
        }
        failure.count = failure.count.saturating_add(1);
        failure.last = now;
    }

    pub(crate) fn forget(&self, user: &str) {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.remove(user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_a_success_forgets() {
        let failures = Failures::default();
        let now = Instant::now();
        for _ in 1..FREE_ATTEMPTS {
            failures.record("ana", now);
        }
        assert_eq!(failures.wait("ana", now), None);
        failures.record("ana", now);
        assert_eq!(failures.wait("ana", now), Some(FIRST_WAIT));
        failures.record("ana", now);
        assert_eq!(failures.wait("ana", now), Some(FIRST_WAIT * 2));
        for _ in 0..50 {
            failures.record("ana", now);
        }
        assert_eq!(failures.wait("ana", now), Some(LONGEST_WAIT));
        assert_eq!(failures.wait("ana", now + LONGEST_WAIT), None);
        assert_eq!(failures.wait("bo", now), None);
        failures.forget("ana");
        assert_eq!(failures.wait("ana", now), None);
    }
}
