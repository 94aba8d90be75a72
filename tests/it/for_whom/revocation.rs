//! Access that ends between two calls: no handle, session or statement outlives it.

use tonic::Code;

use super::{COUNT, assert_missing, by_handle, mesh, refusal, reload, ticket};
use crate::support::{MeshDir, TestClient, TestServer, cells};

const LOGIN: &str = "user name or password is wrong";

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_losing_a_table_ends_tickets_and_prepared_statements() {
    let ways: [(&str, &str, &str); 3] = [
        (
            "domains/sales/grants.yaml",
            "on: orders",
            "on: orders\n    purposes: [never]",
        ),
        (
            "domains/sales/grants.yaml",
            "on: orders",
            "on: orders\n    until: 2020-01-01",
        ),
        ("mesh.yaml", "groups: [analysts]", "groups: [others]"),
    ];
    let guardrail = "- name: none\n  on: {domains: [sales]}\n  deny: true";
    for way in ways.into_iter().map(Some).chain([None]) {
        let mesh = mesh();
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let open = ticket(&ana, COUNT).await;
        let handle = ana.prepared_handle(COUNT).await.unwrap();
        let executed = ana.command(&by_handle(&handle)).await.unwrap();
        assert_eq!(cells(&ana.redeem(open.clone()).await.unwrap()), ["2"]);
        match way {
            Some((file, from, to)) => mesh.change(file, from, to),
            None => mesh.guardrails(guardrail),
        }
        reload(&server).await;
        assert_missing(ana.redeem(open).await, "sales.orders");
        assert_missing(ana.fetch(&executed).await, "sales.orders");
        assert_missing(ana.command(&by_handle(&handle)).await, "sales.orders");
        assert_missing(ana.query(COUNT).await, "sales.orders");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_that_is_gone_or_has_another_credential_is_not_let_in() {
    let password = "- name: ana\n      password: \"$argon2id$v=19$m=8,";
    for (from, to) in [
        ("- name: ana\n", "- name: anna\n"),
        (password, password.replace("m=8", "m=9").as_str()),
    ] {
        let mesh = mesh();
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        let mut session = TestClient::anonymous(server.channel().await);
        session.flight.handshake("ana", "pw").await.unwrap();
        let open = ticket(&ana, COUNT).await;
        let in_session = session.info(COUNT).await.unwrap();
        let handle = ana.prepared_handle(COUNT).await.unwrap();
        mesh.change("mesh.yaml", from, to);
        reload(&server).await;
        let refused = (Code::Unauthenticated, LOGIN.to_owned());
        assert_eq!(refusal(ana.redeem(open).await), refused);
        assert_eq!(refusal(ana.command(&by_handle(&handle)).await), refused);
        let (code, text) = refusal(session.fetch(&in_session).await);
        assert_eq!(
            (code, text.as_str()),
            (Code::Unauthenticated, "the session has ended: log in again")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_changes_beside_the_manifests_ends_what_it_began() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let bi = server.service("token-of-bi").await;
    let open = ticket(&bi, "SELECT * FROM sales.internal").await;
    let mut session = server.service("token-of-bi").await;
    let shaken = {
        let mut flight = session.flight.inner().clone();
        let hello = futures::stream::iter([arrow_flight::HandshakeRequest::default()]);
        flight.handshake(session.request(hello)).await.unwrap()
    };
    let bearer = shaken
        .metadata()
        .get("authorization")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    session = server
        .service(bearer.strip_prefix("Bearer ").unwrap())
        .await;
    assert_eq!(session.value("SELECT current_user").await, "bi");
    mesh.write("secrets/bi.token", "another-token");
    reload(&server).await;
    assert_eq!(
        refusal(bi.redeem(open.clone()).await).0,
        Code::Unauthenticated
    );
    assert_eq!(
        refusal(session.query("SELECT 1").await).0,
        Code::Unauthenticated
    );
    let renewed = server.service("another-token").await;
    assert_eq!(cells(&renewed.redeem(open).await.unwrap()).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_binds_what_was_planned_before_it() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let sql = "SELECT id, region FROM sales.orders ORDER BY id";
    let open = ticket(&ana, sql).await;
    let handle = ana.prepared_handle(sql).await.unwrap();
    let two_tables = "SELECT a.id FROM sales.orders a JOIN sales.addresses b ON a.id = b.id";
    let shipping = ana.clone().with_header("x-weft-purpose", "returns");
    let both = ticket(&shipping, two_tables).await;
    for (guardrail, expected) in [
        (
            "- name: few\n  on: {tables: [sales.orders]}\n  rows: id > 1",
            vec!["3|EU"],
        ),
        (
            "- name: veiled\n  on: {tables: [sales.orders], column: region}\n  mask: alphanum",
            vec!["1|xx", "3|xx"],
        ),
        ("", vec!["1|EU", "3|EU"]),
    ] {
        mesh.guardrails(guardrail);
        reload(&server).await;
        assert_eq!(cells(&ana.redeem(open.clone()).await.unwrap()), expected);
        assert_eq!(
            cells(&ana.metadata(&by_handle(&handle)).await.unwrap()),
            expected
        );
    }
    assert!(shipping.redeem(both.clone()).await.is_ok());
    mesh.guardrails("- name: apart\n  forbidCombine: [sales.orders, sales.addresses]");
    reload(&server).await;
    let (code, text) = refusal(shipping.redeem(both).await);
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("`apart`"), "{text}");
    assert!(ana.redeem(open).await.is_ok());
}

/// Three columns of one type, of which a grant gives two.
fn alike(columns: &str) -> MeshDir {
    let contract = crate::support::contract(
        "pairs",
        "csv",
        "data/pairs/*.csv",
        "- {name: a, logicalType: string}\n- {name: b, logicalType: string}\n- {name: c, logicalType: string}",
    );
    let mesh = MeshDir::new("acme").user("ana", "pw", &[], &[]).domain(
        "sales",
        &format!("- name: it\n  to: [everyone]\n  on: pairs\n  columns: {columns}"),
        &[&contract],
    );
    mesh.write("domains/sales/data/pairs/all.csv", "a,b,c\na1,b1,secret\n");
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_column_is_an_error_and_never_another_column() {
    let mesh = alike("[a, b]");
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let statements = [
        "SELECT * FROM sales.pairs",
        "SELECT p.* FROM sales.pairs p",
        "SELECT * FROM (SELECT * FROM sales.pairs) AS p(x, y)",
        "WITH p(x, y) AS (SELECT * FROM sales.pairs) SELECT y FROM p",
        "SELECT * FROM sales.pairs UNION ALL SELECT * FROM sales.pairs",
        "SELECT b FROM sales.pairs",
        "TABLE sales.pairs",
    ];
    let mut open = Vec::new();
    for sql in statements {
        let Ok(info) = ana.info(sql).await else {
            continue;
        };
        assert!(!cells(&ana.fetch(&info).await.unwrap())[0].contains("secret"));
        open.push((sql, info, ana.prepared_handle(sql).await.unwrap()));
    }
    assert!(open.len() > 4);
    mesh.change("domains/sales/grants.yaml", "[a, b]", "[a, c]");
    reload(&server).await;
    for (sql, info, handle) in open {
        for outcome in [
            ana.fetch(&info).await,
            ana.metadata(&by_handle(&handle)).await,
        ] {
            match outcome {
                // Names given by position are the statement's own: they say what it reads now.
                Ok(rows) => {
                    assert!(sql.contains("(x, y)"), "{sql}");
                    assert_eq!(cells(&rows)[0].split('|').next_back(), Some("secret"));
                }
                Err(status) => assert!(
                    matches!(
                        status.code(),
                        Code::FailedPrecondition | Code::InvalidArgument
                    ),
                    "{sql}: {status:?}"
                ),
            }
        }
    }
}
