//! Files and contracts that change under grants and guardrails: a change never
//! widens access. The cases stand in the order of docs/schema-drift.md.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch};

use super::{Stored, batch, ints, texts};
use crate::support::{MeshDir, TestClient, TestServer, cells};

const COLUMNS: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: email, logicalType: string, tags: [pii]}
- {name: amount, logicalType: integer}
";
const ALL: &str = "
- name: all
  to: [everyone]
  on: orders
  columns: '*'
";
const EUROPE: &str = "
- name: eu
  to: [everyone]
  on: orders
  columns: '*'
  masks: {email: show_last(1)}
  rows: region = 'EU'
";

fn region() -> ArrayRef {
    texts(["EU", "US", "EU"])
}

fn email() -> ArrayRef {
    texts(["a@x", "b@y", "c@z"])
}

fn amounts() -> ArrayRef {
    ints([10, 20, 30])
}

fn rows() -> RecordBatch {
    batch([
        ("id", ints([1, 2, 3])),
        ("region", region()),
        ("email", email()),
        ("amount", amounts()),
        ("note", texts(["n1", "n2", "n3"])),
    ])
}

struct Drift {
    mesh: MeshDir,
}

impl Drift {
    fn new(grants: &str, guardrails: &str) -> Self {
        let mesh = MeshDir::new("acme")
            .with_head("guardrails: guardrails.yaml")
            .user("ana", "pw", &[], &[])
            .domain("sales", grants, &[&contract(COLUMNS)]);
        let items = if guardrails.is_empty() {
            " []"
        } else {
            guardrails
        };
        let file = format!("apiVersion: weft/v1\nkind: Guardrails\nguardrails:{items}\n");
        mesh.write("guardrails.yaml", &file);
        Stored::Parquet.write(&mesh, "sales", "orders", "all", &rows());
        Self { mesh }
    }

    async fn start(&self) -> (TestServer, TestClient) {
        let server = TestServer::start(&self.mesh).await;
        let ana = server.client("ana", "pw").await;
        (server, ana)
    }

    /// Replaces the contract of orders.
    fn columns(&self, columns: &str) {
        let contract = contract(columns);
        self.mesh
            .write("domains/sales/products/0.odcs.yaml", &contract);
    }
}

fn contract(columns: &str) -> String {
    Stored::Parquet.contract("orders", columns)
}

/// The header and the rows of orders as ana sees them, or why not.
async fn sees(ana: &TestClient) -> Vec<String> {
    match ana.query("SELECT * FROM sales.orders ORDER BY id").await {
        Ok(batches) => {
            let schema = batches[0].schema();
            let names: Vec<_> = schema
                .fields()
                .iter()
                .map(|it| it.name().as_str())
                .collect();
            [names.join("|")]
                .into_iter()
                .chain(cells(&batches))
                .collect()
        }
        Err(status) => vec![status.message().to_owned()],
    }
}

const GONE: &[&str] = &["table `sales.orders` does not exist or is not granted to you"];

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_the_contract_says() {
    let id = || ("id", ints([1, 2, 3]));
    let failed = "?";
    for (what, file, expected) in [
        (
            "a column that the contract has not",
            rows(),
            &["id|region|email|amount", "1|EU|**x|10", "3|EU|**z|30"][..],
        ),
        (
            "without an optional column",
            batch([id(), ("region", region()), ("email", email())]),
            &["id|region|email|amount", "1|EU|**x|∅", "3|EU|**z|∅"],
        ),
        (
            "without a masked column",
            batch([id(), ("region", region()), ("amount", amounts())]),
            &["id|region|email|amount", "1|EU|∅|10", "3|EU|∅|30"],
        ),
        (
            "without a required column",
            batch([("region", region()), ("email", email())]),
            &[failed],
        ),
        (
            "without the column that the predicate reads",
            batch([id(), ("email", email()), ("amount", amounts())]),
            &["id|region|email|amount"],
        ),
        (
            "a column of a narrower type",
            batch([
                id(),
                ("region", region()),
                ("email", email()),
                (
                    "amount",
                    Arc::new(Int32Array::from(vec![10, 20, 30])) as ArrayRef,
                ),
            ]),
            &["id|region|email|amount", "1|EU|**x|10", "3|EU|**z|30"],
        ),
        // Whatever the values are: a hidden one decides nothing.
        (
            "a clear column of another type",
            batch([
                id(),
                ("region", region()),
                ("email", email()),
                ("amount", texts(["10", "secret", "30"])),
            ]),
            &[failed],
        ),
        (
            "a masked column of another type",
            batch([
                id(),
                ("region", region()),
                ("email", ints([71, 72, 73])),
                ("amount", amounts()),
            ]),
            &[failed],
        ),
        (
            "the predicate's column of another type",
            batch([
                id(),
                ("region", ints([1, 2, 3])),
                ("email", email()),
                ("amount", amounts()),
            ]),
            &[failed],
        ),
    ] {
        let drift = Drift::new(EUROPE, "");
        Stored::Parquet.write(&drift.mesh, "sales", "orders", "all", &file);
        let (_server, ana) = drift.start().await;
        let seen = sees(&ana).await;
        if expected == [failed] {
            assert_eq!(seen.len(), 1, "{what}: {seen:?}");
            assert!(seen[0].contains("sales.orders"), "{what}: {seen:?}");
            assert!(
                !seen[0].contains("secret") && !seen[0].contains(".parquet"),
                "{what}: {seen:?}"
            );
        } else {
            assert_eq!(seen, expected, "{what}");
        }
        let note = ana.fails("SELECT note FROM sales.orders").await;
        assert!(
            note.message().starts_with("column `note` does not exist"),
            "{note}"
        );
    }
}

