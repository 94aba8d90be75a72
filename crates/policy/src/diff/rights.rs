//! Rights that are not about one table: who there is and acts for whom, who
//! answers for domains and the mesh, which tables one query may read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use weft_mesh::{IdentityCredential, SecretRef, TableId, TablePattern};

use super::{
    MeshState,
    ground::Ground,
    report::{Direction, RightChange, RightKind, Subject},
    subjects::{Candidate, Subjects},
};
use crate::{PolicySnapshot, Principal, PrincipalId, Viewer, guardrails::Read};

/// Those of one kind and wording together.
#[derive(Default)]
struct Told(BTreeMap<(RightKind, Direction, String), BTreeSet<Subject>>);

impl Told {
    fn add(&mut self, kind: RightKind, direction: Direction, what: String, who: Option<&Subject>) {
        let subjects = self.0.entry((kind, direction, what)).or_default();
        subjects.extend(who.cloned());
    }
}

pub(super) fn changes(
    old: &MeshState<'_>,
    new: &MeshState<'_>,
    subjects: &Subjects,
    grounds: &BTreeMap<TableId, Ground<'_>>,
) -> Vec<RightChange> {
    let mut told = Told::default();
    mesh(&mut told, old, new);
    entitlements(&mut told, old, new);
    impersonation(&mut told, old, new);
    let mut combinations = Combinations {
        old: old.policy,
        new: new.policy,
        tables: grounds.keys().collect(),
        pairs: BTreeMap::new(),
    };
    for candidate in &subjects.candidates {
        identity(&mut told, candidate);
        stewards(&mut told, candidate, old.policy, new.policy);
        combinations.tell(&mut told, candidate);
    }
    let told = told.0.into_iter();
    told.map(|((kind, direction, what), subjects)| RightChange {
        direction,
        kind,
        subjects,
        what,
    })
    .collect()
}

fn mesh(told: &mut Told, old: &MeshState<'_>, new: &MeshState<'_>) {
    let mut note = |what: String| told.add(RightKind::Mesh, Direction::NEITHER, what, None);
    if old.mesh.name != new.mesh.name {
        note(format!(
            "the mesh is called `{}`, no longer `{}`",
            new.mesh.name, old.mesh.name
        ));
    }
    // A file inside of the mesh is named from there: two checkouts are at two places.
    let secret = |state: &MeshState<'_>| match state.mesh.secret.as_ref()? {
        SecretRef::File(path) => {
            let inside = path.strip_prefix(state.folder).unwrap_or(path);
            Some(format!("file:{}", inside.display()))
        }
        SecretRef::Env(name) => Some(format!("env:{name}")),
    };
    if secret(old) != secret(new) {
        note("`hash` and `token` masks have another key: their values change".to_owned());
    }
}

fn entitlements(told: &mut Told, old: &MeshState<'_>, new: &MeshState<'_>) {
    let lent = |state: &MeshState<'_>| -> BTreeSet<String> {
        let lent = state.domains.iter().flat_map(|domain| {
            let names = domain.entitlements.iter();
            names.map(|name| format!("{}.{}", domain.name, name.value))
        });
        lent.collect()
    };
    let (before, after) = (lent(old), lent(new));
    for table in after.difference(&before) {
        let what = format!("predicates of other domains may ask `{table}`");
        told.add(RightKind::Entitlement, Direction::GAIN, what, None);
    }
    for table in before.difference(&after) {
        let what = format!("predicates of other domains may no longer ask `{table}`");
        told.add(RightKind::Entitlement, Direction::LOSS, what, None);
    }
}

