//! The turns of each kind, and the lines of those who wait for one.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;
use weft_policy::Owner;

use super::Admission;

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of the statements that a limit of the mesh leaves a principal at a time.
    OfPrincipal,
    /// To begin.
    Quick,
    /// To run to the end.
    Long,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Lanes {
    of_principal: Lane,
    quick: Lane,
    long: Lane,
}

#[derive(Debug)]
struct Lane {
    /// The turns of all owners together.
    most: usize,
    running: HashMap<Owner, usize>,
    total: usize,
    waiting: HashMap<Owner, VecDeque<Waiting>>,
    /// Who has a line, the next to be served first.
    rotation: VecDeque<Owner>,
}

/// A statement in a line.
#[derive(Debug)]
struct Waiting {
    /// The turns that its owner may have at a time.
    most: usize,
    sender: oneshot::Sender<Turn>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    kind: Kind,
    owner: Owner,
    admission: Admission,
}

impl Lanes {
    /// With `running` turns among the quick ones, and as many among the long ones.
    pub(super) fn new(running: usize) -> Self {
        Self {
            of_principal: Lane::new(usize::MAX),
            quick: Lane::new(running),
            long: Lane::new(running),
        }
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::OfPrincipal => &mut self.of_principal,
            Kind::Quick => &mut self.quick,
            Kind::Long => &mut self.long,
        }
    }

    /// Statements that have a turn.
    pub(super) fn running(&self) -> usize {
        self.quick.total + self.long.total
    }

    /// Those that wait for one.
    pub(super) fn waiting(&mut self) -> usize {
        self.of_principal.waiting() + self.quick.waiting() + self.long.waiting()
    }

    /// Those that wait to begin, or to go on, as one that waits for a `kind`: all, and those of
    /// `owner` or its principal. Who begins cannot fill the line of those who have begun.
    pub(super) fn waiting_like(&mut self, kind: Kind, owner: &Owner) -> (usize, usize) {
        if kind == Kind::Long {
            return (self.long.waiting(), self.long.waiting_of(owner));
        }
        let of_principal = Owner::from(owner.principal.clone());
        let own = self.of_principal.waiting_of(&of_principal) + self.quick.waiting_of(owner);
        (self.of_principal.waiting() + self.quick.waiting(), own)
    }

    /// A turn at once, where its owner has less than `most` of them.
    pub(super) fn free(
        &mut self,
        admission: &Admission,
        kind: Kind,
        owner: Owner,
        most: usize,
    ) -> Option<Turn> {
        let lane = self.lane(kind);
        lane.has_room(&owner, most)
            .then(|| lane.turn(admission, kind, owner))
    }

    /// Behind all others of `owner`.
    pub(super) fn join(
        &mut self,
        kind: Kind,
        owner: Owner,
        most: usize,
    ) -> oneshot::Receiver<Turn> {
        self.lane(kind).join(owner, most, VecDeque::push_back)
    }

    /// Before all others of `owner`.
    pub(super) fn join_first(
        &mut self,
        kind: Kind,
        owner: Owner,
        most: usize,
    ) -> oneshot::Receiver<Turn> {
        self.lane(kind).join(owner, most, VecDeque::push_front)
    }
}

impl Lane {
    fn new(most: usize) -> Self {
        Self {
            most,
            running: HashMap::new(),
            total: 0,
            waiting: HashMap::new(),
            rotation: VecDeque::new(),
        }
    }

    /// Whether another statement of `owner` may have a turn.
    fn has_room(&self, owner: &Owner, own: usize) -> bool {
        let has = self.running.get(owner).copied().unwrap_or_default();
        self.total < self.most && has < own
    }

    fn turn(&mut self, admission: &Admission, kind: Kind, owner: Owner) -> Turn {
        self.total += 1;
        *self.running.entry(owner.clone()).or_default() += 1;
        Turn {
            kind,
            owner,
            admission: admission.clone(),
        }
    }

    fn leave(&mut self, owner: &Owner) {
        self.total -= 1;
        if let Some(own) = self.running.get_mut(owner) {
            *own -= 1;
            if *own == 0 {
                self.running.remove(owner);
            }
        }
    }

    fn waiting_of(&self, owner: &Owner) -> usize {
        self.waiting.get(owner).map_or(0, VecDeque::len)
    }

    fn join(
        &mut self,
        owner: Owner,
        most: usize,
        place: fn(&mut VecDeque<Waiting>, Waiting),
    ) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let line = self.waiting.entry(owner.clone()).or_default();
        if line.is_empty() {
            self.rotation.push_back(owner);
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

    /// The next who may have a turn, out of their line.
    fn next(&mut self) -> Option<(Owner, oneshot::Sender<Turn>)> {
        if self.total >= self.most {
            return None;
        }
        self.waiting();
        let at = self.rotation.iter().position(|owner| {
            let first = self.waiting.get(owner).and_then(VecDeque::front);
            first.is_some_and(|first| self.has_room(owner, first.most))
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
            let mut lanes = admission.lock();
            let lane = lanes.lane(self.kind);
            lane.leave(&self.owner);
            while let Some((owner, waiting)) = lane.next() {
                let turn = lane.turn(&admission, self.kind, owner);
                refused.extend(waiting.send(turn).err());
            }
        }
        // Each passes on to others, who lock for themselves.
        drop(refused);
    }
}