/// Whether the domain takes the new contract, or keeps its last good version
/// and, at a start, is not served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Taken,
    Kept,
}
use Outcome::{Kept, Taken};

struct Case<'a> {
    what: &'a str,
    grants: &'a str,
    guardrails: &'a str,
    /// The new contract.
    columns: &'a str,
    outcome: Outcome,
    /// Of a fault of the reload; empty where there is none.
    rule: &'a str,
    after: &'a [&'a str],
}

async fn check(cases: &[Case<'_>]) {
    for case in cases {
        let what = case.what;
        let drift = Drift::new(case.grants, case.guardrails);
        let (server, ana) = drift.start().await;
        let before = sees(&ana).await;
        drift.columns(case.columns);
        // The files follow: what their types do is another test.
        if case.columns == RETYPED && case.outcome == Taken {
            let file = batch([
                ("id", ints([1, 2, 3])),
                ("region", region()),
                ("email", email()),
                ("amount", texts(["10", "20", "30"])),
            ]);
            Stored::Parquet.write(&drift.mesh, "sales", "orders", "all", &file);
        }
        let report = server.live.reload().await;
        server.live.refresh().await;
        assert!(report.applied, "{what}: {:?}", report.faults);
        let rules: Vec<_> = report.faults.iter().map(|fault| fault.rule).collect();
        assert_eq!(
            rules.first().copied().unwrap_or(""),
            case.rule,
            "{what}: {:?}",
            report.faults
        );
        let kept = case.outcome == Kept;
        assert_eq!(
            report.kept,
            if kept { vec!["sales"] } else { vec![] },
            "{what}"
        );
        let after = sees(&ana).await;
        assert_eq!(after, case.after, "{what}");
        assert!(!kept || after == before, "{what}: {before:?}");
        drop(server);

        let (_again, ana) = drift.start().await;
        let started = if kept { GONE } else { case.after };
        assert_eq!(sees(&ana).await, started, "{what}, at start");
    }
}

const RENAMED: &str = "
- {name: id, logicalType: integer, required: true}
- {name: area, logicalType: string, physicalName: region}
- {name: mail, logicalType: string, physicalName: email, tags: [pii]}
- {name: amount, logicalType: integer}
";
const DROPPED: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: amount, logicalType: integer}
";
const RETYPED: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: email, logicalType: string, tags: [pii]}
- {name: amount, logicalType: string}
";
const ADDED: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: email, logicalType: string, tags: [pii]}
- {name: amount, logicalType: integer}
- {name: note, logicalType: string}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_column_renamed_in_the_contract() {
    let list = "\n- {name: g, to: [everyone], on: orders, columns: [id, region]}";
    let except = "\n- {name: g, to: [everyone], on: orders, columns: {except: [email]}}";
    let case = Case {
        what: "that a grant lists",
        grants: list,
        guardrails: "",
        columns: RENAMED,
        outcome: Kept,
        rule: "unknown-column",
        after: &["id|region", "1|EU", "2|US", "3|EU"],
    };
    check(&[
        Case {
            what: "that a grant excepts",
            grants: except,
            after: &["id|region|amount", "1|EU|10", "2|US|20", "3|EU|30"],
            ..case
        },
        Case {
            what: "that a grant masks and its predicate reads",
            grants: EUROPE,
            after: &["id|region|email|amount", "1|EU|**x|10", "3|EU|**z|30"],
            ..case
        },
        Case {
            what: "that a guardrail names in this table: the whole table is taken",
            grants: ALL,
            guardrails: "\n  - {name: g, on: {tables: [sales.orders], column: email}, deny: true}",
            outcome: Taken,
            after: GONE,
            ..case
        },
        Case {
            what: "that a guardrail's predicate reads: no row is shown",
            grants: ALL,
            guardrails: "\n  - {name: g, on: {tables: [sales.*]}, rows: region = 'EU'}",
            outcome: Taken,
            rule: "guardrail-hides-all",
            after: &["id|area|mail|amount"],
            ..case
        },
        Case {
            what: "that a guardrail finds by its tag: it stays masked",
            grants: ALL,
            guardrails: "\n  - {name: g, on: {tags: [pii]}, mask: show_last(1)}",
            outcome: Taken,
            rule: "",
            after: &[
                "id|area|mail|amount",
                "1|EU|**x|10",
                "2|US|**y|20",
                "3|EU|**z|30",
            ],
            ..case
        },
        case,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_dropped_from_the_contract() {
    let case = Case {
        what: "under `*`: it is gone",
        grants: ALL,
        guardrails: "",
        columns: DROPPED,
        outcome: Taken,
        rule: "",
        after: &["id|region|amount", "1|EU|10", "2|US|20", "3|EU|30"],
    };
    check(&[
        Case {
            what: "that a grant lists",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: [id, email]}",
            outcome: Kept,
            rule: "unknown-column",
            after: &["id|email", "1|a@x", "2|b@y", "3|c@z"],
            ..case
        },
        Case {
            what: "the last one with the tag that a grant gives",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: {tags: [pii]}}\n- {name: h, to: [everyone], on: orders, columns: [id]}",
            outcome: Kept,
            rule: "unknown-tag",
            after: &["id|email", "1|a@x", "2|b@y", "3|c@z"],
            ..case
        },
        case,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_retyped_in_the_contract() {
    let case = Case {
        what: "in clear: the files are read as the new type",
        grants: ALL,
        guardrails: "",
        columns: RETYPED,
        outcome: Taken,
        rule: "",
        after: &[
            "id|region|email|amount",
            "1|EU|a@x|10",
            "2|US|b@y|20",
            "3|EU|c@z|30",
        ],
    };
    check(&[
        Case {
            what: "a grant's mask no longer fits",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: [id, amount], masks: {amount: bucket(20)}}",
            outcome: Kept,
            rule: "invalid-mask",
            after: &["id|amount", "1|0", "2|20", "3|20"],
            ..case
        },
        Case {
            what: "a grant's predicate no longer types",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: [id], rows: amount < 25}",
            outcome: Kept,
            rule: "predicate-type",
            after: &["id", "1", "2"],
            ..case
        },
        Case {
            what: "a guardrail's mask no longer fits: nullify",
            guardrails: "\n  - {name: g, on: {domains: [sales], column: amount}, mask: bucket(20)}",
            rule: "mask-does-not-fit",
            after: &["id|region|email|amount", "1|EU|a@x|∅", "2|US|b@y|∅", "3|EU|c@z|∅"],
            ..case
        },
        Case {
            what: "a guardrail's predicate no longer types: no row is shown",
            guardrails: "\n  - {name: g, on: {domains: [sales]}, rows: amount < 25}",
            rule: "guardrail-hides-all",
            after: &["id|region|email|amount"],
            ..case
        },
        case,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_to_the_contract() {
    let case = Case {
        what: "under `*`: the grant gives what the contract declares",
        grants: "\n- {name: g, to: [everyone], on: orders, columns: '*', rows: id = 1}",
        guardrails: "",
        columns: ADDED,
        outcome: Taken,
        rule: "",
        after: &["id|region|email|amount|note", "1|EU|a@x|10|n1"],
    };
    check(&[
        Case {
            what: "under `except`",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: {except: [email]}, rows: id = 1}",
            after: &["id|region|amount|note", "1|EU|10|n1"],
            ..case
        },
        Case {
            what: "under a list",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: [id, region], rows: id = 1}",
            after: &["id|region", "1|EU"],
            ..case
        },
        Case {
            what: "under `tags`, without the tag",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: {tags: [pii]}}\n- {name: h, to: [everyone], on: orders, columns: [id], rows: id = 1}",
            after: &["id|email", "1|a@x", "∅|b@y", "∅|c@z"],
            ..case
        },
        Case {
            what: "with a tag that a guardrail denies",
            guardrails: "\n  - {name: g, on: {tags: [secret]}, deny: true}",
            columns: "
- {name: id, logicalType: integer, required: true}
- {name: note, logicalType: string, tags: [secret]}
",
            after: &["id", "1"],
            ..case
        },
        case,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_classifications_that_change() {
    let tagged = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string, tags: [PII]}
- {name: amount, logicalType: integer, classification: restricted}
";
    let case = Case {
        what: "a tag and a classification added: guardrails follow",
        grants: "\n- {name: g, to: [everyone], on: orders, columns: '*', rows: id = 1}",
        guardrails: "\n  - {name: g, on: {tags: [pii]}, mask: nullify}\n  - {name: h, on: {classification: restricted}, requirePurpose: true}",
        columns: tagged,
        outcome: Taken,
        rule: "",
        after: &["id|region", "1|∅"],
    };
    check(&[
        Case {
            what: "a tag removed: the guardrail lets go, and says so",
            guardrails: "\n  - {name: g, on: {tags: [pii]}, mask: nullify}",
            columns: "
- {name: id, logicalType: integer, required: true}
- {name: email, logicalType: string}
",
            rule: "guardrail-matches-nothing",
            after: &["id|email", "1|a@x"],
            ..case
        },
        Case {
            what: "a tag removed that a grant gives: the column is gone",
            grants: "\n- {name: g, to: [everyone], on: orders, columns: {tags: [pii]}}\n- {name: h, to: [everyone], on: orders, columns: [id], rows: id = 1}",
            guardrails: "",
            columns: "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string, tags: [pii]}
- {name: email, logicalType: string}
",
            after: &["id|region", "1|EU", "∅|US", "∅|EU"],
            ..case
        },
        case,
    ])
    .await;
}

const PEOPLE: &str = "
- {name: who, logicalType: string}
- {name: area, logicalType: string}
";
const MEMBERS: &str = "
- name: members
  to: [everyone]
  on: orders
  columns: [id]
  rows: region IN (SELECT area FROM hr.people WHERE who = session.user)
";

/// How `hr`, which lends its people, changes.
#[derive(Clone, Copy, Debug)]
enum Change {
    Renamed,
    Retyped,
    Withdrawn,
    Gone,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entitlement_that_changes_has_no_members() {
    for change in [
        Change::Renamed,
        Change::Retyped,
        Change::Withdrawn,
        Change::Gone,
    ] {
        let people = |columns: &str| Stored::Parquet.contract("people", columns);
        let mesh = MeshDir::new("acme")
            .user("ana", "pw", &[], &[])
            .domain("sales", MEMBERS, &[&contract(COLUMNS)])
            .domain("hr", "", &[&people(PEOPLE)]);
        let lending = std::fs::read_to_string(mesh.path("domains/hr/domain.yaml")).unwrap();
        mesh.write(
            "domains/hr/domain.yaml",
            &format!("{lending}entitlements: [people]\n"),
        );
        Stored::Parquet.write(&mesh, "sales", "orders", "all", &rows());
        let file = batch([("who", texts(["ana", "bo"])), ("area", texts(["EU", "US"]))]);
        Stored::Parquet.write(&mesh, "hr", "people", "all", &file);
        let drift = Drift { mesh };
        let mesh = &drift.mesh;
        let (server, ana) = drift.start().await;
        assert_eq!(sees(&ana).await, ["id", "1", "3"]);

        let contract = "domains/hr/products/0.odcs.yaml";
        match change {
            Change::Renamed => mesh.write(contract, &people(&PEOPLE.replace("who", "person"))),
            Change::Retyped => mesh.write(
                contract,
                &people(&PEOPLE.replace("who, logicalType: string", "who, logicalType: integer")),
            ),
            Change::Withdrawn => mesh.write("domains/hr/domain.yaml", &lending),
            Change::Gone => {
                let text = std::fs::read_to_string(mesh.mesh_file()).unwrap();
                mesh.mesh_yaml(&text.replace("  - domains/hr/domain.yaml\n", ""));
            }
        }
        let report = server.live.reload().await;
        assert_eq!(report.kept, ["sales"], "{change:?}: {:?}", report.faults);
        assert_eq!(sees(&ana).await, ["id"], "{change:?}");
        drop(server);
        let (_again, ana) = drift.start().await;
        assert_eq!(sees(&ana).await, GONE, "{change:?}, at start");
    }
}
