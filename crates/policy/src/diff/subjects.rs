//! Whom a comparison is made for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_mesh::{Grantee, Purpose};

use super::{MeshState, mentions::Mentions, report::Subject};
use crate::{Principal, PrincipalId, RowPredicate, principal::Open};

/// Somebody on both sides; `None` where they are not there.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) subject: Subject,
    pub(super) old: Option<Arc<Principal>>,
    pub(super) new: Option<Arc<Principal>>,
}

impl Candidate {
    /// Whether they are the same, with the same groups and attributes.
    pub(super) fn is_same(&self) -> bool {
        self.old == self.new
    }
}

/// Everybody there is to compare for, and what they could state.
#[derive(Debug)]
pub(super) struct Subjects {
    pub(super) candidates: Vec<Candidate>,
    pub(super) purposes: BTreeSet<Purpose>,
}

impl Subjects {
    /// All that two states know or name.
    pub(super) fn of(old: &MeshState<'_>, new: &MeshState<'_>) -> Self {
        let mut named = Named::default();
        for state in [old, new] {
            named.read(state);
        }
        let mut ids: BTreeSet<PrincipalId> = named.principals;
        for state in [old, new] {
            let known = state.policy.authenticator().principals();
            ids.extend(known.map(|it| it.id().clone()));
        }
        let unknown = |id: PrincipalId, groups: BTreeSet<String>| {
            let somebody = Principal::new(id, groups, BTreeMap::new());
            Arc::new(somebody.leaving_open(Open {
                identity: true,
                purpose: false,
            }))
        };
        // No identity and no grantee has such a name.
        let nobody = || PrincipalId::user("");
        let everyone = (Subject::Everyone, unknown(nobody(), BTreeSet::new()));
        let groups = named.groups.into_iter().map(|group| {
            let member = unknown(nobody(), BTreeSet::from([group.clone()]));
            (Subject::Group(group), member)
        });
        let mut candidates: Vec<Candidate> = [everyone]
            .into_iter()
            .chain(groups)
            .map(|(subject, somebody)| Candidate {
                subject,
                old: Some(Arc::clone(&somebody)),
                new: Some(somebody),
            })
            .collect();
        candidates.extend(ids.into_iter().map(|id| {
            let known = |state: &MeshState<'_>| state.policy.authenticator().principal(&id);
            let (before, after) = (known(old), known(new));
            let (before, after) = match (before, after) {
                // Of another source of identities, as far as it goes.
                (None, None) => {
                    let somebody = unknown(id.clone(), BTreeSet::new());
                    (Some(Arc::clone(&somebody)), Some(somebody))
                }
                known => known,
            };
            Candidate {
                subject: Subject::Principal(id),
                old: before,
                new: after,
            }
        }));
        Self {
            candidates,
            purposes: named.purposes,
        }
    }
}

/// What manifests name.
#[derive(Debug, Default)]
struct Named {
    principals: BTreeSet<PrincipalId>,
    groups: BTreeSet<String>,
    purposes: BTreeSet<Purpose>,
    /// Predicates are shared among grants.
    read: BTreeSet<usize>,
}

impl Named {
    fn read(&mut self, state: &MeshState<'_>) {
        self.read.clear();
        for user in &state.mesh.identity.users {
            self.groups.extend(user.groups.iter().cloned());
            self.groups.extend(user.impersonates.iter().cloned());
        }
        self.grantees(state.policy.auditors());
        for domain in state.domains {
            self.grantees(&domain.stewards);
            for table in &domain.tables {
                let id = table.id(&domain.name);
                if let Some(policy) = state.policy.table(&id) {
                    for (grantee, positions) in policy.grantees() {
                        if !positions.is_empty() {
                            self.grantee(&grantee);
                        }
                    }
                    for grant in &policy.grants {
                        self.purposes.extend(grant.purposes.iter().cloned());
                        if let Some(rows) = &grant.rows {
                            self.predicate(rows);
                        }
                    }
                }
                for guardrail in state.policy.guardrails().on(&id) {
                    self.grantees(guardrail.except);
                    if let Some(rows) = guardrail.rows {
                        self.predicate(rows);
                    }
                }
            }
        }
        for (_, except, _) in state.policy.guardrails().combinations() {
            self.grantees(except);
        }
    }

    fn grantees(&mut self, grantees: &[Grantee]) {
        for grantee in grantees {
            self.grantee(grantee);
        }
    }

    fn grantee(&mut self, grantee: &Grantee) {
        match grantee {
            Grantee::User(name) => {
                self.principals.insert(PrincipalId::user(name));
            }
            Grantee::Service(name) => {
                self.principals.insert(PrincipalId::service(name));
            }
            Grantee::Group(name) => {
                self.groups.insert(name.clone());
            }
            Grantee::Everyone => {}
        }
    }

    fn predicate(&mut self, predicate: &RowPredicate) {
        if self.read.insert(std::ptr::from_ref(predicate).addr()) {
            let mentions = Mentions::of(predicate);
            self.groups.extend(mentions.groups);
            self.purposes.extend(mentions.purposes);
        }
    }
}
