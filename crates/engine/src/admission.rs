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
use weft_policy::{Limit, Owner, PrincipalId};

use crate::error::{Error, Result};

/// How many statements run, and how many wait for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns {
    pub(crate) running: usize,
    /// Of those that run, the most of one owner.
    pub(crate) of_one: usize,
    pub(crate) waiting: usize,
    pub(crate) patience: Duration,
}

/// All turns.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    turns: Turns,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    running: HashMap<Owner, usize>,
    total: usize,
    waiting: HashMap<Owner, VecDeque<Waiting>>,
    /// Who has a line, the next to be served first.
    rotation: VecDeque<Owner>,
}

/// A statement in a line.
#[derive(Debug)]
struct Waiting {
    /// The turns that its principal may have at a time, where the mesh limits them.
    most: Option<usize>,
    sender: oneshot::Sender<Turn>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    owner: Owner,
    admission: Admission,
}

impl Admission {
    pub(crate) fn new(turns: Turns) -> Self {
        Self {
            turns,
            lines: Arc::default(),
        }
    }

    /// A turn for a statement that begins; `limit` is how many of them its
    /// principal may have at a time, whoever acts for it.
    ///
    /// # Errors
    /// [`Unavailable`](Error::Unavailable) when too many wait, and when the wait is too long.
    pub(crate) async fn enter(&self, owner: &Owner, limit: Option<&Limit<usize>>) -> Result<Turn> {
        let Turns {
            running,
            waiting,
            patience,
            ..
        } = self.turns;
        let most = limit.map(|limit| limit.most);
        let line = {
            let mut lines = self.lock();
            if let Some(turn) = self.free(&mut lines, owner, most) {
                return Ok(turn);
            }
            let (all, own) = (lines.waiting(), lines.waiting_of(owner));
            // One owner leaves places to others.
            let is_full = all >= waiting;
            if is_full || own >= waiting.div_ceil(2) {
                return Err(match limit.filter(|it| lines.is_reached(owner, it)) {
                    Some(limit) => Error::no_place_to_wait(limit, if is_full { all } else { own }),
                    None if is_full => Error::Unavailable(format!(
                        "the server is busy: {running} statements run at a time, and {all} wait; try again"
                    )),
                    None => Error::Unavailable(format!(
                        "the server is busy, and {own} of your statements wait; try again when one of them has ended"
                    )),
                });
            }
            lines.join(owner, most, VecDeque::push_back)
        };
        if let Ok(Ok(turn)) = timeout(patience, line).await {
            return Ok(turn);
        }
        let lines = self.lock();
        Err(match limit.filter(|it| lines.is_reached(owner, it)) {
            Some(limit) => Error::over_concurrency(limit, patience),
            None => Error::Unavailable(format!(
                "the server is busy: {running} statements run at a time, and this one waited {} s for a turn; try again",
                patience.as_secs()
            )),
        })
    }

