//! A mesh of 1,000 tables and 100,000 grants, with a test of each table.

#[path = "../../../crates/policy/tests/scale/large_mesh.rs"]
mod large_mesh;

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use super::weft;
use large_mesh::{GROUPS, LARGE};

/// A test of every table of a domain on rows of its own. What is seen goes by
/// the predicate that the grants of a table share.
fn tests(domain: usize) -> String {
    let (mut fixtures, mut tests) = (String::new(), String::new());
    let groups = GROUPS.join(", ");
    for table in 0..LARGE.tables {
        let rows = ["[{id: 1}]", "[{id: 1}]", "[]"]
            .get(table % 5)
            .unwrap_or(&"[{id: 1}, {id: 200}]");
        writeln!(
            fixtures,
            "  t{table}: [{{id: 1, region: EU}}, {{id: 200, region: US}}]"
        )
        .unwrap();
        writeln!(
            tests,
            "  - {{name: t{table}, as: {{groups: [{groups}], attributes: {{region: EU}}, purpose: audit}}, table: t{table}, expect: {{rows: {rows}}}}}"
        )
        .unwrap();
    }
    format!(
        "apiVersion: weft/v1\nkind: AccessTests\ndomain: d{domain}\nfixtures:\n{fixtures}tests:\n{tests}"
    )
}

#[test]
#[ignore = "a measurement: run it with `--ignored --nocapture`"]
fn a_large_mesh_is_tested_while_one_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = large_mesh::write(folder.path(), &LARGE);
    let text = fs::read_to_string(&mesh).unwrap();
    let require = "require:\n  accessTests:\n    classification: [restricted]\n";
    fs::write(&mesh, text + require).unwrap();
    for domain in 0..LARGE.domains {
        let folder = folder.path().join(format!("d{domain}"));
        let manifest = folder.join("domain.yaml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text + "accessTests: tests.yaml\n").unwrap();
        fs::write(folder.join("tests.yaml"), tests(domain)).unwrap();
    }
    let mesh = mesh.to_str().unwrap();

    let started = Instant::now();
    let outcome = weft(&["access", "test", mesh]);
    let took = started.elapsed();
    let last = outcome.out.lines().last().unwrap_or_default();
    eprintln!("access test: {last}, with loading {took:?}");
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    assert!(last.starts_with("1000 tests: 1000 passed"), "{last}");

    let started = Instant::now();
    let strict = weft(&["check", "--strict", mesh]);
    eprintln!("check --strict: {:?}", started.elapsed());
    assert_eq!(strict.code, 1, "{}", strict.err);
    // Generous: unoptimised, beside other tests.
    assert!(took < Duration::from_secs(60), "{took:?}");
}
