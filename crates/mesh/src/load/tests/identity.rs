use super::fixture::{Fixture, GRANTS_YAML, MESH_YAML, ORDERS_YAML, SALES_YAML};

const SERVICE: &str = "    - name: bi\n      kind: service\n      token: env:BI_TOKEN\n";

#[test]
fn a_service_acts_for_members_of_groups() {
    let fixture = Fixture::new();
    fixture.append(
        MESH_YAML,
        &format!("{SERVICE}      impersonates: [group:analysts, group:partners]\n"),
    );
    let report = fixture.load();
    assert!(!report.has_errors(), "{}", fixture.faults().join("\n\n"));
    let users = report.mesh.unwrap().identity.users;
    let groups: Vec<&str> = users[1].impersonates.iter().map(String::as_str).collect();
    assert_eq!(groups, ["analysts", "partners"]);
    assert!(users[0].impersonates.is_empty());
}

#[test]
fn nobody_else_acts_for_others() {
    for (more, rule, message) in [
        (
            "      impersonates: [group:analysts]\n".to_owned(),
            "wrong-value",
            "only a service acts for others",
        ),
        (
            format!("{SERVICE}      impersonates: [\"user:ana\"]\n"),
            "wrong-value",
            "`user:ana` is not a group",
        ),
        (
            format!("{SERVICE}      impersonates: [\"service:bi\"]\n"),
            "wrong-value",
            "`service:bi` is not a group",
        ),
        (
            format!("{SERVICE}      impersonates: [everyone]\n"),
            "wrong-value",
            "`everyone` is not a group",
        ),
        (
            format!("{SERVICE}      impersonates: [analysts]\n"),
            "grantee",
            "`analysts` is not a grantee",
        ),
        (
            format!("{SERVICE}      impersonates: []\n"),
            "empty",
            "`impersonates` is an empty list",
        ),
        (
            format!("{SERVICE}      impersonates: group:analysts\n"),
            "wrong-type",
            "`impersonates` must be a list",
        ),
    ] {
        let fixture = Fixture::new();
        fixture.append(MESH_YAML, &more);
        let fault = fixture.fault();
        assert!(fault.contains(&format!("error[{rule}]")), "{fault}");
        assert!(fault.contains(message), "{fault}");
        assert!(fixture.load().mesh.is_none());
    }
}

#[test]
fn a_grant_asks_for_one_of_its_purposes() {
    let fixture = Fixture::new();
    fixture.append(GRANTS_YAML, "    purposes: [fulfilment, fraud.v2]\n");
    let purposes: Vec<String> = fixture.sales().grants[0]
        .purposes
        .iter()
        .map(|purpose| purpose.value.to_string())
        .collect();
    assert_eq!(purposes, ["fulfilment", "fraud.v2"]);
    for (purposes, rule, message) in [
        ("[]", "empty", "`purposes` is an empty list"),
        ("", "wrong-type", "`purposes` must be a list"),
        ("fraud", "wrong-type", "`purposes` must be a list"),
        ("[just looking]", "name", "`just looking`"),
        ("[fraud, fraud]", "duplicate-value", "listed twice"),
        ("['*']", "wrong-value", "`*` stands alone"),
        ("['']", "empty", "`purposes` is empty"),
        ("[7]", "wrong-type", "`purposes` must be a string"),
    ] {
        let fixture = Fixture::new();
        fixture.append(GRANTS_YAML, &format!("    purposes: {purposes}\n"));
        let fault = fixture.fault();
        assert!(fault.contains(&format!("error[{rule}]")), "{fault}");
        assert!(fault.contains(message), "{fault}");
        assert!(fixture.load().domains[0].domain.is_none());
    }
}