/// For whose members each service may act, and for whom that is.
fn impersonation(told: &mut Told, old: &MeshState<'_>, new: &MeshState<'_>) {
    type Reach = BTreeMap<PrincipalId, (BTreeSet<String>, BTreeSet<PrincipalId>)>;
    let reach = |state: &MeshState<'_>| -> Reach {
        let users = &state.mesh.identity.users;
        let services = users
            .iter()
            .filter(|it| matches!(it.credential, IdentityCredential::Token(_)))
            .filter(|it| !it.impersonates.is_empty());
        services
            .map(|service| {
                let id = PrincipalId::service(&service.name.value);
                let principals = state.policy.authenticator().principals();
                let reached = principals
                    .filter(|it| {
                        let name = it.name();
                        let found = state.policy.authenticator().impersonated(&id, name);
                        found.is_some_and(|found| found.id() == it.id())
                    })
                    .map(|it| it.id().clone());
                (
                    id.clone(),
                    (service.impersonates.clone(), reached.collect()),
                )
            })
            .collect()
    };
    let (before, after) = (reach(old), reach(new));
    let mut one_way = |these: &Reach, those: &Reach, direction, may: &str| {
        for (service, (groups, users)) in these {
            let none = (BTreeSet::new(), BTreeSet::new());
            let (other_groups, other_users) = those.get(service).unwrap_or(&none);
            let subject = Subject::Principal(service.clone());
            let mut add = |whom: String| {
                let what = format!("{may} {whom}");
                told.add(RightKind::Impersonation, direction, what, Some(&subject));
            };
            for group in groups.difference(other_groups) {
                add(format!("members of group:{group}"));
            }
            for user in users.difference(other_users) {
                add(user.to_string());
            }
        }
    };
    one_way(&after, &before, Direction::GAIN, "may act for");
    one_way(&before, &after, Direction::LOSS, "may no longer act for");
}

/// What of it matters is told with what it gives and takes.
fn identity(told: &mut Told, candidate: &Candidate) {
    let mut note = |what: String| {
        let subject = Some(&candidate.subject);
        told.add(RightKind::Identity, Direction::NEITHER, what, subject);
    };
    match (candidate.old.as_deref(), candidate.new.as_deref()) {
        (None, Some(_)) => note("is new".to_owned()),
        (Some(_), None) => note("is gone".to_owned()),
        (Some(old), Some(new)) => {
            for group in new.groups().difference(old.groups()) {
                note(format!("is in group:{group}"));
            }
            for group in old.groups().difference(new.groups()) {
                note(format!("is no longer in group:{group}"));
            }
            let names: BTreeSet<&String> = old
                .attributes()
                .keys()
                .chain(new.attributes().keys())
                .collect();
            for name in names {
                match (old.attribute(name), new.attribute(name)) {
                    (before, after) if before == after => {}
                    (_, Some(after)) => note(format!("has attribute {name}: {after}")),
                    (_, None) => note(format!("has attribute {name} no longer")),
                }
            }
        }
        (None, None) => {}
    }
}

fn stewards(told: &mut Told, candidate: &Candidate, old: &PolicySnapshot, new: &PolicySnapshot) {
    let subject = Some(&candidate.subject);
    let domains = |policy: &PolicySnapshot, who: Option<&Principal>| {
        who.map(|who| policy.stewarded(who)).unwrap_or_default()
    };
    let before = domains(old, candidate.old.as_deref());
    let after = domains(new, candidate.new.as_deref());
    for domain in after.difference(&before) {
        let what = format!("answers for domain `{domain}`");
        told.add(RightKind::Steward, Direction::GAIN, what, subject);
    }
    for domain in before.difference(&after) {
        let what = format!("no longer answers for domain `{domain}`");
        told.add(RightKind::Steward, Direction::LOSS, what, subject);
    }
    let audits = |policy: &PolicySnapshot, who: Option<&Principal>| {
        who.is_some_and(|who| policy.is_auditor(who))
    };
    let before = audits(old, candidate.old.as_deref());
    let after = audits(new, candidate.new.as_deref());
    if after && !before {
        let what = "is an auditor of the mesh".to_owned();
        told.add(RightKind::Auditor, Direction::GAIN, what, subject);
    }
    if before && !after {
        let what = "is no longer an auditor of the mesh".to_owned();
        told.add(RightKind::Auditor, Direction::LOSS, what, subject);
    }
}

/// What binds somebody: the name and the sides of each, in the order of names.
type Binding = BTreeSet<(String, Vec<String>)>;

