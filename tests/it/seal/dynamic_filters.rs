//! What joins, a TopK and a maximum let a sealed table leave out, and where nothing may be.

use std::sync::Arc;

use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use weft_catalog::QuietFilters;

use super::fixture::{Fixture, Format};
use super::plans::{POLICY, governed, metric, plan, run, text};

#[tokio::test]
async fn the_dynamic_filter_of_a_join_reaches_the_parquet_reader() {
    let (_fixture, ctx) = governed(50).await;
    let join =
        "SELECT count(*) FROM (VALUES (CAST(2001 AS BIGINT)), (2007)) v(k) JOIN t ON t.id = v.k";
    let (plan, _) = run(&ctx, join).await;
    assert!(text(&plan).contains("dynamic=[id]"), "{}", text(&plan));
    let (all, _) = run(&ctx, "SELECT count(id) FROM t").await;
    assert!(
        metric(&plan, "bytes_scanned") < metric(&all, "bytes_scanned"),
        "{}",
        text(&plan)
    );
    // Over an expression it stays outside.
    let computed = text(
        &self::plan(
            &ctx,
            "SELECT count(*) FROM (VALUES (1), (2)) v(k) JOIN t ON CAST(t.ssn AS INT) = v.k",
        )
        .await,
    );
    assert!(!computed.contains("dynamic="), "{computed}");
}

/// Rows that the other side of a join has no key for are not handed out to be looked up.
#[tokio::test]
async fn rows_that_a_join_does_not_want_do_not_leave_the_seal() {
    let (_fixture, ctx) = governed(50).await;
    let keys = "(VALUES (CAST(3 AS BIGINT)), (2004), (2001)) v(k)";
    for (sql, probed) in [
        (format!("SELECT y FROM {keys} JOIN t ON t.id = v.k"), 2),
        (
            format!("SELECT y FROM t WHERE t.id IN (SELECT k FROM {keys})"),
            2,
        ),
        // All rows of the other side are returned, so all have to come.
        (
            format!("SELECT y FROM t LEFT JOIN {keys} ON t.id = v.k"),
            1500,
        ),
    ] {
        let (plan, _) = run(&ctx, &sql).await;
        assert_eq!(join_metric(&plan, "input_rows"), probed, "{}", text(&plan));
    }
}

fn join_metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own = plan.is::<HashJoinExec>().then(|| plan.metrics()).flatten();
    let own = own.and_then(|metrics| metrics.sum_by_name(name));
    let below = plan.children().into_iter();
    own.map_or(0, |it| it.as_usize()) + below.map(|it| join_metric(it, name)).sum::<usize>()
}

