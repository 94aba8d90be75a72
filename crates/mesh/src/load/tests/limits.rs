use std::time::Duration;

use super::fixture::{Fixture, MESH_YAML};
use crate::{ByteSize, Grantee, LimitManifest};

fn limits(yaml: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.append(MESH_YAML, yaml);
    fixture
}

fn sound(yaml: &str) -> Vec<LimitManifest> {
    let fixture = limits(yaml);
    assert_eq!(fixture.faults(), Vec::<String>::new());
    fixture.load().mesh.unwrap().limits
}

#[test]
fn everything_can_be_said() {
    let limits = sound(
        "limits:\n  - name: interns\n    for: [group:interns, user:zoe]\n    concurrency: 2\n    memory: 512MiB\n    \
         time: 1m\n    rows: 1000000\n    bytes: 1GiB\n  - name: all\n    for: [everyone]\n    time: 1h\n",
    );
    let [interns, all] = limits.as_slice() else {
        panic!("{limits:?}");
    };
    assert_eq!(interns.name.value, "interns");
    let whom: Vec<String> = interns.whom.iter().map(|it| it.value.to_string()).collect();
    assert_eq!(whom, ["group:interns", "user:zoe"]);
    assert_eq!(interns.concurrency, Some(2));
    assert_eq!(interns.memory, ByteSize::parse("512MiB").ok());
    assert_eq!(interns.time, Some(Duration::from_secs(60)));
    assert_eq!(interns.rows, Some(1_000_000));
    assert_eq!(interns.bytes, ByteSize::parse("1GiB").ok());
    assert_eq!(all.whom[0].value, Grantee::Everyone);
    assert_eq!(all.time, Some(Duration::from_secs(3_600)));
    assert_eq!((all.concurrency, all.rows), (None, None));
    assert!(sound("limits: []\n").is_empty());
    assert!(Fixture::new().load().mesh.unwrap().limits.is_empty());
}

#[test]
fn faults_have_a_place_and_help() {
    for (line, fault) in [
        (
            "concurrency: 0",
            "mesh.yaml:16:18: error[wrong-value]: `concurrency` is `0`, which is not a whole number above 0\n\
             16 |     concurrency: 0\n   |                  ^\n  \
             = help: write digits alone, without quotes: `2` or `1000000`",
        ),
        (
            "rows: -5",
            "mesh.yaml:16:11: error[wrong-value]: `rows` is `-5`, which is not a whole number above 0\n\
             16 |     rows: -5\n   |           ^\n  \
             = help: write digits alone, without quotes: `2` or `1000000`",
        ),
        (
            "rows: 1_000_000",
            "mesh.yaml:16:11: error[wrong-value]: `rows` is `1_000_000`, which is not a whole number above 0\n\
             16 |     rows: 1_000_000\n   |           ^\n  \
             = help: write digits alone, without quotes: `2` or `1000000`",
        ),
        (
            "memory: 512",
            "mesh.yaml:16:13: error[wrong-value]: `memory` is `512`, which is not a size\n\
             16 |     memory: 512\n   |             ^\n  \
             = help: write a whole number and its unit: `512KiB`, `64MiB` or `1GiB`",
        ),
        (
            "bytes: 0MiB",
            "mesh.yaml:16:12: error[wrong-value]: `bytes` is `0MiB`, which is not a size\n\
             16 |     bytes: 0MiB\n   |            ^\n  \
             = help: write a whole number and its unit: `512KiB`, `64MiB` or `1GiB`",
        ),
        (
            "time: 60",
            "mesh.yaml:16:11: error[wrong-value]: `time` is `60`, which is not a duration\n\
             16 |     time: 60\n   |           ^\n  \
             = help: write a whole number and its unit: `30s`, `15m`, `12h` or `400d`",
        ),
        (
            "time: 5s\n    row: 5",
            "mesh.yaml:17:5: error[unknown-key]: `row` is not a key of a limit\n\
             17 |     row: 5\n   |     ^\n  = help: did you mean `rows`?",
        ),
    ] {
        let yaml = format!("limits:\n  - name: interns\n    for: [group:interns]\n    {line}\n");
        let fixture = limits(&yaml);
        assert_eq!(fixture.fault(), fault, "{yaml}");
        assert!(fixture.load().mesh.is_none(), "{yaml}");
    }
}

#[test]
fn rules() {
    for (yaml, rule) in [
        ("limits: {name: a}\n", "wrong-type"),
        ("limits: [a]\n", "wrong-type"),
        ("limits:\n  - {for: [everyone], rows: 1}\n", "missing-key"),
        ("limits:\n  - {name: a, rows: 1}\n", "missing-key"),
        ("limits:\n  - {name: a, for: [everyone]}\n", "missing-key"),
        ("limits:\n  - {name: a, for: [], rows: 1}\n", "empty"),
        (
            "limits:\n  - {name: a, for: [interns], rows: 1}\n",
            "grantee",
        ),
        (
            "limits:\n  - {name: a, for: [everyone], rows: [1]}\n",
            "wrong-type",
        ),
        (
            "limits:\n  - {name: a, for: [everyone], rows: \"1\"}\n",
            "wrong-value",
        ),
        (
            "limits:\n  - {name: a, for: [everyone], time: 1.5h}\n",
            "wrong-value",
        ),
        (
            "limits:\n  - {name: a, for: [everyone], rows: 1}\n  - {name: a, for: [user:ana], rows: 2}\n",
            "duplicate-limit",
        ),
    ] {
        let fixture = limits(yaml);
        assert_eq!(fixture.rules(), [rule], "{yaml}: {:?}", fixture.faults());
        assert!(fixture.load().mesh.is_none(), "{yaml}");
    }
}
