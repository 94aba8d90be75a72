//! Grants that do not fit what they are about: refused with a place and a
//! reason, and the last good ones stay in force.

use super::{Stored, batch, floats, ints, texts};
use crate::support::{MeshDir, TestServer};

const COLUMNS: &str = "
- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: weight, logicalType: number, physicalType: DOUBLE}
";
const GOOD: &str = "
- name: it
  to: [everyone]
  on: orders
  columns: [id]
";

fn mesh(grants: &str) -> MeshDir {
    let mesh = MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
        "sales",
        grants,
        &[&Stored::Csv.contract("orders", COLUMNS)],
    );
    let rows = batch([
        ("id", ints([1, 2])),
        ("region", texts(["EU", "US"])),
        ("weight", floats([1.0, 2.0])),
    ]);
    Stored::Csv.write(&mesh, "sales", "orders", "all", &rows);
    mesh
}

/// What is added to a good grant, the fault's place and rule, and its words.
const CASES: [(&str, &str, &str, &str); 13] = [
    (
        "columns: [id, regoin]",
        "8:19: error[unknown-column]",
        "column `regoin` is not in table `sales.orders`",
        "did you mean `region`?",
    ),
    (
        "columns: {except: [regoin]}",
        "8:24: error[unknown-column]",
        "column `regoin` is not in table `sales.orders`",
        "did you mean `region`?",
    ),
    (
        "columns: {tags: [pii]}",
        "8:22: error[unknown-tag]",
        "no column of the tables of grant `it` has tag `pii`",
        "",
    ),
    (
        "columns: [id]\n  masks: {region: hash}",
        "9:13: error[mask-without-column]",
        "grant `it` masks column `region`, which it does not give",
        "add it to `columns`",
    ),
    (
        "columns: '*'\n  masks: {weight: hash}",
        "9:21: error[invalid-mask]",
        "mask `hash` does not fit column `weight`, which is Float64; these fit: `bucket(width)`, `fixed(value)`, `nullify`",
        "",
    ),
    (
        "columns: '*'\n  masks: {region: bucket(10)}",
        "9:21: error[invalid-mask]",
        "mask `bucket` does not fit column `region`, which is Utf8",
        "",
    ),
    (
        "columns: '*'\n  masks: {region: hsah}",
        "9:21: error[invalid-mask]",
        "there is no mask `hsah`; did you mean `hash`?",
        "",
    ),
    (
        "columns: '*'\n  masks: {region: null}",
        "9:21: error[wrong-type]",
        "the mask of `region` is nothing",
        "the mask is called `nullify`",
    ),
    ("columns: '*'\n  rows: id = 'EU'", "9:11: error[", "", ""),
    (
        "columns: '*'\n  rows: regoin = 'EU'",
        "9:11: error[unknown-column]",
        "column `regoin` is not in table `orders`",
        "did you mean `region`?",
    ),
    (
        "columns: '*'\n  rows: 100 / id > 1",
        "9:11: error[predicate-not-allowed]",
        "division is not allowed in a row predicate",
        "",
    ),
    (
        "columns: '*'\n  discover: true",
        "8:14: error[discover-with-data]",
        "gives no data, and this has `columns`",
        "make two grants of it",
    ),
    (
        "columns: '*'\n  purposes: [just looking]",
        "9:16: error[name]",
        "`just looking` is not a purpose name: use letters, digits, `-`, `_` and `.`",
        "purposes: [fulfilment]",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_does_not_fit_is_refused_with_its_place() {
    let mesh = mesh(GOOD);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for (more, place, message, help) in CASES {
        mesh.grants(
            "sales",
            &format!("\n- name: it\n  to: [everyone]\n  on: orders\n  {more}\n"),
        );
        let report = server.live.reload().await;
        assert_eq!(report.kept, ["sales"], "{more}");
        let errors: Vec<_> = report
            .faults
            .iter()
            .filter(|fault| fault.is_error())
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors.len(), 1, "{more}: {errors:?}");
        let error = &errors[0];
        let place = format!("domains/sales/grants.yaml:{place}");
        assert!(error.contains(&place), "{more}: {place}: {error}");
        assert!(
            error.contains(message) && error.contains(help),
            "{more}: {error}"
        );
        assert_eq!(
            ana.rows("SELECT * FROM sales.orders ORDER BY 1").await,
            ["1", "2"],
            "{more}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_broken_at_the_start_is_absent_and_heals() {
    let mesh = mesh("- name: it\n  to: [everyone]\n  on: orders\n  columns: [nothing]");
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    super::assert_missing(
        &ana.fails("SELECT * FROM sales.orders").await,
        "sales.orders",
    );
    super::assert_alive(&ana).await;
    mesh.grants("sales", GOOD);
    server.live.reload().await;
    assert_eq!(
        ana.rows("SELECT * FROM sales.orders ORDER BY 1").await,
        ["1", "2"]
    );
}

#[test]
fn several_faults_are_told_at_once() {
    let mesh = mesh(
        "- name: it\n  to: [everybody]\n  on: orders\n  colums: '*'\n- name: it\n  to: [everyone]\n  on: []\n  columns: 7",
    );
    let report = weft_mesh::load(&mesh.mesh_file());
    assert!(report.has_errors() && report.domains[0].domain.is_none());
    let text: Vec<_> = report.faults.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    for part in [
        "`everybody`",
        "`colums`",
        "`columns`",
        "`on` is an empty list",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
