use super::fixture::{Fixture, GRANTS_YAML, MESH_YAML, ORDERS_YAML, SALES_YAML};
use crate::{IdentityCredential, PasswordSource, SecretRef, load};

#[test]
fn a_sound_mesh_loads_without_a_word() {
    let fixture = Fixture::new();
    let report = fixture.load();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let mesh = report.mesh.unwrap();
    assert_eq!(mesh.name.as_str(), "acme");
    assert_eq!(mesh.file, fixture.path(MESH_YAML));
    let user = &mesh.identity.users[0];
    assert_eq!(user.name.value, "ana");
    assert!(user.groups.contains("analysts"));
    assert_eq!(user.attributes["region"], "EU");
    assert!(matches!(
        &user.credential,
        IdentityCredential::Password(PasswordSource::Ref(SecretRef::Env(name))) if name == "ANA_HASH"
    ));
    assert_eq!(report.domains.len(), 2);
    assert!(report.domains.iter().all(|load| load.domain.is_some()));
}

#[test]
fn the_report_names_every_file_and_searched_folder() {
    let fixture = Fixture::new();
    let report = fixture.load();
    let root = std::fs::canonicalize(fixture.path(".")).unwrap();
    for file in [
        MESH_YAML,
        SALES_YAML,
        GRANTS_YAML,
        ORDERS_YAML,
        "domains/sales/products",
        "domains/crm/domain.yaml",
    ] {
        assert!(
            report.files.contains(&root.join(file)) || report.files.contains(&fixture.path(file)),
            "{file} is not in {:?}",
            report.files
        );
    }
}

#[test]
fn the_demo_mesh_has_no_fault_but_missing_data() {
    let demo =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/demo/mesh.yaml");
    let report = load(&demo);
    assert!(report.mesh.is_some(), "{:?}", report.faults);
    for fault in &report.faults {
        assert!(matches!(fault.rule, "missing-file" | "no-files"), "{fault}");
    }
}

#[test]
fn unknown_key() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "groups:", "gruops:");
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:11:7: error[unknown-key]: `gruops` is not a key of a user\n\
         11 |       gruops: [analysts]\n   \
            |       ^\n  \
         = help: did you mean `groups`?"
    );
}

#[test]
fn unknown_key_without_a_near_one_lists_all_and_shows_no_value() {
    let fixture = Fixture::new();
    fixture.append(MESH_YAML, "      colour: hunter2\n");
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:13:7: error[unknown-key]: `colour` is not a key of a user\n\
         13 | (not shown: this line may hold a secret)\n  \
         = help: the keys are `name`, `kind`, `password`, `token`, `certificate`, `groups`, `attributes`, `impersonates`"
    );
}

#[test]
fn wrong_type() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "[analysts]", "analysts");
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:11:15: error[wrong-type]: `groups` must be a list, found a string\n\
         11 |       groups: analysts\n   \
            |               ^"
    );
}

#[test]
fn numbers_and_booleans_are_not_strings() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "region: EU", "region: true, floor: 3, wing:");
    assert_eq!(fixture.rules(), ["wrong-type", "wrong-type", "wrong-type"]);
    assert!(fixture.faults()[0].contains("= help: put the value in quotes"));
}

#[test]
fn duplicate_key() {
    let fixture = Fixture::new();
    fixture.append(MESH_YAML, "name: other\n");
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:13:1: error[duplicate-key]: `name` is given twice, first in line 3\n\
         13 | (not shown: this line may hold a secret)\n  \
         = help: keep one of the two"
    );
}

#[test]
fn all_faults_of_all_files_come_at_once() {
    let fixture = Fixture::new();
    fixture
        .edit(MESH_YAML, "kind: Mesh", "kind: Mash")
        .edit(MESH_YAML, "groups:", "gruops:")
        .edit(SALES_YAML, "owner:", "ownr:")
        .edit(SALES_YAML, "group:stewards", "stewards")
        .edit(GRANTS_YAML, "on: orders", "in: orders")
        .edit(ORDERS_YAML, "DECIMAL(12,2)", "DECIMALS(12,2)")
        .edit(ORDERS_YAML, "required: true", "required: yes");
    let faults = fixture.faults();
    let places: Vec<&str> = faults
        .iter()
        .map(|fault| fault.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "domains/sales/domain.yaml:4:1",
            "domains/sales/domain.yaml:5:12",
            "domains/sales/grants.yaml:5:5",
            "domains/sales/grants.yaml:7:5",
            "domains/sales/products/orders.odcs.yaml:18:19",
            "domains/sales/products/orders.odcs.yaml:20:23",
            "mesh.yaml:2:7",
            "mesh.yaml:11:7",
        ]
    );
    assert_eq!(
        faults[4],
        "domains/sales/products/orders.odcs.yaml:18:19: error[wrong-type]: `required` must be `true` or \
         `false`, found a string\n18 |         required: yes\n   |                   ^"
    );
}

