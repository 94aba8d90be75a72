//! Statements that were planned of late, so that who asks the same again waits less.
//!
//! What is kept is the logical plan, optimised where the statement has no parameters: it holds
//! tables as the principal sees them and literals of the statement, nothing that was read. Sealed
//! scans are made of it anew each time and verified anew, for a plan that runs is used up.
//!
//! A statement is found again by the same owner, with the same options, while no grant begins or
//! ends ([`Meaning::is_still`]), under the same manifests, and over the same files of its tables:
//! nobody finds what another has asked, and what is found says what planning would say now.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use datafusion::{arrow::datatypes::SchemaRef, logical_expr::LogicalPlan};
use weft_catalog::MeshSnapshot;
use weft_mesh::Purpose;
use weft_policy::{Owner, PrincipalId};

use super::{lineage::Lineage, parameters::Parameters, shape};
use crate::{
    error::Result,
    footprint::{self, Footprint, NamedTable},
    functions::Caps,
    session::{GovernedSession, Meaning},
};

/// What all statements together may take, in bytes.
const MOST: usize = 64 << 20;
/// What those of one caller may: others are not pushed out by whoever asks much.
const MOST_OF_ONE: usize = MOST / 4;
/// What one may.
const MOST_OF_A_STATEMENT: usize = MOST_OF_ONE / 8;
/// What there is of one beside its plan; so they are never many.
const AROUND: usize = 16 << 10;
/// One column that comes from another.
const EDGE: usize = 128;
/// A name, beside its letters.
const NAME: usize = 64;
/// The longest text that is looked for, in bytes.
const LONGEST: usize = 64 << 10;

/// A statement that is planned as far as it can be before it is known when it runs.
pub(super) struct Known {
    pub(super) meaning: Arc<Meaning>,
    /// Of the functions in an optimised plan: runs of one statement have the same.
    pub(super) caps: Arc<Caps>,
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
    /// That all of them are right in.
    snapshot: Option<Arc<MeshSnapshot>>,
    known: HashMap<Key, Entry>,
    bytes: usize,
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
    bytes: usize,
    asked: u64,
}

/// What is dropped when nobody waits for it.
#[derive(Default)]
struct Past {
    _snapshot: Option<Arc<MeshSnapshot>>,
    _entries: Vec<Entry>,
}

/// For operators.
pub(crate) struct Counts {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) most_bytes: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Known {
    /// What it takes in memory, in bytes, or somewhat more.
    fn bytes(&self, sql: &str) -> Result<usize> {
        let principal = &self.meaning.viewer.principal;
        let groups = principal.groups().iter().map(String::len);
        let attributes = principal.attributes().iter();
        let attributes = attributes.map(|(name, value)| name.len() + value.len());
        let reasons = self.tables.values();
        let reasons = reasons.flat_map(|table| table.grants.iter().chain(&table.guardrails));
        // The table has them too, with who they are for.
        let reasons = reasons.map(|name| 4 * (name.len() + NAME));
        let names = groups.chain(attributes).map(|length| length + NAME);
        let parts = [
            AROUND,
            sql.len(),
            shape::bytes(&self.plan)?,
            footprint::access_size(&self.plan)?,
            self.lineage.edges().count().saturating_mul(EDGE),
        ];
        let parts = parts.into_iter().chain(names).chain(reasons);
        Ok(parts.fold(0, usize::saturating_add))
    }
}

impl RecentStatements {
    /// What `sql` is known to be in `session`.
    pub(super) fn find(&self, session: &GovernedSession, sql: &str) -> Option<Arc<Known>> {
        if sql.len() > LONGEST {
            return None;
        }
        let key = Key::of(session.meaning(), sql);
        let mut recent = self.lock();
        // One that is past should not be held for what is kept of it.
        let past = recent.turn_to(session.snapshot());
        let found = recent.find(&key, session);
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
    pub(super) fn keep(&self, session: &GovernedSession, sql: &str, known: Known) -> Result<()> {
        let bytes = known.bytes(sql)?;
        if sql.len() > LONGEST || bytes > MOST_OF_A_STATEMENT {
            return Ok(());
        }
        let key = Key::of(session.meaning(), sql);
        let mut recent = self.lock();
        if !recent.is_of(session.snapshot()) {
            return Ok(());
        }
        let past = recent.keep(key, Arc::new(known), bytes);
        drop(recent);
        drop(past);
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        let recent = self.lock();
        Counts {
            entries: recent.known.len(),
            bytes: recent.bytes,
            most_bytes: MOST,
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

    /// What has to go for it: under other manifests all, else what reads other files.
    fn turn_to(&mut self, snapshot: &Arc<MeshSnapshot>) -> Past {
        let is_earlier = |of: &Arc<MeshSnapshot>| snapshot.epoch() < of.epoch();
        if self.is_of(snapshot) || self.snapshot.as_ref().is_some_and(is_earlier) {
            return Past::default();
        }
        let before = self.snapshot.replace(Arc::clone(snapshot));
        let is_governed_alike = before
            .as_ref()
            .is_some_and(|it| it.is_governed_as(snapshot));
        let is_past =
            |entry: &Entry| !is_governed_alike || !footprint::is_of(&entry.known.plan, snapshot);
        let past = self.known.extract_if(|_, entry| is_past(entry));
        let past: Vec<_> = past.map(|(_, entry)| entry).collect();
        self.bytes -= past.iter().map(|entry| entry.bytes).sum::<usize>();
        Past {
            _snapshot: before,
            _entries: past,
        }
    }

    fn find(&mut self, key: &Key, session: &GovernedSession) -> Option<Arc<Known>> {
        if !self.is_of(session.snapshot()) {
            return None;
        }
        self.clock += 1;
        let entry = self.known.get_mut(key)?;
        let (before, policy) = (&entry.known.meaning, session.snapshot().policy());
        if !before.is_still(session.meaning(), policy) {
            return None;
        }
        entry.asked = self.clock;
        Some(Arc::clone(&entry.known))
    }

    /// What has to go for it.
    fn keep(&mut self, key: Key, known: Arc<Known>, bytes: usize) -> Vec<Entry> {
        let mut past: Vec<_> = self.remove(&key).into_iter().collect();
        let caller = key.owner.caller();
        let own = self
            .known
            .iter()
            .filter(|(key, _)| key.owner.caller() == caller);
        let mut own: usize = own.map(|(_, entry)| entry.bytes).sum();
        while own + bytes > MOST_OF_ONE
            && let Some(oldest) = self.remove_oldest(Some(caller))
        {
            own -= oldest.bytes;
            past.push(oldest);
        }
        while self.bytes + bytes > MOST
            && let Some(oldest) = self.remove_oldest(None)
        {
            past.push(oldest);
        }
        self.clock += 1;
        let asked = self.clock;
        self.bytes += bytes;
        let entry = Entry {
            known,
            bytes,
            asked,
        };
        self.known.insert(key, entry);
        past
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.known.remove(key)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Of all, or of one caller.
    fn remove_oldest(&mut self, caller: Option<&PrincipalId>) -> Option<Entry> {
        let is_of = |key: &Key| caller.is_none_or(|caller| key.owner.caller() == caller);
        let asked = self.known.iter().filter(|(key, _)| is_of(key));
        let oldest = asked.map(|(_, entry)| entry.asked).min()?;
        let mut oldest = self.known.extract_if(|_, entry| entry.asked == oldest);
        let (_, entry) = oldest.next()?;
        drop(oldest);
        self.bytes -= entry.bytes;
        Some(entry)
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
