//! Who asks the same again is answered as if it were planned anew.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::common::ScalarValue;
use weft_policy::{Principal, PrincipalId};

use super::mesh::{Mesh, rows};
use crate::{Caller, Error, GovernedSession, SessionOptions};

async fn ask(session: GovernedSession, sql: &str) -> Vec<String> {
    let planned = session.plan(sql).await.unwrap();
    rows(planned.execute().await.unwrap()).await.unwrap()
}

fn of(name: &str) -> Arc<Principal> {
    Arc::new(Principal::new(
        PrincipalId::user(name),
        Default::default(),
        BTreeMap::new(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_says_what_planning_says() {
    let mesh = Mesh::open().await;
    for (number, sql) in [
        "SELECT 1",
        "SELECT id, amount FROM sales.orders ORDER BY id DESC",
        "SELECT count(*), max(o.region) FROM sales.orders o JOIN sales.orders p USING (id)",
        "SELECT (SELECT max(id) FROM sales.orders), cell_hidden(amount) FROM sales.orders",
        "WITH a AS (SELECT region, id FROM sales.orders) SELECT * FROM a UNION SELECT region, 1 FROM a ORDER BY 1, 2 LIMIT 2",
        "SELECT arrow_typeof(id), upper(region), sum(id) OVER () FROM sales.orders WHERE amount LIKE '1%'",
    ]
    .into_iter()
    .enumerate()
    {
        let first = mesh.session().plan(sql).await.unwrap();
        assert_eq!(mesh.engine.recent().1, number as u64, "{sql}");
        let again = mesh.session().plan(sql).await.unwrap();
        assert_eq!(mesh.engine.recent().1, number as u64 + 1, "{sql}");
        assert_ne!(again.query_id(), first.query_id(), "{sql}");
        assert_eq!(again.schema(), first.schema(), "{sql}");
        assert_eq!(again.is_ordered(), first.is_ordered(), "{sql}");
        assert_eq!(again.tables(), first.tables(), "{sql}");
        assert_eq!(again.named_tables(), first.named_tables(), "{sql}");
        assert_eq!(again.lineage(), first.lineage(), "{sql}");
        let expected = rows(first.execute().await.unwrap()).await.unwrap();
        let found = rows(again.execute().await.unwrap()).await.unwrap();
        assert_eq!(found, expected, "{sql}");
        assert!(!found.is_empty(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_parameters_are_those_of_the_run() {
    let mesh = Mesh::open().await;
    let sql = "SELECT id + $2 FROM sales.orders WHERE id >= $1 ORDER BY 1";
    for (run, (least, more, expected)) in [(1, 0, vec!["1", "3"]), (2, 10, vec!["13"])]
        .into_iter()
        .enumerate()
    {
        let planned = mesh.session().plan(sql).await.unwrap();
        assert_eq!(mesh.engine.recent(), (1, run as u64));
        assert_eq!(planned.parameters().unwrap().fields().len(), 2);
        let values = [least, more].map(|value| ScalarValue::Int64(Some(value)));
        let bound = planned.bind(&values).await.unwrap();
        let found = rows(bound.execute().await.unwrap()).await.unwrap();
        assert_eq!(found, expected);
    }
    // Without values it is as incomplete as the first time.
    let planned = mesh.session().plan(sql).await.unwrap();
    let error = planned.execute().await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
}

/// The caps of a plan that was never run are those for planning.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_not_run_does_not_bind_the_next() {
    let mesh = Mesh::open().await;
    for (sql, expected) in [
        (
            "SELECT length(repeat(region, 1000000)) FROM sales.orders",
            ["2000000", "2000000"],
        ),
        (
            "SELECT region || 'a', [id, id] FROM sales.orders ORDER BY id",
            ["EUa|[1, 1]", "EUa|[3, 3]"],
        ),
        (
            "SELECT overlay(region placing 'x' FROM 1) FROM sales.orders",
            ["xU", "xU"],
        ),
        (
            "SELECT length(repeat(region, $1 * 500000)) FROM sales.orders",
            ["2000000", "2000000"],
        ),
    ] {
        let bound = async || {
            let planned = mesh.session().plan(sql).await.unwrap();
            let parameters = planned.parameters().unwrap().fields().len();
            let values = vec![ScalarValue::Int64(Some(2)); parameters];
            planned.bind(&values).await.unwrap()
        };
        let hits = mesh.engine.recent().1;
        drop(bound().await);
        let again = [bound().await, bound().await];
        assert_eq!(mesh.engine.recent().1, hits + 2, "{sql}");
        for planned in again {
            let found = rows(planned.execute().await.unwrap()).await.unwrap();
            assert_eq!(found, expected, "{sql}");
        }
        let waiting = bound().await.waiting().unwrap();
        let planned = waiting.continued(&mesh.session()).unwrap();
        let found = rows(planned.execute().await.unwrap()).await.unwrap();
        assert_eq!(found, expected, "{sql}");
    }
}

/// Nobody keeps it for later, and it is not made twice for one.
#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_waits_for_its_call() {
    let mesh = Mesh::open().await;
    let sql = "EXPLAIN SELECT id FROM sales.orders WHERE id > 1";
    let expected = ask(mesh.session(), sql).await;
    let waiting = mesh.session().plan(sql).await.unwrap().waiting().unwrap();
    let planned = waiting.continued(&mesh.session()).unwrap();
    let found = rows(planned.execute().await.unwrap()).await.unwrap();
    assert_eq!(found, expected);
    assert_eq!(mesh.engine.recent(), (0, 0));
}

/// What another would be told is not told, nor the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_known_for_its_owner_alone() {
    let mesh = Mesh::open().await;
    let sql = "SELECT count(*) FROM sales.orders";
    assert_eq!(ask(mesh.session(), sql).await, ["2"]);
    let options = SessionOptions::default;
    let bo = mesh.engine.session(of("bo"), options()).unwrap();
    let error = bo.plan(sql).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    // The same rights, and other groups, as a token may say.
    let groups = ["staff".to_owned()].into_iter().collect();
    let ana = Principal::new(PrincipalId::user("ana"), groups, BTreeMap::new());
    let session = mesh.engine.session(Arc::new(ana), options()).unwrap();
    assert_eq!(ask(session, sql).await, ["2"]);
    // A service that acts for her.
    let caller = Caller {
        principal: of("ana"),
        acting: Some(PrincipalId::service("bi")),
    };
    let snapshot = mesh.engine.snapshot();
    let acting = mesh.engine.session_on(snapshot, caller, options());
    assert_eq!(ask(acting.unwrap(), sql).await, ["2"]);
    assert_eq!(mesh.engine.recent().1, 0);
    assert_eq!(ask(mesh.session(), "SELECT 1").await, ["1"]);
    let bo = mesh.engine.session(of("bo"), options()).unwrap();
    assert_eq!(ask(bo, "SELECT 1").await, ["1"]);
    assert_eq!(mesh.engine.recent().1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_a_session_are_part_of_the_question() {
    let mesh = Mesh::open().await;
    let zone = "SELECT CAST(TIMESTAMPTZ '2026-01-01T00:00:00Z' AS VARCHAR), id FROM sales.orders";
    let options = |schema: Option<&str>, zone: Option<&str>| SessionOptions {
        schema: schema.map(str::to_owned),
        timezone: zone.map(str::to_owned),
        ..SessionOptions::default()
    };
    let utc = ask(mesh.session(), zone).await;
    let east = mesh.session_with(options(None, Some("+05:00"))).unwrap();
    assert_ne!(ask(east, zone).await, utc);
    let sql = "SELECT count(*) FROM orders";
    let session = || mesh.session_with(options(Some("sales"), None)).unwrap();
    assert_eq!(ask(session(), sql).await, ["2"]);
    mesh.session().plan(sql).await.unwrap_err();
    assert_eq!(mesh.engine.recent(), (3, 0));
    assert_eq!(ask(session(), sql).await, ["2"]);
    assert_eq!(ask(mesh.session(), zone).await, utc);
    assert_eq!(mesh.engine.recent(), (3, 2));
}

/// What depends on when it is asked, on what the server does, or makes large constants.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_mean_another_thing_later_is_planned_anew() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT now()",
        "SELECT id FROM sales.orders WHERE now() > TIMESTAMPTZ '2020-01-01T00:00:00Z'",
        "SELECT id + $1, now() FROM sales.orders",
        "SELECT current_user",
        "SELECT repeat('a', 300000)",
        "SELECT region || repeat('a', 300000) FROM sales.orders",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT * FROM information_schema.tables",
        "SELECT table_name FROM system.products, sales.orders",
        "SELECT * FROM system.caches",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT * FROM n",
        "EXPLAIN SELECT id FROM sales.orders",
        "EXPLAIN ACCESS SELECT id FROM sales.orders",
        "SHOW TABLES",
        "DESCRIBE sales.orders",
        "SELECT id FROM sales.orders WHERE 1 = 0",
    ] {
        for _ in 0..2 {
            mesh.session().plan(sql).await.unwrap();
        }
        assert_eq!(mesh.engine.recent(), (0, 0), "{sql}");
    }
    let sql = "SELECT uuid(), random()";
    let first = ask(mesh.session(), sql).await;
    assert_ne!(ask(mesh.session(), sql).await, first);
    // Neither is what fails.
    for _ in 0..2 {
        mesh.session()
            .plan("SELECT margin FROM sales.orders")
            .await
            .unwrap_err();
        assert!(
            mesh.error("SELECT 1 / (id - 1) FROM sales.orders")
                .await
                .to_string()
                .contains("zero")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_much_does_not_push_out_others() {
    let mesh = Mesh::open().await;
    let sql = "SELECT id FROM sales.orders";
    ask(mesh.session(), sql).await;
    let bo = || {
        mesh.engine
            .session(of("bo"), SessionOptions::default())
            .unwrap()
    };
    let plan = async |sql: String| drop(bo().plan(&sql).await.unwrap());
    // Each weighs much.
    let many = |number: usize| format!("SELECT {number} -- {}", "x".repeat(60_000));
    for number in 0..300 {
        plan(many(number)).await;
    }
    let (entries, hits) = mesh.engine.recent();
    assert!((100..300).contains(&entries), "{entries}");
    plan(many(299)).await;
    assert_eq!(mesh.engine.recent(), (entries, hits + 1));
    plan(many(0)).await;
    assert_eq!(mesh.engine.recent(), (entries, hits + 1));
    ask(mesh.session(), sql).await;
    assert_eq!(mesh.engine.recent(), (entries, hits + 2));
    // What is too large is not kept at all.
    plan(many(0) + &"x".repeat(10_000)).await;
    let wide = (0..5000).map(|it| format!("id AS a{it}"));
    let wide = wide.collect::<Vec<_>>().join(", ");
    mesh.rows(&format!("SELECT {wide} FROM sales.orders"))
        .await
        .unwrap();
    assert_eq!(mesh.engine.recent(), (entries, hits + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_known_while_its_own_tables_stay() {
    let mesh = Mesh::open().await;
    let sql = "SELECT count(*) FROM sales.orders";
    assert_eq!(ask(mesh.session(), sql).await, ["2"]);
    let live = mesh.engine.live();
    let before = mesh.engine.snapshot();
    mesh.write("hr/data/people.csv", "name,salary\nbob,1\nann,2\n");
    live.refresh().await;
    assert!(!Arc::ptr_eq(&before, &mesh.engine.snapshot()));
    assert_eq!(ask(mesh.session(), sql).await, ["2"]);
    assert_eq!(mesh.engine.recent(), (1, 1));
    mesh.write(
        "sales/data/orders.csv",
        "id,region,amount,margin\n1,EU,10,1\n",
    );
    live.refresh().await;
    assert_eq!(ask(mesh.session(), sql).await, ["1"]);
    assert_eq!(mesh.engine.recent(), (1, 1));
    // Other manifests are another mesh, whatever they say.
    assert!(live.reload().await.applied);
    assert_eq!(ask(mesh.session(), sql).await, ["1"]);
    assert_eq!(mesh.engine.recent(), (1, 1));
    assert_eq!(ask(mesh.session(), sql).await, ["1"]);
    assert_eq!(mesh.engine.recent(), (1, 2));
}
