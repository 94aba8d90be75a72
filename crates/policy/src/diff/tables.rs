//! Who sees what otherwise, table by table.
//!
//! Principals for whom the same grants and guardrails count, and of whom
//! predicates read the same, are one class: it is decided once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use weft_mesh::{Purpose, TableId};

use super::{
    access::Meaning,
    ground::Ground,
    implication::Side,
    report::{AccessChange, Cause, CauseKind, Fate, Stated, Subject, TableChange},
    signatures::{Effective, Ingredients, Numbers, OnTable, Policies},
    subjects::{Candidate, Subjects},
    timeline::{Look, periods},
};
use crate::{PolicySnapshot, Principal, Viewer, principal::Open};

/// Two states, and for whom they are compared.
pub(super) struct Comparison<'a> {
    pub(super) old: &'a PolicySnapshot,
    pub(super) new: &'a PolicySnapshot,
    pub(super) subjects: &'a Subjects,
    /// The tables that are not the same data on both sides.
    pub(super) others: &'a BTreeSet<TableId>,
    pub(super) now: DateTime<Utc>,
}

/// Grants and guardrails by name, with the numbers of what they are.
type NamedNumbers = BTreeMap<(CauseKind, String), BTreeSet<u32>>;

/// What all of a class have of a table.
type Class = (Option<Ingredients>, Option<Ingredients>);

/// A change and when and for which purposes it is one.
type Occasion = (
    TableChange,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    BTreeSet<Stated>,
);

