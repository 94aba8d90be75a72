//! Queries end: by themselves, in time, when cancelled, when dropped.

use std::time::{Duration, Instant};

use datafusion::arrow::{array::AsArray, datatypes::Int64Type};
use futures::StreamExt;
use uuid::Uuid;
use weft_policy::PrincipalId;

use super::mesh::Mesh;
use crate::{EngineConfig, Error, RunningQuery, SessionOptions};

const ENDLESS: [&str; 5] = [
    FRUITLESS,
    "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 - 1 FROM n) SELECT sum(x) FROM n",
    "SELECT count(*) FROM generate_series(1, 10000000) a(x), generate_series(1, 10000000) b(y) WHERE x + y < 0",
    "SELECT sum(x * y) FROM generate_series(1, 10000000) a(x) CROSS JOIN generate_series(1, 10000000) b(y)",
    "SELECT a.x FROM generate_series(1, 10000000) a(x) CROSS JOIN generate_series(1, 10000000) b(y)",
];

/// A hash join on one key, all of whose pairs its condition refuses.
const FRUITLESS: &str = "SELECT count(*) FROM (SELECT value AS x, value / value AS k FROM generate_series(1, 1000000)) a \
     JOIN (SELECT value AS y, value / value AS k FROM generate_series(1, 1000000)) b ON a.k = b.k AND a.x + b.y < 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_an_endless_query() {
    let mesh = Mesh::open().await;
    for sql in ENDLESS {
        let options = SessionOptions {
            statement_timeout: Some(Duration::from_millis(500)),
            ..Default::default()
        };
        let session = mesh.session_with(options).unwrap();
        let mut query = session.plan(sql).await.unwrap().execute().await.unwrap();
        let started = Instant::now();
        let end = loop {
            match query.next().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        assert_eq!(
            end,
            Some(Err(Error::DeadlineExceeded(
                Duration::from_millis(500).into()
            ))),
            "{sql}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{sql}: {:?}",
            started.elapsed()
        );
        assert!(query.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_owner_cancels_a_query() {
    let mesh = Mesh::open().await;
    for sql in ENDLESS {
        let query_id = Uuid::new_v4();
        let planned = mesh
            .session()
            .plan(sql)
            .await
            .unwrap()
            .with_query_id(query_id);
        let mut query = planned.execute().await.unwrap();
        assert_eq!(query.query_id(), query_id);
        assert!(
            !mesh
                .engine
                .cancel(query_id, &PrincipalId::user("bob").into())
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(
            mesh.engine
                .cancel(query_id, &PrincipalId::user("ana").into())
        );
        let end = loop {
            match query.next().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        assert_eq!(end, Some(Err(Error::Cancelled)), "{sql}");
        drop(query);
        assert!(
            !mesh
                .engine
                .cancel(query_id, &PrincipalId::user("ana").into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_cancels_too() {
    let mesh = Mesh::open().await;
    let mut query = mesh
        .session()
        .plan(ENDLESS[1])
        .await
        .unwrap()
        .execute()
        .await
        .unwrap();
    query.cancel_handle().cancel();
    assert_eq!(query.next().await, Some(Err(Error::Cancelled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_stops_the_work() {
    let mesh = Mesh::open().await;
    let busy = |mesh: &Mesh| mesh.engine.running_tasks();
    for sql in ENDLESS {
        let query = mesh
            .session()
            .plan(sql)
            .await
            .unwrap()
            .execute()
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(query);
        let started = Instant::now();
        while busy(&mesh) > 0 {
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "{sql}: {} tasks run on",
                busy(&mesh)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Joins whose conditions let nothing through have no output to give way at.
#[tokio::test(flavor = "multi_thread")]
async fn endless_joins_leave_the_threads_to_others() {
    // All of them have a turn.
    let mesh = Mesh::with(|config| EngineConfig {
        statements: 64,
        ..config
    })
    .await;
    let mut endless = Vec::new();
    for sql in [ENDLESS[2], FRUITLESS].repeat(4) {
        let planned = mesh.session().plan(sql).await.unwrap();
        endless.push(planned.execute().await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let rows = mesh.rows("SELECT count(*) FROM sales.orders");
    let rows = tokio::time::timeout(Duration::from_secs(30), rows).await;
    assert_eq!(rows.expect("the threads are held").unwrap().len(), 1);
}

/// With one long turn, which is taken, and next to no time to do without.
async fn crowded(patience: Duration) -> (Mesh, RunningQuery) {
    let mesh = Mesh::with(|config| EngineConfig {
        statements: 1,
        quick_time: Duration::from_millis(20),
        queue_timeout: patience,
        ..config
    })
    .await;
    let endless = mesh.session().plan(ENDLESS[2]).await.unwrap();
    let endless = endless.execute().await.unwrap();
    settled(&mesh).await;
    (mesh, endless)
}

/// How many tasks run, once that has been the same for a while.
async fn settled(mesh: &Mesh) -> usize {
    let mut tasks = 0;
    let mut since = Instant::now();
    let started = Instant::now();
    // One that is alone gives way seldom: what it has yet to begin waits for that.
    while tasks == 0 || since.elapsed() < Duration::from_millis(1500) {
        let running = mesh.engine.running_tasks();
        if running != tasks {
            (tasks, since) = (running, Instant::now());
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{tasks} tasks");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tasks
}

/// Its operators had begun: joins, sorts, groups, and what they keep of each. On any machine they
/// take longer than the time of the quick ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_begins_anew_answers_as_one_that_did_not() {
    let undisturbed = Mesh::open().await;
    for sql in [
        "SELECT count(*), sum(a.value) FROM generate_series(1, 200000) a \
         JOIN generate_series(1, 200000) b ON a.value = b.value",
        "SELECT value % 10 AS k, count(*), min(value) FROM generate_series(1, 2000000) GROUP BY k ORDER BY k",
        "SELECT value FROM generate_series(1, 2000000) ORDER BY value % 1000 DESC, value LIMIT 3",
        "SELECT sum(n) FROM (SELECT row_number() OVER (ORDER BY value DESC) AS n FROM generate_series(1, 200000))",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 1000) SELECT sum(x) FROM n",
        "SELECT count(*) FROM generate_series(1, 2000000) \
         WHERE value > (SELECT avg(value) FROM generate_series(1, 2000000))",
        "SELECT o.region, count(*) FROM sales.orders o, generate_series(1, 2000000) g GROUP BY o.region ORDER BY 1",
        "SELECT count(*) FROM (SELECT value % 7 FROM generate_series(1, 200000) \
         UNION SELECT value % 11 FROM generate_series(1, 200000))",
    ] {
        let (mesh, endless) = crowded(Duration::from_secs(60)).await;
        let before = mesh.engine.running_tasks();
        let query = mesh.session().plan(sql).await.unwrap();
        let query = query.execute().await.unwrap();
        until(sql, || mesh.engine.statements() == (1, 1)).await;
        // But for the one that waits, nothing of it is left.
        until(sql, || mesh.engine.running_tasks() == before + 1).await;
        drop(endless);
        let rows = super::mesh::rows(query).await.unwrap();
        assert_eq!(rows, undisturbed.rows(sql).await.unwrap(), "{sql}");
        assert!(!rows.is_empty(), "{sql}");
    }
}

async fn until(sql: &str, it_is: impl Fn() -> bool) {
    let started = Instant::now();
    while !it_is() {
        assert!(started.elapsed() < Duration::from_secs(60), "{sql}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asked for again, it does not begin among the quick ones; its rows are the same, and so is what
/// is left of it when its client goes away.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_ran_long_waits_for_a_long_turn_at_once() {
    let (mesh, endless) = crowded(Duration::from_secs(60)).await;
    let sql = "SELECT count(*) FROM generate_series(1, 4000000) WHERE value % 7 = 3";
    let begin = async || {
        let planned = mesh.session().plan(sql).await.unwrap();
        planned.execute().await.unwrap()
    };
    let before = mesh.engine.running_tasks();
    let first = begin().await;
    until(sql, || mesh.engine.statements() == (1, 1)).await;
    drop(first);
    // It has left a little before its tasks have.
    until(sql, || mesh.engine.statements() == (1, 0)).await;
    until(sql, || mesh.engine.running_tasks() == before).await;
    let again = begin().await;
    until(sql, || mesh.engine.statements() == (1, 1)).await;
    // It has not begun.
    assert_eq!(mesh.engine.running_tasks(), before + 1);
    drop(endless);
    assert_eq!(super::mesh::rows(again).await.unwrap(), ["571429"]);
    until(sql, || mesh.engine.running_tasks() == 0).await;
    assert_eq!(mesh.engine.statements(), (0, 0));

    let planned = mesh.session().plan(ENDLESS[2]).await.unwrap();
    let endless = planned.execute().await.unwrap();
    until(sql, || mesh.engine.running_tasks() > 1).await;
    drop(endless);
    until(sql, || mesh.engine.running_tasks() == 0).await;
    assert_eq!(mesh.engine.statements(), (0, 0));
}

/// It was planned for an earlier call, at another moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_waited_for_its_call_can_begin_anew() {
    let (mesh, endless) = crowded(Duration::from_secs(60)).await;
    let sql = "SELECT count(*) FROM system.columns, generate_series(1, 300000)";
    let planned = mesh.session().plan(sql).await.unwrap();
    let planned = planned.waiting().expect("it may wait");
    let later = mesh.session();
    let planned = planned.continued(&later).expect("nothing has changed");
    let query = planned.execute().await.unwrap();
    until(sql, || mesh.engine.statements() == (1, 1)).await;
    drop(endless);
    let rows = super::mesh::rows(query).await.unwrap();
    assert_eq!(rows, Mesh::open().await.rows(sql).await.unwrap());
}

/// What was sent is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_has_returned_rows_goes_on() {
    let (mesh, endless) = crowded(Duration::from_secs(1)).await;
    let sql = "SELECT value FROM generate_series(1, 2000000)";
    let query = mesh.session().plan(sql).await.unwrap();
    let mut query = query.execute().await.unwrap();
    let let_go = async {
        // It waits in the middle of its rows.
        until(sql, || mesh.engine.statements() == (1, 1)).await;
        // It is not refused for it, however long that takes.
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(endless);
    };
    let read = async {
        let mut rows = 0;
        while let Some(batch) = query.next().await {
            let batch = batch.unwrap();
            let values = batch.column(0).as_primitive::<Int64Type>().values();
            assert_eq!(values.first(), Some(&(rows + 1)));
            rows += values.len() as i64;
        }
        rows
    };
    let (rows, ()) = tokio::join!(read, let_go);
    assert_eq!(rows, 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_statement_does_not_wait_for_long_ones() {
    let mesh = Mesh::with(|config| EngineConfig {
        statements: 1,
        quick_time: Duration::from_secs(2),
        ..config
    })
    .await;
    let mut long = Vec::new();
    for _ in 0..3 {
        let planned = mesh.session().plan(ENDLESS[2]).await.unwrap();
        long.push(planned.execute().await.unwrap());
    }
    until(ENDLESS[2], || mesh.engine.statements() == (1, 2)).await;
    let rows = mesh.rows("SELECT count(*) FROM sales.orders");
    let rows = tokio::time::timeout(Duration::from_secs(30), rows).await;
    assert_eq!(rows.expect("it waits").unwrap().len(), 1);
    assert_eq!(mesh.engine.statements(), (1, 2));
}

/// Each row of a batch held a copy of a list of eight megabytes: the allocation
/// failed, which ends the process.
#[tokio::test(flavor = "multi_thread")]
async fn joins_repeat_large_values_in_small_batches() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT count(*) FROM generate_series(1, 1000000) t(x), (SELECT range(0, 1000000) a) WHERE array_has(a, -x)",
        "SELECT count(*) FROM generate_series(1, 1000000) t(x), (SELECT range(0, 1000000) a) WHERE a[x] = -1",
        "SELECT count(*) FROM generate_series(1, 100000) t(x), \
         (SELECT array_agg(v) a FROM generate_series(1, 1000000) g(v)) WHERE a[x] = -1",
    ] {
        let options = SessionOptions {
            statement_timeout: Some(Duration::from_secs(2)),
            ..Default::default()
        };
        let session = mesh.session_with(options).unwrap();
        let mut query = session.plan(sql).await.unwrap().execute().await.unwrap();
        match query.next().await {
            Some(Ok(batch)) => assert_eq!(batch.num_rows(), 1),
            Some(Err(error)) => assert!(matches!(error, Error::DeadlineExceeded(_)), "{error}"),
            None => panic!("no end"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_limited_without_naming_others() {
    let mesh = Mesh::with(|config| EngineConfig {
        memory_limit: 16 << 20,
        query_memory_limit: 8 << 20,
        ..config
    })
    .await;
    let sql = "SELECT array_agg(value) FROM generate_series(1, 5000000)";
    let error = mesh.error(sql).await;
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("the query needs more memory than it may have"),
        "{error}"
    );
    assert_eq!(mesh.rows("SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_declared_schema_is_the_one_of_every_batch() {
    let mesh = Mesh::open().await;
    for sql in [
        "SELECT count(*), sum(id), min(region), avg(id) FROM sales.orders",
        "SELECT region, count(*) FROM sales.orders GROUP BY region",
        "SELECT id, row_number() OVER (ORDER BY id) FROM sales.orders",
        "SELECT 1 AS a UNION ALL SELECT NULL",
        "SELECT 1 AS a UNION ALL SELECT 2.5",
        "SELECT o.id, p.id FROM sales.orders o LEFT JOIN sales.orders p ON o.id = p.id + 1",
        "SELECT [id, 2] AS l, {'a': id} AS s FROM sales.orders",
        "SELECT DISTINCT region FROM sales.orders",
        "SELECT coalesce(region, 'x'), CASE WHEN id > 1 THEN 'a' END FROM sales.orders",
        "SELECT count(*) FROM sales.orders WHERE false",
    ] {
        let planned = mesh
            .session()
            .plan(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let declared = planned.schema();
        let mut query = planned.execute().await.unwrap();
        assert_eq!(query.schema(), declared);
        while let Some(batch) = query.next().await {
            assert_eq!(
                batch
                    .unwrap_or_else(|error| panic!("{sql}: {error}"))
                    .schema(),
                declared,
                "{sql}"
            );
        }
    }
}
