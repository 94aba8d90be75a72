//! Turns at running statements: so many at a time, dealt fairly.
//!
//! Nobody knows how long a statement runs before it has. So each begins among the quick ones, and
//! one that is not over in time needs a turn among the long ones to go on: a question
//! about a row never waits for a join of everything. One that ran long the last time, or must read
//! much before its first row as far as the planner knows, begins among the long ones. Whoever
//! finds no turn waits in a line of their own; the lines are served in rotation, and nobody has
//! more than a share of the long turns. A statement that waits for its reader gives its turn back
//! meanwhile.

mod lanes;
mod remembered;
#[cfg(test)]
mod tests;

use std::{
    hash::{Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};
use weft_policy::{Limit, Owner};

pub(crate) use self::remembered::Statement;
use self::{
    lanes::{Kind, Lanes, Turn},
    remembered::Remembered,
};
use crate::error::{Error, Result};

/// How many statements run, and how many wait for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns {
    /// Of the quick ones, and of the long ones.
    pub(crate) running: usize,
    /// Of the long ones, the most of one owner.
    pub(crate) of_one: usize,
    /// The time that a statement has among the quick ones with a core to itself, that of its
    /// reader not counted.
    pub(crate) quick: Duration,
    pub(crate) cores: usize,
    pub(crate) waiting: usize,
    pub(crate) patience: Duration,
}

/// All turns.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    turns: Turns,
    lanes: Arc<Mutex<Lanes>>,
    ran: Arc<Mutex<Remembered>>,
    keys: RandomState,
}

/// A statement's place among those that run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    turn: Turn,
    /// One of those that a limit of the mesh leaves its principal.
    of_principal: Option<Turn>,
    asked: Asked,
    /// The time it has left among the quick ones, and since when.
    quick: Option<(Duration, Instant)>,
    /// Since when one has run that began among the long ones.
    long_since: Option<Instant>,
}

/// Who asks for a place.
#[derive(Debug, Clone)]
struct Asked {
    admission: Admission,
    owner: Owner,
    limit: Option<Limit<usize>>,
    statement: Option<Statement>,
}

/// A statement that waits for its reader.
#[derive(Debug)]
pub(crate) struct Resting {
    asked: Asked,
    quick: Option<Duration>,
}

impl Admission {
    pub(crate) fn new(turns: Turns) -> Self {
        Self {
            turns,
            lanes: Arc::new(Mutex::new(Lanes::new(turns.running))),
            ran: Arc::default(),
            keys: RandomState::new(),
        }
    }

    /// What `plan` of `owner` is known by, and whether it is expected to run long.
    pub(crate) fn statement(&self, owner: &Owner, plan: &impl Hash, is_large: bool) -> Statement {
        Statement::of(&self.keys, owner, plan, is_large)
    }

    /// A place for a statement that begins; `limit` is how many of them its
    /// principal may have at a time, whoever acts for it.
    ///
    /// # Errors
    /// [`Unavailable`](Error::Unavailable) when too many wait, and when the wait is too long.
    pub(crate) async fn enter(
        &self,
        owner: &Owner,
        limit: Option<&Limit<usize>>,
        statement: Option<Statement>,
    ) -> Result<Place> {
        let asked = Asked {
            admission: self.clone(),
            owner: owner.clone(),
            limit: limit.cloned(),
            statement,
        };
        let until = Instant::now() + self.turns.patience;
        let of_principal = match limit {
            Some(_) => Some(asked.wait(Kind::OfPrincipal, until).await?),
            None => None,
        };
        if statement.is_some_and(|it| self.remembered().is_slow(it, Instant::now())) {
            // Those who begin leave places to those who have begun.
            let line = self.turns.waiting.div_ceil(2);
            let turn = asked.wait_within(line, Kind::Long, until).await?;
            return Ok(Place {
                long_since: Some(Instant::now()),
                ..Place::long(turn, of_principal, asked)
            });
        }
        let turn = asked.wait(Kind::Quick, until).await?;
        Ok(Place {
            turn,
            of_principal,
            asked,
            quick: Some((self.quick_time(), Instant::now())),
            long_since: None,
        })
    }

    /// The time that a statement has which begins now: more of it where others use the cores too.
    fn quick_time(&self) -> Duration {
        let Turns { quick, cores, .. } = self.turns;
        let of_each = self.lock().running().div_ceil(cores.max(1)).max(1);
        quick.saturating_mul(u32::try_from(of_each).unwrap_or(u32::MAX))
    }

    /// Those that begin among the long ones for what they were the last time.
    pub(crate) fn slow_statements(&self) -> usize {
        self.remembered().slow()
    }

    /// Statements that run and that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let mut lanes = self.lock();
        (lanes.running(), lanes.waiting())
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// A turn at once, if there is one: whoever waits cannot use it.
    fn free(&self, lanes: &mut Lanes, kind: Kind) -> Option<Turn> {
        lanes.free(&self.admission, kind, self.owner_of(kind), self.most(kind))
    }

    /// A turn, or a reason that says what is in its way.
    async fn wait(&self, kind: Kind, until: Instant) -> Result<Turn> {
        let waiting = self.admission.turns.waiting;
        self.wait_within(waiting, kind, until).await
    }

