//! What a good data product owes to those who use it, and a policy to those who
//! have to understand it. Nothing here is wrong by the rules of the mesh: every
//! finding is a warning that says why it matters.
//!
//! | rule | asks for |
//! |---|---|
//! | `no-owner`, `no-stewards` | somebody to ask |
//! | `no-description` | words for every table and column |
//! | `no-service-level` | a promise that users can rely on |
//! | `unclassified-column` | a word for every column beside personal data |
//! | `key-type` | one type for a key in all domains |
//! | `restricted-for-everyone` | no restricted column for all, but each one's own rows |
//! | `grant-to-nobody`, `limit-for-nobody` | grantees that exist |
//! | `needless-grant` | grants that add something to the others |
//! | `needless-mask`, `denied-column` | grants that say what is really shown |

mod grants;
mod keys;
mod limits;
mod nobody;
mod products;

use std::sync::Arc;

use weft_mesh::{Domain, Fault, Mesh};

use crate::{DomainPolicy, Guardrails};

/// Every finding in a mesh whose policy compiles, sorted by place. `policies`
/// are those of `domains`.
pub fn lint(
    mesh: &Mesh,
    domains: &[&Domain],
    policies: &[Arc<DomainPolicy>],
    guardrails: &Guardrails,
) -> Vec<Fault> {
    let mut found = Vec::new();
    for domain in domains {
        products::check(domain, &mut found);
    }
    keys::check(domains, &mut found);
    nobody::check_limits(mesh, &mut found);
    for domain in domains {
        nobody::check_grants(mesh, domain, &mut found);
        let Some(policy) = policies.iter().find(|it| *it.name() == domain.name) else {
            continue;
        };
        grants::refuse_everyone(mesh, domain, policy, &mut found);
        grants::refuse_needless(domain, policy, &mut found);
        limits::check(domain, policy, guardrails, &mut found);
    }
    found.sort_by(|one, other| (&one.span, one.rule).cmp(&(&other.span, other.rule)));
    found
}

/// `a`, `b` and 3 more.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|it| format!("`{it}`"))
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
