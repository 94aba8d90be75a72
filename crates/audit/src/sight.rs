//! What a principal sees of the trail.
//!
//! | who | sees |
//! |---|---|
//! | an auditor of the mesh | everything |
//! | a steward | records that touch own domains, and of them what concerns these: the tables of other domains are left out, and with them everything that could name them |
//! | everybody | what they did, and what a service did for them |

use std::collections::BTreeSet;

use weft_policy::{PolicySnapshot, Principal};

use crate::record::{AuditRecord, Kind};

/// What one principal may see.
#[derive(Debug, Clone)]
pub struct Sight {
    principal: String,
    everything: bool,
    domains: BTreeSet<String>,
}

impl Sight {
    pub fn of(policy: &PolicySnapshot, principal: &Principal) -> Self {
        let domains = policy.stewarded(principal);
        Self {
            principal: principal.id().to_string(),
            everything: policy.is_auditor(principal),
            domains: domains.iter().map(ToString::to_string).collect(),
        }
    }

    /// The record as the principal sees it; `None` for nothing of it.
    pub fn see(&self, mut record: AuditRecord) -> Option<AuditRecord> {
        if self.everything {
            return Some(record);
        }
        let me = Some(self.principal.as_str());
        let is_own = record.principal.as_deref() == me || record.acting.as_deref() == me;
        if is_own && record.kind != Kind::Trail {
            // When files change is for those to know who may see all of them, and what
            // guardrails take may be of columns that do not exist for who did it.
            for table in &mut record.tables {
                if !self.domains.contains(&table.domain) {
                    table.snapshot = None;
                    table.guardrails = Vec::new();
                }
            }
            return Some(record);
        }
        let before = record.tables.len();
        record
            .tables
            .retain(|table| self.domains.contains(&table.domain));
        if record.tables.is_empty() {
            return None;
        }
        if record.tables.len() < before {
            record.sql = None;
            record.parameters = None;
            record.error = None;
            record.lineage = None;
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::tests::records;

    fn sight(principal: &str, everything: bool, domains: &[&str]) -> Sight {
        Sight {
            principal: principal.to_owned(),
            everything,
            domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
        }
    }

    /// Of a record of `user:ana` by `service:bi`, on `sales.orders` and `crm.x`.
    fn seen(sight: &Sight) -> Option<AuditRecord> {
        sight.see(records().remove(0))
    }

    #[test]
    fn an_auditor_sees_everything() {
        let auditor = sight("user:aud", true, &[]);
        let all = records();
        let seen: Vec<_> = all
            .iter()
            .filter_map(|it| auditor.see(it.clone()))
            .collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn everybody_sees_what_was_done_in_their_name_and_by_them() {
        for principal in ["user:ana", "service:bi"] {
            let record = seen(&sight(principal, false, &[])).unwrap();
            assert_eq!(record.tables.len(), 2);
            assert!(record.sql.is_some() && record.error.is_some());
            assert!(record.tables.iter().all(|table| table.snapshot.is_none()));
            assert!(
                record
                    .tables
                    .iter()
                    .all(|table| table.guardrails.is_empty())
            );
        }
        for principal in ["user:bi", "service:ana", "user:an", "user:aud"] {
            assert!(seen(&sight(principal, false, &[])).is_none(), "{principal}");
        }
    }

    #[test]
    fn a_steward_sees_what_concerns_own_domains() {
        let record = seen(&sight("user:stew", false, &["sales"])).unwrap();
        assert_eq!(record.tables.len(), 1);
        assert_eq!(record.tables[0].domain, "sales");
        assert!(record.tables[0].snapshot.is_some());
        let withheld = [
            &record.sql,
            &record.parameters,
            &record.error,
            &record.lineage,
        ];
        assert!(withheld.into_iter().all(Option::is_none));
        let text = format!("{record:?}");
        assert!(!text.contains("crm"), "{text}");
        let both = seen(&sight("user:stew", false, &["sales", "crm"])).unwrap();
        assert!(both.sql.is_some() && both.tables.len() == 2);
        assert!(seen(&sight("user:stew", false, &["hr"])).is_none());
        // Nobody is the steward of what has no domain.
        let mut nowhere = records().remove(0);
        nowhere.tables[1].domain.clear();
        let record = sight("user:stew", false, &["sales"]).see(nowhere).unwrap();
        assert!(record.sql.is_none());
        // Refused logins touch no domain.
        assert!(
            sight("user:stew", false, &["sales"])
                .see(records().remove(1))
                .is_none()
        );
    }
}
