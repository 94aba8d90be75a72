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
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use weft_mesh::{Domain, Mesh, TableId};
use weft_policy::diff::{Direction, MeshDiff, MeshState, compare};
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
    assert!(guardrails.warnings(true).next().is_none());
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

/// A mesh that is loaded and compiled.
struct Loaded {
    mesh: Mesh,
    domains: Vec<Arc<Domain>>,
    policy: PolicySnapshot,
    folder: std::path::PathBuf,
}

impl Loaded {
    fn load(manifest: &Path) -> Self {
        let report = weft_mesh::load(manifest);
        assert!(!report.has_errors(), "{}", report.faults[0]);
        let domains: Vec<Arc<Domain>> = report
            .domains
            .iter()
            .map(|load| load.domain.clone().unwrap())
            .collect();
        let held: Vec<&Domain> = domains.iter().map(AsRef::as_ref).collect();
        let mesh = report.mesh.unwrap();
        let policies: Vec<_> = held
            .iter()
            .map(|domain| Arc::new(DomainPolicy::compile(domain, &held).unwrap()))
            .collect();
        let guardrails = Guardrails::compile(&mesh.guardrails, &held).unwrap();
        let who = Authenticator::without_credentials(&mesh.identity);
        let policy = PolicySnapshot::new(who, policies, guardrails);
        Self {
            folder: fs::canonicalize(manifest.parent().unwrap()).unwrap(),
            mesh,
            domains,
            policy,
        }
    }

    fn state(&self) -> MeshState<'_> {
        MeshState {
            mesh: &self.mesh,
            folder: &self.folder,
            domains: &self.domains,
            policy: &self.policy,
        }
    }
}

fn compared(what: &str, old: &Loaded, new: &Loaded) -> MeshDiff {
    let started = Instant::now();
    let diff = compare(&old.state(), &new.state(), Utc::now());
    let took = started.elapsed();
    eprintln!(
        "{what}: {} kinds of change, compared in {took:?}",
        diff.accesses.len()
    );
    diff
}

#[test]
fn a_change_of_a_large_mesh_is_compared_quickly() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = folders
        .each_ref()
        .map(|folder| large_mesh::write(folder.path(), &LARGE));
    let started = Instant::now();
    let old = Loaded::load(&one);
    eprintln!("one mesh loaded in {:?}", started.elapsed());

    let same = Loaded::load(&other);
    let started = Instant::now();
    assert!(compared("nothing", &old, &same).is_empty());
    let nothing = started.elapsed();

    // Some grants of two domains, one user, and an exception of a guardrail on one table.
    let change = |file: &str, from: &str, to: &str| {
        let file = folders[1].path().join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replace(from, to)).unwrap();
    };
    for domain in ["d1", "d7"] {
        let file = format!("{domain}/grants.yaml");
        change(&file, "'R12", "'R0");
        change(&file, "'R77", "'R1");
    }
    change("mesh.yaml", "name: u77\n", "name: v77\n");
    let new = Loaded::load(&other);
    let started = Instant::now();
    let diff = compared("a few grants", &old, &new);
    let few = started.elapsed();
    assert_eq!(diff.direction(), Direction::BOTH);

    // And what is on every table.
    change("guardrails.yaml", "show_last(4)", "show_last(3)");
    let new = Loaded::load(&other);
    let started = Instant::now();
    let diff = compared("a guardrail on every table", &old, &new);
    let all = started.elapsed();
    assert_eq!(diff.direction(), Direction::BOTH);

    // Generous: unoptimised, beside other tests.
    assert!(nothing < Duration::from_secs(20), "nothing {nothing:?}");
    assert!(few < Duration::from_secs(30), "a few grants {few:?}");
    assert!(all < Duration::from_secs(600), "every table {all:?}");
}
