//! Keys as other writers make them.

use super::fixture::{ALL_TO_ANA, KEY, PASSWORD, READINGS, lake, mesh, readings};
use crate::support::{TestS3, TestServer, contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_name_of_a_file_is_read() {
    let s3 = TestS3::start(&["acme-sales"], &[KEY]);
    let names = [
        "plain",
        "with space",
        "plus+plus",
        "per%20cent",
        "ünï",
        "hash#",
        "a&b=c",
        "semi;colon",
        "q?",
        "(x)'y!*",
    ];
    let files = (0..).zip(names).map(|(n, name)| {
        let key = format!("lake/readings/{name}/{name}.parquet");
        (key, readings(n..n + 1, 1, 1))
    });
    s3.put_all("acme-sales", files).await;
    let mesh = mesh();
    let lake = lake(&mesh, &s3, "s3://acme-sales/lake/", &KEY);
    let contract = contract(
        "readings",
        "parquet",
        "s3://acme-sales/lake/readings/",
        READINGS,
    );
    let mesh = mesh.domain_on("sales", &lake, ALL_TO_ANA, &[&contract]);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let rows = ana.value("SELECT sum(value) FROM sales.readings").await;
    assert_eq!(rows, names.len().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_stands_for_a_folder_is_no_file() {
    let s3 = TestS3::start(&["acme-sales"], &[KEY]);
    s3.put(
        "acme-sales",
        "lake/readings/a.parquet",
        readings(0..3, 1, 3),
    )
    .await;
    for folder in ["lake/", "lake/readings/", "lake/readings/empty/"] {
        s3.put_folder("acme-sales", folder);
    }
    let mesh = mesh();
    let lake = lake(&mesh, &s3, "s3://acme-sales/lake/", &KEY);
    let contracts = ["s3://acme-sales/lake/", "s3://acme-sales/lake/readings/"].map(|location| {
        contract(
            &format!("t{}", location.len()),
            "parquet",
            location,
            READINGS,
        )
    });
    let mesh = mesh.domain_on("sales", &lake, ALL_TO_ANA, &[&contracts[0], &contracts[1]]);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.t21").await, "3");
    assert_eq!(ana.value("SELECT count(*) FROM sales.t30").await, "3");
}
