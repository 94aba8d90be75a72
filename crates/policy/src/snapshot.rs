//! All policy of a mesh at one moment, and the decision.

mod compose;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use weft_mesh::{DomainName, TableId};

use self::compose::{Active, Rows};
use crate::{
    Access, Authenticator, Denial, DenialReason, DomainPolicy, GrantReason, Principal,
    RowPredicate, TableAccess,
};

/// The identities and the grants of every served domain. Immutable; a reload
/// builds another.
#[derive(Debug, Default)]
pub struct PolicySnapshot {
    authenticator: Authenticator,
    domains: HashMap<DomainName, Arc<DomainPolicy>>,
}

impl PolicySnapshot {
    /// Joins the domains of a mesh with its identities.
    pub fn new(
        authenticator: Authenticator,
        domains: impl IntoIterator<Item = Arc<DomainPolicy>>,
    ) -> Self {
        let domains = domains
            .into_iter()
            .map(|domain| (domain.name().clone(), domain))
            .collect();
        Self {
            authenticator,
            domains,
        }
    }

    /// Who may log in.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// What `principal` sees of `table` at `now`.
    ///
    /// A grant is active if the principal is one of its grantees and `now` is
    /// in `from..until`. A row is visible where the predicate of any active
    /// grant is TRUE. Of a cell, only the grants whose predicate is TRUE on
    /// its row count: it is clear if one of them gives it clear, else it is
    /// masked by the most revealing of their masks, else it is NULL.
    ///
    /// The decision depends neither on the order of grants nor on that of
    /// domains.
    pub fn decide(&self, principal: &Principal, table: &TableId, now: DateTime<Utc>) -> Access {
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
        let mut active = Vec::new();
        let mut grants = Vec::new();
        let mut reasons = Vec::new();
        let mut changes: Vec<DateTime<Utc>> = Vec::new();
        for (grant, to) in policy.grants_to(principal) {
            let name = || grant.name.to_string();
            match (grant.from, grant.until) {
                (_, Some(until)) if until <= now => {
                    reasons.push(DenialReason::Expired {
                        grant: name(),
                        until,
                    });
                }
                (Some(from), _) if now < from => {
                    reasons.push(DenialReason::NotYet {
                        grant: name(),
                        from,
                    });
                    changes.push(from);
                }
                (_, until) => {
                    changes.extend(until);
                    grants.push(GrantReason {
                        grant: name(),
                        to,
                        until,
                    });
                    active.push(Active {
                        grant,
                        rows: Rows::of(grant, principal),
                    });
                }
            }
        }
        let valid_until = changes.into_iter().min();
        if active.is_empty() {
            if reasons.is_empty() {
                reasons.push(DenialReason::NoGrant);
            }
            reasons.sort();
            return Access::Denied(Denial {
                reasons,
                valid_until,
            });
        }
        grants.sort();
        let live = active.iter().filter(|grant| grant.is_live());
        Access::Granted(TableAccess {
            table: table.clone(),
            rows: RowPredicate::any(live.map(|grant| grant.rows.predicate())),
            columns: compose::columns(policy, &active),
            grants,
            valid_until,
        })
    }
}
