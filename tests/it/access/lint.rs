//! `weft check --strict`: what a good data product owes.

use std::path::Path;

use super::{Outcome, weft};
use crate::support::MeshDir;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/demo/mesh.yaml");

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
description: {purpose: Every order.}
servers:
  - {server: here, type: local, path: ./data/orders.csv, format: csv}
schema:
  - name: orders
    properties:
      - {name: order_id, logicalType: integer, required: true, primaryKey: true, description: Unique., classification: internal}
      - {name: email, logicalType: string, tags: [pii], description: Of the buyer.}
      - {name: login, logicalType: string, classification: internal, description: Who sold it.}
      - {name: salary, logicalType: integer, classification: restricted, description: Of who sold it.}
slaProperties:
  - {property: freshness, value: 1, unit: d}
";

const GRANTS: &str = "
- name: analysts
  to: [group:analysts]
  on: orders
  columns: \"*\"
";

/// A mesh that owes nothing.
fn mesh() -> MeshDir {
    let mesh = MeshDir::new("acme")
        .with_head("guardrails: guardrails.yaml")
        .user("ana", "x", &["analysts"], &[])
        .domain("sales", GRANTS, &[CONTRACT]);
    mesh.guardrails("");
    mesh.write(
        "domains/sales/data/orders.csv",
        "order_id,email,login,salary\n",
    );
    mesh.change(
        "domains/sales/domain.yaml",
        "name: sales",
        "name: sales\nowner: Sales\nstewards: [group:analysts]",
    );
    mesh
}

fn check(file: &Path, arguments: &[&str]) -> Outcome {
    let mut all = vec!["check", file.to_str().unwrap()];
    all.extend(arguments);
    weft(&all)
}

/// The one finding of a mesh in which something was changed, which is no fault otherwise.
#[track_caller]
fn finding(mesh: &MeshDir) -> String {
    let file = mesh.mesh_file();
    let plain = check(&file, &[]);
    assert_eq!(plain.code, 0, "{}", plain.out);
    assert!(plain.out.ends_with(": no faults\n"), "{}", plain.out);
    let strict = check(&file, &["--strict"]);
    assert_eq!(strict.code, 1, "{}", strict.out);
    let prefix = format!("{}/", mesh.root().display());
    let text = strict.out.replace(&prefix, "");
    let mut parts: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert!(parts.pop().unwrap().ends_with(": 1 warning"), "{text}");
    assert_eq!(parts.len(), 1, "{text}");
    assert!(text.contains("= help: "), "{text}");
    parts[0].to_owned()
}

#[track_caller]
fn finds(mesh: &MeshDir, beginning: &str) {
    let found = finding(mesh);
    assert!(found.starts_with(beginning), "{found}");
}

const PRODUCT: &str = "domains/sales/products/0.odcs.yaml";

#[test]
fn the_demo_owes_nothing() {
    let strict = check(Path::new(DEMO), &["--strict"]);
    assert!(strict.out.ends_with(": no faults\n"), "{}", strict.out);
    assert_eq!(strict.code, 0);
}

#[test]
fn a_mesh_that_owes_nothing() {
    let mesh = mesh();
    let strict = check(&mesh.mesh_file(), &["--strict"]);
    assert_eq!(
        (strict.code, strict.out.as_str()),
        (0, "acme: 1 domain, 1 table, 1 grant: no faults\n")
    );
}

#[test]
fn somebody_to_ask() {
    let mesh = mesh();
    mesh.change("domains/sales/domain.yaml", "owner: Sales\n", "");
    finds(
        &mesh,
        "domains/sales/domain.yaml:3:7: warning[no-owner]: domain `sales` has no owner: who is refused",
    );
    let mesh = self::mesh();
    mesh.change(
        "domains/sales/domain.yaml",
        "stewards: [group:analysts]\n",
        "",
    );
    finds(&mesh, "domains/sales/domain.yaml:3:7: warning[no-stewards]");
}

#[test]
fn words_and_promises() {
    let mesh = mesh();
    mesh.change(PRODUCT, "description: {purpose: Every order.}\n", "");
    finds(
        &mesh,
        "domains/sales/products/0.odcs.yaml:10:11: warning[no-description]: `sales.orders` has no description",
    );
    let mesh = self::mesh();
    mesh.change(PRODUCT, ", description: Of the buyer.", "");
    finds(
        &mesh,
        "domains/sales/products/0.odcs.yaml:11:11: warning[no-description]: columns of `sales.orders` have no description: `email`;",
    );
    let mesh = self::mesh();
    mesh.change(
        PRODUCT,
        "slaProperties:\n  - {property: freshness, value: 1, unit: d}\n",
        "",
    );
    finds(
        &mesh,
        "domains/sales/products/0.odcs.yaml:11:11: warning[no-service-level]",
    );
    // A promise for another table is none for this one.
    let mesh = self::mesh();
    mesh.change(PRODUCT, "unit: d}", "unit: d, element: others.at}");
    finds(
        &mesh,
        "domains/sales/products/0.odcs.yaml:11:11: warning[no-service-level]",
    );
    let mesh = self::mesh();
    mesh.change(
        PRODUCT,
        "unit: d}",
        "unit: d, element: \"others.at, orders.order_id\"}",
    );
    assert_eq!(check(&mesh.mesh_file(), &["--strict"]).code, 0);
}

