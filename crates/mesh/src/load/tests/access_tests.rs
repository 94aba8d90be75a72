use std::collections::BTreeMap;

use super::fixture::{Fixture, MESH_YAML, SALES_YAML};
use crate::{
    AccessTestsLoad, Grantee, TestExpectation, TestPrincipal, TestSubject, TestValue,
    load_access_tests,
};

const TESTS_YAML: &str = "domains/sales/access-tests/orders.yaml";

const TESTS: &str = "\
apiVersion: weft/v1
kind: AccessTests
domain: sales
fixtures:
  orders:
    - {order_id: 1, amount: \"2.50\"}
    - {order_id: 2}
tests:
  - name: analysts see all
    as: {user: ana}
    table: orders
    expect:
      columns: [order_id, amount]
      count: 2
      rows:
        - {order_id: 1, amount: 2.50}
        - {order_id: 2, amount: null}
      contains: [{order_id: 1}]
      without: [{order_id: 3}]
      masked: {amount: clear, order_id: [clear, hidden]}
  - name: partners are denied
    as:
      groups: [partners]
      attributes: {region: EU, level: 3}
      purpose: fulfilment
    now: 2027-01-01
    sql: SELECT * FROM sales.orders
    expect: {denied: true}
  - name: the words of the refusal
    as: group:partners
    table: sales.orders@2
    expect:
      denied: does not exist
";

fn mesh(tests: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture
        .append(SALES_YAML, "accessTests: access-tests/*.yaml\n")
        .write(TESTS_YAML, tests);
    fixture
}

fn load(fixture: &Fixture) -> AccessTestsLoad {
    let report = fixture.load();
    assert!(!report.has_errors(), "{}", fixture.faults().join("\n\n"));
    load_access_tests(&report)
}

/// Every fault as people read it, without the temporary folder.
fn faults(fixture: &Fixture) -> Vec<String> {
    let prefix = format!("{}/", fixture.path("").display());
    let faults = load(fixture).faults;
    let prefix = prefix.replace("//", "/");
    faults
        .iter()
        .map(|fault| fault.to_string().replace(&prefix, ""))
        .collect()
}

/// The one fault of the tests with `from` replaced.
fn broken(from: &str, to: &str) -> String {
    assert!(TESTS.contains(from), "{from}");
    let faults = faults(&mesh(&TESTS.replacen(from, to, 1)));
    assert_eq!(faults.len(), 1, "{}", faults.join("\n\n"));
    faults.into_iter().next().unwrap()
}

fn rules(fixture: &Fixture) -> Vec<&'static str> {
    load(fixture).faults.iter().map(|it| it.rule).collect()
}

#[test]
fn tests_are_read_in_full() {
    let loaded = load(&mesh(TESTS));
    assert!(loaded.faults.is_empty(), "{}", loaded.faults[0]);
    let [file] = loaded.files.as_slice() else {
        panic!("{}", loaded.files.len());
    };
    assert_eq!(file.domain.as_str(), "sales");
    let [fixture] = file.fixtures.as_slice() else {
        panic!();
    };
    assert_eq!(fixture.table.value.to_string(), "sales.orders");
    assert_eq!(fixture.rows.len(), 2);
    let amount = &fixture.rows[0].cell("amount").unwrap().value;
    assert_eq!(*amount, TestValue::Scalar("2.50".to_owned()));
    assert!(fixture.rows[1].cell("amount").is_none());

    let [all, denied, words] = file.tests.as_slice() else {
        panic!();
    };
    assert_eq!(all.name.value, "analysts see all");
    assert_eq!(
        all.viewer.principal,
        TestPrincipal::Known(Grantee::User("ana".into()))
    );
    let TestExpectation::Shown(shown) = &all.expect else {
        panic!();
    };
    assert_eq!(
        shown.columns.as_ref().unwrap().value,
        ["order_id", "amount"]
    );
    assert_eq!(shown.count.as_ref().unwrap().value, 2);
    let rows = &shown.rows.as_ref().unwrap().value;
    // As it is written: a number would have lost its zero.
    let amount = |at: usize| rows[at].cell("amount").unwrap().value.clone();
    assert_eq!(amount(0), TestValue::Scalar("2.50".to_owned()));
    assert_eq!(amount(1), TestValue::Null);
    assert_eq!((shown.contains.len(), shown.without.len()), (1, 1));
    let ways: Vec<_> = shown.masked[1]
        .1
        .iter()
        .map(|it| it.value.as_str())
        .collect();
    assert_eq!(ways, ["clear", "hidden"]);

    assert_eq!(
        denied.viewer.principal,
        TestPrincipal::Described {
            name: None,
            groups: ["partners".to_owned()].into(),
            attributes: BTreeMap::from([
                ("region".to_owned(), "EU".to_owned()),
                ("level".to_owned(), "3".to_owned()),
            ]),
        }
    );
    assert_eq!(
        denied.viewer.purpose.as_ref().unwrap().as_str(),
        "fulfilment"
    );
    assert_eq!(
        denied.now.unwrap().to_rfc3339(),
        "2027-01-01T00:00:00+00:00"
    );
    assert!(matches!(denied.subject, TestSubject::Sql(_)));
    assert!(matches!(denied.expect, TestExpectation::Denied(None)));

    let TestSubject::Table { sql_name, .. } = &words.subject else {
        panic!();
    };
    assert_eq!(sql_name, "orders@2");
    assert!(
        matches!(&words.expect, TestExpectation::Denied(Some(words)) if words.value == "does not exist")
    );
}

