//! Whom a grant is to, and what of a person a predicate can ask.

use tonic::Code;

use super::{Stored, assert_missing, batch, ints, login, texts};
use crate::support::{MeshDir, TestServer};

const COLUMNS: &str = "
- {name: id, logicalType: integer, required: true, tags: [public]}
- {name: owner, logicalType: string, tags: [public, person]}
- {name: region, logicalType: string}
- {name: note, logicalType: string, tags: [person]}
";

fn mesh(grants: &str) -> MeshDir {
    let mesh = MeshDir::new("acme")
        .user("ana", "pw", &["sellers"], &[("region", "EU")])
        .user("bo", "pw", &["sellers", "vip"], &[("region", "US")])
        .user("cyd", "pw", &[], &[])
        .service(
            "bi",
            "a-token-of-the-service",
            &["sellers"],
            &[("region", "US")],
        )
        .domain("sales", grants, &[&Stored::Csv.contract("orders", COLUMNS)]);
    let rows = batch([
        ("id", ints([1, 2, 3])),
        ("owner", texts(["ana", "bo", "bi"])),
        ("region", texts(["EU", "US", "∅"])),
        ("note", texts(["n1", "n2", "n3"])),
    ]);
    Stored::Csv.write(&mesh, "sales", "orders", "all", &rows);
    mesh
}

/// What ana, bo, cyd and the service see under one grant of all columns.
async fn check(to: &str, predicate: &str, expected: [Option<&[&str]>; 4]) {
    let rows = match predicate {
        "" => String::new(),
        text => format!("  rows: \"{text}\"\n"),
    };
    let mesh = mesh(&format!(
        "\n- name: it\n  to: [{to}]\n  on: orders\n  columns: '*'\n{rows}"
    ));
    let server = TestServer::start(&mesh).await;
    let clients = [
        server.client("ana", "pw").await,
        server.client("bo", "pw").await,
        server.client("cyd", "pw").await,
        server.service("a-token-of-the-service").await,
    ];
    for (at, (client, expected)) in clients.iter().zip(expected).enumerate() {
        let sql = "SELECT id FROM sales.orders ORDER BY 1";
        match expected {
            Some(rows) => assert_eq!(client.rows(sql).await, rows, "{to} {predicate} {at}"),
            None => assert_missing(&client.fails(sql).await, "sales.orders"),
        }
    }
}

const ALL: Option<&[&str]> = Some(&["1", "2", "3"]);
const NOTHING: Option<&[&str]> = Some(&[]);

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_to_users_services_groups_and_everyone() {
    check("everyone", "", [ALL; 4]).await;
    check("\"user:ana\"", "", [ALL, None, None, None]).await;
    check("\"service:bi\"", "", [None, None, None, ALL]).await;
    check("\"group:sellers\"", "", [ALL, ALL, None, ALL]).await;
    check("\"user:cyd\", \"group:vip\"", "", [None, ALL, ALL, None]).await;
    // A user is no service of that name, nor the other way round.
    check("\"user:bi\", \"service:ana\"", "", [None; 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predicates_ask_who_is_asking() {
    let only = |row: &'static [&'static str]| Some(row);
    check(
        "everyone",
        "owner = session.user",
        [only(&["1"]), only(&["2"]), NOTHING, only(&["3"])],
    )
    .await;
    // Cyd has no such attribute: NULL, so no row, and no error.
    check(
        "everyone",
        "region = session.attr('region')",
        [only(&["1"]), only(&["2"]), NOTHING, only(&["2"])],
    )
    .await;
    check(
        "everyone",
        "NOT (region = session.attr('region'))",
        [only(&["2"]), only(&["1"]), NOTHING, only(&["1"])],
    )
    .await;
    check("everyone", "region = session.attr('planet')", [NOTHING; 4]).await;
    check(
        "everyone",
        "session.in_group('vip') OR id = 3",
        [only(&["3"]), ALL, only(&["3"]), only(&["3"])],
    )
    .await;
    check(
        "everyone",
        "NOT session.in_group('sellers') AND region IS NOT NULL",
        [NOTHING, NOTHING, only(&["1", "2"]), NOTHING],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_given_by_name_by_exception_and_by_tag() {
    for (columns, expected) in [
        ("'*'", "1|ana|EU|n1"),
        ("[note, id]", "1|n1"),
        ("{except: [region]}", "1|ana|n1"),
        ("{tags: [public]}", "1|ana"),
        ("{tags: [public, person]}", "1|ana|n1"),
    ] {
        let mesh = mesh(&format!(
            "\n- name: it\n  to: [everyone]\n  on: '*'\n  columns: {columns}\n  rows: id = 1\n"
        ));
        let server = TestServer::start(&mesh).await;
        let ana = server.client("ana", "pw").await;
        // In the order of the contract, whatever the grant's is.
        assert_eq!(
            ana.rows("SELECT * FROM sales.orders").await,
            [expected],
            "{columns}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_logs_in_with_its_token_and_nothing_else() {
    let mesh = mesh("\n- name: it\n  to: [\"service:bi\"]\n  on: orders\n  columns: '*'\n");
    let server = TestServer::start(&mesh).await;
    let bi = server.service("a-token-of-the-service").await;
    assert_eq!(bi.value("SELECT count(*) FROM sales.orders").await, "3");
    assert_eq!(bi.value("SELECT current_user").await, "bi");

    let token = server.service("a-token-of-the-servicf").await;
    let as_password = server.client("bi", "a-token-of-the-service").await;
    let by_password = server.service("pw").await;
    for client in [token, as_password, by_password] {
        assert_eq!(client.fails("SELECT 1").await.code(), Code::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_are_one_answer() {
    let mesh = mesh("\n- name: it\n  to: [everyone]\n  on: orders\n  columns: '*'\n");
    let server = TestServer::start(&mesh).await;
    for (user, password) in [
        ("ana", "wp"),
        ("ana", ""),
        ("nobody", "pw"),
        ("ANA", "pw"),
        ("bi", "pw"),
    ] {
        let status = server.client(user, password).await.fails("SELECT 1").await;
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "user name or password is wrong"),
            "{user}"
        );
    }
    let nobody = crate::support::TestClient::anonymous(server.channel().await);
    let status = nobody.fails("SELECT 1").await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        status
            .message()
            .starts_with("no credentials: send `authorization"),
        "{status}"
    );

    // Neither is locked out: a good password works, in a session and without.
    assert_eq!(
        server
            .client("ana", "pw")
            .await
            .value("SELECT current_user")
            .await,
        "ana"
    );
    assert_eq!(
        login(&server, "ana", "pw")
            .await
            .value("SELECT current_user")
            .await,
        "ana"
    );
}
