//! Many grants: what the index is for.

use std::{sync::Arc, time::Instant};

use weft_mesh::GrantTarget;

use super::{Narrow, domain, grant, names, orders, user, viewer};
use crate::{Access, Authenticator, DomainPolicy, Guardrails, PolicySnapshot};

#[test]
fn a_hundred_thousand_grants_decide_quickly() {
    const TABLES: usize = 1_000;
    const GROUPS: usize = 200;
    let tables: Vec<_> = (0..TABLES)
        .map(|number| {
            let mut table = orders();
            table.name = weft_mesh::TableName::parse(&format!("t{number}")).unwrap();
            table
        })
        .collect();
    let grants = (0..100_000)
        .map(|number| {
            let group = format!("group:g{}", (number / TABLES) % GROUPS);
            let table = format!("t{}", number % TABLES);
            grant(&format!("grant-{number}"), &[&group])
                .on(GrantTarget::Tables(names(&[&table])))
                .mask("email", "hash")
                .rows("region = session.attr('region') AND open")
        })
        .collect();
    let domain = domain(tables, grants);
    let policy = DomainPolicy::compile(&domain, &[&domain]).unwrap();
    let snapshot = PolicySnapshot::new(
        Authenticator::default(),
        [Arc::new(policy)],
        Guardrails::default(),
    );
    let principal = user(
        "ana",
        &["g1", "g2", "g3", "g4", "g5", "g150"],
        &[("region", "EU")],
    );

    let viewer = viewer(&principal);
    let started = Instant::now();
    let granted = domain
        .tables
        .iter()
        .map(|table| snapshot.decide(&viewer, &table.id(&domain.name)))
        .filter(|access| matches!(access, Access::Granted(access) if access.grants.len() == 5))
        .count();
    let took = started.elapsed();
    eprintln!("1,000 decisions over 100,000 grants took {took:?}");
    assert_eq!(granted, TABLES);
    // Unoptimised and among other tests; tens of milliseconds alone.
    assert!(took.as_millis() < 2_000, "{took:?}");
}