/// Tables that are kept apart on one side and not on the other, with the name
/// of what keeps them.
type Pairs = BTreeMap<String, Vec<(TableId, TableId)>>;

struct Combinations<'a> {
    old: &'a PolicySnapshot,
    new: &'a PolicySnapshot,
    tables: Vec<&'a TableId>,
    /// No longer apart, and newly apart, by what binds before and after.
    pairs: BTreeMap<(Binding, Binding), (Pairs, Pairs)>,
}

impl Combinations<'_> {
    fn tell(&mut self, told: &mut Told, candidate: &Candidate) {
        // Who is not there on one side reads nothing there.
        let (Some(before), Some(after)) = (&candidate.old, &candidate.new) else {
            return;
        };
        let key = (binding(self.old, before), binding(self.new, after));
        if key.0 == key.1 {
            return;
        }
        let look = |who: &std::sync::Arc<Principal>| {
            Viewer::new(std::sync::Arc::clone(who), DateTime::UNIX_EPOCH)
        };
        if !self.pairs.contains_key(&key) {
            let (one, other) = (look(before), look(after));
            let ended = self.pairs(self.old, &one, self.new, &other);
            let begun = self.pairs(self.new, &other, self.old, &one);
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
                let what = format!(
                    "{may} read `{one}` and `{other}` in one query{more}: guardrail `{guardrail}`"
                );
                told.add(
                    RightKind::Combination,
                    direction,
                    what,
                    Some(&candidate.subject),
                );
            }
        };
        one_way(ended, self.new, after, Direction::GAIN, "may");
        one_way(begun, self.old, before, Direction::LOSS, "may no longer");
    }

    /// What is apart for the first and not for the second.
    fn pairs(
        &self,
        policy: &PolicySnapshot,
        viewer: &Viewer,
        other: &PolicySnapshot,
        other_viewer: &Viewer,
    ) -> Pairs {
        let mut pairs: Pairs = BTreeMap::new();
        for (name, except, sides) in policy.guardrails().combinations() {
            if except.iter().any(|it| viewer.principal.is(it)) {
                continue;
            }
            for (at, side) in sides.iter().enumerate() {
                for opposite in sides.iter().skip(at + 1) {
                    for (one, another) in self.both(side, opposite) {
                        let together = Read::each([one, another]);
                        let apart = |policy: &PolicySnapshot, viewer: &Viewer| {
                            let guardrails = policy.guardrails();
                            guardrails
                                .forbidden_combination(viewer, &together)
                                .is_some()
                        };
                        if apart(policy, viewer) && !apart(other, other_viewer) {
                            let pair = (one.clone(), another.clone());
                            pairs.entry(name.to_owned()).or_default().push(pair);
                        }
                    }
                }
            }
        }
        pairs
    }

    fn both<'s>(
        &'s self,
        side: &'s TablePattern,
        opposite: &'s TablePattern,
    ) -> impl Iterator<Item = (&'s TableId, &'s TableId)> {
        let of = |pattern: &'s TablePattern| {
            let tables = self.tables.iter().copied();
            tables.filter(move |it| pattern.matches(it))
        };
        of(side).flat_map(move |one| of(opposite).map(move |other| (one, other)))
    }
}

fn binding(policy: &PolicySnapshot, principal: &Principal) -> Binding {
    let combinations = policy.guardrails().combinations();
    combinations
        .filter(|(_, except, _)| !except.iter().any(|it| principal.is(it)))
        .map(|(name, _, sides)| {
            let sides = sides.iter().map(ToString::to_string).collect();
            (name.to_owned(), sides)
        })
        .collect()
}

/// Whether some grant, at some time and for some purpose, gives data of it.
fn may_read(policy: &PolicySnapshot, principal: &Principal, table: &TableId) -> bool {
    policy.table(table).is_some_and(|on_it| {
        let mut positions = on_it.positions_to(principal).into_iter();
        positions.any(|at| {
            let grant = on_it.grants.get(at);
            grant.is_some_and(|grant| !grant.only_discovers())
        })
    })
}
