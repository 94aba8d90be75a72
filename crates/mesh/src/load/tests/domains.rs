use super::fixture::{Fixture, MESH_YAML, ORDERS_YAML, SALES_YAML};

#[test]
fn domain_names_are_unique_and_plain() {
    let fixture = Fixture::new();
    fixture.edit("domains/crm/domain.yaml", "name: crm", "name: sales");
    assert!(
        fixture
            .fault()
            .contains("error[duplicate-domain]: domain `sales` is named twice, first in ")
    );
    // Whoever was there first stays.
    let report = fixture.load();
    assert!(report.domains[0].domain.is_some());
    assert!(report.domains[1].domain.is_none());
    for name in ["Sales", "1a", "a-b", "information_schema", "system", "\"\""] {
        let fixture = Fixture::new();
        fixture.edit(
            "domains/crm/domain.yaml",
            "name: crm",
            &format!("name: {name}"),
        );
        assert!(fixture.load().domains[1].domain.is_none(), "{name}");
    }
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "domains/crm/", "./domains/sales/");
    assert_eq!(fixture.rules(), ["duplicate-domain"]);
}

#[test]
fn products_that_match_nothing_are_a_warning_and_missing_ones_an_error() {
    let fixture = Fixture::new();
    fixture.edit(SALES_YAML, "products/*.odcs.yaml", "goods/*.yaml");
    assert_eq!(
        fixture.fault(),
        "domains/sales/domain.yaml:9:12: warning[no-files]: `goods/*.yaml` matches no contract\n\
         9 | products: [goods/*.yaml]\n  \
           |            ^\n  \
         = help: add a contract, or remove the pattern"
    );
    let fixture = Fixture::new();
    fixture.edit(SALES_YAML, "products/*.odcs.yaml", "products/goods.yaml");
    assert!(
        fixture
            .fault()
            .contains("error[missing-file]: `products/goods.yaml` does not exist")
    );
    let fixture = Fixture::new();
    fixture.edit(SALES_YAML, "grants: grants.yaml", "grants: grunts.yaml");
    assert!(
        fixture
            .fault()
            .contains("error[missing-file]: `grunts.yaml` does not exist")
    );
}

#[test]
fn products_stay_in_the_folder_of_their_domain() {
    for pattern in ["../crm/*.yaml", "/etc/*.yaml", "products/../*.yaml"] {
        let fixture = Fixture::new();
        fixture.edit(SALES_YAML, "products/*.odcs.yaml", pattern);
        assert_eq!(fixture.rules(), ["unsafe-path"], "{pattern}");
    }
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x.odcs.yaml"), "a: b\n").unwrap();
    let fixture = Fixture::new();
    fixture.link(
        "domains/sales/products/x.odcs.yaml",
        &outside.path().join("x.odcs.yaml"),
    );
    assert!(
        fixture
            .fault()
            .contains("error[symlink-escape]: `products/x.odcs.yaml` is reached by a symlink")
    );
    let fixture = Fixture::new();
    fixture.link("domains/sales/more", outside.path()).edit(
        SALES_YAML,
        "products/*.odcs.yaml",
        "more/*.yaml",
    );
    assert_eq!(fixture.rules(), ["symlink-escape"]);
}

#[test]
fn a_contract_matched_twice_is_an_error() {
    let fixture = Fixture::new();
    fixture.edit(
        SALES_YAML,
        "[products/*.odcs.yaml]",
        "[products/*.odcs.yaml, products/orders.odcs.yaml]",
    );
    assert_eq!(fixture.rules(), ["duplicate-product"]);
}

#[test]
fn duplicate_table() {
    let fixture = Fixture::new();
    let orders = std::fs::read_to_string(fixture.path(ORDERS_YAML)).unwrap();
    let second = "domains/sales/products/sales.odcs.yaml";
    fixture.write(
        second,
        &orders
            .replace("id: orders", "id: sales")
            .replace("name: Orders", "name: Sales"),
    );
    let fault = fixture.fault();
    assert!(fault.starts_with(
        "domains/sales/products/sales.odcs.yaml:14:11: error[duplicate-table]: table `orders` is declared \
         twice, first in "
    ));
    assert!(fault.ends_with(
        "orders.odcs.yaml:14\n14 |   - name: orders\n   |           ^\n  \
         = help: rename one of the two; versions of one product share their `dataProduct`"
    ));
    fixture.write(second, &orders);
    assert!(
        fixture
            .fault()
            .contains("table `orders` is declared twice in version 2, first in")
    );
    fixture.write(second, &orders.replace("- name: orders", "- name: Orders"));
    assert!(
        fixture
            .fault()
            .contains("table `Orders` differs from `orders` in")
    );
}

#[test]
fn versions_are_served_side_by_side() {
    let fixture = Fixture::new();
    let orders = std::fs::read_to_string(fixture.path(ORDERS_YAML)).unwrap();
    let other = |version: &str, status: &str| {
        orders
            .replace("version: 2.1.0", &format!("version: {version}"))
            .replace("status: active", &format!("status: {status}"))
    };
    let names = |fixture: &Fixture| -> Vec<Vec<String>> {
        fixture
            .sales()
            .tables
            .iter()
            .map(crate::Table::sql_names)
            .collect()
    };
    fixture.write(
        "domains/sales/products/v1.odcs.yaml",
        &other("1.9.0", "active"),
    );
    assert_eq!(
        names(&fixture),
        [vec!["orders@1"], vec!["orders", "orders@2"]]
    );
    // A newer draft is not served; a newer deprecated one does not take the bare name.
    fixture.write(
        "domains/sales/products/v3.odcs.yaml",
        &other("3.0.0", "draft"),
    );
    assert_eq!(
        names(&fixture),
        [vec!["orders@1"], vec!["orders", "orders@2"]]
    );
    fixture.write(
        "domains/sales/products/v3.odcs.yaml",
        &other("3.0.0", "deprecated"),
    );
    assert_eq!(
        names(&fixture),
        [
            vec!["orders@1"],
            vec!["orders", "orders@2"],
            vec!["orders@3"]
        ]
    );
    assert_eq!(fixture.rules(), ["deprecated"]);
    let domain = fixture.sales();
    assert_eq!(domain.table("orders").unwrap().major, 2);
    assert_eq!(domain.table("orders@1").unwrap().major, 1);
    assert!(domain.table("orders@4").is_none());
    assert!(domain.table("orders@01").is_none());
}
