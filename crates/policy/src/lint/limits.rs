//! Grants that say something else than guardrails leave of them.

use std::collections::{BTreeSet, HashMap};

use weft_mesh::{ColumnSelection, Domain, Fault, GrantManifest, Table};

use crate::{
    DomainPolicy, Guardrails,
    domain_policy::{TableGrant, TablePolicy},
    guardrails::{TableGuardrail, Takes},
};

/// Only guardrails that bind everybody count: for whom one excepts, a grant
/// means what it says.
pub(super) fn check(
    domain: &Domain,
    policy: &DomainPolicy,
    guardrails: &Guardrails,
    found: &mut Vec<Fault>,
) {
    let manifests: HashMap<&str, &GrantManifest> = domain
        .grants
        .iter()
        .map(|grant| (grant.name.value.as_str(), grant))
        .collect();
    for table in &domain.tables {
        let id = table.id(&domain.name);
        let limits: Vec<&TableGuardrail> = guardrails.binding_everybody(&id).collect();
        let Some(TablePolicy { grants, .. }) = policy.table(&id).filter(|_| !limits.is_empty())
        else {
            continue;
        };
        for given in grants {
            let Some(grant) = manifests.get(&*given.name) else {
                continue;
            };
            for limit in &limits {
                check_masks(domain, table, (grant, given), limit, found);
                check_denied(domain, table, grant, limit, found);
            }
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|fault| seen.insert((fault.span.clone(), fault.rule, fault.message.clone())));
}

fn check_masks(
    domain: &Domain,
    table: &Table,
    (grant, given): (&GrantManifest, &TableGrant),
    limit: &TableGuardrail,
    found: &mut Vec<Fault>,
) {
    let Takes::Masks(floors) = &limit.takes else {
        return;
    };
    for (at, floor) in floors {
        let (Some(mask), Some(column)) = (given.mask(*at), table.columns.get(*at)) else {
            continue;
        };
        let written = grant
            .masks
            .iter()
            .find(|(name, _)| name.value == column.name);
        if mask.cmp_revealing(floor).is_lt()
            && let Some((_, written)) = written
        {
            let message = format!(
                "grant `{}` shows `{}.{}.{}` as `{mask}`, and guardrail `{}` leaves everybody no more than `{floor}`: who reads the grant expects what nobody sees",
                grant.name.value, domain.name, table.name, column.name, limit.rule.name
            );
            found.push(
                Fault::warning(written.span.clone(), "needless-mask", message)
                    .with_help(format!("write `{floor}`, or leave the mask out")),
            );
        }
    }
}

fn check_denied(
    domain: &Domain,
    table: &Table,
    grant: &GrantManifest,
    limit: &TableGuardrail,
    found: &mut Vec<Fault>,
) {
    let (Takes::Columns(denied), ColumnSelection::Only(names)) = (&limit.takes, &grant.columns)
    else {
        return;
    };
    for name in names {
        let is_denied = |at: &&usize| {
            let column = table.columns.get(**at);
            column.is_some_and(|column| column.name == name.value)
        };
        if denied.iter().any(|at| is_denied(&at)) {
            let message = format!(
                "grant `{}` gives `{}.{}.{}`, and guardrail `{}` takes it from everybody: who reads the grant expects what nobody sees",
                grant.name.value, domain.name, table.name, name.value, limit.rule.name
            );
            found.push(
                Fault::warning(name.span.clone(), "denied-column", message)
                    .with_help("leave the column out"),
            );
        }
    }
}