/// The changes of each table, those of one kind together.
pub(super) fn changes(
    comparison: &Comparison<'_>,
    grounds: &BTreeMap<TableId, Ground<'_>>,
) -> Vec<AccessChange> {
    let tables: Vec<(&TableId, &Ground<'_>)> = grounds.iter().collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = tables.len().div_ceil(workers).max(1);
    let found: Vec<(TableId, Found)> = std::thread::scope(|scope| {
        let running: Vec<_> = tables
            .chunks(share)
            .map(|tables| scope.spawn(|| several(comparison, tables)))
            .collect();
        running
            .into_iter()
            .flat_map(|it| match it.join() {
                Ok(found) => found,
                Err(cause) => std::panic::resume_unwind(cause),
            })
            .collect()
    });
    together(found)
}

fn several(
    comparison: &Comparison<'_>,
    tables: &[(&TableId, &Ground<'_>)],
) -> Vec<(TableId, Found)> {
    let mut numbers = Numbers::default();
    let mut found = Vec::new();
    for (table, ground) in tables {
        let of_table = comparison.table(table, ground, &mut numbers);
        found.extend(of_table.into_iter().map(|it| ((*table).clone(), it)));
    }
    found
}

/// One change of one table.
struct Found {
    occasion: Occasion,
    subjects: BTreeSet<Subject>,
    because: BTreeSet<Cause>,
}

/// Tables of which the same changes for the same subjects.
fn together(found: Vec<(TableId, Found)>) -> Vec<AccessChange> {
    type Told = (BTreeSet<TableId>, BTreeSet<Cause>);
    let mut merged: BTreeMap<(Occasion, BTreeSet<Subject>), Told> = BTreeMap::new();
    for (table, found) in found {
        let (tables, because) = merged.entry((found.occasion, found.subjects)).or_default();
        tables.insert(table);
        because.extend(found.because);
    }
    let mut changes: Vec<AccessChange> = merged
        .into_iter()
        .map(
            |(((change, from, until, purposes), subjects), told)| AccessChange {
                tables: told.0,
                subjects,
                purposes,
                from,
                until,
                change,
                because: told.1,
            },
        )
        .collect();
    changes.sort_by(|a, b| (&a.tables, a.from, &a.subjects).cmp(&(&b.tables, b.from, &b.subjects)));
    changes
}

impl Comparison<'_> {
    fn table(&self, table: &TableId, ground: &Ground<'_>, numbers: &mut Numbers) -> Vec<Found> {
        let mut on_table = |side, policy| {
            let policies = Policies {
                side,
                policy,
                others: self.others,
            };
            OnTable::of(policies, table, numbers)
        };
        let old = on_table(Side::Old, self.old);
        let new = on_table(Side::New, self.new);
        let is_same = ground.is_same && old.whole == new.whole;
        let mut classes: BTreeMap<Class, Vec<&Candidate>> = BTreeMap::new();
        for candidate in &self.subjects.candidates {
            if is_same && candidate.is_same() {
                continue;
            }
            let ingredients = |side: &OnTable<'_>, principal: &Option<Arc<Principal>>| {
                let principal = principal.as_deref()?;
                Some(side.effective(principal).ingredients(principal))
            };
            let class = (
                ingredients(&old, &candidate.old),
                ingredients(&new, &candidate.new),
            );
            let nothing =
                |it: &Option<Ingredients>| it.as_ref().is_none_or(Ingredients::is_nothing);
            let no_difference = ground.is_same && class.0 == class.1;
            if no_difference || nothing(&class.0) && nothing(&class.1) {
                continue;
            }
            classes.entry(class).or_default().push(candidate);
        }
        let mut merged: BTreeMap<Occasion, (BTreeSet<Subject>, BTreeSet<Cause>)> = BTreeMap::new();
        for members in classes.into_values() {
            let Some(one) = members.first() else { continue };
            let effective = |side: &'_ OnTable<'_>, principal: &Option<Arc<Principal>>| {
                principal.as_deref().map(|it| side.effective(it).named())
            };
            let because = causes(
                table,
                one,
                &effective(&old, &one.old).unwrap_or_default(),
                &effective(&new, &one.new).unwrap_or_default(),
                ground,
            );
            for occasion in self.occasions(table, one, &old, &new, ground) {
                let (subjects, causes) = merged.entry(occasion).or_default();
                subjects.extend(members.iter().map(|it| it.subject.clone()));
                causes.extend(because.iter().cloned());
            }
        }
        merged
            .into_iter()
            .map(|(occasion, (subjects, because))| Found {
                occasion,
                subjects,
                because,
            })
            .collect()
    }

    /// The changes for one of a class, with the purposes for which each is one.
    fn occasions(
        &self,
        table: &TableId,
        candidate: &Candidate,
        old: &OnTable<'_>,
        new: &OnTable<'_>,
        ground: &Ground<'_>,
    ) -> Vec<Occasion> {
        let effective = |side: &'_ OnTable<'_>, principal: &Option<Arc<Principal>>| {
            let asked = principal.as_deref().map(|it| {
                let effective = side.effective(it);
                (
                    effective.asks_purpose(),
                    effective.purposes(&self.subjects.purposes),
                )
            });
            asked.unwrap_or_default()
        };
        let (old_asks, mut looked_at) = effective(old, &candidate.old);
        let (new_asks, purposes) = effective(new, &candidate.new);
        looked_at.extend(purposes);
        let periods = |stated: &Stated| {
            let look = |policy, principal: &Option<Arc<Principal>>| Look {
                policy,
                viewer: principal.as_ref().map(|it| self.viewer(it, stated)),
            };
            let meaning = Meaning {
                ground,
                others: self.others,
                purposes: &self.subjects.purposes,
            };
            periods(
                table,
                &look(self.old, &candidate.old),
                &look(self.new, &candidate.new),
                self.now,
                meaning,
            )
        };
        let mut occasions: BTreeMap<_, BTreeSet<Stated>> = BTreeMap::new();
        let mut note = |found: Vec<super::timeline::Period>, stated: &BTreeSet<Stated>| {
            for period in found {
                let key = (period.change, period.from, period.until);
                occasions
                    .entry(key)
                    .or_default()
                    .extend(stated.iter().cloned());
            }
        };
        if !old_asks && !new_asks {
            note(
                periods(&Stated::Nothing),
                &BTreeSet::from([Stated::Nothing]),
            );
            // No purpose makes a difference.
            return occasions
                .into_keys()
                .map(|(change, from, until)| (change, from, until, BTreeSet::new()))
                .collect();
        }
        note(
            periods(&Stated::Nothing),
            &BTreeSet::from([Stated::Nothing]),
        );
        let named = self.subjects.purposes.iter();
        let not_looked_at = named.filter(|it| !looked_at.contains(*it));
        let others: BTreeSet<Stated> = not_looked_at
            .cloned()
            .map(Stated::Named)
            .chain([Stated::Other])
            .collect();
        note(periods(&Stated::Other), &others);
        for purpose in &looked_at {
            let stated = Stated::Named(purpose.clone());
            note(periods(&stated), &BTreeSet::from([stated.clone()]));
        }
        let all = self.subjects.purposes.len() + 2;
        occasions
            .into_iter()
            .map(|((change, from, until), mut purposes)| {
                if purposes.len() == all {
                    purposes.clear();
                }
                (change, from, until, purposes)
            })
            .collect()
    }

    fn viewer(&self, principal: &Arc<Principal>, stated: &Stated) -> Viewer {
        let (principal, purpose) = match stated {
            Stated::Nothing => (Arc::clone(principal), None),
            Stated::Named(purpose) => (Arc::clone(principal), Some(purpose.clone())),
            Stated::Other => {
                let open = Open {
                    purpose: true,
                    ..principal.open()
                };
                let somebody = (**principal).clone().leaving_open(open);
                (Arc::new(somebody), self.unnamed_purpose())
            }
        };
        Viewer::new(principal, self.now).with_purpose(purpose)
    }

    /// A purpose that no grant asks for.
    fn unnamed_purpose(&self) -> Option<Purpose> {
        let names = (0u64..).map(|number| format!("other-{number}"));
        let mut purposes = names.filter_map(|name| Purpose::parse(&name).ok());
        purposes.find(|it| !self.subjects.purposes.contains(it))
    }
}

impl Effective<'_> {
    /// The purposes that may each make a difference.
    fn purposes(&self, all: &BTreeSet<Purpose>) -> BTreeSet<Purpose> {
        if self.mentions().purpose {
            return all.clone();
        }
        let grants = self.grants.iter();
        let asked = grants.flat_map(|(_, grant)| grant.purposes.iter());
        asked.cloned().collect()
    }

    /// Grants and guardrails by name, with what they are.
    fn named(&self) -> NamedNumbers {
        let grants = self.grants.iter().map(|(it, _)| (CauseKind::Grant, *it));
        let guardrails = self.guardrails.iter().map(|it| (CauseKind::Guardrail, *it));
        let mut named = NamedNumbers::new();
        for (kind, signed) in grants.chain(guardrails) {
            let key = (kind, signed.name.clone());
            named.entry(key).or_default().insert(signed.number);
        }
        named
    }
}

