//! Which tables one query may read together: what `forbidCombine` no longer
//! keeps apart, or keeps apart now.
//!
//! A query reads what it names and what the policies of that look membership
//! up in, which depends on time and purpose. So a gain is told wherever tables
//! may have been apart and are not shown to be apart still.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::DateTime;
use weft_mesh::{TableId, TablePattern};

use super::{
    ground::Ground,
    implication::Side,
    report::{Direction, RightKind},
    rights::Told,
    signatures::{Ingredients, Numbers, OnTable, Policies},
    subjects::Candidate,
};
use crate::{
    PolicySnapshot, Principal, RowPredicate, Viewer, domain_policy::TableGrant, guardrails::Read,
};

/// Data does not matter here.
static NO_OTHERS: BTreeSet<TableId> = BTreeSet::new();

/// Tables that are kept apart on one side and perhaps not on the other, by the
/// name of what keeps them; of a pair of the same, by its own policy.
type Pairs = BTreeMap<String, BTreeSet<(TableId, TableId)>>;

/// All that keeps tables apart for somebody on one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    /// The name and the sides of each guardrail that binds them.
    binding: BTreeSet<(String, Vec<String>)>,
    /// By the tables whose policies look something up.
    lookups: BTreeMap<TableId, Lookups>,
}

/// What the policy of one table looks membership up in, for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Lookups {
    /// Of what it is made: where that is equal, so is what is looked up.
    ingredients: Ingredients,
    /// At some time, for some purpose.
    possible: BTreeSet<TableId>,
    /// Whenever a row is seen.
    certain: BTreeSet<TableId>,
}

pub(super) struct Combinations<'a> {
    old: SideOf<'a>,
    new: SideOf<'a>,
    tables: Vec<&'a TableId>,
    /// No longer apart, and newly apart, by what keeps apart before and after.
    pairs: BTreeMap<(Kept, Kept), (Pairs, Pairs)>,
}

struct SideOf<'a> {
    policy: &'a PolicySnapshot,
    /// The tables whose policies look something up.
    looking_up: Vec<(&'a TableId, OnTable<'a>)>,
}

impl<'a> Combinations<'a> {
    pub(super) fn new(
        old: &'a PolicySnapshot,
        new: &'a PolicySnapshot,
        grounds: &'a BTreeMap<TableId, Ground<'_>>,
    ) -> Self {
        let mut numbers = Numbers::default();
        let keep_apart = [old, new].map(|it| it.guardrails().combinations().next().is_some());
        let mut side = |side, policy: &'a PolicySnapshot| {
            let looks_up = |id: &&TableId| {
                let mut found = false;
                for rows in predicates(policy, id) {
                    rows.for_each_entitlement(&mut |_, _| found = true);
                }
                found
            };
            let policies = Policies {
                side,
                policy,
                others: &NO_OTHERS,
            };
            let tables = grounds.keys().filter(|_| keep_apart.contains(&true));
            SideOf {
                policy,
                looking_up: tables
                    .filter(looks_up)
                    .map(|id| (id, OnTable::of(policies, id, &mut numbers)))
                    .collect(),
            }
        };
        Self {
            old: side(Side::Old, old),
            new: side(Side::New, new),
            tables: grounds.keys().collect(),
            pairs: BTreeMap::new(),
        }
    }

    pub(super) fn tell(&mut self, told: &mut Told, candidate: &Candidate) {
        // Who is not there on one side reads nothing there.
        let (Some(before), Some(after)) = (&candidate.old, &candidate.new) else {
            return;
        };
        let key = (self.old.kept(before), self.new.kept(after));
        if key.0 == key.1 {
            return;
        }
        if !self.pairs.contains_key(&key) {
            let one = Looking::new(&self.old, before, &key.0);
            let other = Looking::new(&self.new, after, &key.1);
            let ended = one.apart_unlike(&other, &self.tables);
            let begun = other.apart_unlike(&one, &self.tables);
            self.pairs.insert(key.clone(), (ended, begun));
        }
        let Some((ended, begun)) = self.pairs.get(&key) else {
            return;
        };
        let mut one_way = |pairs: &Pairs, policy, who, direction, may: &str| {
            for (guardrail, pairs) in pairs {
                let mut read = pairs.iter().filter(|(one, other)| {
                    [one, other]
                        .iter()
                        .all(|table| may_read(policy, who, table))
                });
                let Some((one, other)) = read.next() else {
                    continue;
                };
                let more = match read.count() {
                    0 => String::new(),
                    more => format!(" (and {more} more pairs)"),
                };
                let together = if one == other {
                    format!("`{one}` with what its policy looks up")
                } else {
                    format!("`{one}` and `{other}` in one query")
                };
                let what = format!("{may} read {together}{more}: guardrail `{guardrail}`");
                told.add(
                    RightKind::Combination,
                    direction,
                    what,
                    Some(&candidate.subject),
                );
            }
        };
        one_way(ended, self.new.policy, after, Direction::GAIN, "may");
        one_way(
            begun,
            self.old.policy,
            before,
            Direction::LOSS,
            "may no longer",
        );
    }
}

