//! What is hidden changes nothing that can be read in `system`.

use tonic::Code;

use super::{mesh, write_orders};
use crate::support::{TestClient, TestServer, contract};

const QUERIES: [&str; 9] = [
    "SELECT * FROM system.products",
    "SELECT * FROM system.columns",
    "SELECT * FROM system.grants",
    "SELECT count(*), max(version), min(whom_to_ask) FROM system.products",
    "SELECT domain, count(*) FROM system.columns GROUP BY 1 ORDER BY 1",
    "SELECT * FROM system.products p FULL JOIN system.grants g ON p.domain = g.domain ORDER BY 1, 2, 3",
    "EXPLAIN SELECT * FROM system.products p JOIN system.columns c ON p.table_name = c.table_name",
    "EXPLAIN FORMAT PGJSON SELECT * FROM system.grants ORDER BY grant_name LIMIT 2",
    "SELECT * FROM information_schema.tables",
];

async fn answers(client: &TestClient) -> Vec<Vec<String>> {
    let mut answers = Vec::new();
    for sql in QUERIES {
        answers.push(client.rows(sql).await);
    }
    for sql in [
        "SELECT CAST(table_name AS INT) FROM system.products",
        "SELECT 1 / (length(owner) - 19) FROM system.products",
        "SELECT nothing FROM system.products",
        "SELECT * FROM system.payouts",
    ] {
        let status = client.fails(sql).await;
        // The id of a query is its own.
        let text = status.message();
        let text = text.split_once(" (query ").map_or(text, |(text, _)| text);
        answers.push(vec![format!("{:?} {text}", status.code())]);
    }
    answers
}

/// Hidden tables, columns, rows, grants, guardrails, domains and their words
/// come, change and go: ana and cy read the same.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_things_change_no_answer() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let (ana, cy) = (
        server.client("ana", "pw").await,
        server.client("cy", "pw").await,
    );
    let before = (answers(&ana).await, answers(&cy).await);
    assert_eq!(before.0[0].len(), 3);

    // A hidden table: another name, other words, more columns.
    let columns = "- {name: iban, logicalType: string, tags: [pii], classification: zanzibar}";
    let bonus = contract("bonus", "parquet", "data/bonus/*.parquet", columns);
    mesh.write("domains/sales/products/2.odcs.yaml", &bonus);
    write_orders(&mesh, "bonus", [1, 2, 3]);
    // Hidden columns of a table that ana reads parts of, before and between.
    let orders = "domains/sales/products/0.odcs.yaml";
    mesh.change(
        orders,
        "- {name: margin, logicalType: integer, tags: [cost], classification: secret}",
        "- {name: zanzibar, physicalName: margin, logicalType: integer, tags: [zanzibar], classification: zanzibar}",
    );
    // Hidden rows and columns, written anew.
    write_orders(&mesh, "orders", [77, 88, 99]);
    // Grants to others, other predicates, and what is over.
    let grants = "domains/sales/grants.yaml";
    mesh.change(
        grants,
        "  until: 2020-01-01T00:00:00Z",
        "  until: 2021-01-01T00:00:00Z",
    );
    mesh.change(grants, "on: payout", "on: bonus");
    mesh.change(grants, "columns: [id]\n", "columns: [iban]\n");
    mesh.change("domains/hr/grants.yaml", "salary < 4242", "salary < 777");
    mesh.change(
        "domains/hr/grants.yaml",
        "to: [\"user:bo\"]",
        "to: [\"user:bo\", \"user:dan\", group:zanzibar]",
    );
    // A column that a guardrail denies.
    mesh.change(
        "domains/hr/products/0.odcs.yaml",
        "classification: secret",
        "classification: zanzibar",
    );
    mesh.change(
        "guardrails.yaml",
        "except: [\"user:bo\"]",
        "except: [\"user:bo\", group:zanzibar]",
    );
    let report = server.live.reload().await;
    assert!(report.applied && report.kept.is_empty(), "{report:?}");
    server.live.refresh().await;
    assert_eq!((answers(&ana).await, answers(&cy).await), before);
    for answer in before.0.iter().chain(&before.1).flatten() {
        for hidden in ["payout|", "margin|", "4242", "user:bo", "user:dan", "ssn"] {
            let own = hidden == "margin|" && answer.contains("returns");
            assert!(own || !answer.contains(hidden), "{hidden} in {answer}");
        }
    }
    // The change is there, for those who see it.
    let aud = server.client("aud", "pw").await;
    let all = aud.rows("SELECT * FROM system.grants").await.join("\n");
    assert!(all.contains("zanzibar") && all.contains("777"), "{all}");
}

/// Somebody without any right has the schema and nothing in it.
#[tokio::test(flavor = "multi_thread")]
async fn without_rights_there_is_nothing() {
    let mesh = mesh();
    mesh.change(
        "domains/hr/grants.yaml",
        "to: [everyone]",
        "to: [\"user:ana\"]",
    );
    let server = TestServer::start(&mesh).await;
    let cy = server.client("cy", "pw").await;
    for table in ["products", "columns", "grants"] {
        let rows = cy.rows(&format!("SELECT * FROM system.{table}")).await;
        assert!(rows.is_empty(), "{rows:?}");
    }
    let status = cy.fails("SELECT * FROM system.nothing").await;
    assert_eq!(
        (status.code(), status.message()),
        (
            Code::NotFound,
            "table `system.nothing` does not exist or is not granted to you"
        )
    );
}

/// One client's plan is not another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_acts_for_somebody_sees_what_they_see() {
    let mesh = mesh().service_for("bi", "token-of-bi", &[], &[], &["analysts"]);
    let server = TestServer::start(&mesh).await;
    let bi = server.service("token-of-bi").await;
    let names = "SELECT table_name FROM system.products ORDER BY 1";
    assert_eq!(bi.rows(names).await, ["people"]);
    let acting = bi.clone().with_header("x-weft-on-behalf-of", "user:ana");
    assert_eq!(acting.rows(names).await, ["orders", "people", "returns"]);
}