#[test]
fn a_mark_for_every_column_beside_personal_data() {
    let mesh = mesh();
    mesh.change(PRODUCT, "classification: internal, ", "");
    finds(
        &mesh,
        "domains/sales/products/0.odcs.yaml:15:16: warning[unclassified-column]: column `login` of `sales.orders`",
    );
    // Without personal data nobody has to say.
    mesh.change(PRODUCT, "tags: [pii]", "tags: [contact]");
    assert_eq!(check(&mesh.mesh_file(), &["--strict"]).code, 0);
}

#[test]
fn one_type_for_a_key_in_all_domains() {
    let other = CONTRACT
        .replace("id: orders", "id: parcels")
        .replace("name: orders", "name: parcels")
        .replace(
            "{name: order_id, logicalType: integer, required: true, primaryKey: true",
            "{name: order_id, logicalType: string",
        );
    let with = |contract: &str| {
        let mesh = mesh();
        mesh.write("domains/sales/products/1.odcs.yaml", contract);
        mesh
    };
    finds(
        &with(&other),
        "domains/sales/products/1.odcs.yaml:13:16: warning[key-type]: `sales.parcels.order_id` is Utf8, and the key `sales.orders.order_id` is Int64",
    );
    assert_eq!(
        check(
            &with(&other.replace(
                "order_id, logicalType: string",
                "order_id, logicalType: integer"
            ))
            .mesh_file(),
            &["--strict"]
        )
        .code,
        0
    );
    // The key of both is the key of neither.
    let own = other.replace(
        "order_id, logicalType: string",
        "order_id, logicalType: string, primaryKey: true",
    );
    assert_eq!(check(&with(&own).mesh_file(), &["--strict"]).code, 0);
}

fn granted(more: &str) -> MeshDir {
    let mesh = mesh();
    mesh.grants("sales", &format!("{GRANTS}{more}"));
    mesh
}

#[test]
fn nothing_restricted_for_everyone() {
    let everyone = |rest: &str| {
        granted(&format!(
            "- {{name: all, to: [everyone], on: orders, {rest}}}\n"
        ))
    };
    let own = ", rows: \"login = session.user\"";
    finds(
        &everyone("columns: [salary]"),
        "domains/sales/grants.yaml:9:22: warning[restricted-for-everyone]: grant `all` gives everyone restricted columns of `sales.orders`: `salary`",
    );
    for masked in [
        "columns: [salary], masks: {salary: bucket(10)}",
        "columns: [salary], rows: \"login = session.user OR order_id < 5\"",
    ] {
        finds(
            &everyone(masked),
            "domains/sales/grants.yaml:9:22: warning[restricted-for-everyone]",
        );
    }
    for fine in [
        "columns: {except: [salary]}".to_owned(),
        "columns: [salary], masks: {salary: nullify}".to_owned(),
        format!("columns: [salary]{own}"),
        "columns: [salary], rows: \"session.user = login AND order_id < 5\"".to_owned(),
        "discover: true".to_owned(),
    ] {
        let checked = check(&everyone(&fine).mesh_file(), &["--strict"]);
        assert_eq!(checked.code, 0, "{fine}\n{}", checked.out);
    }
    // The mesh has other words for it, too.
    let mesh = everyone("columns: [login]");
    let text = std::fs::read_to_string(mesh.mesh_file()).unwrap();
    mesh.mesh_yaml(&format!(
        "{text}require: {{accessTests: {{classification: [internal]}}}}\n"
    ));
    mesh.change(
        "domains/sales/domain.yaml",
        "grants:",
        "accessTests: tests.yaml\ngrants:",
    );
    mesh.write("domains/sales/tests.yaml", "apiVersion: weft/v1\nkind: AccessTests\ndomain: sales\ntests:\n  - {name: it, as: everyone, table: orders, expect: {columns: [login]}}\n");
    finds(
        &mesh,
        "domains/sales/grants.yaml:9:22: warning[restricted-for-everyone]",
    );
}

#[test]
fn grantees_that_exist() {
    for nobody in ["group:analyst", "user:anna", "service:ana"] {
        let mesh = granted(&format!(
            "- {{name: all, to: [\"{nobody}\"], on: orders, columns: [order_id]}}\n"
        ));
        finds(
            &mesh,
            &format!(
                "domains/sales/grants.yaml:9:22: warning[grant-to-nobody]: grant `all` is to `{nobody}`"
            ),
        );
    }
}

