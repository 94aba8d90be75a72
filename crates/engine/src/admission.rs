//! Turns at running statements: so many at a time, dealt fairly.
//!
//! Whoever finds no turn waits in a line of their own; the lines are served in rotation, and
//! nobody has more than a share of the turns. A statement that waits for its reader gives its
//! turn back meanwhile.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};
use weft_policy::Owner;

use crate::error::{Error, Result};

/// How many statements run, and how many wait for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) running: usize,
    /// Of those that run, the most of one owner.
    pub(crate) of_one: usize,
    pub(crate) waiting: usize,
    pub(crate) patience: Duration,
}

/// All turns.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    limits: Limits,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    running: HashMap<Owner, usize>,
    total: usize,
    waiting: HashMap<Owner, VecDeque<oneshot::Sender<Turn>>>,
    /// Who has a line, the next to be served first.
    rotation: VecDeque<Owner>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    owner: Owner,
    admission: Admission,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: Arc::default(),
        }
    }

    /// A turn for a statement that begins.
    ///
    /// # Errors
    /// [`Unavailable`](Error::Unavailable) when too many wait, and when the wait is too long.
    pub(crate) async fn enter(&self, owner: &Owner) -> Result<Turn> {
        let Limits {
            running,
            waiting,
            patience,
            ..
        } = self.limits;
        let line = {
            let mut lines = self.lock();
            if let Some(turn) = self.free(&mut lines, owner) {
                return Ok(turn);
            }
            if lines.waiting() >= waiting {
                return Err(Error::Unavailable(format!(
                    "the server is busy: {running} statements run at a time, and {waiting} wait; try again"
                )));
            }
            lines.join(owner, VecDeque::push_back)
        };
        match timeout(patience, line).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Error::Unavailable(format!(
                "the server is busy: {running} statements run at a time, and this one waited {} s for a turn; try again",
                patience.as_secs()
            ))),
        }
    }

    /// A turn for a statement that had one: the next in its owner's line, and however long
    /// it takes.
    pub(crate) async fn enter_again(&self, owner: &Owner) -> Result<Turn> {
        let line = {
            let mut lines = self.lock();
            match self.free(&mut lines, owner) {
                Some(turn) => return Ok(turn),
                None => lines.join(owner, VecDeque::push_front),
            }
        };
        line.await.map_err(|error| Error::internal(&error))
    }

    /// Statements that run and that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let mut lines = self.lock();
        (lines.total, lines.waiting())
    }

    /// A turn at once, if there is one: whoever waits cannot use it.
    fn free(&self, lines: &mut Lines, owner: &Owner) -> Option<Turn> {
        let own = lines.running.get(owner).copied().unwrap_or_default();
        if lines.total >= self.limits.running || own >= self.limits.of_one {
            return None;
        }
        Some(self.turn(lines, owner.clone()))
    }

    fn turn(&self, lines: &mut Lines, owner: Owner) -> Turn {
        lines.total += 1;
        *lines.running.entry(owner.clone()).or_default() += 1;
        Turn {
            owner,
            admission: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn join(
        &mut self,
        owner: &Owner,
        place: fn(&mut VecDeque<oneshot::Sender<Turn>>, oneshot::Sender<Turn>),
    ) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let line = self.waiting.entry(owner.clone()).or_default();
        if line.is_empty() {
            self.rotation.push_back(owner.clone());
        }
        place(line, sender);
        receiver
    }

    /// Who still waits; those who went away are forgotten.
    fn waiting(&mut self) -> usize {
        self.waiting.retain(|_, line| {
            line.retain(|waiting| !waiting.is_closed());
            !line.is_empty()
        });
        let waiting = &self.waiting;
        self.rotation.retain(|owner| waiting.contains_key(owner));
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// The next who may run, out of their line.
    fn next(&mut self, limits: &Limits) -> Option<(Owner, oneshot::Sender<Turn>)> {
        if self.total >= limits.running {
            return None;
        }
        self.waiting();
        let at = self.rotation.iter().position(|owner| {
            self.running.get(owner).copied().unwrap_or_default() < limits.of_one
        })?;
        let owner = self.rotation.remove(at)?;
        let line = self.waiting.get_mut(&owner)?;
        let waiting = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(&owner);
        } else {
            self.rotation.push_back(owner.clone());
        }
        Some((owner, waiting))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let admission = self.admission.clone();
        let mut refused = Vec::new();
        {
            let mut lines = admission.lock();
            lines.total -= 1;
            if let Some(own) = lines.running.get_mut(&self.owner) {
                *own -= 1;
                if *own == 0 {
                    lines.running.remove(&self.owner);
                }
            }
            while let Some((owner, waiting)) = lines.next(&admission.limits) {
                let turn = admission.turn(&mut lines, owner);
                refused.extend(waiting.send(turn).err());
            }
        }
        // Each passes on to others, who lock for themselves.
        drop(refused);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use futures::{FutureExt, future::BoxFuture};
    use weft_policy::PrincipalId;

    use super::*;

    fn owner(name: &str) -> Owner {
        Owner {
            principal: PrincipalId::user(name),
            acting: None,
        }
    }

    fn admission(running: usize, of_one: usize, waiting: usize) -> Admission {
        Admission::new(Limits {
            running,
            of_one,
            waiting,
            patience: Duration::from_millis(50),
        })
    }

    fn has(future: &mut BoxFuture<'_, Result<Turn>>) -> Option<Turn> {
        future.now_or_never().map(Result::unwrap)
    }

    fn entering<'a>(admission: &'a Admission, owner: &'a Owner) -> BoxFuture<'a, Result<Turn>> {
        admission.enter(owner).boxed()
    }

    async fn error(entering: impl Future<Output = Result<Turn>>) -> String {
        entering.await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn nobody_has_more_than_a_share() {
        let admission = admission(4, 2, 10);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let first = admission.enter(&ana).await.unwrap();
        let _second = admission.enter(&ana).await.unwrap();
        let mut third = entering(&admission, &ana);
        assert!(has(&mut third).is_none());
        let _others = admission.enter(&bo).await.unwrap();
        drop(first);
        assert!(has(&mut third).is_some());
    }

    #[tokio::test]
    async fn lines_are_served_in_rotation() {
        let admission = admission(1, 1, 10);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let running = admission.enter(&ana).await.unwrap();
        let mut anas: Vec<_> = (0..3).map(|_| entering(&admission, &ana)).collect();
        for waiting in &mut anas {
            assert!(has(waiting).is_none());
        }
        let mut bos = entering(&admission, &bo);
        assert!(has(&mut bos).is_none());
        assert_eq!(admission.counts(), (1, 4));
        drop(running);
        let running = has(&mut anas[0]).unwrap();
        drop(running);
        let running = has(&mut bos).unwrap();
        drop(running);
        assert!(has(&mut anas[1]).is_some());
    }

    #[tokio::test]
    async fn who_goes_away_keeps_nobody_waiting() {
        let admission = admission(1, 1, 2);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let running = admission.enter(&ana).await.unwrap();
        let mut gone = entering(&admission, &bo);
        assert!(has(&mut gone).is_none());
        let mut waiting = entering(&admission, &ana);
        assert!(has(&mut waiting).is_none());
        drop(gone);
        drop(running);
        // Given, and never taken.
        drop(waiting);
        assert_eq!(admission.counts(), (0, 0));
        assert!(has(&mut entering(&admission, &bo)).is_some());
    }

    #[tokio::test]
    async fn a_full_line_and_a_long_wait_are_told() {
        let admission = admission(1, 1, 1);
        let ana = owner("ana");
        let _running = admission.enter(&ana).await.unwrap();
        let mut waiting = entering(&admission, &ana);
        assert!(has(&mut waiting).is_none());
        assert!(error(admission.enter(&ana)).await.contains("and 1 wait"));
        assert!(error(waiting).await.contains("waited"));
        assert_eq!(admission.counts(), (1, 0));
    }

    #[tokio::test]
    async fn who_had_a_turn_comes_first() {
        let admission = admission(1, 1, 0);
        let ana = owner("ana");
        let running = admission.enter(&ana).await.unwrap();
        let mut again = admission.enter_again(&ana).boxed();
        assert!(has(&mut again).is_none());
        drop(running);
        assert!(has(&mut again).is_some());
    }
}
