//! All policy of a mesh at one moment, and the decision.

mod compose;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use weft_mesh::{DomainName, TableId};

use self::compose::{Active, Rows};
use crate::{
    Access, Authenticator, Denial, DenialReason, DomainPolicy, ForbiddenCombination, GrantReason,
    Guardrails, RowPredicate, TableAccess, Viewer,
    domain_policy::{TableGrant, TablePolicy},
    guardrails::Limits,
};

/// The identities, the guardrails and the grants of every served domain. Immutable; a reload
/// builds another.
#[derive(Debug, Default)]
pub struct PolicySnapshot {
    authenticator: Authenticator,
    domains: HashMap<DomainName, Arc<DomainPolicy>>,
    guardrails: Guardrails,
}

impl PolicySnapshot {
    /// Joins the domains of a mesh with its identities and its limits.
    pub fn new(
        authenticator: Authenticator,
        domains: impl IntoIterator<Item = Arc<DomainPolicy>>,
        guardrails: Guardrails,
    ) -> Self {
        let domains = domains
            .into_iter()
            .map(|domain| (domain.name().clone(), domain))
            .collect();
        Self {
            authenticator,
            domains,
            guardrails,
        }
    }

    /// Who may log in.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// What `viewer` sees of `table`.
    ///
    /// A grant is active if the principal is one of its grantees, `now` is in
    /// `from..until`, and the session states one of its purposes, where it has
    /// any. A row is visible where the predicate of any active grant is TRUE
    /// and that of every row guardrail. Of a cell, only the grants whose
    /// predicate is TRUE on its row count: it is clear if one of them gives it
    /// clear, else it is masked by the most revealing of their masks, else it
    /// is NULL; and never more than the masks of guardrails show.
    ///
    /// The decision depends neither on the order of grants nor on that of
    /// domains or guardrails.
    pub fn decide(&self, viewer: &Viewer, table: &TableId) -> Access {
        let policy = self
            .domains
            .get(&table.domain)
            .and_then(|domain| domain.table(table));
        let Some(policy) = policy else {
            return Access::Denied(Denial {
                reasons: vec![DenialReason::UnknownTable],
                valid_until: None,
            });
        };
        let Claims {
            active,
            grants,
            mut reasons,
            valid_until,
        } = Claims::of(policy, viewer, &|asked| self.may_ask(&table.domain, asked));
        let mut columns = Vec::new();
        let mut limits = Limits::default();
        if !active.is_empty() {
            let name = |at: usize| policy.columns.get(at).map(|column| column.name.clone());
            limits = self
                .guardrails
                .limits(table, viewer, |at| name(at).unwrap_or_default());
            limits.reasons.sort();
            columns = compose::columns(policy, &active, &limits);
        }
        if columns.is_empty() {
            let guardrails = limits.reasons.into_iter().map(DenialReason::Guardrail);
            reasons.extend(guardrails);
            if reasons.is_empty() {
                reasons.push(DenialReason::NoGrant);
            }
            reasons.sort();
            return Access::Denied(Denial {
                reasons,
                valid_until,
            });
        }
        let live = active.iter().filter(|grant| grant.is_live());
        let granted = RowPredicate::any(live.map(|grant| grant.rows.predicate()));
        Access::Granted(TableAccess {
            table: table.clone(),
            rows: RowPredicate::all(granted.into_iter().chain(limits.rows))
                .filter(|rows| *rows != RowPredicate::Literal(Some(true))),
            columns,
            grants,
            guardrails: limits.reasons,
            valid_until,
        })
    }

    /// Whether predicates of `reader` may look membership up in a table: in
    /// one of its own, or that its owner lends it now. A domain that is served
    /// in an older version does not keep what has been withdrawn since.
    fn may_ask(&self, reader: &DomainName, asked: &TableId) -> bool {
        asked.domain == *reader
            || self
                .domains
                .get(&asked.domain)
                .is_some_and(|owner| owner.lends(asked))
    }

    /// Whether a guardrail keeps some of `tables`, read by one query, apart.
    pub fn forbidden_combination(
        &self,
        viewer: &Viewer,
        tables: &BTreeSet<TableId>,
    ) -> Option<ForbiddenCombination> {
        self.guardrails.forbidden_combination(viewer, tables)
    }
}

/// The grants that name a viewer: those that hold now, and why others do not.
struct Claims<'a> {
    active: Vec<Active<'a>>,
    grants: Vec<GrantReason>,
    reasons: Vec<DenialReason>,
    valid_until: Option<DateTime<Utc>>,
}

impl<'a> Claims<'a> {
    fn of(policy: &'a TablePolicy, viewer: &Viewer, may_ask: &impl Fn(&TableId) -> bool) -> Self {
        let mut claims = Self {
            active: Vec::new(),
            grants: Vec::new(),
            reasons: Vec::new(),
            valid_until: None,
        };
        let mut changes: Vec<DateTime<Utc>> = Vec::new();
        for (grant, to) in policy.grants_to(&viewer.principal) {
            if let Err(reason) = holds(grant, viewer) {
                if let DenialReason::NotYet { from, .. } = &reason {
                    changes.push(*from);
                }
                claims.reasons.push(reason);
                continue;
            }
            changes.extend(grant.until);
            claims.grants.push(GrantReason {
                grant: grant.name.to_string(),
                to,
                until: grant.until,
            });
            claims.active.push(Active {
                grant,
                rows: Rows::of(grant, viewer, may_ask),
            });
        }
        claims.grants.sort();
        claims.valid_until = changes.into_iter().min();
        claims
    }
}

/// Whether a grant to the viewer is active, or why not.
fn holds(grant: &TableGrant, viewer: &Viewer) -> Result<(), DenialReason> {
    let name = || grant.name.to_string();
    let purpose_is_one = viewer
        .purpose
        .as_ref()
        .is_some_and(|purpose| grant.purposes.contains(purpose));
    if !grant.purposes.is_empty() && !purpose_is_one {
        return Err(DenialReason::OtherPurpose {
            grant: name(),
            purposes: grant.purposes.to_vec(),
        });
    }
    match (grant.from, grant.until) {
        (_, Some(until)) if until <= viewer.now => Err(DenialReason::Expired {
            grant: name(),
            until,
        }),
        (Some(from), _) if viewer.now < from => Err(DenialReason::NotYet {
            grant: name(),
            from,
        }),
        _ => Ok(()),
    }
}