    /// The same in a line of so many.
    async fn wait_within(&self, waiting: usize, kind: Kind, until: Instant) -> Result<Turn> {
        let line = {
            let mut lanes = self.admission.lock();
            if let Some(turn) = self.free(&mut lanes, kind) {
                return Ok(turn);
            }
            let (all, own) = lanes.waiting_like(kind, &self.owner);
            // One owner leaves places to others.
            let is_full = all >= waiting;
            if is_full || own >= waiting.div_ceil(2) {
                return Err(self.no_place_to_wait(kind, is_full, all, own));
            }
            lanes.join(kind, self.owner_of(kind), self.most(kind))
        };
        match timeout_at(until, line).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(self.waited_in_vain(kind)),
        }
    }

    /// A turn for a statement that had one: the next in its line, and however long it takes.
    async fn wait_first(&self, kind: Kind) -> Result<Turn> {
        let line = {
            let mut lanes = self.admission.lock();
            match self.free(&mut lanes, kind) {
                Some(turn) => return Ok(turn),
                None => lanes.join_first(kind, self.owner_of(kind), self.most(kind)),
            }
        };
        line.await.map_err(|error| Error::internal(&error))
    }

    /// The turns of a kind that its owner may have.
    fn most(&self, kind: Kind) -> usize {
        match (kind, &self.limit) {
            (Kind::OfPrincipal, Some(limit)) => limit.most,
            // Quick ones are back in no time.
            (Kind::OfPrincipal, None) | (Kind::Quick, _) => usize::MAX,
            (Kind::Long, _) => self.admission.turns.of_one,
        }
    }

    /// A principal's limit counts whoever acts for it.
    fn owner_of(&self, kind: Kind) -> Owner {
        match kind {
            Kind::OfPrincipal => Owner::from(self.owner.principal.clone()),
            Kind::Quick | Kind::Long => self.owner.clone(),
        }
    }

    fn no_place_to_wait(&self, kind: Kind, is_full: bool, all: usize, own: usize) -> Error {
        let running = self.admission.turns.running;
        match &self.limit {
            Some(limit) if kind == Kind::OfPrincipal => {
                Error::no_place_to_wait(limit, if is_full { all } else { own })
            }
            Some(_) | None if is_full => Error::Unavailable(format!(
                "the server is busy: {running} statements run at a time, and {all} wait; try again"
            )),
            Some(_) | None => Error::Unavailable(format!(
                "the server is busy, and {own} of your statements wait; try again when one of them has ended"
            )),
        }
    }

    fn waited_in_vain(&self, kind: Kind) -> Error {
        let Turns {
            running, patience, ..
        } = self.admission.turns;
        match &self.limit {
            Some(limit) if kind == Kind::OfPrincipal => Error::over_concurrency(limit, patience),
            Some(_) | None => Error::Unavailable(format!(
                "the server is busy: {running} statements run at a time, and this one waited {} s for a turn; try again",
                patience.as_secs()
            )),
        }
    }
}

impl Place {
    /// Until when the statement is one of the quick ones; `None` when it has a long turn.
    pub(crate) fn quick_until(&self) -> Option<Instant> {
        self.quick.map(|(left, since)| since + left)
    }

    /// When its time among the quick ones is over: takes a turn among the long ones, if one is
    /// free.
    pub(crate) fn lengthened(&mut self) -> bool {
        if let Some(statement) = self.asked.statement {
            self.asked
                .admission
                .remembered()
                .note_slow(statement, Instant::now());
        }
        let free = self
            .asked
            .free(&mut self.asked.admission.lock(), Kind::Long);
        let Some(long) = free else {
            return false;
        };
        self.turn = long;
        self.quick = None;
        true
    }

    /// The same among the long ones, when one of them has ended. Its turn is others' meanwhile.
    ///
    /// # Errors
    /// As [`Admission::enter`].
    pub(crate) async fn lengthen(self) -> Result<Self> {
        let until = Instant::now() + self.asked.admission.turns.patience;
        let (of_principal, asked) = self.left();
        let turn = asked.wait(Kind::Long, until).await?;
        Ok(Self::long(turn, of_principal, asked))
    }

    /// The same for a statement that has returned rows: it is the next of its owner's, and
    /// however long it takes.
    pub(crate) async fn lengthen_begun(self) -> Result<Self> {
        let (of_principal, asked) = self.left();
        let turn = asked.wait_first(Kind::Long).await?;
        Ok(Self::long(turn, of_principal, asked))
    }

    /// The statement has returned all of its rows.
    pub(crate) fn finished(self) {
        let Some(statement) = self.asked.statement else {
            return;
        };
        let admission = &self.asked.admission;
        let was_slow = match (self.quick, self.long_since) {
            (Some(_), _) => false,
            (None, Some(since)) => since.elapsed() >= admission.quick_time(),
            // That was noted when it outlasted its time, or its reader has taken some of it.
            (None, None) => return,
        };
        let now = Instant::now();
        if was_slow {
            admission.remembered().note_slow(statement, now);
        } else {
            admission.remembered().note_quick(statement, now);
        }
    }

    fn left(self) -> (Option<Turn>, Asked) {
        drop(self.turn);
        (self.of_principal, self.asked)
    }

    fn long(turn: Turn, of_principal: Option<Turn>, asked: Asked) -> Self {
        Self {
            turn,
            of_principal,
            asked,
            quick: None,
            long_since: None,
        }
    }

    /// Leaves the place to others while the reader takes its time.
    pub(crate) fn rest(self) -> Resting {
        let quick = self.quick;
        Resting {
            quick: quick.map(|(left, since)| left.saturating_sub(since.elapsed())),
            asked: self.asked,
        }
    }
}

impl Resting {
    /// A place for the statement to go on.
    pub(crate) async fn again(self) -> Result<Place> {
        let Self { asked, quick } = self;
        let of_principal = match asked.limit {
            Some(_) => Some(asked.wait_first(Kind::OfPrincipal).await?),
            None => None,
        };
        let kind = match quick {
            Some(_) => Kind::Quick,
            None => Kind::Long,
        };
        Ok(Place {
            turn: asked.wait_first(kind).await?,
            of_principal,
            asked,
            quick: quick.map(|left| (left, Instant::now())),
            // Its reader has taken some of its time.
            long_since: None,
        })
    }
}