#[test]
fn a_mistake_says_where_it_is_and_what_to_do() {
    assert_eq!(
        broken("count: 2", "cuont: 2"),
        "domains/sales/access-tests/orders.yaml:14:7: error[unknown-key]: `cuont` is not a key of `expect`\n\
         14 |       cuont: 2\n   \
            |       ^\n  \
         = help: did you mean `count`?"
    );
    for (from, to, rule, help) in [
        (
            "user: ana",
            "user: anna",
            "unknown-user",
            "did you mean `user:ana`?",
        ),
        ("user: ana", "service: ana", "unknown-user", "describe them"),
        (
            "{user: ana}",
            "{user: ana, groups: [a]}",
            "wrong-value",
            "they stand in mesh.yaml",
        ),
        ("{user: ana}", "{purpose: x}", "missing-key", "as: everyone"),
        ("{user: ana}", "anna", "grantee", "`user:NAME`"),
        (
            "[partners]",
            "[\"group:partners\"]",
            "name",
            "groups: [partners]",
        ),
        ("purpose: fulfilment", "purpose: just looking", "name", ""),
        ("now: 2027-01-01", "now: soon", "wrong-value", "2026-01-31"),
        (
            "table: orders\n",
            "table: oders\n",
            "unknown-table",
            "did you mean `orders`?",
        ),
        (
            "table: sales.orders@2",
            "table: sales.orders@1",
            "unknown-table",
            "",
        ),
        (
            "table: sales.orders@2",
            "table: saless.orders",
            "unknown-table",
            "did you mean `sales`?",
        ),
        (
            "table: orders\n",
            "table: orders\n    sql: SELECT 1\n",
            "wrong-value",
            "two tests",
        ),
        ("    table: orders\n", "", "missing-key", "sql: SELECT"),
        (
            "columns: [order_id, amount]",
            "columns: [order_id, amuont]",
            "unknown-column",
            "did you mean `amount`?",
        ),
        (
            "columns: [order_id, amount]",
            "columns: []",
            "empty",
            "denied: true",
        ),
        ("count: 2", "count: two", "wrong-type", ""),
        ("count: 2", "count: -1", "wrong-type", ""),
        (
            "contains: [{order_id: 1}]",
            "contains: []",
            "empty",
            "rows: []",
        ),
        ("contains: [{order_id: 1}]", "contains: [{}]", "empty", ""),
        (
            "masked: {amount: clear",
            "masked: {amuont: clear",
            "unknown-column",
            "did you mean `amount`?",
        ),
        (
            "masked: {amount: clear",
            "masked: {amount: null",
            "wrong-type",
            "nullify",
        ),
        (
            "{denied: true}",
            "{denied: true, count: 0}",
            "denied-with-more",
            "two tests",
        ),
        (
            "{denied: true}",
            "{denied: false}",
            "wrong-value",
            "should be seen",
        ),
        ("{denied: true}", "{}", "empty", "`denied`"),
        (
            "{denied: true}",
            "{masked: {amount: hash}}",
            "wrong-value",
            "with `table`",
        ),
        (
            "name: partners are denied",
            "name: analysts see all",
            "duplicate-test",
            "rename",
        ),
        (
            "- {order_id: 2}\n",
            "- {amount: 1}\n",
            "missing-value",
            "defaults",
        ),
        (
            "- {order_id: 2}\n",
            "- {order_id: 2, amuont: 1}\n",
            "unknown-column",
            "did you mean",
        ),
        (
            "  orders:\n    -",
            "  oders:\n    -",
            "unknown-table",
            "did you mean `orders`?",
        ),
        ("domain: sales", "domain: crm", "wrong-domain", ""),
        (
            "kind: AccessTests",
            "kind: Grants",
            "wrong-kind",
            "kind: AccessTests",
        ),
    ] {
        let fault = broken(from, to);
        assert!(fault.contains(&format!("error[{rule}]")), "{to}: {fault}");
        assert!(fault.contains(help), "{to}: {fault}");
    }
}

