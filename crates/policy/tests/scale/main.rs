//! A mesh of a thousand tables and a hundred thousand grants, from files to
//! decisions. The bounds are generous: unoptimised, beside other tests. What
//! it costs otherwise is measured by `make bench-policy`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may fail loudly"
)]

mod large_mesh;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use weft_mesh::{Domain, TableId};
use weft_policy::{
    Access, Authenticator, DomainPolicy, Guardrails, PolicySnapshot, Principal, PrincipalId, Viewer,
};

use large_mesh::{GROUPS, LARGE};

#[test]
fn a_large_mesh_is_loaded_and_decided_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = large_mesh::write(folder.path(), &LARGE);

    let started = Instant::now();
    let report = weft_mesh::load(&manifest);
    let loaded = started.elapsed();
    assert!(!report.has_errors(), "{}", report.faults[0]);
    let domains: Vec<&Domain> = report
        .domains
        .iter()
        .map(|load| load.domain.as_deref().unwrap())
        .collect();
    let mesh = report.mesh.as_ref().unwrap();

    let started = Instant::now();
    let policies: Vec<_> = domains
        .iter()
        .map(|domain| Arc::new(DomainPolicy::compile(domain, &domains).unwrap()))
        .collect();
    let guardrails = Guardrails::compile(&mesh.guardrails, &domains).unwrap();
    assert!(guardrails.warnings().is_empty());
    let compiled = started.elapsed();

    // No password is hashed: that would take minutes.
    let started = Instant::now();
    let (authenticator, faults) = Authenticator::resolve(&mesh.identity);
    let resolved = started.elapsed();
    assert!(faults.is_empty());

    let snapshot = PolicySnapshot::new(authenticator, policies, guardrails);
    let tables: Vec<TableId> = domains
        .iter()
        .flat_map(|domain| domain.tables.iter().map(|table| table.id(&domain.name)))
        .collect();
    let viewer = Viewer::new(
        Arc::new(Principal::new(
            PrincipalId::user("ana"),
            GROUPS.iter().map(|group| (*group).to_owned()).collect(),
            BTreeMap::from([("region".to_owned(), "EU".to_owned())]),
        )),
        Utc::now(),
    );
    let started = Instant::now();
    let granted = tables
        .iter()
        .filter(|table| matches!(snapshot.decide(&viewer, table), Access::Granted(_)))
        .count();
    let decided = started.elapsed();

    eprintln!(
        "{} tables: load {loaded:?}, compile {compiled:?}, identities {resolved:?}, decisions {decided:?}",
        tables.len()
    );
    assert_eq!(tables.len(), 1_000);
    assert!(granted > 500, "{granted}");
    assert!(loaded < Duration::from_secs(60), "load {loaded:?}");
    assert!(compiled < Duration::from_secs(30), "compile {compiled:?}");
    assert!(resolved < Duration::from_secs(5), "identities {resolved:?}");
    assert!(decided < Duration::from_secs(3), "decisions {decided:?}");
}
