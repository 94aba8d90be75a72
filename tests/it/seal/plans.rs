//! What the planner may know of a sealed table, and what still reaches the reader.

use std::sync::Arc;

use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use weft_catalog::GovernedScanExec;

use super::fixture::{Fixture, Format, ROWS, observe};

pub(super) const POLICY: &str = "region = 'EU'";

pub(super) async fn governed(hidden: i64) -> (Fixture, SessionContext) {
    let fixture = Fixture::new(Format::Parquet, hidden, POLICY);
    let ctx = fixture
        .governed(SessionConfig::new().with_target_partitions(2))
        .await;
    (fixture, ctx)
}

#[expect(clippy::disallowed_methods, reason = "queries of the test itself")]
pub(super) async fn plan(ctx: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    ctx.sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap()
}

pub(super) fn text(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(true).to_string()
}

fn sealed(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    if plan.is::<GovernedScanExec>() {
        return vec![Arc::clone(plan)];
    }
    plan.children().into_iter().flat_map(sealed).collect()
}

pub(super) fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    sealed(plan)
        .iter()
        .filter_map(|s| s.downcast_ref::<GovernedScanExec>())
        .map(|s| s.operator_metric(name))
        .sum()
}

/// Runs the plan and returns it with its metrics filled.
pub(super) async fn run(ctx: &SessionContext, sql: &str) -> (Arc<dyn ExecutionPlan>, usize) {
    let plan = plan(ctx, sql).await;
    let batches = collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap();
    (plan, batches.iter().map(|b| b.num_rows()).sum())
}

