//! Domains that share a bucket, or whose buckets hold equal keys, do not share anything.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::fixture::{
    ALL_TO_ANA, PASSWORD, READINGS, assert_names_the_table, assert_neighbour_lives,
    assert_tells_nothing, lake, mesh, readings, secrets_of, with_neighbour, with_readings,
};
use crate::support::{Key, TestS3, TestServer, contract};

const SALES: Key = Key {
    id: "SALESKEYID",
    secret: "secret-of-sales",
    places: &["shared/sales/"],
};
const CRM: Key = Key {
    id: "CRMKEYID",
    secret: "secret-of-crm",
    places: &["shared/crm/"],
};
/// The store would let it read everything.
const BOTH: Key = Key {
    id: "WIDEKEYID",
    secret: "secret-of-wide",
    places: &["shared/"],
};

const COUNT: [&str; 2] = [
    "SELECT count(*) FROM sales.readings",
    "SELECT count(*) FROM crm.readings",
];

async fn shared_bucket() -> TestS3 {
    let s3 = TestS3::start(&["shared"], &[SALES, CRM, BOTH]);
    s3.put("shared", "sales/readings/a.parquet", readings(0..5, 1, 100))
        .await;
    s3.put("shared", "crm/readings/a.parquet", readings(0..7, 2, 100))
        .await;
    // Names that begin like those of sales.
    for key in ["sales2/readings/a.parquet", "sales/readings2/a.parquet"] {
        s3.put("shared", key, readings(0..90, 3, 100)).await;
    }
    s3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_domain_reads_with_its_own_key_and_in_its_own_prefix() {
    let s3 = shared_bucket().await;
    let (sales, crm) = ("s3://shared/sales/", "s3://shared/crm/");
    let mesh = with_readings(
        mesh(),
        &s3,
        "sales",
        sales,
        "s3://shared/sales/readings/",
        &SALES,
    );
    let mesh = with_readings(mesh, &s3, "crm", crm, "s3://shared/crm/**/*.parquet", &CRM);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_eq!(ana.value(COUNT[0]).await, "5");
    assert_eq!(ana.value(COUNT[1]).await, "7");
    let join = "SELECT count(*) FROM sales.readings AS s JOIN crm.readings AS c ON s.id = c.id";
    assert_eq!(ana.value(join).await, "5");

    let requests = s3.requests();
    for key in [SALES, CRM] {
        let own: Vec<_> = requests.iter().filter(|r| r.key_id == key.id).collect();
        assert!(own.len() >= 2, "{requests:?}");
        assert!(
            own.iter().all(|r| r.place.starts_with(key.places[0])),
            "{own:?}"
        );
    }
}

/// What the next test rests on: the store itself tells its keys apart.
#[tokio::test]
async fn the_store_refuses_a_key_outside_of_its_prefix() {
    let s3 = shared_bucket().await;
    let path = Path::from("sales/readings/a.parquet");
    assert!(s3.client("shared", &SALES).head(&path).await.is_ok());
    let forged = Key {
        secret: "not-the-secret",
        ..SALES
    };
    for key in [CRM, forged] {
        let client = s3.client("shared", &key);
        assert!(client.get(&path).await.is_err(), "{key:?}");
        let listed: Result<Vec<_>, _> = client.list(Some(&Path::from("sales"))).try_collect().await;
        assert!(listed.is_err(), "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credentials_of_the_other_domain_open_nothing() {
    let s3 = shared_bucket().await;
    let (sales, crm) = ("s3://shared/sales/", "s3://shared/crm/");
    let mesh = with_neighbour(mesh());
    let mesh = with_readings(
        mesh,
        &s3,
        "sales",
        sales,
        "s3://shared/sales/readings/",
        &CRM,
    );
    let mesh = with_readings(mesh, &s3, "crm", crm, "s3://shared/crm/readings/", &SALES);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    let secrets = secrets_of(&mesh, &s3, &[&SALES, &CRM]);
    for (statement, table) in COUNT.iter().zip(["sales.readings", "crm.readings"]) {
        let status = ana.fails(statement).await;
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        assert_names_the_table(&status, table);
        assert_tells_nothing(&status, &secrets);
    }
    assert_neighbour_lives(&ana).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_location_outside_of_the_storage_is_refused_though_the_store_would_allow_it() {
    let s3 = shared_bucket().await;
    let locations = [
        ("s3://shared/crm/readings/", "location-outside-storage"),
        ("s3://shared/sales2/readings/", "location-outside-storage"),
        (
            "s3://shared/*/readings/*.parquet",
            "location-outside-storage",
        ),
        (
            "s3://shared/{sales,crm}/readings/*.parquet",
            "location-outside-storage",
        ),
        ("s3://other/sales/readings/", "location-outside-storage"),
        ("s3://shared/sales/../crm/readings/", "unsafe-location"),
        ("s3://shared/sales/%2e%2e/crm/readings/", "unsafe-location"),
        ("s3://shared/sales/..%2fcrm/readings/", "unsafe-location"),
    ];
    let mesh = with_neighbour(mesh());
    let mesh = with_readings(
        mesh,
        &s3,
        "sales",
        "s3://shared/sales/",
        locations[0].0,
        &BOTH,
    );
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    for (location, rule) in locations {
        let contract = contract("readings", "parquet", location, READINGS);
        mesh.write("domains/sales/products/0.odcs.yaml", &contract);
        let report = server.live.reload().await;
        assert_eq!(report.faults.len(), 1, "{location}: {:?}", report.faults);
        assert_eq!(
            report.faults[0].rule, rule,
            "{location}: {}",
            report.faults[0]
        );
        let status = ana.fails(COUNT[0]).await;
        assert_eq!(
            status.code(),
            tonic::Code::NotFound,
            "{location}: {status:?}"
        );
        assert_tells_nothing(&status, &secrets_of(&mesh, &s3, &[&BOTH]));
        assert_neighbour_lives(&ana).await;
    }
    assert!(s3.requests().is_empty(), "{:?}", s3.requests());

    let contract = contract(
        "readings",
        "parquet",
        "s3://shared/sales/readings/",
        READINGS,
    );
    mesh.write("domains/sales/products/0.odcs.yaml", &contract);
    assert_eq!(server.live.reload().await.faults.len(), 0);
    assert_eq!(ana.value(COUNT[0]).await, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_is_a_folder_and_not_the_beginning_of_a_name() {
    let s3 = shared_bucket().await;
    let mesh = mesh();
    let lake = lake(&mesh, &s3, "s3://shared/sales", &BOTH);
    // With and without a slash at the end, and by a pattern over everything.
    let contracts = [
        "s3://shared/sales/readings",
        "s3://shared/sales/readings/",
        "s3://shared/sales/**",
    ]
    .iter()
    .enumerate()
    .map(|(n, location)| contract(&format!("t{n}"), "parquet", location, READINGS))
    .collect::<Vec<_>>();
    let contracts: Vec<&str> = contracts.iter().map(String::as_str).collect();
    let mesh = mesh.domain_on("sales", &lake, ALL_TO_ANA, &contracts);
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    assert_eq!(ana.value("SELECT count(*) FROM sales.t0").await, "5");
    assert_eq!(ana.value("SELECT count(*) FROM sales.t1").await, "5");
    assert_eq!(ana.value("SELECT count(*) FROM sales.t2").await, "95");
}

const NORTH: Key = Key {
    id: "NORTHKEYID",
    secret: "secret-of-north",
    places: &["north-lake/"],
};
const SOUTH: Key = Key {
    id: "SOUTHKEYID",
    secret: "secret-of-south",
    places: &["south-lake/"],
};

/// A footer of the other bucket would prune the row groups that hold the rows asked for: their
/// ranges do not overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_keys_of_two_buckets_never_share_a_footer() {
    let s3 = TestS3::start(&["north-lake", "south-lake"], &[NORTH, SOUTH]);
    // `alike` has one size in both buckets, `unlike` other row groups.
    let alike = [readings(0..1000, 1, 250), readings(5000..6000, 2, 250)];
    assert_eq!(alike[0].len(), alike[1].len());
    let unlike = [readings(0..1000, 1, 1000), readings(5000..7000, 2, 500)];
    for (bucket, (alike, unlike)) in ["north-lake", "south-lake"]
        .iter()
        .zip(alike.into_iter().zip(unlike))
    {
        s3.put(bucket, "data/alike.parquet", alike).await;
        s3.put(bucket, "data/unlike.parquet", unlike).await;
    }
    s3.set_equal_times();
    let mut mesh = mesh();
    for (domain, key) in [("north", NORTH), ("south", SOUTH)] {
        let lake = lake(&mesh, &s3, &format!("s3://{domain}-lake/data/"), &key);
        let contracts = ["alike", "unlike"].map(|table| {
            let location = format!("s3://{domain}-lake/data/{table}.parquet");
            contract(table, "parquet", &location, READINGS)
        });
        mesh = mesh.domain_on(domain, &lake, ALL_TO_ANA, &[&contracts[0], &contracts[1]]);
    }
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", PASSWORD).await;
    for _ in 0..2 {
        for (table, south_rows) in [("alike", "1000"), ("unlike", "2000")] {
            for (domain, from, rows, value) in
                [("north", 0, "1000", "1"), ("south", 5000, south_rows, "2")]
            {
                let table = format!("{domain}.{table}");
                let whole = format!("SELECT count(*) FROM {table} WHERE value = {value}");
                assert_eq!(ana.value(&whole).await, rows, "{table}");
                let one = format!("SELECT sum(value) FROM {table} WHERE id = {}", from + 450);
                assert_eq!(ana.value(&one).await, value, "{table}");
                let span = format!("SELECT max(id) - min(id) FROM {table}");
                let all: i64 = rows.parse().unwrap();
                assert_eq!(ana.value(&span).await, (all - 1).to_string(), "{table}");
            }
        }
        let both =
            "SELECT count(*) FROM north.alike AS n JOIN south.alike AS s ON n.id + 5000 = s.id";
        assert_eq!(ana.value(both).await, "1000");
        let none = "SELECT count(*) FROM north.unlike AS n JOIN south.unlike AS s ON n.id = s.id";
        assert_eq!(ana.value(none).await, "0");
    }
}