#[test]
fn limits_are_for_somebody() {
    for (whom, is_known) in [
        ("everyone", true),
        ("group:analysts", true),
        ("user:ana", true),
        ("group:analyst", false),
        ("service:ana", false),
    ] {
        let mesh = mesh().with_head(&format!(
            "limits:\n  - {{name: few, for: [\"{whom}\"], rows: 1}}"
        ));
        if is_known {
            let strict = check(&mesh.mesh_file(), &["--strict"]);
            assert_eq!(
                (strict.code, strict.out.as_str()),
                (0, "acme: 1 domain, 1 table, 1 grant, 1 limit: no faults\n")
            );
        } else {
            finds(
                &mesh,
                &format!("mesh.yaml:6:23: warning[limit-for-nobody]: limit `few` is for `{whom}`"),
            );
        }
    }
}

#[test]
fn grants_that_add_something() {
    let second = |rest: &str| granted(&format!("- {{name: second, on: orders, {rest}}}\n"));
    for needless in [
        "to: [group:analysts], columns: [order_id]",
        "to: [group:analysts], columns: [order_id, email], masks: {email: hash}",
        "to: [group:analysts], columns: [order_id], rows: \"order_id < 5\"",
        "to: [group:analysts], columns: \"*\"",
        "to: [group:analysts], columns: [order_id], until: 2099-01-01, purposes: [audit]",
    ] {
        finds(
            &second(needless),
            "domains/sales/grants.yaml:9:12: warning[needless-grant]: grant `second` adds nothing to `analysts`",
        );
    }
    for other in [
        "to: [user:ana], columns: [order_id]",
        "to: [group:analysts, user:ana], columns: [order_id]",
        "to: [everyone], columns: [order_id]",
        "to: [group:analysts], discover: true",
    ] {
        let checked = check(&second(other).mesh_file(), &["--strict"]);
        assert_eq!(checked.code, 0, "{other}\n{}", checked.out);
    }
    // Where the first is narrower, the second is what counts.
    for narrow in [
        "rows: \"order_id < 5\"",
        "until: 2099-01-01",
        "purposes: [audit]",
        "masks: {email: hash}",
    ] {
        let mesh = mesh();
        mesh.grants("sales", &format!("{GRANTS}  {narrow}\n- {{name: second, on: orders, to: [group:analysts], columns: \"*\"}}\n"));
        finds(
            &mesh,
            "domains/sales/grants.yaml:5:11: warning[needless-grant]: grant `analysts` adds nothing to `second`",
        );
    }
}

#[test]
fn grants_say_what_is_shown() {
    let mesh = mesh();
    mesh.grants(
        "sales",
        &format!("{GRANTS}  masks: {{email: show_first(1)}}\n"),
    );
    mesh.guardrails("- name: hashed\n  on: {tags: [pii]}\n  mask: hash\n");
    finds(
        &mesh,
        "domains/sales/grants.yaml:9:20: warning[needless-mask]: grant `analysts` shows `sales.orders.email` as `show_first(1)`, and guardrail `hashed` leaves everybody no more than `hash`",
    );
    mesh.guardrails(
        "- name: hashed\n  on: {tags: [pii]}\n  mask: hash\n  except: [group:analysts]\n",
    );
    assert_eq!(check(&mesh.mesh_file(), &["--strict"]).code, 0);
    let mesh = granted("- {name: pay, to: [user:ana], on: orders, columns: [salary, order_id]}\n");
    mesh.guardrails("- name: secret\n  on: {classification: restricted}\n  deny: true\n");
    finds(
        &mesh,
        "domains/sales/grants.yaml:9:55: warning[denied-column]: grant `pay` gives `sales.orders.salary`, and guardrail `secret` takes it from everybody",
    );
}

#[test]
fn warnings_fail_and_machines_read_them() {
    let mesh =
        granted("- {name: old, to: [user:ana], on: orders, columns: \"*\", until: 2020-01-01}\n");
    let file = mesh.mesh_file();
    assert_eq!(check(&file, &[]).code, 0);
    assert_eq!(check(&file, &["--strict"]).code, 1);
    let json = check(&file, &["--strict", "--format", "json"]);
    assert_eq!(json.code, 1);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (json["errors"].as_u64(), json["warnings"].as_u64()),
        (Some(0), Some(1))
    );
    let fault = &json["faults"][0];
    assert_eq!(
        (&fault["rule"], &fault["severity"], &fault["line"]),
        (&"expired-grant".into(), &"warning".into(), &9.into())
    );
    assert!(
        fault["file"]
            .as_str()
            .unwrap()
            .ends_with("domains/sales/grants.yaml")
    );
}
