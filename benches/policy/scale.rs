//! What a large mesh costs, from files to decisions: `make bench-policy`.

#[path = "../../crates/policy/tests/scale/large_mesh.rs"]
mod large_mesh;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weft_mesh::{Domain, LoadReport, TableId};
use weft_policy::{
    Authenticator, DomainPolicy, Guardrails, PolicySnapshot, Principal, PrincipalId, Viewer,
};

use large_mesh::{GROUPS, LARGE};

fn domains(report: &LoadReport) -> Vec<&Domain> {
    let loads = report.domains.iter();
    loads.map(|load| load.domain.as_deref().expect("it is sound")).collect()
}

fn compile(report: &LoadReport) -> PolicySnapshot {
    let domains = domains(report);
    let mesh = report.mesh.as_ref().expect("it is sound");
    let policies: Vec<_> = domains
        .iter()
        .map(|domain| DomainPolicy::compile(domain, &domains).expect("it is sound"))
        .map(Arc::new)
        .collect();
    let guardrails = Guardrails::compile(&mesh.guardrails, &domains).expect("they are sound");
    let (authenticator, _) = Authenticator::resolve(&mesh.identity);
    PolicySnapshot::new(authenticator, policies, guardrails)
}

fn viewer() -> Viewer {
    let principal = Principal::new(
        PrincipalId::user("ana"),
        GROUPS.iter().map(|group| (*group).to_owned()).collect(),
        BTreeMap::from([("region".to_owned(), "EU".to_owned())]),
    );
    Viewer::new(Arc::new(principal), Utc::now())
}

fn scale(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = large_mesh::write(folder.path(), &LARGE);
    let report = weft_mesh::load(&manifest);
    let tables: Vec<TableId> = domains(&report)
        .iter()
        .flat_map(|domain| domain.tables.iter().map(|table| table.id(&domain.name)))
        .collect();
    let snapshot = compile(&report);
    let viewer = viewer();

    let mut group = criterion.benchmark_group("1,000 tables, 100,000 grants");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function("load", |bench| {
        bench.iter_with_large_drop(|| weft_mesh::load(&manifest));
    });
    group.bench_function("compile", |bench| {
        bench.iter_with_large_drop(|| compile(&report));
    });
    // The first look of a principal at every table of a snapshot of its own.
    group.bench_function("decide all, cold", |bench| {
        bench.iter_custom(|iterations| {
            (0..iterations)
                .map(|_| {
                    let snapshot = compile(&report);
                    let started = Instant::now();
                    for table in &tables {
                        black_box(snapshot.decide(&viewer, table));
                    }
                    started.elapsed()
                })
                .sum()
        });
    });
    group.throughput(Throughput::Elements(tables.len() as u64));
    group.bench_function("decide all, warm", |bench| {
        bench.iter(|| {
            for table in &tables {
                black_box(snapshot.decide(&viewer, table));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, scale);
criterion_main!(benches);
