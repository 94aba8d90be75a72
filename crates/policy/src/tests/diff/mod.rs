//! Two states of a mesh, held against each other.

mod cases;
mod laws;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, OnceLock},
};

use chrono::{DateTime, Utc};
use weft_mesh::{
    Domain, Grantee, GuardrailManifest, Identity, IdentityCredential, IdentityUser, Mesh, SecretRef,
};

use super::{now, spanned};
use crate::{
    Authenticator, DomainPolicy, Guardrails, PolicySnapshot,
    diff::{Direction, MeshDiff, MeshState, Presence, TableChange, compare},
};

/// Users and services with groups and attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct People(Vec<IdentityUser>);

impl People {
    pub(super) fn user(self, name: &str, groups: &[&str], attributes: &[(&str, &str)]) -> Self {
        self.with(name, "password", groups, attributes, &[])
    }

    pub(super) fn service(self, name: &str, groups: &[&str], impersonates: &[&str]) -> Self {
        self.with(name, "token", groups, &[], impersonates)
    }

    /// The same with another reference to somebody's password or token.
    pub(super) fn with_credential(mut self, name: &str, reference: &str) -> Self {
        let reference = SecretRef::parse(reference).unwrap();
        let user = self.0.iter_mut().find(|it| it.name.value == name).unwrap();
        user.credential = match user.credential {
            IdentityCredential::Token(_) | IdentityCredential::Certificate(_) => {
                IdentityCredential::Token(reference)
            }
            IdentityCredential::Password(_) => {
                IdentityCredential::Password(weft_mesh::PasswordSource::Ref(reference))
            }
        };
        self
    }

    fn with(
        mut self,
        name: &str,
        credential: &str,
        groups: &[&str],
        attributes: &[(&str, &str)],
        impersonates: &[&str],
    ) -> Self {
        let set = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let reference = SecretRef::parse("env:NOBODY_READS_IT").unwrap();
        self.0.push(IdentityUser {
            name: spanned(name.to_owned()),
            credential: match credential {
                "token" => IdentityCredential::Token(reference),
                _ => IdentityCredential::Password(weft_mesh::PasswordSource::Ref(reference)),
            },
            groups: set(groups),
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            impersonates: set(impersonates),
        });
        self
    }
}

/// One state of a mesh.
#[derive(Debug)]
pub(super) struct State {
    mesh: Mesh,
    domains: Vec<Arc<Domain>>,
    policy: PolicySnapshot,
}

impl State {
    pub(super) fn new(
        domains: Vec<Domain>,
        guardrails: &[GuardrailManifest],
        people: &People,
        auditors: &[&str],
    ) -> Self {
        let mut mesh = some_mesh().clone();
        mesh.identity = Identity {
            users: people.0.clone(),
            ..Identity::default()
        };
        let domains: Vec<Arc<Domain>> = domains.into_iter().map(Arc::new).collect();
        let held: Vec<&Domain> = domains.iter().map(AsRef::as_ref).collect();
        let policies: Vec<_> = held
            .iter()
            .map(|domain| Arc::new(DomainPolicy::compile(domain, &held).unwrap()))
            .collect();
        let guardrails = Guardrails::compile(guardrails, &held).unwrap();
        let who = Authenticator::without_credentials(&mesh.identity);
        let auditors = auditors.iter().map(|it| Grantee::parse(it).unwrap());
        let policy =
            PolicySnapshot::new(who, policies, guardrails).with_auditors(auditors.collect());
        Self {
            mesh,
            domains,
            policy,
        }
    }

    fn state(&self) -> MeshState<'_> {
        MeshState {
            mesh: &self.mesh,
            folder: Path::new("/"),
            domains: &self.domains,
            policy: &self.policy,
        }
    }
}

pub(super) fn diff(old: &State, new: &State) -> MeshDiff {
    diff_at(old, new, now())
}

pub(super) fn diff_at(old: &State, new: &State, now: DateTime<Utc>) -> MeshDiff {
    compare(&old.state(), &new.state(), now)
}

/// Its other keys do not matter here.
fn some_mesh() -> &'static Mesh {
    static MESH: OnceLock<Mesh> = OnceLock::new();
    MESH.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mesh.yaml");
        let text = "apiVersion: weft/v1\nkind: Mesh\nname: acme\ndomains: []\n";
        std::fs::write(&file, text).unwrap();
        weft_mesh::load(&file).mesh.unwrap()
    })
}

/// A line for every right and every change, for people who read tests.
pub(super) fn told(diff: &MeshDiff) -> Vec<String> {
    let joined = |items: Vec<String>| items.join(", ");
    let mut lines = Vec::new();
    for right in &diff.rights {
        let subjects = right.subjects.iter().map(ToString::to_string).collect();
        let (sign, who) = (sign(right.direction), joined(subjects));
        lines.push(format!("{sign} {who}: {}", right.what));
    }
    for contract in &diff.contracts {
        lines.push(format!("~ {}: {}", contract.table, contract.what));
    }
    for access in &diff.accesses {
        let mut who: Vec<String> = access.subjects.iter().map(ToString::to_string).collect();
        if !access.purposes.is_empty() {
            let purposes = access.purposes.iter().map(ToString::to_string).collect();
            who.push(format!("[{}]", joined(purposes)));
        }
        if let Some(from) = access.from {
            who.push(format!("from {}", from.format("%F")));
        }
        if let Some(until) = access.until {
            who.push(format!("until {}", until.format("%F")));
        }
        let tables: BTreeSet<String> = access.tables.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "{} {} of {}: {}",
            sign(access.change.direction()),
            who.join(" "),
            joined(tables.into_iter().collect()),
            change(&access.change)
        ));
    }
    lines
}

fn sign(direction: Direction) -> &'static str {
    match (direction.gain, direction.loss) {
        (true, true) => "±",
        (true, false) => "+",
        (false, true) => "-",
        (false, false) => "~",
    }
}

fn change(change: &TableChange) -> String {
    let mut parts = Vec::new();
    let word = |presence: Presence| match presence {
        Presence::Hidden => "hidden",
        Presence::Found => "found",
        Presence::Granted => "granted",
    };
    let (before, after) = change.presence;
    if before != after {
        parts.push(format!("{} > {}", word(before), word(after)));
    }
    let (found, gone) = &change.found;
    parts.extend(found.iter().map(|name| format!("+found {name}")));
    parts.extend(gone.iter().map(|name| format!("-found {name}")));
    if change.moved.is_some() {
        parts.push("other data".to_owned());
    }
    if let Some(rows) = &change.rows {
        let text = |rows: &Option<String>| rows.clone().unwrap_or_else(|| "none".to_owned());
        let (old, new) = (text(&rows.old), text(&rows.new));
        parts.push(format!("{}rows {old} > {new}", sign(rows.direction)));
    }
    for column in &change.columns {
        let view = |view: &Option<crate::diff::ColumnView>| match view {
            Some(view) => format!("{} {}", view.name, view.shown),
            None => "nothing".to_owned(),
        };
        let sign = sign(column.direction);
        let (old, new) = (view(&column.old), view(&column.new));
        parts.push(format!("{sign}{old} > {new}"));
    }
    parts.join("; ")
}
