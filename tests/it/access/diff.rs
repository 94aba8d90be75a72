//! `weft access diff`, as a pull request runs it.

use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};

use crate::support::{MeshDir, contract, parquet};

const COLUMNS: &str = "- {name: id, logicalType: integer, required: true}
- {name: region, logicalType: string}
- {name: email, logicalType: string, tags: [pii]}";

const GRANTS: &str = "- name: analysts
  to: [group:analysts]
  on: orders
  columns: [id, email]
  rows: \"region = 'EU'\"";

const GUARDRAILS: &str = "- name: pii
  on: {tags: [pii]}
  mask: hash";

fn mesh() -> MeshDir {
    let mesh = MeshDir::new("acme")
        .with_head("guardrails: guardrails.yaml")
        .user("ana", "pw", &["analysts"], &[])
        .user("ben", "pw", &[], &[])
        .domain(
            "sales",
            GRANTS,
            &[&contract(
                "orders",
                "parquet",
                "data/orders.parquet",
                COLUMNS,
            )],
        );
    mesh.guardrails(GUARDRAILS);
    let ids = Int64Array::from_iter_values(0..5);
    let regions = StringArray::from(vec!["EU", "EU", "US", "US", "US"]);
    let emails = StringArray::from(vec!["a@x"; 5]);
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as _),
        ("region", Arc::new(regions) as _),
        ("email", Arc::new(emails) as _),
    ]);
    parquet(
        &mesh.data("sales").join("orders.parquet"),
        &[batch.unwrap()],
        100,
    );
    mesh
}

/// How a comparison ended: its code, standard output and standard error.
fn diff(old: &MeshDir, new: &MeshDir, options: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["access", "diff"])
        .args(options)
        .arg(old.mesh_file())
        .arg(new.mesh_file())
        .env_remove("WEFT_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_mesh_and_a_copy_of_it_do_not_differ() {
    let (one, copy) = (mesh(), mesh());
    for (old, new) in [(&one, &one), (&one, &copy)] {
        for format in ["text", "json", "markdown"] {
            let outcome = diff(
                old,
                new,
                &["--fail-on", "any", "--data", "--format", format],
            );
            assert_eq!((outcome.0, outcome.2.as_str()), (0, ""), "{}", outcome.1);
            assert!(outcome.1.contains("nothing changes"), "{}", outcome.1);
        }
    }
}

#[test]
fn what_changes_is_told_and_fails_on_what_was_named() {
    let (old, new) = (mesh(), mesh());
    new.change(
        "domains/sales/grants.yaml",
        "region = 'EU'",
        "region IN ('EU', 'US')",
    );
    let (code, out, _) = diff(&old, &new, &["--data"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "1 principal and 1 group gain, nobody loses

sales.orders
  group:analysts, user:ana
    + more rows: rows where region IN ('EU', 'US'), was rows where region = 'EU' (2 rows before, 5 rows after)
    because grant sales.analysts is otherwise

compared: 1 table for 2 principals, 1 group and everyone, with 0 purposes and without
+ more, - less, ± both or not known, ~ otherwise
"
    );
    for (fail_on, forth, back) in [("gain", 3, 0), ("loss", 0, 3), ("any", 3, 3)] {
        assert_eq!(
            diff(&old, &new, &["--fail-on", fail_on]).0,
            forth,
            "{fail_on}"
        );
        assert_eq!(
            diff(&new, &old, &["--fail-on", fail_on]).0,
            back,
            "{fail_on}"
        );
    }
}

#[test]
fn a_guardrail_that_is_slipped_is_a_gain() {
    let (old, new) = (mesh(), mesh());
    new.change("domains/sales/products/0.odcs.yaml", ", tags: [pii]", "");
    let (code, out, _) = diff(&old, &new, &["--fail-on", "gain"]);
    assert_eq!(code, 3);
    for line in [
        "+ column email: clear, was hash",
        "because guardrail pii applies no longer",
        "~ sales.orders: column `email` has tag `pii` no longer",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
}

#[test]
fn tools_read_json() {
    let (old, new) = (mesh(), mesh());
    new.grants(
        "sales",
        &format!("{GRANTS}\n  purposes: [audit]\n  until: 2999-01-01"),
    );
    let (_, out, _) = diff(&old, &new, &["--data", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["gain"], false);
    assert_eq!(value["loss"], true);
    let accesses = value["accesses"].as_array().unwrap();
    assert_eq!(accesses.len(), 2, "{out}");
    let without = &accesses[0];
    assert_eq!(without["presence"]["new"], "hidden");
    assert_eq!(without["purposes"][0], "no purpose");
    assert_eq!(without["rows"]["counted"]["old"], 2);
    assert_eq!(without["rows"]["counted"]["new"], 0);
    assert_eq!(accesses[1]["from"], "2999-01-01T00:00:00+00:00");
    assert_eq!(accesses[1]["purposes"][0], "audit");
}

#[test]
fn a_pull_request_reads_markdown_in_which_text_is_text() {
    let (old, new) = (mesh(), mesh());
    new.change(
        "domains/sales/grants.yaml",
        "region = 'EU'",
        "region = 'EU' OR region = '</details> | `x` @team'",
    );
    let (_, out, _) = diff(&old, &new, &["--format", "markdown"]);
    assert!(
        out.starts_with("**Access: 1 principal and 1 group gain, nobody loses**\n"),
        "{out}"
    );
    let row = out
        .lines()
        .find(|line| line.starts_with("| **gain**"))
        .unwrap();
    assert!(row.contains(r"&lt;/details&gt; \| \`x\` \@team"), "{row}");
    assert_eq!(out.matches("<details>").count(), 1, "{out}");
}

#[test]
fn a_mesh_with_faults_is_not_compared() {
    let (old, new) = (mesh(), mesh());
    new.change("domains/sales/grants.yaml", "[id, email]", "[id, emial]");
    for (one, other) in [(&old, &new), (&new, &old)] {
        let (code, out, err) = diff(one, other, &["--fail-on", "gain"]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(
            err.contains("`emial` is not in table `sales.orders`"),
            "{err}"
        );
    }
}
