//! `weft access test`: every expectation as it holds and as it fails.

use std::fs;
use std::time::Instant;

use super::{Outcome, weft};
use crate::support::{MeshDir, contract};

const ORDERS: &str = "
- {name: order_id, logicalType: integer, required: true}
- {name: region, logicalType: string, required: true}
- {name: email, logicalType: string, tags: [pii]}
- {name: amount, logicalType: number, physicalType: \"DECIMAL(12,2)\"}
- {name: day, logicalType: date}
- {name: at, logicalType: timestamp}
- {name: open, logicalType: boolean}
- {name: tags, logicalType: array, items: {logicalType: string}}
- name: address
  logicalType: object
  properties:
    - {name: city, logicalType: string}
    - {name: since, logicalType: date}
";

const PEOPLE: &str = "
- {name: login, logicalType: string, required: true}
- {name: salary, logicalType: integer, classification: restricted}
";

const MEMBERS: &str = "
- {name: login, logicalType: string, required: true}
- {name: region, logicalType: string}
";

const GRANTS: &str = "
- name: analysts
  to: [group:analysts]
  on: orders
  columns: \"*\"
  rows: \"region = session.attr('region')\"
- name: large
  to: [group:analysts]
  on: orders
  columns: [order_id, region, amount]
  masks: {amount: bucket(100)}
  rows: \"amount >= 500\"
- name: partners
  to: [group:partners]
  on: orders
  columns: [order_id, email]
  masks: {email: hash}
  purposes: [fulfilment]
  until: 2030-01-01
- name: couriers
  to: [group:couriers]
  on: orders
  columns: [order_id, region]
  rows: \"region IN (SELECT region FROM sales.members WHERE login = session.user)\"
- name: shop-window
  to: [everyone]
  on: members
  discover: true
";

const FIXTURES: &str = "fixtures:
  orders:
    - {order_id: 1, region: EU, email: a@x, amount: 12.50, day: 2026-01-31, at: \"2026-01-31T12:00:00Z\", open: true, tags: [a, b], address: {city: Bonn, since: 2020-01-01}}
    - {order_id: 2, region: EU, amount: 7}
    - {order_id: 3, region: US, email: c@x, amount: 612.40}
  members:
    - {login: cora, region: US}
";

/// Nothing in it can be read: no bucket, no secret, no file with rows.
fn mesh() -> MeshDir {
    let bucket = "- {name: lake, url: \"s3://nowhere/lake/\", options: {endpoint: \"http://127.0.0.1:9\", allow_http: \"true\", region: x}, secrets: {access_key_id: \"env:WEFT_NO_SUCH\", secret_access_key: \"env:WEFT_NO_SUCH\"}}";
    let at = |name: &str, columns: &str| {
        let place = format!("s3://nowhere/lake/{name}/*.parquet");
        contract(name, "parquet", &place, columns)
    };
    let mesh = MeshDir::new("acme")
        .with_head("secret: env:WEFT_NO_SUCH")
        .user("ana", "x", &["analysts"], &[("region", "EU")])
        .user("cora", "x", &["couriers"], &[])
        .domain_on(
            "sales",
            bucket,
            GRANTS,
            &[&at("orders", ORDERS), &at("members", MEMBERS)],
        )
        .domain(
            "hr",
            "",
            &[&contract("people", "csv", "./data/people.csv", PEOPLE)],
        );
    fs::write(mesh.data("hr").join("people.csv"), "login,salary\nana,1\n").unwrap();
    for domain in ["sales", "hr"] {
        let file = format!("domains/{domain}/domain.yaml");
        mesh.change(
            &file,
            "grants:",
            "accessTests: access-tests/*.yaml\ngrants:",
        );
    }
    mesh.write(
        "domains/hr/access-tests/none.yaml",
        "apiVersion: weft/v1\nkind: AccessTests\ndomain: hr\ntests: []\n",
    );
    mesh
}

/// The items of `tests:` on the fixtures.
fn run(tests: &str) -> Outcome {
    run_in(&mesh(), tests, &[])
}

fn run_in(mesh: &MeshDir, tests: &str, arguments: &[&str]) -> Outcome {
    mesh.write(
        "domains/sales/access-tests/orders.yaml",
        &format!(
            "apiVersion: weft/v1\nkind: AccessTests\ndomain: sales\n{FIXTURES}tests:\n{tests}"
        ),
    );
    let file = mesh.mesh_file();
    let mut all = vec!["access", "test", file.to_str().unwrap()];
    all.extend(arguments);
    weft(&all)
}

fn one(who: &str, expect: &str) -> String {
    format!("  - name: it\n    as: {who}\n    table: orders\n    expect: {expect}\n")
}

#[track_caller]
fn passes(who: &str, expect: &str) {
    let outcome = run(&one(who, expect));
    assert_eq!(outcome.code, 0, "{expect}\n{}{}", outcome.out, outcome.err);
    assert!(
        outcome
            .out
            .starts_with("ok    sales  it\n1 test: 1 passed, 0 failed, in "),
        "{}",
        outcome.out
    );
}

/// What is said below the line of the test.
#[track_caller]
fn fails(who: &str, expect: &str) -> String {
    let outcome = run(&one(who, expect));
    assert_eq!(outcome.code, 1, "{expect}\n{}{}", outcome.out, outcome.err);
    let mut lines: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(lines.remove(0), "FAIL  sales  it", "{}", outcome.out);
    assert!(
        lines.remove(0).contains("access-tests/orders.yaml:1"),
        "{}",
        outcome.out
    );
    assert!(
        lines
            .pop()
            .unwrap()
            .starts_with("1 test: 0 passed, 1 failed, in ")
    );
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_prefix("      ").unwrap_or(line))
        .collect();
    lines.join("\n")
}

const ANA: &str = "{user: ana}";
const PARTNER: &str = "{groups: [partners], purpose: fulfilment}";

#[test]
fn rows_are_compared_in_the_types_of_the_contract() {
    passes(
        ANA,
        "{rows: [{order_id: 3, amount: 600}, {order_id: 2, amount: 7.00}, {order_id: 1, amount: \"12.5\"}]}",
    );
    passes(
        ANA,
        "{contains: [{order_id: 1, day: 2026-01-31, at: \"2026-01-31T13:00:00+01:00\", open: true, tags: [a, b], address: {since: 2020-01-01, city: Bonn}}]}",
    );
    passes(
        ANA,
        "{contains: [{order_id: 2, email: null, day: null, tags: null, address: null}]}",
    );
    assert_eq!(
        fails(
            ANA,
            "{rows: [{order_id: 1, region: EU}, {order_id: 2, region: US}]}"
        ),
        "the rows differ: 2 expected (-), 3 found (+)\n\
         \x20  order_id  region\n\
         \x20  1         EU\n\
         +  2         EU\n\
         -  2         US\n\
         +  3         US"
    );
    assert_eq!(
        fails(ANA, "{contains: [{order_id: 1, tags: [b, a]}]}"),
        "an expected row is not among the 3 found\n   order_id  tags\n-  1         [b, a]\n+  1         [a, b]"
    );
    assert!(fails(ANA, "{rows: []}").starts_with("the rows differ: none expected, 3 found\n"));
    passes(
        "{groups: [analysts], attributes: {region: nowhere}}",
        "{rows: [{order_id: 3}]}",
    );
}

#[test]
fn a_row_that_should_not_be_there() {
    passes(ANA, "{without: [{order_id: 4}, {region: US, email: c@x}]}");
    assert_eq!(
        fails(ANA, "{without: [{region: EU}]}"),
        "2 rows found of a kind that should not be shown\n   region\n+  EU\n+  EU"
    );
}

#[test]
fn columns_and_counts() {
    passes(PARTNER, "{columns: [order_id, email], count: 3}");
    assert_eq!(
        fails(PARTNER, "{columns: [email, order_id]}"),
        "the columns differ; the order is `order_id`, `email`"
    );
    assert_eq!(
        fails(PARTNER, "{columns: [order_id, region]}"),
        "the columns differ; not shown: `region`; shown, not expected: `email`"
    );
    assert_eq!(fails(PARTNER, "{count: 2}"), "2 rows expected, 3 found");
    assert_eq!(
        fails(PARTNER, "{rows: [{order_id: 1, region: EU}]}"),
        "a row is expected with column `region`, which is not shown; what is shown is `order_id`, `email`"
    );
}

#[test]
fn how_columns_are_shown() {
    passes(
        PARTNER,
        "{masked: {order_id: clear, email: hash, amount: hidden}}",
    );
    passes(
        ANA,
        "{masked: {region: clear, amount: [clear, bucket(100)], email: [clear, hidden], day: conditional}}",
    );
    assert_eq!(
        fails(PARTNER, "{masked: {email: clear}}"),
        "column `email` is shown `hash`, and should be shown `clear`"
    );
    assert_eq!(
        fails(ANA, "{masked: {amount: bucket(100)}}"),
        "column `amount` is shown `clear` or `bucket(100.00)`, depending on the row, and should be shown `bucket(100.00)`"
    );
    assert_eq!(
        fails(ANA, "{masked: {order_id: conditional}}"),
        "column `order_id` is shown `clear`, and should be shown in different ways, depending on the row"
    );
    // The same digest everywhere, and not the one of production.
    let hash = "cafe";
    let found = fails(
        PARTNER,
        &format!("{{contains: [{{order_id: 1, email: \"{hash}\"}}]}}"),
    );
    let digest = found
        .lines()
        .last()
        .unwrap()
        .split_whitespace()
        .last()
        .unwrap()
        .to_owned();
    assert_eq!(digest.len(), 64, "{found}");
    passes(
        PARTNER,
        &format!("{{contains: [{{order_id: 1, email: \"{digest}\"}}]}}"),
    );
}

/// What is misspelt in a test proves nothing.
#[test]
fn slips() {
    let misspelt = run(&one("{groups: [patners]}", "{denied: true}"));
    assert_eq!(misspelt.code, 2, "{}", misspelt.out);
    let message = "error[unknown-group]: nothing in the mesh names group `patners`";
    assert!(misspelt.err.contains(message), "{}", misspelt.err);
    assert!(
        misspelt.err.contains("did you mean `partners`?"),
        "{}",
        misspelt.err
    );
    let partly = run(&one(ANA, "{without: [{address: {city: Bonn}}]}"));
    assert_eq!(partly.code, 2, "{}", partly.out);
    let message = "a mapping as a value of `address` does not name its field `since`";
    assert!(partly.err.contains(message), "{}", partly.err);
}

#[test]
fn refusals() {
    passes("everyone", "{denied: true}");
    passes("everyone", "{denied: does not exist}");
    passes("{groups: [partners]}", "{denied: true}");
    assert_eq!(
        fails(PARTNER, "{denied: true}"),
        "a refusal is expected, and it is shown with `order_id`, `email`"
    );
    assert!(
        fails("everyone", "{denied: no money}")
            .starts_with("a refusal with `no money` is expected, and it is: ")
    );
    assert!(
        fails("everyone", "{count: 0}")
            .starts_with("something should be shown, and it is refused: ")
    );

    let sql = |sql: &str, expect: &str| {
        run(&format!(
            "  - name: it\n    as: {{user: ana}}\n    sql: {sql}\n    expect: {expect}\n"
        ))
    };
    let hidden = "SELECT salary FROM sales.orders";
    let typo = sql(hidden, "{denied: true}");
    assert!(
        typo.out
            .contains("it is refused, but not because it is not granted"),
        "{}",
        typo.out
    );
    assert_eq!(sql(hidden, "{denied: salary}").code, 0);
    // Nor of what nobody may send.
    for (statement, reason) in [
        ("SET a = 1", "settings are neither shown nor changed by SQL"),
        ("SELEC 1", "SELEC"),
    ] {
        let nobody = sql(statement, "{denied: true}");
        assert_eq!((nobody.code, nobody.out.as_str()), (2, ""));
        let message = "error[wrong-sql]: nobody is answered this statement: ";
        assert!(nobody.err.contains(message), "{}", nobody.err);
        assert!(nobody.err.contains(reason), "{}", nobody.err);
    }
    assert_eq!(sql("SET a = 1", "{denied: settings are}").code, 0);
    // Of what is not there at all nothing is proved.
    for name in ["sales.oders", "orders", "sale.orders", "system.audit"] {
        let vacuous = sql(&format!("SELECT * FROM {name}"), "{denied: true}");
        assert_eq!(vacuous.code, 1);
        assert!(
            vacuous.out.contains(&format!(
                "no domain has a table `{name}`, so that it is refused proves nothing"
            )),
            "{}",
            vacuous.out
        );
    }
    assert_eq!(sql("SELECT * FROM hr.people", "{denied: true}").code, 0);
}

#[test]
fn statements_may_ask_for_an_order() {
    let sql = |rows: &str| {
        let sql = "SELECT region, count(*) AS n FROM sales.orders GROUP BY region ORDER BY n DESC";
        run(&format!(
            "  - name: it\n    as: {{user: ana}}\n    sql: {sql}\n    expect:\n      columns: [region, n]\n      count: 2\n      rows: {rows}\n"
        ))
    };
    let right = sql("[{region: EU, n: 2}, {region: US, n: 1}]");
    assert_eq!(right.code, 0, "{}", right.out);
    let wrong = sql("[{region: US, n: 1}, {region: EU, n: 2}]");
    assert_eq!(wrong.code, 1);
    assert!(
        wrong
            .out
            .contains("the rows are the expected ones in another order, from row 1 on"),
        "{}",
        wrong.out
    );
}

#[test]
fn entitlements_purposes_and_the_clock() {
    let tests = "
  - {name: her region, as: {user: cora}, table: orders, expect: {rows: [{order_id: 3, region: US}]}}
  - {name: no region, as: {user: dan, groups: [couriers]}, table: orders, expect: {count: 0}}
  - {name: in time, as: {groups: [partners], purpose: fulfilment}, now: 2029-12-31, table: orders, expect: {count: 3}}
  - {name: ended, as: {groups: [partners], purpose: fulfilment}, now: 2030-01-01, table: orders, expect: {denied: true}}
  - {name: another purpose, as: {groups: [partners], purpose: curiosity}, table: orders, expect: {denied: true}}
  - {name: the clock of SQL, as: {user: ana}, now: 2031-05-01T12:00:00Z, sql: SELECT now() AS at, expect: {rows: [{at: \"2031-05-01T12:00:00Z\"}]}}
";
    let outcome = run(tests);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    assert_eq!(outcome.out.matches("ok    sales").count(), 6);
}

#[test]
fn sources_are_read_where_there_is_no_fixture() {
    let mesh = mesh();
    mesh.grants(
        "hr",
        "- {name: all, to: [group:hr], on: people, columns: \"*\", masks: {salary: bucket(10)}}",
    );
    let tests = "apiVersion: weft/v1\nkind: AccessTests\ndomain: hr\ntests:\n  - {name: source, as: group:hr, table: people, expect: {rows: [{login: ana, salary: 0}]}}\n";
    mesh.write("domains/hr/access-tests/people.yaml", tests);
    // The other domain's bucket is out of reach, and nobody asks for it.
    let started = Instant::now();
    let outcome = run_in(&mesh, &one(ANA, "{count: 3}"), &[]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    assert_eq!(outcome.err, "");
    assert!(started.elapsed().as_secs() < 30);
    // Where it is asked for, that is said of the test that asks.
    mesh.write(
        "domains/sales/access-tests/more.yaml",
        "apiVersion: weft/v1\nkind: AccessTests\ndomain: sales\ntests:\n  - {name: no source, as: {user: ana}, table: orders, expect: {count: 3}}\n",
    );
    let outcome = run_in(&mesh, &one(ANA, "{count: 3}"), &[]);
    assert_eq!(outcome.code, 1, "{}", outcome.out);
    assert!(
        outcome.out.contains("FAIL  sales  no source"),
        "{}",
        outcome.out
    );
    assert!(
        outcome.out.contains("data source of `sales.orders` failed"),
        "{}",
        outcome.out
    );
    assert!(
        outcome.out.contains("3 tests: 2 passed, 1 failed"),
        "{}",
        outcome.out
    );
}

#[test]
fn faults_are_found_before_anything_runs() {
    let mesh = mesh();
    let file = mesh.mesh_file();
    for (test, fault) in [
        (
            one(ANA, "{cuont: 1}"),
            "error[unknown-key]: `cuont` is not a key of `expect`",
        ),
        (one(ANA, "{contains: [{day: tomorrow}]}"), ""),
        (
            one(ANA, "{contains: [{tags: {a: b}}]}"),
            "error[wrong-value]: a mapping as a value of `tags` does not fit its type",
        ),
        (one(ANA, "{masked: {amount: hash}}"), "error[invalid-mask]"),
        (one(ANA, "{masked: {amount: cleer}}"), "error[invalid-mask]"),
        (
            one("{user: anna}", "{count: 1}"),
            "did you mean `user:ana`?",
        ),
    ] {
        let outcome = run_in(&mesh, &test, &[]);
        let checked = weft(&["check", file.to_str().unwrap()]);
        if fault.is_empty() {
            // A masked column may be text: that it never is, the rows say.
            assert_eq!(
                (outcome.code, checked.code),
                (1, 0),
                "{}{}",
                outcome.out,
                outcome.err
            );
            continue;
        }
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (2, ""),
            "{}",
            outcome.err
        );
        assert!(outcome.err.contains(fault), "{}", outcome.err);
        assert_eq!(checked.code, 1);
        assert!(checked.out.contains(fault), "{}", checked.out);
    }
    mesh.write("domains/sales/access-tests/orders.yaml", "apiVersion: weft/v1\nkind: AccessTests\ndomain: sales\nfixtures:\n  orders:\n    - {order_id: 1, region: EU, amount: 12.505}\ntests: []\n");
    let checked = weft(&["check", file.to_str().unwrap()]);
    assert!(
        checked.out.contains("orders.yaml:6:41: error[wrong-value]: `12.505` as a value of `amount` has more digits than its type, Decimal128(12, 2)\n6 | "),
        "{}",
        checked.out
    );
    let outcome = weft(&["access", "test", "/nonexistent/mesh.yaml"]);
    assert_eq!(outcome.code, 2);
    let outcome = run_in(&mesh, &one(ANA, "{count: 3}"), &["--filter", "nothing"]);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (2, "weft: no access test is chosen\n")
    );
    let outcome = run_in(&mesh, &one(ANA, "{count: 3}"), &["--domain", "nothing"]);
    assert_eq!(outcome.code, 2);
}

#[test]
fn tests_are_chosen_by_domain_and_name() {
    let mesh = mesh();
    let tests = "
  - {name: all of ana, as: {user: ana}, table: orders, expect: {count: 3}}
  - {name: none for all, as: everyone, table: orders, expect: {denied: true}}
";
    let outcome = run_in(&mesh, tests, &["--filter", "ana", "--domain", "sales"]);
    assert!(
        outcome.out.contains("all of ana\n1 test: 1 passed"),
        "{}",
        outcome.out
    );
    assert_eq!(run_in(&mesh, tests, &["--domain", "hr"]).code, 2);
}

#[test]
fn the_mesh_requires_tests_of_a_classification() {
    let mesh = mesh();
    let text = fs::read_to_string(mesh.mesh_file()).unwrap();
    mesh.mesh_yaml(&format!(
        "{text}require:\n  accessTests:\n    classification: [Restricted]\n"
    ));
    let missing = run_in(&mesh, &one(ANA, "{count: 3}"), &[]);
    assert_eq!(missing.code, 1);
    assert!(
        missing
            .out
            .contains("ok    sales  it\nFAIL  hr     hr.people is tested\n"),
        "{}",
        missing.out
    );
    assert!(
        missing
            .out
            .contains("`hr.people` has no access test: its column `salary` is restricted"),
        "{}",
        missing.out
    );
    assert!(
        missing.out.contains("2 tests: 1 passed, 1 failed"),
        "{}",
        missing.out
    );
    let checked = weft(&["check", mesh.mesh_file().to_str().unwrap()]);
    assert_eq!(checked.code, 1);
    assert!(
        checked
            .out
            .contains("0.odcs.yaml:10:11: error[untested-table]: `hr.people` has no access test"),
        "{}",
        checked.out
    );
    // Not by another domain: those who own it answer for it.
    let other = "  - {name: people, as: {user: ana}, table: hr.people, expect: {denied: true}}\n";
    assert_eq!(run_in(&mesh, other, &[]).code, 1);
    // A server does not ask for tests, and neither do those who choose some.
    assert_eq!(
        run_in(&mesh, &one(ANA, "{count: 3}"), &["--filter", "it"]).code,
        0
    );
    assert_eq!(
        run_in(&mesh, &one(ANA, "{count: 3}"), &["--domain", "sales"]).code,
        0
    );
    for subject in ["table: people", "sql: SELECT login FROM hr.people"] {
        mesh.write(
            "domains/hr/access-tests/people.yaml",
            &format!("apiVersion: weft/v1\nkind: AccessTests\ndomain: hr\ntests:\n  - name: nobody\n    as: {{user: ana}}\n    {subject}\n    expect: {{denied: true}}\n"),
        );
        let there = run_in(&mesh, &one(ANA, "{count: 3}"), &[]);
        assert_eq!(there.code, 0, "{}", there.out);
    }
}

#[test]
fn machines_read_the_outcome() {
    let mesh = mesh();
    let tests = "
  - {name: \"a <b> & \\\"c\\\" ]]> d\", as: {user: ana}, table: orders, expect: {count: 3}}
  - {name: wrong, as: {user: ana}, table: orders, expect: {rows: [{order_id: 1, email: \"<&>\\t\\\"\"}]}}
";
    let file = mesh.path("junit.xml");
    let outcome = run_in(
        &mesh,
        tests,
        &["--junit", file.to_str().unwrap(), "--format", "json"],
    );
    assert_eq!(outcome.code, 1, "{}", outcome.err);
    let json: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(
        (json["passed"].as_u64(), json["failed"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(json["tests"][0]["outcome"], "passed");
    assert_eq!(json["tests"][1]["domain"], "sales");
    assert!(json["tests"][1]["line"].as_u64().unwrap() > 10);
    assert!(
        json["tests"][1]["problems"][0]
            .as_str()
            .unwrap()
            .starts_with("the rows differ")
    );

    let xml = fs::read_to_string(&file).unwrap();
    let elements = junit::read(&xml);
    let named = |name: &str| -> Vec<&junit::Element> {
        elements.iter().filter(|it| it.name == name).collect()
    };
    let (suites, suite) = (named("testsuites"), named("testsuite"));
    assert_eq!((suites.len(), suite.len()), (1, 1));
    for element in [suites[0], suite[0]] {
        assert_eq!(
            (
                element.get("tests"),
                element.get("failures"),
                element.get("errors")
            ),
            ("2", "1", "0")
        );
        assert!(element.get("time").parse::<f64>().is_ok());
    }
    assert_eq!(suite[0].get("name"), "sales");
    let cases = named("testcase");
    assert_eq!(cases[0].get("name"), "a <b> & \"c\" ]]> d");
    assert_eq!(
        (cases[1].get("classname"), cases[1].get("name")),
        ("sales", "wrong")
    );
    assert!(cases[1].get("file").ends_with("access-tests/orders.yaml"));
    let failures = named("failure");
    assert_eq!(failures.len(), 1);
    assert_eq!(
        failures[0].get("message"),
        "the rows differ: 1 expected (-), 3 found (+)"
    );
    assert!(
        failures[0].text.contains("\n-  1         \"<&>\\t\\\"\""),
        "{}",
        failures[0].text
    );
}

/// As much of XML as a report has; it panics on what is not well formed.
mod junit {
    use std::collections::BTreeMap;

    #[derive(Debug)]
    pub(super) struct Element {
        pub(super) name: String,
        attributes: BTreeMap<String, String>,
        pub(super) text: String,
    }

    impl Element {
        pub(super) fn get(&self, name: &str) -> &str {
            &self.attributes[name]
        }
    }

    pub(super) fn read(xml: &str) -> Vec<Element> {
        let mut rest = xml
            .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
            .unwrap();
        let (mut all, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
        while let Some(at) = rest.find('<') {
            let (text, tail) = rest.split_at(at);
            match open.last() {
                Some(at) => all[*at].text.push_str(&unescaped(text)),
                None => assert_eq!(text.trim(), ""),
            }
            let (tag, tail) = tail[1..].split_once('>').unwrap();
            rest = tail;
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(all[open.pop().unwrap()].name, name);
                continue;
            }
            let (tag, closed) = tag
                .strip_suffix('/')
                .map_or((tag, false), |tag| (tag, true));
            let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            let mut element = Element {
                name: name.to_owned(),
                attributes: BTreeMap::new(),
                text: String::new(),
            };
            while let Some((key, tail)) = attributes.trim_start().split_once("=\"") {
                let (value, tail) = tail.split_once('"').unwrap();
                assert!(
                    element
                        .attributes
                        .insert(key.to_owned(), unescaped(value))
                        .is_none()
                );
                attributes = tail;
            }
            assert_eq!(attributes.trim(), "");
            all.push(element);
            if !closed {
                open.push(all.len() - 1);
            }
        }
        assert!(open.is_empty() && rest.trim().is_empty());
        all
    }

    fn unescaped(text: &str) -> String {
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, tail)) = rest.split_once('&') {
            let (entity, tail) = tail.split_once(';').unwrap();
            out.push_str(before);
            out.push(match entity {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "#9" => '\t',
                "#10" => '\n',
                other => panic!("{other}"),
            });
            rest = tail;
        }
        out + rest
    }
}