#[test]
fn a_missing_domain_is_reported_where_it_is_named_and_harms_no_other() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "domains/crm/", "domains/hr/");
    assert_eq!(
        fixture.fault(),
        "mesh.yaml:6:5: error[missing-file]: `domains/hr/domain.yaml` does not exist\n\
         6 |   - domains/hr/domain.yaml\n  \
           |     ^\n  \
         = help: create it, or correct the path; it is relative to the file that names it"
    );
    let report = fixture.load();
    assert!(report.mesh.is_some());
    assert!(report.domains[0].domain.is_some());
    assert!(report.domains[1].domain.is_none());
}

#[test]
fn domains_lie_in_the_folder_of_the_mesh() {
    let fixture = Fixture::new();
    fixture.edit(MESH_YAML, "domains/crm/", "../crm/");
    assert!(fixture.fault().starts_with(
        "mesh.yaml:6:5: error[unsafe-path]: `../crm/domain.yaml` has a `..` segment\n"
    ));
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("domain.yaml"), "a: b\n").unwrap();
    let fixture = Fixture::new();
    fixture
        .link("domains/hr", outside.path())
        .edit(MESH_YAML, "domains/crm/", "domains/hr/");
    assert_eq!(fixture.rules(), ["symlink-escape"]);
}

#[test]
fn broken_yaml_in_one_domain_leaves_the_others() {
    let fixture = Fixture::new();
    fixture.edit(GRANTS_YAML, "to: [group:analysts]", "to: [group:analysts");
    let faults = fixture.faults();
    assert!(faults[0].contains("error[yaml-syntax]"), "{faults:?}");
    let report = fixture.load();
    assert!(report.mesh.is_some());
    assert!(report.domains[0].domain.is_none());
    assert_eq!(report.domains[0].name.as_ref().unwrap().as_str(), "sales");
    assert!(report.domains[1].domain.is_some());
}

#[test]
fn an_alias_bomb_is_refused_at_once() {
    let fixture = Fixture::new();
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    fixture.write(GRANTS_YAML, &bomb);
    let started = std::time::Instant::now();
    assert!(
        fixture
            .fault()
            .contains("the document is too large once its aliases are followed")
    );
    assert!(started.elapsed().as_secs() < 2);
}

#[test]
fn deep_nesting_is_refused() {
    let fixture = Fixture::new();
    for text in [
        "[".repeat(100_000),
        "- ".repeat(100_000),
        format!("a: {}", "{b: ".repeat(5_000)),
    ] {
        fixture.write(GRANTS_YAML, &text);
        assert_eq!(fixture.rules(), ["yaml-syntax"]);
    }
}

#[test]
fn odd_files_are_faults() {
    for (text, rule) in [
        ("", "yaml-syntax"),
        ("# nothing\n", "yaml-syntax"),
        ("a: 1\n---\nb: 2\n", "yaml-syntax"),
        ("grants: !!binary aGk=\n", "yaml-syntax"),
        ("%YAML 1.2\n---\na: 1\n", "yaml-syntax"),
        ("&a [*a]\n", "yaml-syntax"),
        ("just text\n", "wrong-type"),
        ("[]\n", "wrong-type"),
    ] {
        let fixture = Fixture::new();
        fixture.write(GRANTS_YAML, text);
        assert_eq!(fixture.rules(), [rule], "{text:?}: {:?}", fixture.faults());
    }
    let fixture = Fixture::new();
    std::fs::write(fixture.path(GRANTS_YAML), b"a: \xff\n").unwrap();
    assert_eq!(fixture.rules(), ["unreadable-file"]);
    let fixture = Fixture::new();
    fixture.write(GRANTS_YAML, &"#".repeat(9 * 1024 * 1024));
    assert_eq!(
        fixture.fault(),
        "domains/sales/domain.yaml:10:9: error[file-too-large]: `grants.yaml` is larger than 8 MiB\n\
         10 | grants: grants.yaml\n   \
            |         ^\n  \
         = help: make it a readable text file"
    );
}

#[test]
fn flow_style_reads_as_block_style_does() {
    let fixture = Fixture::new();
    fixture.write(
        GRANTS_YAML,
        "{apiVersion: weft/v1, kind: Grants, domain: sales, grants: [{name: a, to: [everyone], on: orders, columns: [order_id]}]}\n",
    );
    assert_eq!(fixture.sales().grants.len(), 1);
}