#[tokio::test]
async fn fallible_projections_and_filters_stay_above_the_seal() {
    let (_fixture, ctx) = governed(50).await;
    let projection = text(&plan(&ctx, "SELECT region, 100/y + z FROM t").await);
    insta::assert_snapshot!(projection, @r"
    ProjectionExec: expr=[region@0 as region, 100 / y@1 + z@2 as Int64(100) / t.y + t.z]
      GovernedScanExec: table=d.t, projection=[region, y, z]
    ");
    let filter = text(
        &plan(
            &ctx,
            "SELECT id FROM t WHERE 100/y > 0 AND id < 50 AND tenant = 'acme'",
        )
        .await,
    );
    insta::assert_snapshot!(filter, @r#"
    FilterExec: 100 / y@1 > 0, projection=[id@0]
      GovernedScanExec: table=d.t, projection=[id, y], pushed=[id < Int64(50), tenant = Utf8View("acme")]
    "#);
}

#[tokio::test]
async fn plans_show_neither_policy_nor_files() {
    let (_fixture, ctx) = governed(50).await;
    for sql in [
        "SELECT * FROM t",
        "SELECT count(*) FROM t WHERE id > 7",
        "SELECT a.id FROM t a JOIN t b USING (id)",
    ] {
        let plan = plan(&ctx, sql).await;
        let shown = format!("{}{plan:?}", text(&plan));
        for secret in ["EU", "parquet", "/d/", "part-", "raw", "FilterExec: region"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(plan.metrics().is_none() || !plan.is::<GovernedScanExec>());
    }
}

#[tokio::test]
async fn row_groups_are_pruned_by_the_users_filter_inside_the_seal() {
    let (_fixture, ctx) = governed(50).await;
    let (plan, _) = run(&ctx, "SELECT id FROM t WHERE id = 2001").await;
    // 3 files of 1000 rows in groups of 250: two files and three groups cannot match.
    assert!(
        metric(&plan, "row_groups_pruned_statistics")
            + metric(&plan, "files_ranges_pruned_statistics")
            > 0
    );
    let (all, _) = run(&ctx, "SELECT id FROM t").await;
    assert!(metric(&plan, "bytes_scanned") < metric(&all, "bytes_scanned"));
}

#[tokio::test]
async fn counts_are_counted_and_never_read_off_a_footer() {
    let (_fixture, ctx) = governed(50).await;
    let plan = plan(&ctx, "SELECT count(*), min(id), max(id) FROM t").await;
    assert_eq!(sealed(&plan).len(), 1, "{}", text(&plan));
    let count = observe(&ctx, "SELECT count(*) FROM t").await.unwrap();
    assert_ne!(count, vec![ROWS.to_string()]);
    assert_ne!(count, vec!["0".to_owned()]);
}

/// Of columns of which nothing is known.
#[tokio::test]
async fn a_comparison_with_one_value_is_taken_to_leave_a_tenth() {
    let (_fixture, ctx) = governed(50).await;
    run(&ctx, "SELECT * FROM t").await;
    for (filter, left) in [
        ("tenant = 'acme'", 150),
        ("'acme' = tenant AND note = '1,2'", 15),
        ("tenant LIKE 'a%'", 300),
        ("tenant = 'acme' AND note LIKE '1%' AND note <> '1,2'", 30),
        ("tenant = 'acme' OR note = '1,2'", 300),
    ] {
        let plan = plan(&ctx, &format!("SELECT y FROM t WHERE {filter}")).await;
        let statistics = sealed(&plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
        let rows = statistics.unwrap().num_rows;
        assert_eq!(rows.get_value(), Some(&left), "{filter}");
    }
}

/// Whatever files there are, and however many of them are left after pruning.
#[tokio::test]
async fn plans_do_not_tell_how_many_files_there_are() {
    for format in [Format::Parquet, Format::Csv] {
        let fixture = Fixture::new(format, 50, POLICY);
        let live = fixture.open().await;
        let extension = match format {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
        };
        let files: Vec<_> = (0..3)
            .map(|part| fixture.data().join(format!("part-{part}.{extension}")))
            .collect();
        for partitions in [1, 2, 4, 8] {
            let mut seen = Vec::new();
            for kept in (0..=3).rev() {
                for (number, file) in files.iter().enumerate() {
                    let aside = file.with_extension("aside");
                    if number < kept && aside.exists() {
                        std::fs::rename(&aside, file).unwrap();
                    } else if number >= kept && file.exists() {
                        std::fs::rename(file, &aside).unwrap();
                    }
                }
                live.refresh().await;
                let config = SessionConfig::new().with_target_partitions(partitions);
                let ctx = Fixture::session(&live, config);
                let mut plans = String::new();
                for sql in [
                    "SELECT * FROM t",
                    "SELECT region, count(*) FROM t WHERE id > 7 GROUP BY region",
                    "SELECT id FROM t ORDER BY id DESC LIMIT 3",
                    "SELECT id FROM t LIMIT 3",
                    "SELECT tenant FROM t UNION ALL SELECT region FROM t",
                ] {
                    plans.push_str(&text(&plan(&ctx, sql).await));
                }
                seen.push(plans);
            }
            assert!(
                seen.iter().all(|plans| *plans == seen[0]),
                "{format:?} {partitions}: {seen:#?}"
            );
        }
    }
}

#[tokio::test]
async fn a_full_run_is_counted_over_partitions_of_which_some_are_empty() {
    let fixture = Fixture::new(Format::Parquet, 50, POLICY);
    let config = SessionConfig::new().with_target_partitions(8);
    let ctx = fixture.governed(config).await;
    let estimated = |plan: &Arc<dyn ExecutionPlan>| {
        let sealed = sealed(plan);
        assert_eq!(sealed[0].properties().partitioning.partition_count(), 8);
        let args = StatisticsArgs::new();
        let statistics = sealed[0].statistics_from_inputs(&[], &args).unwrap();
        *statistics.num_rows.get_value().unwrap()
    };
    let (_, rows) = run(&ctx, "SELECT id FROM t").await;
    let again = plan(&ctx, "SELECT id FROM t").await;
    assert_eq!(estimated(&again), rows);
}

/// One filtered query over a table that hides no row makes its size known, to the same principal;
/// a table that hides rows keeps its class: its footers count what is hidden.
#[tokio::test]
async fn footers_tell_the_size_of_a_table_that_hides_no_row_and_of_no_other() {
    let estimated = |plan: &Arc<dyn ExecutionPlan>| {
        let statistics = sealed(plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
        *statistics.unwrap().num_rows.get_value().unwrap()
    };
    for (policy, hidden, is_told) in [("", 0, true), (POLICY, 0, false), (POLICY, 50, false)] {
        let fixture = Fixture::new(Format::Parquet, hidden, policy);
        let ctx = fixture.governed(SessionConfig::new()).await;
        let untold = estimated(&plan(&ctx, "SELECT id FROM t").await);
        assert_ne!(untold, 3000);
        run(&ctx, "SELECT id FROM t WHERE id < 7").await;
        let told = estimated(&plan(&ctx, "SELECT id FROM t").await);
        assert_eq!(
            told,
            if is_told { 3000 } else { untold },
            "`{policy}` {hidden}"
        );
    }
}

/// From what lies between the least and the greatest value of a clear column in a table that
/// hides no row the planner may count, once the principal has read the column; of a bound itself
/// it learns nothing. What hides a row or a cell keeps all of it.
#[tokio::test]
async fn footers_tell_how_many_values_a_clear_column_has_and_nothing_of_a_hidden_one() {
    let told = |plan: &Arc<dyn ExecutionPlan>| {
        let statistics = sealed(plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
        let statistics = statistics.unwrap();
        for column in &statistics.column_statistics {
            assert_eq!(column.min_value.get_value(), None);
            assert_eq!(column.max_value.get_value(), None);
            assert!(!column.distinct_count.is_exact().unwrap_or(false));
        }
        let values = statistics.column_statistics.iter();
        let values: Vec<_> = values
            .map(|column| column.distinct_count.get_value().copied())
            .collect();
        (*statistics.num_rows.get_value().unwrap(), values)
    };
    let masked = "{z: nullify}";
    for (policy, masks, y, z, first_300) in [
        ("", "", Some(5), Some(11), 300),
        ("", masked, Some(5), None, 300),
        (POLICY, "", None, None, 0),
    ] {
        let fixture = Fixture::masked(Format::Parquet, 0, policy, masks);
        let ctx = fixture.governed(SessionConfig::new()).await;
        let (untold, values) = told(&plan(&ctx, "SELECT region, y, z, big FROM t").await);
        assert_eq!(values, [None; 4]);
        run(&ctx, "SELECT y, z, region FROM t WHERE id < 7").await;
        let (rows, values) = told(&plan(&ctx, "SELECT region, y, z, big FROM t").await);
        // Of `big`, which nobody has read yet, nothing is known either.
        assert_eq!(values, [None, y, z, None], "`{policy}` `{masks}`");
        assert_eq!(rows, if policy.is_empty() { 3000 } else { untold });
        // The share that a filter leaves, where the range of its column is known.
        let (rows, _) = told(&plan(&ctx, "SELECT y FROM t WHERE id < 300").await);
        match policy {
            "" => assert!(rows.abs_diff(first_300) < 30, "{rows}"),
            _ => assert_eq!(rows, untold / 5),
        }
    }
}

/// Of a table that hides rows, what the principal has read from end to end counts: no footer, and
/// no row that it does not see.
#[tokio::test]
async fn what_was_read_from_end_to_end_tells_of_the_visible_rows_alone() {
    for hidden in [0, 50] {
        let fixture = Fixture::new(Format::Parquet, hidden, POLICY);
        let ctx = fixture
            .governed(SessionConfig::new().with_target_partitions(3))
            .await;
        // A filter, a limit, and another column: none of them has read all of `y` and `z`.
        for sql in [
            "SELECT y, z FROM t WHERE id >= 0",
            "SELECT y, z FROM t LIMIT 10",
            "SELECT tenant FROM t",
        ] {
            run(&ctx, sql).await;
        }
        let values = |plan: &Arc<dyn ExecutionPlan>| {
            let statistics = sealed(plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
            let columns = statistics.unwrap().column_statistics.clone();
            let columns = columns.iter();
            columns
                .map(|column| column.distinct_count.get_value().copied())
                .collect::<Vec<_>>()
        };
        let sql = "SELECT y, z FROM t";
        assert_eq!(values(&plan(&ctx, sql).await), [None; 2], "{hidden}");
        run(&ctx, sql).await;
        // Hidden rows have zeros and sevens.
        let told = values(&plan(&ctx, sql).await);
        assert_eq!(told, [Some(5), Some(11)], "{hidden}");
    }
}

/// What is counted stays before what is guessed of a part, and what is known of a column before
/// what a later run does not say.
#[tokio::test]
async fn a_run_over_less_makes_nothing_forgotten() {
    let told = |plan: &Arc<dyn ExecutionPlan>| {
        let statistics = sealed(plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
        let statistics = statistics.unwrap();
        let values = statistics.column_statistics[0].distinct_count;
        (
            *statistics.num_rows.get_value().unwrap(),
            values.get_value().copied(),
        )
    };
    for (policy, rows) in [("", 3000), (POLICY, 1500)] {
        let fixture = Fixture::new(Format::Parquet, 50, policy);
        let ctx = fixture.governed(SessionConfig::new()).await;
        let values = if policy.is_empty() {
            Some(12)
        } else {
            Some(11)
        };
        run(&ctx, "SELECT z FROM t").await;
        let known = told(&plan(&ctx, "SELECT z FROM t").await);
        assert_eq!(known, (rows, values), "`{policy}`");
        for sql in [
            "SELECT z, y FROM t WHERE id < 7",
            "SELECT z, y FROM t LIMIT 1",
            "SELECT * FROM t WHERE id = 2",
            "SELECT z, y, big FROM t",
        ] {
            run(&ctx, sql).await;
            let now = told(&plan(&ctx, "SELECT z FROM t").await);
            assert_eq!(now, known, "`{policy}` {sql}");
        }
        // However few values lie evenly in a range, a filter is not taken to leave next to none.
        let (left, _) = told(&plan(&ctx, "SELECT z FROM t WHERE big = 5").await);
        assert!(left >= 3, "`{policy}` {left}");
    }
}

/// How many rows a filter leaves is known when it has left them once: of the visible rows, of that
/// very filter.
#[tokio::test]
async fn a_filter_that_ran_to_its_end_tells_what_it_left() {
    let estimated = |plan: &Arc<dyn ExecutionPlan>| {
        let statistics = sealed(plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
        *statistics.unwrap().num_rows.get_value().unwrap()
    };
    let mut left = Vec::new();
    for policy in ["", POLICY] {
        let fixture = Fixture::new(Format::Parquet, 50, policy);
        let config = SessionConfig::new().with_target_partitions(3);
        let ctx = fixture.governed(config).await;
        let sql = "SELECT y FROM t WHERE id < 300 AND z <> 5";
        let untold = estimated(&plan(&ctx, sql).await);
        // Neither reads all that passes: for its limit, and for the keys of the other side.
        run(&ctx, &format!("{sql} LIMIT 1")).await;
        let join = "SELECT count(*) FROM (VALUES (CAST(1 AS BIGINT))) v(k) JOIN t ON t.id = v.k \
                    WHERE id < 300 AND z <> 5";
        let (joined, _) = run(&ctx, join).await;
        assert!(text(&joined).contains("dynamic=[id]"), "{}", text(&joined));
        if !policy.is_empty() {
            assert_eq!(estimated(&plan(&ctx, sql).await), untold);
        }
        let (_, rows) = run(&ctx, sql).await;
        assert_eq!(estimated(&plan(&ctx, sql).await), rows, "`{policy}`");
        let other = "SELECT y FROM t WHERE id < 299 AND z <> 5";
        assert_ne!(estimated(&plan(&ctx, other).await), rows, "`{policy}`");
        left.push(rows);
    }
    assert!(
        left[0] > left[1],
        "what is hidden has a part in it: {left:?}"
    );
}

/// Below a limit hardly a file is opened: that the footers of all are at hand tells of others.
#[tokio::test]
async fn a_limit_tells_nothing_of_the_whole() {
    let fixture = Fixture::new(Format::Parquet, 0, "");
    let ctx = fixture.governed(SessionConfig::new()).await;
    let rows = |plan: &Arc<dyn ExecutionPlan>| {
        let statistics = sealed(plan)[0].statistics_from_inputs(&[], &StatisticsArgs::new());
        *statistics.unwrap().num_rows.get_value().unwrap()
    };
    let untold = rows(&plan(&ctx, "SELECT y FROM t").await);
    run(&ctx, "SELECT y FROM t WHERE id >= 0 LIMIT 1").await;
    assert_eq!(rows(&plan(&ctx, "SELECT y FROM t").await), untold);
}

/// Of two joins, the larger is not held in memory for the sake of the smaller: what comes out
/// of a join with a key is as large as the side that refers to it.
#[tokio::test]
async fn a_join_of_many_rows_to_few_keys_is_not_taken_for_few_rows() {
    let fixture = Fixture::new(Format::Parquet, 0, "");
    let config = SessionConfig::new().with_target_partitions(2);
    let ctx = fixture.governed(config).await;
    run(&ctx, "SELECT id, y, z FROM t").await;
    // 3,000 rows of each of five values of `y` with 600 of `a`, against 300 rows.
    let sql = "SELECT count(*) FROM (SELECT a.id, b.z FROM t a JOIN t b ON a.y = b.y) j \
               JOIN t c ON j.id = c.id WHERE c.id < 300";
    let plan = text(&plan(&ctx, sql).await);
    let build = plan
        .lines()
        .skip_while(|l| !l.contains("HashJoinExec"))
        .skip(1)
        .find(|l| l.contains("Exec") && !l.contains("Coalesce") && !l.contains("Repartition"))
        .unwrap();
    assert!(build.contains("id < "), "{plan}");
}

#[tokio::test]
async fn a_recursive_query_reads_the_table_in_every_round() {
    let (_fixture, ctx) = governed(0).await;
    let sql = "WITH RECURSIVE r AS (SELECT CAST(1 AS BIGINT) AS n UNION ALL \
               SELECT t.id + 1 FROM r JOIN t ON t.id = r.n WHERE r.n < 6) SELECT n FROM r";
    assert_eq!(
        observe(&ctx, sql).await.unwrap(),
        ["1", "2", "3", "4", "5", "6"]
    );
}

#[tokio::test]
async fn plans_do_not_tell_where_a_hidden_maximum_lies() {
    let (_fixture, ctx) = governed(50).await;
    let with = |bound: i64| {
        format!("SELECT count(DISTINCT z), count(DISTINCT y) FROM t WHERE id > {bound}")
    };
    let (below, above) = (ROWS - 2, ROWS + 5);
    let below_text = text(&plan(&ctx, &with(below)).await).replace(&below.to_string(), "N");
    let above_text = text(&plan(&ctx, &with(above)).await).replace(&above.to_string(), "N");
    assert_eq!(below_text, above_text);
}

#[tokio::test]
async fn a_large_table_written_first_is_not_the_build_side() {
    let (_fixture, ctx) = governed(50).await;
    let sql = "SELECT count(*) FROM t JOIN (VALUES (CAST(1 AS BIGINT)), (2)) v(k) ON t.id = v.k";
    let plan = text(&plan(&ctx, sql).await);
    let build = plan
        .lines()
        .skip_while(|l| !l.contains("HashJoinExec"))
        .nth(1)
        .unwrap();
    assert!(!build.contains("Governed"), "{plan}");
}

#[tokio::test]
async fn a_file_added_to_a_product_is_seen_after_a_refresh() {
    let fixture = Fixture::new(Format::Parquet, 0, POLICY);
    let live = fixture.open().await;
    let count =
        |ctx: SessionContext| async move { observe(&ctx, "SELECT count(*) FROM t").await.unwrap() };
    assert_eq!(
        count(Fixture::session(&live, SessionConfig::new())).await,
        ["3000"]
    );
    std::fs::copy(
        fixture.data().join("part-0.parquet"),
        fixture.data().join("part-9.parquet"),
    )
    .unwrap();
    live.refresh().await;
    assert_eq!(
        count(Fixture::session(&live, SessionConfig::new())).await,
        ["4000"]
    );
}
