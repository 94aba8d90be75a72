//! All policy of a mesh at one moment, and the decision.

mod compose;
mod discovery;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use weft_mesh::{DomainName, Grantee, LimitManifest, TableId};

pub use self::discovery::Discovery;

use self::compose::{Active, Rows};
use crate::{
    Access, Allowance, Authenticator, ColumnFinding, Denial, DenialReason, DomainPolicy,
    Explanation, ForbiddenCombination, GrantFinding, GrantReason, Guardrails, Principal,
    RowPredicate, TableAccess, Viewer,
    domain_policy::{TableGrant, TablePolicy},
    guardrails::{Limits, Read},
};

/// The identities, the guardrails and the grants of every served domain. Immutable; a reload
/// builds another.
#[derive(Debug, Default)]
pub struct PolicySnapshot {
    authenticator: Authenticator,
    domains: HashMap<DomainName, Arc<DomainPolicy>>,
    guardrails: Guardrails,
    auditors: Vec<Grantee>,
    limits: Vec<LimitManifest>,
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
            auditors: Vec::new(),
            limits: Vec::new(),
        }
    }

    /// The same with those who answer for the whole mesh.
    #[must_use]
    pub fn with_auditors(mut self, auditors: Vec<Grantee>) -> Self {
        self.auditors = auditors;
        self
    }

    /// The same with what statements may take of the server.
    #[must_use]
    pub fn with_limits(mut self, limits: Vec<LimitManifest>) -> Self {
        self.limits = limits;
        self
    }

    /// What statements of the principal may take of the server. It depends on
    /// who asks alone, not on what there is to see.
    pub fn allowance(&self, principal: &Principal) -> Allowance {
        Allowance::of(&self.limits, principal)
    }

    /// Whether the principal answers for the whole mesh. It says what they may
    /// know of what others do and see, and gives no data.
    pub fn is_auditor(&self, principal: &Principal) -> bool {
        self.auditors.iter().any(|it| principal.is(it))
    }

    /// The domains that the principal is a steward of. It says what they may
    /// know of what others do and see there, and gives no data.
    pub fn stewarded(&self, principal: &Principal) -> BTreeSet<DomainName> {
        let domains = self.domains.values();
        domains
            .filter(|domain| domain.stewards().iter().any(|it| principal.is(it)))
            .map(|domain| domain.name().clone())
            .collect()
    }

    /// Whether time alone makes no difference between the two to what anybody sees.
    pub fn is_the_same(&self, earlier: DateTime<Utc>, later: DateTime<Utc>) -> bool {
        let mut domains = self.domains.values();
        !domains.any(|domain| domain.changes(earlier, later))
    }

    /// The grants of one domain.
    pub fn domain(&self, name: &DomainName) -> Option<&DomainPolicy> {
        self.domains.get(name).map(AsRef::as_ref)
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
                discovered_by: Vec::new(),
                valid_until: None,
            });
        };
        let Claims {
            active,
            grants,
            mut reasons,
            discovered_by,
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
                discovered_by,
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

    /// Why `viewer` sees of `table` what they see: the decision, with every
    /// grant and guardrail on the table, those too that did not count. `None`
    /// for a table that no served domain has.
    ///
    /// It tells all of the policy: who may read it is for the caller to know.
    pub fn explain(&self, viewer: &Viewer, table: &TableId) -> Option<Explanation> {
        let domain = self.domains.get(&table.domain)?;
        let policy = domain.table(table)?;
        let may_ask = |asked: &TableId| self.may_ask(&table.domain, asked);
        let grants = policy.grants.iter().map(|grant| {
            GrantFinding::of(
                grant,
                policy,
                viewer,
                holds(grant, viewer).err().as_ref(),
                &may_ask,
            )
        });
        let mut grants: Vec<GrantFinding> = grants.collect();
        grants.sort_by(|a, b| a.name.cmp(&b.name));
        let name = |at: usize| policy.columns.get(at).map(|column| column.name.clone());
        let named = |at: usize| name(at).unwrap_or_default();
        let guardrails = self.guardrails.findings(table, viewer, named);
        let access = self.decide(viewer, table);
        let found = self.discover(viewer, table).map(|it| it.columns);
        let found = found.unwrap_or_default();
        let columns = policy.columns.iter().enumerate();
        let columns = columns.map(|(at, column)| {
            let is_found = found.contains(&at);
            ColumnFinding::of(&column.name, &access, is_found, &grants, &guardrails)
        });
        Some(Explanation {
            table: table.clone(),
            columns: columns.collect(),
            grants,
            guardrails,
            owner: domain.owner().map(str::to_owned),
            stewards: domain.stewards().to_vec(),
            access,
        })
    }

    /// Whether predicates of `reader` may look membership up in a table: in
    /// one of its own, or that its owner lends it now. A domain that is served
    /// in an older version does not keep what has been withdrawn since.
    pub(crate) fn may_ask(&self, reader: &DomainName, asked: &TableId) -> bool {
        asked.domain == *reader
            || self
                .domains
                .get(&asked.domain)
                .is_some_and(|owner| owner.lends(asked))
    }

    pub(crate) fn table(&self, table: &TableId) -> Option<&TablePolicy> {
        self.domains.get(&table.domain)?.table(table)
    }

    pub(crate) fn guardrails(&self) -> &Guardrails {
        &self.guardrails
    }

    pub(crate) fn auditors(&self) -> &[Grantee] {
        &self.auditors
    }

    /// Whether a guardrail keeps some of what a query of `tables` reads apart:
    /// them, and the tables that their policy looks membership up in.
    pub fn forbidden_combination(
        &self,
        viewer: &Viewer,
        tables: &BTreeSet<TableId>,
    ) -> Option<ForbiddenCombination> {
        if !self.guardrails.keeps_apart(viewer) {
            return None;
        }
        let mut reads = BTreeSet::new();
        for named in tables {
            let itself = std::iter::once(named.clone());
            let looked_up = match self.decide(viewer, named) {
                Access::Granted(access) => access.lookups(),
                Access::Denied(_) => BTreeSet::new(),
            };
            reads.extend(itself.chain(looked_up).map(|table| Read {
                table,
                named: named.clone(),
            }));
        }
        self.guardrails.forbidden_combination(viewer, &reads)
    }
}

