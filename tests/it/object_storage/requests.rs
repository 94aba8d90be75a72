//! How often the store is asked.

use super::fixture::{KEY, PASSWORD, mesh, readings, with_readings};
use crate::support::{TestS3, TestServer};

const URL: &str = "s3://acme-sales/lake/";
const LOCATION: &str = "s3://acme-sales/lake/readings/**/*.parquet";

const FILES: usize = 1000;
const ROWS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_files_are_read_without_a_listing_and_their_footers_once() {
    let s3 = TestS3::start(&["acme-sales"], &[KEY]);
    let files = (0..FILES).map(|n| {
        let ids = i64::try_from(n * ROWS).unwrap()..i64::try_from((n + 1) * ROWS).unwrap();
        let key = format!("lake/readings/day={}/part-{n:04}.parquet", n % 10);
        (key, readings(ids, 1, ROWS))
    });
    s3.put_all("acme-sales", files).await;
    // What is no data makes a second page of the listing.
    s3.put("acme-sales", "lake/readings/_SUCCESS", "done").await;
    let mesh = with_readings(mesh(), &s3, "sales", URL, LOCATION, &KEY);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let started = s3.counts();
    assert!(
        started.list == 2 && started.get == 0 && started.head == 0,
        "{started:?}"
    );

    let rows =
        |answer: &[arrow::array::RecordBatch]| answer.iter().map(|b| b.num_rows()).sum::<usize>();
    s3.forget_requests();
    let answer = ana.query("SELECT * FROM sales.readings").await.unwrap();
    assert_eq!(rows(&answer), FILES * ROWS);
    let first = s3.counts();
    assert_eq!((first.list, first.head), (0, 0), "{first:?}");
    // A footer and the rows of each.
    assert!(first.get <= 2 * FILES, "{first:?}");

    // Footers at hand tell how many rows there are, and which file has one of them.
    s3.forget_requests();
    let count = "SELECT count(*) FROM sales.readings";
    assert_eq!(ana.value(count).await, (FILES * ROWS).to_string());
    assert!(s3.requests().is_empty(), "{:?}", s3.counts());
    assert_eq!(
        ana.value("SELECT sum(value) FROM sales.readings WHERE id = 777")
            .await,
        "1"
    );
    let one = s3.counts();
    assert_eq!((one.list, one.head), (0, 0), "{one:?}");
    assert!(one.get <= 2, "{one:?}");

    // A refresh that finds nothing new forgets no footer.
    server.live.refresh().await;
    s3.forget_requests();
    assert_eq!(
        ana.value("SELECT sum(value) FROM sales.readings WHERE id = 778")
            .await,
        "1"
    );
    let refreshed = s3.counts();
    assert!(refreshed.get <= 2 && refreshed.list == 0, "{refreshed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_plans_ask_the_store_nothing() {
    let s3 = TestS3::start(&["acme-sales"], &[KEY]);
    s3.put(
        "acme-sales",
        "lake/readings/a.parquet",
        readings(0..5, 1, 5),
    )
    .await;
    let mesh = with_readings(mesh(), &s3, "sales", URL, LOCATION, &KEY);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    s3.forget_requests();
    for statement in [
        "SELECT table_name FROM information_schema.tables",
        "DESCRIBE sales.readings",
        "SHOW TABLES",
    ] {
        ana.query(statement).await.unwrap();
    }
    ana.info("SELECT * FROM sales.readings WHERE id = 3")
        .await
        .unwrap();
    let counts = s3.counts();
    assert_eq!(
        (counts.list, counts.get, counts.head),
        (0, 0, 0),
        "{:?}",
        s3.requests()
    );
}
