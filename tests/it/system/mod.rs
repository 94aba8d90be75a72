//! Discovery, and the schema `system`: what may be known without being read.

mod discovery;
mod leaks;
mod scale;
mod tables;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use crate::support::{MeshDir, contract, parquet};

const ORDERS: &str = r#"
- {name: id, logicalType: integer, required: true, primaryKey: true, description: Unique.}
- {name: region, logicalType: string, tags: [geo]}
- {name: amount, logicalType: integer, classification: internal}
- {name: email, logicalType: string, tags: [pii], classification: restricted}
- {name: margin, logicalType: integer, tags: [cost], classification: secret}
"#;
const PEOPLE: &str = r#"
- {name: id, logicalType: integer, required: true, primaryKey: true}
- {name: name, logicalType: string, tags: [pii], description: As in the passport.}
- {name: salary, logicalType: integer, classification: restricted}
- {name: ssn, logicalType: string, tags: [forbidden], classification: secret}
"#;
const SALES: &str = r#"
- name: eu
  to: ["user:ana"]
  on: orders
  columns: [id, region, amount, email]
  masks: {email: hash}
  rows: "region = 'EU'"
- name: us
  to: [group:analysts]
  on: orders
  columns: [id, region]
  rows: "region = 'US'"
  until: 2999-01-01T00:00:00Z
- name: returns
  to: ["user:ana", "user:dan"]
  on: returns
  columns: "*"
- name: bo
  to: ["user:bo"]
  on: "*"
  columns: "*"
- name: was
  to: ["user:ana"]
  on: payout
  columns: [id]
  until: 2020-01-01T00:00:00Z
- name: partly
  to: ["user:eve"]
  on: orders
  columns: [id, amount]
- name: partly-window
  to: ["user:eve"]
  on: orders
  discover: true
"#;
const HR: &str = r#"
- name: window
  to: [everyone]
  on: people
  discover: true
- name: payroll
  to: ["user:bo"]
  on: people
  columns: "*"
  rows: "salary < 4242"
- name: revision
  to: ["user:ana"]
  on: people
  columns: [id]
  purposes: [audit]
"#;
const GUARDRAILS: &str = r#"
- name: forbidden
  on: {tags: [forbidden]}
  except: ["user:bo"]
  deny: true
- name: coarse
  on: {classification: internal}
  except: ["user:bo"]
  mask: bucket(10)
"#;

/// Ana reads parts of `sales.orders` and all of `sales.returns`; `sales.payout`
/// does not exist for her. Everybody finds `hr.people`. Bo reads all, cy finds,
/// dan reads all of `returns`, eve parts of `orders`, which she may find. Sue is
/// the steward of hr, aud an auditor.
fn mesh() -> MeshDir {
    let orders = ["orders", "returns", "payout"]
        .map(|name| contract(name, "parquet", &format!("data/{name}/*.parquet"), ORDERS));
    let people = contract("people", "parquet", "data/people/*.parquet", PEOPLE)
        .replace("name: people\nversion: 1.0.0", "name: people\nversion: 1.2.3\ndataProduct: Staff\ntags: [core]\ndescription: {purpose: Who works here.}");
    let mesh =
        MeshDir::new("acme").with_head("guardrails: guardrails.yaml\nauditors: [\"user:aud\"]");
    mesh.guardrails(GUARDRAILS);
    let mesh = mesh
        .user("ana", "pw", &["analysts"], &[])
        .user("bo", "pw", &[], &[])
        .user("cy", "pw", &[], &[])
        .user("dan", "pw", &[], &[])
        .user("eve", "pw", &[], &[])
        .user("sue", "pw", &["hr-stewards"], &[])
        .user("aud", "pw", &[], &[])
        .domain("sales", SALES, &[&orders[0], &orders[1], &orders[2]])
        .domain("hr", HR, &[&people]);
    mesh.change(
        "domains/hr/domain.yaml",
        "storage:",
        "owner: people@acme.example\nstewards: [group:hr-stewards]\nstorage:",
    );
    for table in ["orders", "returns", "payout"] {
        write_orders(&mesh, table, [10, 20, 30]);
    }
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("id", ints(&[1, 2]), true),
        ("name", texts(&["Ann", "Bob"]), true),
        ("salary", ints(&[4000, 5000]), true),
        ("ssn", texts(&["s1", "s2"]), true),
    ]);
    let path = mesh.data("hr").join("people/all.parquet");
    parquet(&path, &[rows.unwrap()], 2);
    mesh
}

fn write_orders(mesh: &MeshDir, table: &str, margins: [i64; 3]) {
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("id", ints(&[1, 2, 3]), true),
        ("region", texts(&["EU", "US", "APAC"]), true),
        ("amount", ints(&[11, 22, 33]), true),
        ("email", texts(&["a@x", "b@x", "c@x"]), true),
        ("margin", ints(&margins), true),
    ]);
    let path = mesh.data("sales").join(format!("{table}/all.parquet"));
    parquet(&path, &[rows.unwrap()], 2);
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}