/// The grants that name a viewer: those that hold now, and why others do not.
struct Claims<'a> {
    active: Vec<Active<'a>>,
    grants: Vec<GrantReason>,
    reasons: Vec<DenialReason>,
    /// Those that hold now and give no data.
    discovered_by: Vec<GrantReason>,
    valid_until: Option<DateTime<Utc>>,
}

impl<'a> Claims<'a> {
    fn of(policy: &'a TablePolicy, viewer: &Viewer, may_ask: &impl Fn(&TableId) -> bool) -> Self {
        let mut claims = Self {
            active: Vec::new(),
            grants: Vec::new(),
            reasons: Vec::new(),
            discovered_by: Vec::new(),
            valid_until: None,
        };
        let mut changes: Vec<DateTime<Utc>> = Vec::new();
        for (grant, to) in policy.grants_to(&viewer.principal) {
            if let Err(reason) = holds(grant, viewer) {
                if let DenialReason::NotYet { from, .. } = &reason {
                    changes.push(*from);
                }
                if !grant.only_discovers() {
                    claims.reasons.push(reason);
                }
                continue;
            }
            changes.extend(grant.until);
            let reason = GrantReason {
                grant: grant.name.to_string(),
                to,
                until: grant.until,
            };
            if grant.only_discovers() {
                claims.discovered_by.push(reason);
                continue;
            }
            claims.grants.push(reason);
            claims.active.push(Active {
                grant,
                rows: Rows::of(grant, viewer, may_ask),
            });
        }
        claims.grants.sort();
        claims.discovered_by.sort();
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
