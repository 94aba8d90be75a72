//! Statements that were planned of late, so that who asks the same again waits less.
//!
//! What is kept is the logical plan, optimised where the statement has no parameters: it holds
//! tables as the principal sees them and literals of the statement, nothing that was read. Sealed
//! scans are made of it anew each time and verified anew, for a plan that runs is used up.
//!
//! A statement is found again by the same owner, with the same options, in the same snapshot of
//! the mesh, and while no grant begins or ends ([`Meaning::is_still`]): nobody finds what another
//! has asked, and what is found says what planning would say now.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use datafusion::{arrow::datatypes::SchemaRef, logical_expr::LogicalPlan};
use weft_catalog::MeshSnapshot;
use weft_mesh::Purpose;
use weft_policy::Owner;

use super::{lineage::Lineage, parameters::Parameters, shape};
use crate::{
    error::Result,
    footprint::{Footprint, NamedTable},
    session::{GovernedSession, Meaning},
};

/// What all plans together may weigh: some 50 MB.
const MOST: usize = 200_000;
/// What those of one owner may: others are not pushed out by whoever asks much.
const MOST_OF_ONE: usize = MOST / 4;
/// What one may.
const MOST_OF_A_STATEMENT: usize = MOST_OF_ONE / 8;
/// Bytes of text or constants that weigh as much as an expression or a column of a step.
const UNIT: usize = 256;
/// What else there is of a statement; so they are never many.
const AROUND: usize = 100;

/// A statement that is planned as far as it can be before it is known when it runs.
pub(super) struct Known {
    pub(super) meaning: Arc<Meaning>,
    pub(super) names: Vec<NamedTable>,
    pub(super) schema: SchemaRef,
    pub(super) parameters: Parameters,
    pub(super) is_ordered: bool,
    pub(super) tables: Footprint,
    pub(super) lineage: Arc<Lineage>,
    /// Optimised, unless there are parameters.
    pub(super) plan: LogicalPlan,
}

/// Of all owners; what was not asked for longest makes room.
#[derive(Default)]
pub(crate) struct RecentStatements(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    /// That all of them are of: none is right in another.
    snapshot: Option<Arc<MeshSnapshot>>,
    known: HashMap<Key, Entry>,
    clock: u64,
    hits: u64,
    misses: u64,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    owner: Owner,
    purpose: Option<Purpose>,
    schema: String,
    time_zone: String,
    sql: String,
}

struct Entry {
    known: Arc<Known>,
    weight: usize,
    asked: u64,
}

/// For operators.
pub(crate) struct Counts {
    pub(crate) entries: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Known {
    /// `None` for a plan that is too large to be kept.
    fn weight(&self, sql: &str) -> Result<Option<usize>> {
        let bytes = sql.len().saturating_add(shape::constant_bytes(&self.plan)?);
        let parts = shape::parts(&self.plan)?;
        let weight = parts.saturating_add(bytes / UNIT).saturating_add(AROUND);
        Ok((weight <= MOST_OF_A_STATEMENT).then_some(weight))
    }
}

impl RecentStatements {
    /// What `sql` is known to be in `session`.
    pub(super) fn find(&self, session: &GovernedSession, sql: &str) -> Option<Arc<Known>> {
        let meaning = session.meaning();
        let key = Key::of(meaning, sql);
        let mut recent = self.lock();
        // One that is past should not be held for what is kept of it.
        let past = recent.turn_to(session.snapshot());
        let found = recent.find(&key, meaning);
        let count = match found {
            Some(_) => &mut recent.hits,
            None => &mut recent.misses,
        };
        *count += 1;
        drop(recent);
        drop(past);
        found
    }

    /// Keeps what was planned in `session`, unless it is too large.
    pub(super) fn keep(
        &self,
        session: &GovernedSession,
        sql: String,
        known: impl FnOnce(Arc<Meaning>) -> Known,
    ) -> Result<()> {
        let meaning = session.meaning();
        let known = known(Arc::clone(meaning));
        let Some(weight) = known.weight(&sql)? else {
            return Ok(());
        };
        let key = Key::of(meaning, &sql);
        let mut recent = self.lock();
        if !recent.is_of(session.snapshot()) {
            return Ok(());
        }
        let past = recent.keep(key, Arc::new(known), weight);
        drop(recent);
        drop(past);
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        let recent = self.lock();
        Counts {
            entries: recent.known.len(),
            hits: recent.hits,
            misses: recent.misses,
        }
    }

    /// All that is kept, to be dropped on a deep stack.
    pub(crate) fn take(&self) -> impl Send + 'static + use<> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RecentStatements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentStatements")
    }
}

impl Recent {
    fn is_of(&self, snapshot: &Arc<MeshSnapshot>) -> bool {
        let is_it = |of: &Arc<MeshSnapshot>| Arc::ptr_eq(of, snapshot);
        self.snapshot.as_ref().is_some_and(is_it)
    }

    /// What has to go for it.
    fn turn_to(&mut self, snapshot: &Arc<MeshSnapshot>) -> HashMap<Key, Entry> {
        if self.is_of(snapshot) {
            return HashMap::new();
        }
        self.snapshot = Some(Arc::clone(snapshot));
        mem::take(&mut self.known)
    }

    fn find(&mut self, key: &Key, meaning: &Meaning) -> Option<Arc<Known>> {
        self.clock += 1;
        let entry = self.known.get_mut(key)?;
        if !entry.known.meaning.is_still(meaning) {
            return None;
        }
        entry.asked = self.clock;
        Some(Arc::clone(&entry.known))
    }

    /// What has to go for it.
    fn keep(&mut self, key: Key, known: Arc<Known>, weight: usize) -> Vec<Entry> {
        let mut past: Vec<_> = self.known.remove(&key).into_iter().collect();
        let room = |most: usize| most.saturating_sub(weight);
        while self.weight(|it| it.owner == key.owner) > room(MOST_OF_ONE) {
            past.extend(self.remove_oldest(|it| it.owner == key.owner));
        }
        while self.weight(|_| true) > room(MOST) {
            past.extend(self.remove_oldest(|_| true));
        }
        self.clock += 1;
        let asked = self.clock;
        let entry = Entry {
            known,
            weight,
            asked,
        };
        self.known.insert(key, entry);
        past
    }

    fn weight(&self, counts: impl Fn(&Key) -> bool) -> usize {
        let of_them = self.known.iter().filter(|(key, _)| counts(key));
        of_them.map(|(_, entry)| entry.weight).sum()
    }

    fn remove_oldest(&mut self, counts: impl Fn(&Key) -> bool) -> Option<Entry> {
        let of_them = self.known.iter().filter(|(key, _)| counts(key));
        let (_, asked) = of_them
            .map(|(key, entry)| (key, entry.asked))
            .min_by_key(|(_, asked)| *asked)?;
        let mut oldest = self.known.extract_if(|_, entry| entry.asked == asked);
        oldest.next().map(|(_, entry)| entry)
    }
}

impl Key {
    fn of(meaning: &Meaning, sql: &str) -> Self {
        Self {
            owner: meaning.owner.clone(),
            purpose: meaning.viewer.purpose.clone(),
            schema: meaning.schema.clone(),
            time_zone: meaning.time_zone.clone(),
            sql: sql.to_owned(),
        }
    }
}