#[test]
fn a_domain_lends_tables_of_its_own() {
    let fixture = Fixture::new();
    fixture.append(SALES_YAML, "entitlements: [orders, orders@2]\n");
    let lent: Vec<String> = fixture
        .sales()
        .entitlements
        .iter()
        .map(|name| name.value.clone())
        .collect();
    assert_eq!(lent, ["orders", "orders@2"]);
    for (lent, rule, message) in [
        ("[]", "empty", "`entitlements` is an empty list"),
        ("orders", "wrong-type", "`entitlements` must be a list"),
        ("['*']", "wrong-value", "`*` stands alone"),
        (
            "[order]",
            "unknown-table",
            "table `order` is not in this domain",
        ),
        (
            "[crm.people]",
            "unknown-table",
            "table `crm.people` is not in",
        ),
        ("[orders@1]", "unknown-table", "table `orders@1` is not in"),
        ("[Orders]", "unknown-table", "table `Orders` is not in"),
    ] {
        let fixture = Fixture::new();
        fixture.append(SALES_YAML, &format!("entitlements: {lent}\n"));
        let fault = fixture.fault();
        assert!(fault.contains(&format!("error[{rule}]")), "{fault}");
        assert!(fault.contains(message), "{fault}");
        assert!(fixture.load().domains[0].domain.is_none());
    }
}

#[test]
fn marks_inside_of_a_column_are_marks_on_it() {
    let fixture = Fixture::new();
    fixture.append(
        ORDERS_YAML,
        "      - name: doc
        logicalType: object
        tags: [own]
        classification: internal
        properties:
          - name: who
            logicalType: object
            properties:
              - {name: ssn, logicalType: string, tags: [pii], classification: secret}
      - name: notes
        logicalType: array
        items: {logicalType: string, tags: [free-text], classification: restricted}
      - name: lines
        logicalType: array
        items:
          logicalType: object
          properties:
            - name: parts
              logicalType: array
              items:
                logicalType: object
                properties:
                  - {name: serial, logicalType: string, tags: [deep]}
",
    );
    let orders = fixture.orders();
    let marks = |name: &str| {
        let column = orders.column(name).unwrap();
        let join = |marks: &std::collections::BTreeSet<String>| {
            marks.iter().cloned().collect::<Vec<_>>().join(",")
        };
        (
            join(&column.tags),
            column.classification.clone().unwrap_or_default(),
            join(&column.inside.tags),
            join(&column.inside.classifications),
        )
    };
    let own = |tags: &str, class: &str, inside: &str, classes: &str| {
        [tags, class, inside, classes].map(str::to_owned).into()
    };
    assert_eq!(marks("doc"), own("own", "internal", "pii", "secret"));
    assert_eq!(marks("notes"), own("", "", "free-text", "restricted"));
    assert_eq!(marks("lines"), own("", "", "deep", ""));
    assert_eq!(marks("amount"), own("", "", "", ""));
}

#[test]
fn a_certificate_is_one_services() {
    let service = |name: &str, certificate: &str| {
        format!("    - {{name: {name}, kind: service, certificate: {certificate:?}}}\n")
    };
    let loader = service("loader", "spiffe://acme.example/loader");
    for (more, rules) in [
        (loader.clone(), &[][..]),
        (service("loader", "loader.acme.example"), &[]),
        (service("loader", "*.acme.example"), &["wrong-value"]),
        (service("loader", "CN=loader"), &["wrong-value"]),
        (
            format!(
                "{loader}{}",
                service("other", "spiffe://acme.example/loader")
            ),
            &["duplicate-certificate"],
        ),
        (
            format!("{}{}", service("a", "a.example"), service("b", "A.example")),
            &["duplicate-certificate"],
        ),
    ] {
        let fixture = Fixture::new();
        fixture.append(MESH_YAML, &more);
        assert_eq!(fixture.rules(), rules, "{more}");
    }
}

#[test]
fn tokens_have_a_folder_of_their_own() {
    for (folder, rules) in [
        ("tokens/", &[][..]),
        ("some/where", &[]),
        (".", &["wrong-value"]),
        ("./", &["wrong-value"]),
        ("tok*", &["wrong-value"]),
    ] {
        let fixture = Fixture::new();
        fixture.append(MESH_YAML, &format!("  tokens: {folder:?}\n"));
        assert_eq!(fixture.rules(), rules, "{folder}");
    }
}