/// A row group that is left out by hidden rows' bounds could be told by a row in it that fails.
#[tokio::test]
async fn dynamic_filters_stay_where_nothing_can_be_heard_of_them() {
    let keys = "(VALUES (CAST(3 AS BIGINT)), (2004)) v(k)";
    let quiet = [
        format!("SELECT y FROM {keys} JOIN t ON t.id = v.k"),
        "SELECT 100/y FROM (VALUES (CAST(3 AS BIGINT), 1)) v(k, n) JOIN t ON t.id = k AND 100/(y + n) > 0".to_owned(),
        format!(
            "SELECT c FROM {keys} JOIN (SELECT id, count(*) AS c FROM t GROUP BY id) t ON t.id = v.k"
        ),
        "SELECT id, note FROM t ORDER BY id DESC LIMIT 3".to_owned(),
        "SELECT max(id) FROM t".to_owned(),
        "SELECT max(id) FROM t WHERE CASE WHEN y > 2 THEN note LIKE '%,_' ELSE z > 3 END".to_owned(),
    ];
    let loud = [
        format!("SELECT y FROM {keys} JOIN t ON t.id = v.k WHERE 100/y > 0"),
        format!(
            "SELECT w FROM {keys} JOIN (SELECT id, 100/y AS w FROM t WHERE CAST(ssn AS INT) > 0) t ON t.id = v.k WHERE w > 3"
        ),
        format!(
            "SELECT s FROM {keys} JOIN (SELECT id, avg(y) AS s FROM t GROUP BY id) t ON t.id = v.k"
        ),
        format!(
            "SELECT n FROM {keys} JOIN (SELECT id, n FROM t LEFT JOIN (VALUES ('EU', 1)) b(name, n) \
             ON t.region = b.name AND 100/t.y > b.n) t ON t.id = v.k"
        ),
        "SELECT id, 100/y FROM t ORDER BY id DESC LIMIT 3".to_owned(),
        "SELECT id FROM t WHERE 100/y > 0 ORDER BY id DESC LIMIT 3".to_owned(),
        "SELECT max(id) FROM t WHERE 100/y > 0".to_owned(),
        "SELECT max(id) FROM t WHERE note NOT LIKE CASE WHEN z = 3 THEN ssn ELSE 'z' END".to_owned(),
        "SELECT id FROM (SELECT id FROM t WHERE CASE WHEN y > 2 THEN z > 3 ELSE z > 4 END LIMIT 2000) \
         ORDER BY id DESC LIMIT 1"
            .to_owned(),
        format!(
            "SELECT count(*) FROM {keys} JOIN (SELECT id, z FROM t WHERE CASE WHEN y > 2 THEN z > 3 \
             ELSE z > 4 END LIMIT 2000) t ON t.id = v.k"
        ),
    ];
    for (policy, hides) in [(POLICY, true), ("", false)] {
        let fixture = Fixture::new(Format::Parquet, 50, policy);
        let ctx = fixture
            .governed(SessionConfig::new().with_target_partitions(2))
            .await;
        for (sqls, is_loud) in [(&quiet[..], false), (&loud[..], true)] {
            for sql in sqls {
                let plan = plan(&ctx, sql).await;
                let offered = text(&plan).contains("dynamic=");
                let ruled = QuietFilters.optimize(plan, &ConfigOptions::new()).unwrap();
                let stays = text(&ruled).contains("dynamic=");
                assert_eq!(
                    stays,
                    offered && !(hides && is_loud),
                    "{sql}\n{}",
                    text(&ruled)
                );
                assert!(offered, "nothing is shown by {sql}\n{}", text(&ruled));
                assert!(QuietFilters::are_in(&ruled).unwrap());
            }
        }
    }
}

/// By what is left of its first side a join decides whether it asks its second side at all.
#[tokio::test]
async fn the_second_side_of_a_join_must_not_fail_either() {
    let (_fixture, ctx) = governed(50).await;
    for (other, stays) in [("z > 3", true), ("100/z > 3", false)] {
        let sql = format!(
            "SELECT a.id FROM t a JOIN (\
             SELECT z FROM t WHERE CASE WHEN y = 1 THEN true ELSE {other} END \
             UNION ALL SELECT z FROM t UNION ALL SELECT z FROM t) b \
             ON a.z = b.z ORDER BY a.id DESC LIMIT 3"
        );
        let plan = plan(&ctx, &sql).await;
        let first_side = text(&plan).lines().nth(4).map(str::to_owned);
        assert!(
            first_side.is_some_and(|it| it.ends_with("dynamic=[id]")),
            "{}",
            text(&plan)
        );
        let ruled = text(&QuietFilters.optimize(plan, &ConfigOptions::new()).unwrap());
        assert_eq!(ruled.contains("dynamic=[id]"), stays, "{ruled}");
    }
}

/// Of several filters each is judged by its own way down, and those that stay still work.
#[tokio::test]
async fn one_seal_keeps_its_filter_when_another_loses_its_own() {
    let (_fixture, ctx) = governed(50).await;
    let sql = "SELECT a.y FROM (VALUES (CAST(3 AS BIGINT)), (2004)) v(k) JOIN t a ON a.id = v.k \
               JOIN (SELECT id FROM t WHERE 100/y > 0) b ON b.id = a.id";
    let both = plan(&ctx, sql).await;
    assert_eq!(
        text(&both).matches("dynamic=").count(),
        2,
        "{}",
        text(&both)
    );
    let one = QuietFilters.optimize(both, &ConfigOptions::new()).unwrap();
    assert_eq!(text(&one).matches("dynamic=").count(), 1, "{}", text(&one));
    let batches = collect(Arc::clone(&one), ctx.task_ctx()).await.unwrap();
    assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 2);
    // Two rows of the one, all that are visible of the other.
    assert_eq!(join_metric(&one, "input_rows"), 2 + 1500, "{}", text(&one));
}

#[tokio::test]
async fn a_topk_on_a_clear_column_reads_less() {
    let (_fixture, ctx) = governed(50).await;
    let (plan, rows) = run(&ctx, "SELECT id, note FROM t ORDER BY id DESC LIMIT 3").await;
    assert_eq!(rows, 3);
    assert!(text(&plan).contains("dynamic=[id]"), "{}", text(&plan));
}
