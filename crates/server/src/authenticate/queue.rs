//! Who waits for a turn at hashing: so many from one place, so that it cannot make
//! everybody else wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::failures::network;

/// A pool of connections logs in at once; a gateway's pool is larger.
const MOST_WAITING: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<HashMap<Option<IpAddr>, usize>>,
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: Arc<Queue>,
    from: Option<IpAddr>,
}

impl Queue {
    /// A place for somebody from this address; none where as many wait already.
    pub(crate) fn join(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Waiting> {
        let from = from.map(network);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(from).or_default();
        if *count >= MOST_WAITING {
            return None;
        }
        *count += 1;
        Some(Waiting {
            queue: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiting = self.queue.waiting.lock();
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_does_not_fill_the_queue() {
        let queue = Arc::new(Queue::default());
        let here = Some(IpAddr::from([10, 0, 0, 1]));
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| queue.join(here)).collect();
        assert!(waiting.iter().all(Option::is_some));
        assert!(queue.join(here).is_none());
        assert!(queue.join(Some(IpAddr::from([10, 0, 0, 2]))).is_some());
        waiting.pop();
        assert!(queue.join(here).is_some());
        drop(waiting);
        assert!(queue.waiting.lock().unwrap().is_empty());
    }
}