impl SideOf<'_> {
    fn kept(&self, principal: &Principal) -> Kept {
        let combinations = self.policy.guardrails().combinations();
        let binding: BTreeSet<_> = combinations
            .filter(|(_, except, _)| !except.iter().any(|it| principal.is(it)))
            .map(|(name, _, sides)| {
                let sides = sides.iter().map(ToString::to_string).collect();
                (name.to_owned(), sides)
            })
            .collect();
        if binding.is_empty() {
            return Kept::default();
        }
        let lookups = self.looking_up.iter().map(|(id, on_table)| {
            let lookups = Lookups {
                ingredients: on_table.effective(principal).ingredients(principal),
                ..Lookups::of(self.policy, id, principal)
            };
            ((*id).clone(), lookups)
        });
        Kept {
            lookups: lookups.collect(),
            binding,
        }
    }
}

impl Lookups {
    /// Without what it is made of.
    fn of(policy: &PolicySnapshot, table: &TableId, principal: &Principal) -> Self {
        let guardrails = policy.guardrails().on(table);
        let binding = guardrails.filter(|it| !it.except.iter().any(|it| principal.is(it)));
        let (mut possible, mut certain) = (BTreeSet::new(), BTreeSet::new());
        for rows in binding.filter_map(|it| it.rows) {
            possible.extend(mentioned(rows));
            certain.extend(needed(rows));
        }
        let mut by_all: Option<BTreeSet<TableId>> = None;
        for grant in grants(policy, table, principal) {
            let rows = grant.rows.as_deref();
            possible.extend(rows.map(mentioned).unwrap_or_default());
            let needed = rows.map(needed).unwrap_or_default();
            by_all = Some(match by_all {
                Some(others) => &others & &needed,
                None => needed,
            });
        }
        certain.extend(by_all.unwrap_or_default());
        Self {
            ingredients: Ingredients::default(),
            possible,
            certain,
        }
    }
}

/// Somebody on one side, with what is kept apart for them.
struct Looking<'a> {
    policy: &'a PolicySnapshot,
    viewer: Viewer,
    kept: &'a Kept,
}

impl<'a> Looking<'a> {
    fn new(side: &SideOf<'a>, who: &Arc<Principal>, kept: &'a Kept) -> Self {
        Self {
            policy: side.policy,
            viewer: Viewer::new(Arc::clone(who), DateTime::UNIX_EPOCH),
            kept,
        }
    }

    /// What may be apart here and is not shown to be apart there.
    fn apart_unlike(&self, there: &Self, tables: &[&TableId]) -> Pairs {
        let mut pairs = Pairs::new();
        for (name, except, sides) in self.policy.guardrails().combinations() {
            if except.iter().any(|it| self.viewer.principal.is(it)) {
                continue;
            }
            for (at, side) in sides.iter().enumerate() {
                for opposite in sides.iter().skip(at + 1) {
                    for one in tables.iter().filter(|it| self.is_on(side, it)) {
                        for other in tables.iter().filter(|it| self.is_on(opposite, it)) {
                            if self.is_apart_unlike(there, one, other) {
                                let pair = ((*one).min(*other).clone(), (*one).max(*other).clone());
                                pairs.entry(name.to_owned()).or_default().insert(pair);
                            }
                        }
                    }
                }
            }
        }
        pairs
    }