#[test]
fn rows_that_leave_open_what_is_meant_are_refused() {
    let fault = broken("- {order_id: 2, amount: null}", "- {order_id: 2}");
    assert!(
        fault.contains(
            "17:11: error[uneven-rows]: a row names column `amount` and another does not"
        ),
        "{fault}"
    );
}

#[test]
fn defaults_fill_in_what_a_row_does_not_say() {
    let fixture = mesh(&TESTS.replace(
        "  orders:\n    - {order_id: 1, amount: \"2.50\"}\n    - {order_id: 2}\n",
        "  orders:\n    defaults: {order_id: 7, amount: 1}\n    rows:\n      - {amount: 2}\n",
    ));
    let loaded = load(&fixture);
    assert!(loaded.faults.is_empty(), "{}", loaded.faults[0]);
    let row = &loaded.files[0].fixtures[0].rows[0];
    assert_eq!(
        row.cell("order_id").unwrap().value,
        TestValue::Scalar("7".into())
    );
    assert_eq!(
        row.cell("amount").unwrap().value,
        TestValue::Scalar("2".into())
    );
}

#[test]
fn files_are_found_as_products_are() {
    let fixture = mesh(TESTS);
    fixture.write(
        "domains/sales/access-tests/more.yaml",
        &TESTS.replace("name: ", "name: more "),
    );
    assert_eq!(load(&fixture).files.len(), 2);
    // One name in two files.
    fixture.write("domains/sales/access-tests/more.yaml", TESTS);
    assert_eq!(rules(&fixture), ["duplicate-test"; 3]);

    let fixture = Fixture::new();
    fixture.append(
        SALES_YAML,
        "accessTests: [access-tests/*.yaml, other.yaml]\n",
    );
    let faults = faults(&fixture);
    assert!(
        faults[0].contains("error[no-files]: `access-tests/*.yaml` matches no access test"),
        "{faults:?}"
    );
    assert!(
        faults[1].contains("error[missing-file]: `other.yaml` does not exist"),
        "{faults:?}"
    );
    for pattern in ["../crm/*.yaml", "/etc/*.yaml"] {
        let fixture = Fixture::new();
        fixture.append(SALES_YAML, &format!("accessTests: {pattern}\n"));
        assert_eq!(rules(&fixture), ["unsafe-path"], "{pattern}");
    }
}

#[test]
fn no_test_keeps_a_domain_from_being_served() {
    let fixture = mesh("apiVersion: weft/v1\nkind: AccessTests\n  broken: [\n");
    let report = fixture.load();
    assert!(!report.has_errors());
    assert!(report.domains[0].domain.is_some());
    // And a server does not watch what it does not read.
    assert!(
        report
            .files
            .iter()
            .all(|file| !file.ends_with("orders.yaml"))
    );
    assert_eq!(rules(&fixture), ["yaml-syntax"]);
    let missing = mesh("apiVersion: weft/v1\nkind: AccessTests\ndomain: sales\n");
    assert_eq!(rules(&missing), ["missing-key"]);
}

#[test]
fn other_domains_tables_are_named_with_their_domain() {
    let fixture = mesh(&TESTS.replace("  orders:\n    -", "  sales.orders:\n    -"));
    assert!(load(&fixture).faults.is_empty());
    // A domain with faults is not one that is not there.
    let fixture = mesh(&TESTS.replace("table: sales.orders@2", "table: crm.customers"));
    let fault = faults(&fixture);
    assert!(
        fault[0].contains("table `customers` is not in domain `crm`"),
        "{fault:?}"
    );
    fixture.edit("domains/crm/domain.yaml", "storage: []", "storage: 1");
    let loaded = load_access_tests(&fixture.load());
    assert!(
        loaded.faults[0]
            .message
            .contains("domain `crm` has faults of its own")
    );
}

#[test]
fn the_mesh_may_require_tests() {
    let fixture = Fixture::new();
    fixture.append(
        MESH_YAML,
        "require:\n  accessTests:\n    classification: [restricted]\n",
    );
    let report = fixture.load();
    let require = &report.mesh.as_ref().unwrap().require;
    assert_eq!(require.access_tests[0].value, "restricted");
    for (text, rule) in [
        ("require: {}\n", "missing-key"),
        ("require: {accessTests: {}}\n", "missing-key"),
        ("require: {accessTests: {classification: []}}\n", "empty"),
        (
            "require: {accessTests: {tags: [pii], classification: [x]}}\n",
            "unknown-key",
        ),
    ] {
        let fixture = Fixture::new();
        fixture.append(MESH_YAML, text);
        assert_eq!(fixture.rules(), [rule], "{text}");
    }
}
