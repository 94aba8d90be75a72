//! Guessing passwords gets slower with every wrong guess.
//!
//! After a few failures from one network a user must wait before the next password from
//! there is even hashed, each time longer; after many more, from wherever they came, so
//! must everybody who says that name. Who is logged in already (a verified password, a
//! session bearer) does not notice.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From one network.
const FREE_ATTEMPTS: u32 = 5;
/// From all of them.
const FREE_ATTEMPTS_IN_ALL: u32 = 100;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
const CAPACITY: usize = 20_000;

/// The addresses that one holder of an address usually has: itself, or the /64 of IPv6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let prefix = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
    }
}

/// Who guesses: a name, and where the guesses come from.
#[derive(Clone, Debug)]
pub(crate) struct Guesser {
    user: String,
    network: Option<IpAddr>,
}

impl Guesser {
    pub(crate) fn new(user: &str, from: Option<IpAddr>) -> Self {
        Self {
            user: user.to_owned(),
            network: from.map(network),
        }
    }

    /// What is counted, and how many of it are free.
    fn counted(&self) -> [(Key, u32); 2] {
        [
            (Key::From(self.user.clone(), self.network), FREE_ATTEMPTS),
            (Key::InAll(self.user.clone()), FREE_ATTEMPTS_IN_ALL),
        ]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    From(String, Option<IpAddr>),
    InAll(String),
}

#[derive(Debug, Default)]
pub(crate) struct Failures {
    counts: Mutex<HashMap<Key, Failure>>,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    count: u32,
    /// The first that counts.
    since: Instant,
    last: Instant,
}

impl Failure {
    fn wait(self, free: u32) -> Duration {
        match self.count.checked_sub(free) {
            None => Duration::ZERO,
            Some(excess) => FIRST_WAIT
                .saturating_mul(1 << excess.min(16))
                .min(LONGEST_WAIT),
        }
    }
}

impl Failures {
    /// How long `guesser` must still wait; `None` if the next attempt is free.
    pub(crate) fn wait(&self, guesser: &Guesser, now: Instant) -> Option<Duration> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = guesser.counted().into_iter().filter_map(|(key, free)| {
            let failure = counts.get(&key)?;
            (failure.last + failure.wait(free)).checked_duration_since(now)
        });
        waits.filter(|wait| !wait.is_zero()).max()
    }

    pub(crate) fn record(&self, guesser: &Guesser, now: Instant) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= CAPACITY {
            counts.retain(|_, failure| now.duration_since(failure.last) < LONGEST_WAIT);
        }
        if counts.len() >= CAPACITY {
            counts.clear();
        }
        for (key, _) in guesser.counted() {
            let failure = counts.entry(key).or_insert(Failure {
                count: 0,
                since: now,
                last: now,
            });
            // Counted from the first: else one guess now and then kept a name slow for ever,
            // and from one network there were enough in time for all others.
            if now.duration_since(failure.since) > FORGOTTEN_AFTER {
                failure.count = 0;
                failure.since = now;
            }
            failure.count = failure.count.saturating_add(1);
            failure.last = now;
        }
    }

    pub(crate) fn forget(&self, guesser: &Guesser) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in guesser.counted() {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesser(user: &str, last: u8) -> Guesser {
        Guesser::new(user, Some(IpAddr::from([10, 0, 0, last])))
    }

    #[test]
    fn the_wait_grows_and_a_success_forgets() {
        let failures = Failures::default();
        let ana = guesser("ana", 1);
        let now = Instant::now();
        for _ in 1..FREE_ATTEMPTS {
            failures.record(&ana, now);
        }
        assert_eq!(failures.wait(&ana, now), None);
        failures.record(&ana, now);
        assert_eq!(failures.wait(&ana, now), Some(FIRST_WAIT));
        failures.record(&ana, now);
        assert_eq!(failures.wait(&ana, now), Some(FIRST_WAIT * 2));
        for _ in 0..50 {
            failures.record(&ana, now);
        }
        assert_eq!(failures.wait(&ana, now), Some(LONGEST_WAIT));
        assert_eq!(failures.wait(&ana, now + LONGEST_WAIT), None);
        assert_eq!(failures.wait(&guesser("bo", 1), now), None);
        failures.forget(&ana);
        assert_eq!(failures.wait(&ana, now), None);
    }

    #[test]
    fn a_stranger_elsewhere_keeps_nobody_out_and_many_are_slowed() {
        let failures = Failures::default();
        let now = Instant::now();
        for _ in 0..2 * FREE_ATTEMPTS {
            failures.record(&guesser("ana", 1), now);
        }
        assert!(failures.wait(&guesser("ana", 1), now).is_some());
        assert_eq!(failures.wait(&guesser("ana", 2), now), None);
        for place in 0..100 {
            failures.record(&guesser("ana", place), now);
        }
        assert!(failures.wait(&guesser("ana", 200), now).is_some());
    }

    #[test]
    fn one_network_alone_slows_no_other_however_long_it_goes_on() {
        let failures = Failures::default();
        let mut now = Instant::now();
        let (here, there) = (guesser("ana", 1), guesser("ana", 2));
        for _ in 0..2_000 {
            now += failures.wait(&here, now).unwrap_or_default();
            failures.record(&here, now);
            assert_eq!(failures.wait(&there, now), None);
        }
    }

    #[test]
    fn an_ipv6_network_is_one_place() {
        let address = |text: &str| network(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_ne!(address("10.0.0.1"), address("10.0.0.2"));
    }
}