    fn is_on(&self, side: &TablePattern, table: &TableId) -> bool {
        let lookups = self.kept.lookups.get(table);
        let mut looked_up = lookups.iter().flat_map(|it| &it.possible);
        side.matches(table) || looked_up.any(|it| side.matches(it))
    }

    fn is_apart_unlike(&self, there: &Self, one: &TableId, other: &TableId) -> bool {
        let possible = self.reads([one, other], |it| &it.possible);
        if !self.forbids(&possible) {
            return false;
        }
        if there.forbids(&there.reads([one, other], |it| &it.certain)) {
            return false;
        }
        let same = |table| self.kept.lookups.get(table) == there.kept.lookups.get(table);
        if !(same(one) && same(other)) {
            return true;
        }
        // The same is read, whatever it is: each two of it that are apart here
        // have to be apart there.
        possible.iter().any(|read| {
            possible.iter().any(|with| {
                let two = BTreeSet::from([read.clone(), with.clone()]);
                self.forbids(&two) && !there.forbids(&two)
            })
        })
    }

    fn forbids(&self, reads: &BTreeSet<Read>) -> bool {
        let guardrails = self.policy.guardrails();
        guardrails
            .forbidden_combination(&self.viewer, reads)
            .is_some()
    }

    fn reads(
        &self,
        named: [&TableId; 2],
        looked_up: fn(&Lookups) -> &BTreeSet<TableId>,
    ) -> BTreeSet<Read> {
        let more = named.map(|table| self.kept.lookups.get(table).map(looked_up));
        Read::each(
            named
                .into_iter()
                .chain(more.into_iter().flatten().flatten()),
        )
    }
}

/// Every predicate on a table, whomever it is for.
fn predicates<'a>(
    policy: &'a PolicySnapshot,
    table: &TableId,
) -> impl Iterator<Item = &'a RowPredicate> {
    let on_it = policy.table(table);
    let grants = on_it.into_iter().flat_map(|it| &it.grants);
    let of_grants = grants.filter_map(|it| it.rows.as_deref());
    of_grants.chain(policy.guardrails().on(table).filter_map(|it| it.rows))
}

fn mentioned(rows: &RowPredicate) -> BTreeSet<TableId> {
    let mut tables = BTreeSet::new();
    rows.for_each_entitlement(&mut |_, it| {
        tables.insert(it.table.clone());
    });
    tables
}

/// The tables without whose answer no row is let in.
fn needed(rows: &RowPredicate) -> BTreeSet<TableId> {
    match rows {
        RowPredicate::InEntitlement { entitlement, .. } => {
            BTreeSet::from([entitlement.table.clone()])
        }
        RowPredicate::And(parts) => parts.iter().flat_map(needed).collect(),
        RowPredicate::Or(parts) => {
            let each = parts.iter().map(needed);
            each.reduce(|one, other| &one & &other).unwrap_or_default()
        }
        RowPredicate::Literal(_)
        | RowPredicate::Bool(_)
        | RowPredicate::Compare { .. }
        | RowPredicate::InList { .. }
        | RowPredicate::IsNull { .. }
        | RowPredicate::IsTruth { .. }
        | RowPredicate::Like { .. }
        | RowPredicate::StartsWith { .. }
        | RowPredicate::InGroup(_)
        | RowPredicate::Not(_) => BTreeSet::new(),
    }
}

/// The grants that give somebody data of a table, at some time and for some
/// purpose.
fn grants<'a>(
    policy: &'a PolicySnapshot,
    table: &TableId,
    principal: &Principal,
) -> impl Iterator<Item = &'a TableGrant> {
    let on_it = policy.table(table);
    let grants = on_it.into_iter().flat_map(|on_it| {
        let positions = on_it.positions_to(principal).into_iter();
        positions.filter_map(|at| on_it.grants.get(at))
    });
    grants.filter(|grant| !grant.only_discovers())
}

fn may_read(policy: &PolicySnapshot, principal: &Principal, table: &TableId) -> bool {
    grants(policy, table, principal).next().is_some()
}