    /// A turn for a statement that had one: the next in its owner's line, and however long
    /// it takes.
    pub(crate) async fn enter_again(
        &self,
        owner: &Owner,
        limit: Option<&Limit<usize>>,
    ) -> Result<Turn> {
        let most = limit.map(|limit| limit.most);
        let line = {
            let mut lines = self.lock();
            match self.free(&mut lines, owner, most) {
                Some(turn) => return Ok(turn),
                None => lines.join(owner, most, VecDeque::push_front),
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
    fn free(&self, lines: &mut Lines, owner: &Owner, most: Option<usize>) -> Option<Turn> {
        lines
            .have_room(&self.turns, owner, most)
            .then(|| self.turn(lines, owner.clone()))
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
    /// Whether another statement of `owner` may run.
    fn have_room(&self, turns: &Turns, owner: &Owner, most: Option<usize>) -> bool {
        let own = self.running.get(owner).copied().unwrap_or_default();
        self.total < turns.running
            && own < turns.of_one
            && most.is_none_or(|most| self.running_of(&owner.principal) < most)
    }

    fn waiting_of(&self, owner: &Owner) -> usize {
        self.waiting.get(owner).map_or(0, VecDeque::len)
    }

    /// Whether the principal has as many turns as the limit leaves it.
    fn is_reached(&self, owner: &Owner, limit: &Limit<usize>) -> bool {
        self.running_of(&owner.principal) >= limit.most
    }

    /// The turns of a principal: its own, and those of services that act for it.
    fn running_of(&self, principal: &PrincipalId) -> usize {
        let running = self.running.iter();
        running
            .filter(|(owner, _)| owner.principal == *principal)
            .map(|(_, turns)| turns)
            .sum()
    }

    fn join(
        &mut self,
        owner: &Owner,
        most: Option<usize>,
        place: fn(&mut VecDeque<Waiting>, Waiting),
    ) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let line = self.waiting.entry(owner.clone()).or_default();
        if line.is_empty() {
            self.rotation.push_back(owner.clone());
        }
        place(line, Waiting { most, sender });
        receiver
    }

    /// Who still waits; those who went away are forgotten.
    fn waiting(&mut self) -> usize {
        self.waiting.retain(|_, line| {
            line.retain(|waiting| !waiting.sender.is_closed());
            !line.is_empty()
        });
        let waiting = &self.waiting;
        self.rotation.retain(|owner| waiting.contains_key(owner));
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// The next who may run, out of their line.
    fn next(&mut self, turns: &Turns) -> Option<(Owner, oneshot::Sender<Turn>)> {
        if self.total >= turns.running {
            return None;
        }
        self.waiting();
        let at = self.rotation.iter().position(|owner| {
            let first = self.waiting.get(owner).and_then(VecDeque::front);
            first.is_some_and(|first| self.have_room(turns, owner, first.most))
        })?;
        let owner = self.rotation.remove(at)?;
        let line = self.waiting.get_mut(&owner)?;
        let waiting = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(&owner);
        } else {
            self.rotation.push_back(owner.clone());
        }
        Some((owner, waiting.sender))
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
            while let Some((owner, waiting)) = lines.next(&admission.turns) {
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

    use super::*;
    use futures::{FutureExt, future::BoxFuture};

    fn owner(name: &str) -> Owner {
        Owner {
            principal: PrincipalId::user(name),
            acting: None,
        }
    }

    fn admission(running: usize, of_one: usize, waiting: usize) -> Admission {
        Admission::new(Turns {
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
        admission.enter(owner, None).boxed()
    }

    async fn error(entering: impl Future<Output = Result<Turn>>) -> String {
        entering.await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn nobody_has_more_than_a_share() {
        let admission = admission(4, 2, 10);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let first = admission.enter(&ana, None).await.unwrap();
        let _second = admission.enter(&ana, None).await.unwrap();
        let mut third = entering(&admission, &ana);
        assert!(has(&mut third).is_none());
        let _others = admission.enter(&bo, None).await.unwrap();
        drop(first);
        assert!(has(&mut third).is_some());
    }

    #[tokio::test]
    async fn lines_are_served_in_rotation() {
        let admission = admission(1, 1, 10);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let running = admission.enter(&ana, None).await.unwrap();
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
        let running = admission.enter(&ana, None).await.unwrap();
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
        let _running = admission.enter(&ana, None).await.unwrap();
        let mut waiting = entering(&admission, &ana);
        assert!(has(&mut waiting).is_none());
        assert!(
            error(admission.enter(&ana, None))
                .await
                .contains("and 1 wait")
        );
        assert!(error(waiting).await.contains("waited"));
        assert_eq!(admission.counts(), (1, 0));
    }

    #[tokio::test]
    async fn who_had_a_turn_comes_first() {
        let admission = admission(1, 1, 0);
        let ana = owner("ana");
        let running = admission.enter(&ana, None).await.unwrap();
        let mut again = admission.enter_again(&ana, None).boxed();
        assert!(has(&mut again).is_none());
        drop(running);
        assert!(has(&mut again).is_some());
    }

    #[tokio::test]
    async fn one_owner_leaves_places_to_wait_to_others() {
        let admission = admission(1, 1, 4);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let _running = admission.enter(&ana, None).await.unwrap();
        let mut waiting = [(); 2].map(|()| entering(&admission, &ana));
        for waiting in &mut waiting {
            assert!(has(waiting).is_none());
        }
        assert_eq!(
            error(admission.enter(&ana, None)).await,
            "the server is busy, and 2 of your statements wait; try again when one of them has ended"
        );
        assert!(
            error(admission.enter(&ana, Some(&limit(1))))
                .await
                .contains("and 2 wait")
        );
        let mut other = entering(&admission, &bo);
        assert!(has(&mut other).is_none());
        assert_eq!(admission.counts(), (1, 3));
    }

    fn limit(most: usize) -> Limit<usize> {
        Limit {
            name: "interns".into(),
            most,
        }
    }

    #[tokio::test]
    async fn a_limit_of_the_mesh_is_of_the_principal_whoever_acts_for_it() {
        let admission = admission(8, 4, 10);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let by_bi = Owner {
            acting: Some(PrincipalId::service("bi")),
            ..ana.clone()
        };
        let two = limit(2);
        let first = admission.enter(&ana, Some(&two)).await.unwrap();
        let _second = admission.enter(&by_bi, Some(&two)).await.unwrap();
        let mut third = admission.enter(&ana, Some(&two)).boxed();
        assert!(has(&mut third).is_none());
        let _others = admission.enter(&bo, None).await.unwrap();
        // Of another snapshot, on which there was no limit yet.
        let _earlier = admission.enter(&by_bi, None).await.unwrap();
        drop(first);
        assert!(has(&mut third).is_none());
        assert_eq!(
            error(third).await,
            "limit `interns` (concurrency 2): so many of your statements run, \
             and this one waited 0 s for one of them to end; try again"
        );
        assert_eq!(admission.counts(), (3, 0));
    }

    #[tokio::test]
    async fn who_is_held_by_a_limit_holds_nobody_else() {
        let admission = admission(2, 2, 1);
        let [ana, bo] = ["ana", "bo"].map(owner);
        let one = limit(1);
        let running = admission.enter(&ana, Some(&one)).await.unwrap();
        let mut waiting = admission.enter(&ana, Some(&one)).boxed();
        assert!(has(&mut waiting).is_none());
        assert!(error(admission.enter(&ana, Some(&one))).await.starts_with(
            "limit `interns` (concurrency 1): so many of your statements run, and 1 wait;"
        ));
        let others = admission.enter(&bo, None).await.unwrap();
        drop(others);
        assert!(has(&mut waiting).is_none());
        drop(running);
        assert!(has(&mut waiting).is_some());
    }
}
