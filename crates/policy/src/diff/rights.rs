//! Rights that are not about one table: who there is and acts for whom, who
//! answers for domains and the mesh, which tables one query may read
//! ([`combinations`](super::combinations)).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use weft_mesh::{
    AccessToken, IdentityCredential, PasswordSource, SecretRef, TableId, WhenUnwritable,
};

use super::{
    MeshState,
    combinations::Combinations,
    ground::Ground,
    report::{Direction, RightChange, RightKind, Subject},
    subjects::{Candidate, Subjects},
};
use crate::{PolicySnapshot, Principal, PrincipalId};

/// Those of one kind and wording together.
#[derive(Default)]
pub(super) struct Told(BTreeMap<(RightKind, Direction, String), BTreeSet<Subject>>);

impl Told {
    pub(super) fn add(
        &mut self,
        kind: RightKind,
        direction: Direction,
        what: String,
        who: Option<&Subject>,
    ) {
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
    demands(&mut told, old, new);
    entitlements(&mut told, old, new);
    impersonation(&mut told, old, new);
    vouchers(&mut told, old, new);
    let mut combinations = Combinations::new(old.policy, new.policy, grounds);
    for candidate in &subjects.candidates {
        identity(&mut told, candidate);
        credential(&mut told, candidate, old, new);
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
    let secret = |state: &MeshState<'_>| state.mesh.secret.as_ref().map(|it| place(it, state));
    if secret(old) != secret(new) {
        note("`hash` and `token` masks have another key: their values change".to_owned());
    }
}

/// What the trail of what everybody does is, and what the mesh asks of its domains.
fn demands(told: &mut Told, old: &MeshState<'_>, new: &MeshState<'_>) {
    let mut note = |what: &str| {
        told.add(RightKind::Mesh, Direction::NEITHER, what.to_owned(), None);
    };
    match (&old.mesh.audit, &new.mesh.audit) {
        (None, Some(_)) => note("an audit trail is kept"),
        (Some(_), None) => note("no audit trail is kept any longer"),
        (Some(before), Some(after)) => {
            if before.when_unwritable != after.when_unwritable {
                note(match after.when_unwritable {
                    WhenUnwritable::Serve => {
                        "statements run even where the audit trail cannot be written"
                    }
                    WhenUnwritable::Refuse => {
                        "statements are refused where the audit trail cannot be written"
                    }
                });
            }
            if before.retention != after.retention {
                note("the audit trail is kept for another time");
            }
        }
        (None, None) => {}
    }
    let asked = |state: &MeshState<'_>| -> BTreeSet<String> {
        let asked = state.mesh.require.access_tests.iter();
        asked.map(|it| it.value.clone()).collect()
    };
    if asked(old) != asked(new) {
        note("the mesh asks for other tests of access");
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
            .filter(|it| !matches!(it.credential, IdentityCredential::Password(_)))
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

/// Whose word lets in people whom the mesh does not know, and what lets in those
/// whom it knows beside their passwords.
fn vouchers(told: &mut Told, old: &MeshState<'_>, new: &MeshState<'_>) {
    let issuers = |state: &MeshState<'_>| -> BTreeMap<String, [u8; 16]> {
        let known = state.policy.authenticator();
        let issuers = known.issuers().map(|it| it.issuer.value.clone());
        let tagged = issuers.filter_map(|name| {
            let (_, tag) = known.issuer(&name)?;
            Some((name, tag))
        });
        tagged.collect()
    };
    let mut note = |direction, what| told.add(RightKind::Identity, direction, what, None);
    let (before, after) = (issuers(old), issuers(new));
    for (name, tag) in &after {
        match before.get(name) {
            None => note(Direction::GAIN, format!("tokens of {name} let in")),
            Some(other) if other != tag => note(
                Direction::BOTH,
                format!("tokens of {name} let in others, or for other groups"),
            ),
            Some(_) => {}
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        note(
            Direction::LOSS,
            format!("tokens of {name} let nobody in any longer"),
        );
    }
    let tokens = |state: &MeshState<'_>| -> BTreeMap<String, AccessToken> {
        let tokens = state.mesh.identity.tokens.iter();
        tokens.map(|it| (it.id.value.clone(), it.clone())).collect()
    };
    let (before, after) = (tokens(old), tokens(new));
    let mut note = |token: &AccessToken, direction, what: String| {
        let who = Subject::Principal(PrincipalId::user(&token.user));
        told.add(RightKind::Identity, direction, what, Some(&who));
    };
    for (id, token) in &after {
        let longer = before.get(id).map(|other| {
            let same = (&other.user, other.digest) == (&token.user, token.digest);
            (same, token.expires.cmp(&other.expires))
        });
        match longer {
            None | Some((false, _)) => note(
                token,
                Direction::GAIN,
                format!("can log in with the token {id}"),
            ),
            Some((true, Ordering::Greater)) => note(
                token,
                Direction::GAIN,
                format!("can log in for longer with the token {id}"),
            ),
            Some((true, Ordering::Less)) => note(
                token,
                Direction::LOSS,
                format!("can log in for less long with the token {id}"),
            ),
            Some((true, Ordering::Equal)) => {}
        }
    }
    for (id, token) in &before {
        let gone = after.get(id).is_none_or(|it| it.user != token.user);
        if gone {
            let what = format!("can log in with the token {id} no longer");
            note(token, Direction::LOSS, what);
        }
    }
}

/// Whoever has another password or token may be another person.
fn credential(told: &mut Told, candidate: &Candidate, old: &MeshState<'_>, new: &MeshState<'_>) {
    let Subject::Principal(id) = &candidate.subject else {
        return;
    };
    let of = |state: &MeshState<'_>| {
        let mut users = state.mesh.identity.users.iter();
        let user = users.find(|it| {
            let own = match &it.credential {
                IdentityCredential::Password(_) => PrincipalId::user(&it.name.value),
                IdentityCredential::Token(_) | IdentityCredential::Certificate(_) => {
                    PrincipalId::service(&it.name.value)
                }
            };
            own == *id
        })?;
        Some(match &user.credential {
            IdentityCredential::Password(PasswordSource::Phc(hash)) => hash.clone(),
            IdentityCredential::Password(PasswordSource::Ref(secret))
            | IdentityCredential::Token(secret) => place(secret, state),
            IdentityCredential::Certificate(name) => format!("certificate {name}"),
        })
    };
    if let (Some(before), Some(after)) = (of(old), of(new))
        && before != after
    {
        let what = "shows who they are by another password or token".to_owned();
        let subject = Some(&candidate.subject);
        told.add(RightKind::Identity, Direction::BOTH, what, subject);
    }
}

/// Where a secret is. A file inside of the mesh is named from there: two
/// checkouts are at two places.
fn place(secret: &SecretRef, state: &MeshState<'_>) -> String {
    match secret {
        SecretRef::File(path) => {
            let inside = path.strip_prefix(state.folder).unwrap_or(path);
            format!("file:{}", inside.display())
        }
        SecretRef::Env(name) => format!("env:{name}"),
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
