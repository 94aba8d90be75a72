//! What is in the tables of `system`, for whom.

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use std::sync::Arc;
use tonic::Code;

use super::mesh;
use crate::support::{TestServer, cells};

#[tokio::test(flavor = "multi_thread")]
async fn products_are_what_one_may_query_or_find() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let names = "SELECT domain || '.' || table_name, may_query, all_rows, last_modified IS NOT NULL, is_stale \
                 FROM system.products ORDER BY 1";
    for (user, expected) in [
        (
            "ana",
            vec![
                "hr.people|false|∅|false|∅",
                "sales.orders|true|false|false|∅",
                // A guardrail coarsens a column of it.
                "sales.returns|true|true|false|∅",
            ],
        ),
        (
            "bo",
            vec![
                "hr.people|true|false|false|∅",
                "sales.orders|true|true|true|false",
                "sales.payout|true|true|true|false",
                "sales.returns|true|true|true|false",
            ],
        ),
        ("cy", vec!["hr.people|false|∅|false|∅"]),
        // To answer for data is not to see it.
        ("sue", vec!["hr.people|false|∅|false|∅"]),
        ("aud", vec!["hr.people|false|∅|false|∅"]),
    ] {
        let client = server.client(user, "pw").await;
        assert_eq!(client.rows(names).await, expected, "{user}");
    }
    let cy = server.client("cy", "pw").await;
    assert_eq!(
        cy.rows("SELECT * FROM system.products").await,
        [
            "hr|Staff|people|1.2.3|active|people@acme.example|Who works here.|[core]|[restricted]|\
          false|∅|∅|∅|people@acme.example, group:hr-stewards"
        ]
    );
    let ana = server.client("ana", "pw").await;
    assert_eq!(
        ana.rows("SELECT whom_to_ask, owner, classifications FROM system.products WHERE table_name = 'orders'")
            .await,
        ["the owner of domain `sales`|∅|[internal, restricted]"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_say_what_a_query_shows() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let sql = "SELECT ordinal_position, column_name, data_type, is_nullable, tags, classification, key_position, access, masks \
               FROM system.columns WHERE table_name = '{}' ORDER BY 1";
    let ana = server.client("ana", "pw").await;
    assert_eq!(
        ana.rows(&sql.replace("{}", "orders")).await,
        [
            "1|id|Int64|false|[]|∅|1|clear|[]",
            "2|region|Utf8|true|[geo]|∅|∅|clear|[]",
            "3|amount|Int64|true|[]|internal|∅|conditional|[bucket(10)]",
            "4|email|Utf8|true|[pii]|restricted|∅|conditional|[hash]",
        ]
    );
    assert_eq!(
        ana.rows(&sql.replace("{}", "returns")).await[2],
        "3|amount|Int64|true|[]|internal|∅|masked|[bucket(10)]"
    );
    // What a guardrail denies does not exist for those who find a table either.
    let people = [
        "1|id|Int64|false|[]|∅|1|hidden|[]",
        "2|name|Utf8|true|[pii]|∅|∅|hidden|[]",
        "3|salary|Int64|true|[]|restricted|∅|hidden|[]",
    ];
    for user in ["ana", "cy", "sue"] {
        let client = server.client(user, "pw").await;
        assert_eq!(client.rows(&sql.replace("{}", "people")).await, people);
    }
    let bo = server.client("bo", "pw").await;
    let rows = bo.rows(&sql.replace("{}", "people")).await;
    assert_eq!(rows[3], "4|ssn|Utf8|true|[forbidden]|secret|∅|clear|[]");
    // To read some columns and to find the table is to know of all.
    let eve = server.client("eve", "pw").await;
    assert_eq!(
        eve.rows("SELECT column_name, access FROM system.columns WHERE table_name = 'orders' ORDER BY ordinal_position")
            .await,
        ["id|clear", "region|hidden", "amount|masked", "email|hidden", "margin|hidden"]
    );
    assert_eq!(
        ana.rows("SELECT description FROM system.columns WHERE table_name = 'people' AND column_name = 'name'")
            .await,
        ["As in the passport."]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_ones_own_and_those_one_answers_for() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let sql = "SELECT domain, grant_name, table_name, grantees, columns, masks, row_predicate, valid_until, purposes, discover \
               FROM system.grants ORDER BY 1, 2, 3";
    let ana = server.client("ana", "pw").await;
    assert_eq!(
        ana.rows(sql).await,
        [
            "hr|window|people|[everyone]|[]|[]|∅|∅|[]|true",
            "sales|eu|orders|[user:ana]|[id, region, amount, email]|[email: hash]|∅|∅|[]|false",
            "sales|returns|returns|[user:ana]|[id, region, amount, email, margin]|[]|∅|∅|[]|false",
            "sales|us|orders|[group:analysts]|[id, region]|[]|∅|2999-01-01T00:00:00Z|[]|false",
        ]
    );
    // A purpose opens what asks for one.
    let stated = ana.clone().with_header("x-weft-purpose", "audit");
    assert!(
        stated
            .rows(sql)
            .await
            .contains(&"hr|revision|people|[user:ana]|[id]|[]|∅|∅|[audit]|false".to_owned())
    );
    let hr = [
        "hr|payroll|people|[user:bo]|[id, name, salary, ssn]|[]|salary < 4242|∅|[]|false",
        "hr|revision|people|[user:ana]|[id]|[]|∅|∅|[audit]|false",
        "hr|window|people|[everyone]|[]|[]|∅|∅|[]|true",
    ];
    let sue = server.client("sue", "pw").await;
    assert_eq!(sue.rows(sql).await, hr);
    let aud = server.client("aud", "pw").await;
    let all = aud.rows(sql).await;
    assert_eq!(all[..3], hr);
    assert_eq!(all.len(), 12, "{all:?}");
    assert!(all.contains(
        &"sales|was|payout|[user:ana]|[id]|[]|∅|2020-01-01T00:00:00Z|[]|false".to_owned()
    ));
    let cy = server.client("cy", "pw").await;
    assert_eq!(cy.rows(sql).await, [hr[2]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_tables_like_others() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    for name in ["system.products", "acme.system.products", "SYSTEM.Products"] {
        let sql = format!("SELECT count(*) FROM {name}");
        assert_eq!(ana.value(&sql).await, "3", "{name}");
    }
    let inside = ana.clone().with_header("schema", "system");
    assert_eq!(inside.value("SELECT count(*) FROM products").await, "3");
    for (sql, expected) in [
        (
            "SELECT r.id, p.owner FROM sales.returns r JOIN system.products p ON p.table_name = 'people' WHERE r.id < 3 ORDER BY 1",
            vec!["1|people@acme.example", "2|people@acme.example"],
        ),
        (
            "SELECT p.table_name, count(*) FROM system.products p JOIN system.columns c USING (domain, table_name) GROUP BY 1 ORDER BY 1",
            vec!["orders|4", "people|3", "returns|5"],
        ),
        (
            "SELECT table_name FROM system.products WHERE array_has(tags, 'core')",
            vec!["people"],
        ),
        (
            "SELECT unnest(tags) AS t FROM system.columns ORDER BY 1",
            vec!["cost", "geo", "geo", "pii", "pii", "pii"],
        ),
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t, system.products WHERE n < 3) SELECT n, count(*) FROM t GROUP BY n ORDER BY n",
            vec!["1|1", "2|3", "3|9"],
        ),
        (
            "SELECT table_name FROM system.products ORDER BY table_name DESC LIMIT 1 OFFSET 1",
            vec!["people"],
        ),
    ] {
        assert_eq!(ana.rows(sql).await, expected, "{sql}");
    }
    // What fails on a row fails on rows that are the viewer's.
    let status = ana
        .fails("SELECT 1 / (length(table_name) - 6) FROM system.products")
        .await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        ana.rows("SELECT 1 FROM system.grants WHERE 1 / (length(grant_name) - 3) > 0")
            .await
            .len(),
        0
    );
}

/// What is kept for some tells others that these are at work.
#[tokio::test(flavor = "multi_thread")]
async fn caches_are_told_to_auditors_alone() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bo = server.client("bo", "pw").await;
    bo.rows("SELECT count(id) FROM sales.orders").await;
    let aud = server.client("aud", "pw").await;
    assert_eq!(
        aud.rows("SELECT cache FROM system.caches ORDER BY 1").await,
        [
            "footers",
            "listings",
            "plans",
            "sizes",
            "slow_statements",
            "statements"
        ]
    );
    let used = "SELECT entries > 0, bytes > 0, bytes < most_bytes, hits >= 0, misses > 0 \
                FROM system.caches WHERE cache = 'footers'";
    assert_eq!(aud.rows(used).await, ["true|true|true|true|true"]);
    let others = "SELECT cache, entries > 0, bytes IS NULL, hits IS NULL FROM system.caches \
                  WHERE cache IN ('listings', 'sizes') ORDER BY 1";
    let expected = ["listings|true|true|true", "sizes|true|true|true"];
    assert_eq!(aud.rows(others).await, expected);
    bo.rows("SELECT count(id) FROM sales.orders").await;
    let known = "SELECT entries > 0, bytes > 0, bytes < most_bytes, hits > 0, misses > 0 \
                 FROM system.caches WHERE cache = 'statements'";
    assert_eq!(aud.rows(known).await, ["true|true|true|true|true"]);
    for (user, client) in [("ana", server.client("ana", "pw").await), ("bo", bo)] {
        let rows = client.rows("SELECT * FROM system.caches").await;
        assert_eq!(rows, Vec::<String>::new(), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_described_and_explained() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    assert_eq!(
        ana.rows("SHOW TABLES FROM system").await[..4],
        [
            "acme|system|caches|VIEW",
            "acme|system|columns|VIEW",
            "acme|system|grants|VIEW",
            "acme|system|products|VIEW",
        ]
    );
    assert_eq!(
        ana.rows("DESCRIBE system.products").await[..3],
        ["domain|Utf8|NO", "product|Utf8|NO", "table_name|Utf8|NO"]
    );
    assert_eq!(
        ana.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'system' AND table_name = 'products' LIMIT 1")
            .await,
        ["domain|Utf8"]
    );
    let command = CommandGetTables {
        db_schema_filter_pattern: Some("system".to_owned()),
        include_schema: false,
        ..Default::default()
    };
    let rows = cells(&ana.metadata(&command).await.unwrap());
    assert_eq!(rows[0], "acme|system|caches|VIEW");
    let rows = cells(&ana.metadata(&CommandGetDbSchemas::default()).await.unwrap());
    assert_eq!(rows, ["acme|sales", "acme|system"]);

    for format in ["", "FORMAT TREE", "FORMAT PGJSON", "FORMAT GRAPHVIZ"] {
        let sql = format!("EXPLAIN {format} SELECT owner FROM system.products WHERE domain = 'hr'");
        let plan = ana.rows(&sql).await.join("\n");
        assert!(plan.contains("system.products"), "{plan}");
        for hidden in ["payout", "people@", "user:", "analysts", "4242"] {
            assert!(!plan.contains(hidden), "{hidden} in {plan}");
        }
    }
    let handle = ana
        .prepared_handle("SELECT table_name FROM system.products WHERE domain = $1 ORDER BY 1")
        .await
        .unwrap();
    let domain: ArrayRef = Arc::new(StringArray::from(vec!["sales"]));
    let row = RecordBatch::try_from_iter([("1", domain)]).unwrap();
    let bound = ana.bind(&handle, row).await.unwrap();
    let command = arrow_flight::sql::CommandPreparedStatementQuery {
        prepared_statement_handle: bound,
    };
    let rows = cells(&ana.metadata(&command).await.unwrap());
    assert_eq!(rows, ["orders", "returns"]);
}
