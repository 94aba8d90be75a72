//! A table that can be found is refused with whom to ask, and is in no metadata.

use arrow_flight::sql::{CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables};
use tonic::Code;

use super::mesh;
use crate::support::{TestServer, cells};

const STATEMENTS: [&str; 11] = [
    "SELECT * FROM {}",
    "SELECT count(*) FROM {}",
    "SELECT nothing FROM {} WHERE salary > 1",
    "SELECT * FROM sales.returns o JOIN {} x ON o.id = x.id",
    "WITH a AS (SELECT * FROM {}) SELECT 1",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {})",
    "DESCRIBE {}",
    "SHOW COLUMNS FROM {}",
    "EXPLAIN SELECT * FROM {}",
    "DESCRIBE SELECT * FROM {}",
    "SELECT id FROM {} WHERE id = $1",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_found_is_refused_with_whom_to_ask() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for name in ["hr.people", "acme.hr.people", "hr.people@1", "hr.PEOPLE"] {
        for statement in STATEMENTS {
            let sql = statement.replace("{}", name);
            let written = name.to_lowercase();
            let expected = format!(
                "table `{written}` can be found, and is not granted to you; \
                 ask people@acme.example, group:hr-stewards for access"
            );
            for status in [ana.fails(&sql).await, ana.prepare(&sql).await.unwrap_err()] {
                assert_eq!(
                    (status.code(), status.message()),
                    (Code::PermissionDenied, expected.as_str()),
                    "{sql}"
                );
            }
        }
    }
    // A name of the statement's own is no table of the mesh.
    let of_sales = ana.clone().with_header("schema", "sales");
    assert_eq!(
        of_sales
            .rows("WITH people AS (SELECT 1 AS id) SELECT * FROM people")
            .await,
        ["1"]
    );
}

/// Of two missing names the first counts, whichever can be found.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_found_is_as_missing_as_before() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for (hidden, missing) in [
        ("sales.payout", "sales.payovt"),
        ("hr.people@2", "hr.peopls@2"),
        ("other.hr.people", "other.hr.peopls"),
        ("sales.people", "sales.peopls"),
        ("people", "peopls"),
        (r#"hr."People""#, r#"hr."Peopls""#),
    ] {
        for statement in STATEMENTS {
            let of = async |name: &str| {
                let status = ana.fails(&statement.replace("{}", name)).await;
                let bare = name.replace('"', "");
                (status.code(), status.message().replace(&bare, "NAME"))
            };
            let found = of(hidden).await;
            assert_eq!(found, of(missing).await, "{statement} {hidden}");
            assert_eq!(found.0, Code::NotFound);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_in_no_metadata() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for sql in [
        "SHOW TABLES",
        "SHOW TABLES FROM hr",
        "SHOW SCHEMAS",
        "SHOW DATABASES",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns WHERE table_schema <> 'system'",
        "SELECT * FROM information_schema.schemata",
    ] {
        let text = ana.rows(sql).await.join("\n");
        for hidden in ["hr", "people", "salary"] {
            let mut cells = text.split(['|', '\n']);
            assert!(!cells.any(|cell| cell == hidden), "{sql}: {text}");
        }
    }
    let tables = ana.metadata(&CommandGetTables::default()).await.unwrap();
    let schemas = CommandGetDbSchemas::default();
    let schemas = ana.metadata(&schemas).await.unwrap();
    let keys = CommandGetPrimaryKeys {
        catalog: None,
        db_schema: Some("hr".to_owned()),
        table: "people".to_owned(),
    };
    assert_eq!(ana.metadata(&keys).await.unwrap()[0].num_rows(), 0);
    for batches in [tables, schemas] {
        let rows = cells(&batches);
        assert!(
            !rows
                .iter()
                .any(|row| row.contains("|hr") || row.contains("people")),
            "{rows:?}"
        );
    }
    let in_hr = ana.clone().with_header("schema", "hr");
    let in_xr = ana.clone().with_header("schema", "xr");
    let status = in_hr.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status.message().replace("hr", "xr"),
        in_xr.fails("SELECT 1").await.message()
    );
}

/// Discovery begins and ends with its grant.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_grant_it_never_existed() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let cy = server.client("cy", "pw").await;
    let products = "SELECT domain, table_name FROM system.products";
    assert_eq!(cy.rows(products).await, ["hr|people"]);
    for change in [
        ("to: [everyone]", "to: [\"user:dan\"]"),
        (
            "discover: true",
            "discover: true\n    until: 2020-01-01T00:00:00Z",
        ),
    ] {
        let file = "domains/hr/grants.yaml";
        mesh.change(file, change.0, change.1);
        assert!(server.live.reload().await.applied);
        assert!(cy.rows(products).await.is_empty(), "{change:?}");
        let status = cy.fails("SELECT * FROM hr.people").await;
        let missing = cy.fails("SELECT * FROM hr.peopls").await;
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(
            status.message().replace("people", "peopls"),
            missing.message()
        );
        mesh.change(file, change.1, change.0);
        assert!(server.live.reload().await.applied);
        assert_eq!(cy.rows(products).await, ["hr|people"], "{change:?}");
    }
}