/// What is otherwise for one of a class.
fn causes(
    table: &TableId,
    candidate: &Candidate,
    old: &NamedNumbers,
    new: &NamedNumbers,
    ground: &Ground<'_>,
) -> BTreeSet<Cause> {
    let mut causes = BTreeSet::new();
    let mut add = |(kind, name): &(CauseKind, String), fate| {
        causes.insert(Cause {
            kind: *kind,
            name: name.clone(),
            fate,
        });
    };
    for (key, before) in old {
        match new.get(key) {
            None => add(key, Fate::Removed),
            Some(after) if after != before => add(key, Fate::Changed),
            Some(_) => {}
        }
    }
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        add(key, Fate::Added);
    }
    if !ground.is_same {
        let fate = match (ground.old, ground.new) {
            (None, _) => Fate::Added,
            (_, None) => Fate::Removed,
            (Some(_), Some(_)) => Fate::Changed,
        };
        add(&(CauseKind::Contract, table.to_string()), fate);
    }
    if !candidate.is_same() {
        let fate = match (&candidate.old, &candidate.new) {
            (None, _) => Fate::Added,
            (_, None) => Fate::Removed,
            (Some(_), Some(_)) => Fate::Changed,
        };
        add(&(CauseKind::Identity, candidate.subject.to_string()), fate);
    }
    causes
}
