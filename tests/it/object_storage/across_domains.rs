//! One statement over three domains in three formats, one of them on S3, as four principals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;

use super::fixture::{lake, parquet_bytes};
use crate::support::{Key, MeshDir, TestClient, TestS3, TestServer, contract};

const SALES: Key = Key {
    id: "SALESKEYID",
    secret: "secret-of-sales",
    places: &["acme-sales/lake/"],
};

const STATEMENT: &str = "\
SELECT s.team, c.country, count(*) AS orders, sum(o.amount) AS amount \
FROM sales.orders AS o \
JOIN crm.customers AS c ON c.customer_id = o.customer_id \
JOIN hr.staff AS s ON s.staff_id = o.staff_id \
WHERE o.amount >= 100 \
GROUP BY s.team, c.country ORDER BY s.team, c.country";

const SALES_GRANTS: &str = "
- {name: own-region, to: [group:analysts], on: orders, columns: \"*\", rows: \"region = session.attr('region')\"}
- {name: books, to: [user:ben], on: orders, columns: \"*\"}
- name: dashboard
  to: [service:bi]
  on: orders
  columns: \"*\"
  masks: {amount: bucket(1000)}
- {name: small, to: [user:dan], on: orders, columns: \"*\", rows: \"amount < 2000\"}";

const CRM_GRANTS: &str = "
- {name: people, to: [group:analysts, user:ben], on: customers, columns: \"*\"}
- {name: germany, to: [service:bi], on: customers, columns: [customer_id, country], rows: \"country = 'DE'\"}
- {name: nowhere, to: [user:dan], on: customers, columns: \"*\", masks: {country: nullify}}";

const HR_GRANTS: &str = "
- {name: teams, to: [group:analysts, service:bi, user:ben], on: staff, columns: {except: [salary]}}
- {name: north, to: [user:dan], on: staff, columns: [staff_id, team], rows: \"team <> 'south'\"}";

const REGIONS: [&str; 3] = ["EU", "US", "APAC"];
const COUNTRIES: [&str; 4] = ["DE", "FR", "US", "JP"];
const TEAMS: [&str; 3] = ["north", "south", "west"];

#[derive(Clone, Debug)]
struct Order {
    customer: i64,
    staff: i64,
    region: &'static str,
    amount: i64,
}

fn orders() -> Vec<Order> {
    (0..600)
        .map(|n| Order {
            customer: n * 7 % 50,
            staff: n * 5 % 20,
            region: REGIONS[usize::try_from(n * 11 % 3).unwrap()],
            amount: n * 37 % 4000,
        })
        .collect()
}

fn country(customer: i64) -> &'static str {
    COUNTRIES[usize::try_from(customer % 4).unwrap()]
}

fn team(staff: i64) -> &'static str {
    TEAMS[usize::try_from(staff % 3).unwrap()]
}

/// What one principal sees, written by hand: an order's amount, a customer's country (which may
/// be NULL) and a team, each if it is there at all.
struct View {
    amount: fn(&Order) -> Option<i64>,
    country: fn(&'static str) -> Option<Option<&'static str>>,
    team: fn(&'static str) -> Option<&'static str>,
}

/// The statement on hand-filtered data. NULL sorts last.
fn expected(view: &View) -> Vec<String> {
    let mut groups: BTreeMap<(&str, bool, &str), (i64, i64)> = BTreeMap::new();
    for order in orders() {
        let Some(amount) = (view.amount)(&order).filter(|amount| *amount >= 100) else {
            continue;
        };
        let Some(country) = (view.country)(country(order.customer)) else {
            continue;
        };
        let Some(team) = (view.team)(team(order.staff)) else {
            continue;
        };
        let group = (team, country.is_none(), country.unwrap_or_default());
        let (count, sum) = groups.entry(group).or_default();
        *count += 1;
        *sum += amount;
    }
    let line = |((team, _, country), (count, sum))| format!("{team}|{country}|{count}|{sum}");
    groups.into_iter().map(line).collect()
}

async fn answer(client: &TestClient) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in client.query(STATEMENT).await.unwrap() {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter();
            let cells: Vec<_> = cells
                .map(|cell| array_value_to_string(cell, row).unwrap())
                .collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

async fn put_orders(s3: &TestS3) {
    let int = |name| Field::new(name, DataType::Int64, false);
    let fields = vec![
        int("order_id"),
        int("customer_id"),
        int("staff_id"),
        int("amount"),
    ];
    let schema = Arc::new(Schema::new(fields));
    for region in REGIONS {
        let rows: Vec<(i64, Order)> = (0..)
            .zip(orders())
            .filter(|(_, o)| o.region == region)
            .collect();
        let column = |of: &dyn Fn(&(i64, Order)) -> i64| {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
        };
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                column(&|(id, _)| *id),
                column(&|(_, order)| order.customer),
                column(&|(_, order)| order.staff),
                column(&|(_, order)| order.amount),
            ],
        )
        .unwrap();
        let key = format!("lake/orders/region={region}/part-0.parquet");
        s3.put("acme-sales", &key, parquet_bytes(&batch, 50)).await;
    }
}

fn put_customers(mesh: &MeshDir) {
    let mut csv = "customer_id,email,country\n".to_owned();
    for id in 0..50 {
        writeln!(csv, "{id},\"c{id}, of {0}@example.com\",{0}", country(id)).unwrap();
    }
    fs::write(mesh.data("crm").join("customers.csv"), csv).unwrap();
}

fn put_staff(mesh: &MeshDir) {
    let mut json = String::new();
    for id in 0..20 {
        let team = team(id);
        writeln!(
            json,
            r#"{{"staff_id": {id}, "team": "{team}", "salary": {}}}"#,
            id * 1000
        )
        .unwrap();
    }
    fs::write(mesh.data("hr").join("staff.ndjson"), json).unwrap();
}

fn acme(s3: &TestS3) -> MeshDir {
    let orders = contract(
        "orders",
        "parquet",
        "s3://acme-sales/lake/orders/**/*.parquet",
        "- {name: order_id, logicalType: integer, required: true}
- {name: customer_id, logicalType: integer, required: true}
- {name: staff_id, logicalType: integer, required: true}
- {name: amount, logicalType: integer, required: true}
- {name: region, logicalType: string, required: true, partitioned: true, partitionKeyPosition: 1}",
    );
    let customers = contract(
        "customers",
        "csv",
        "data/customers.csv",
        "- {name: customer_id, logicalType: integer, required: true}
- {name: email, logicalType: string}
- {name: country, logicalType: string}",
    );
    let staff = contract(
        "staff",
        "json",
        "data/staff.ndjson",
        "- {name: staff_id, logicalType: integer, required: true}
- {name: team, logicalType: string}
- {name: salary, logicalType: integer}",
    );
    let mesh = MeshDir::new("acme")
        .user("ana", "pw", &["analysts"], &[("region", "EU")])
        .user("ben", "pw", &[], &[])
        .user("dan", "pw", &[], &[])
        .service("bi", "token-of-bi", &[], &[]);
    let lake = lake(&mesh, s3, "s3://acme-sales/lake/", &SALES);
    mesh.domain_on("sales", &lake, SALES_GRANTS, &[&orders])
        .domain("crm", CRM_GRANTS, &[&customers])
        .domain("hr", HR_GRANTS, &[&staff])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_of_three_formats_is_what_each_of_four_principals_may_see() {
    let s3 = TestS3::start(&["acme-sales"], &[SALES]);
    put_orders(&s3).await;
    let mesh = acme(&s3);
    put_customers(&mesh);
    put_staff(&mesh);
    let server = TestServer::start(&mesh).await;
    assert_eq!(server.live.reload().await.faults.len(), 0);

    let ana = View {
        amount: |order| (order.region == "EU").then_some(order.amount),
        country: |country| Some(Some(country)),
        team: Some,
    };
    let ben = View {
        amount: |order| Some(order.amount),
        country: |country| Some(Some(country)),
        team: Some,
    };
    let bi = View {
        amount: |order| Some(order.amount / 1000 * 1000),
        country: |country| (country == "DE").then_some(Some(country)),
        team: Some,
    };
    let dan = View {
        amount: |order| (order.amount < 2000).then_some(order.amount),
        country: |_| Some(None),
        team: |team| (team != "south").then_some(team),
    };
    let principals = [
        (server.client("ana", "pw").await, ana),
        (server.client("ben", "pw").await, ben),
        (server.service("token-of-bi").await, bi),
        (server.client("dan", "pw").await, dan),
    ];
    let mut answers = Vec::new();
    for (client, view) in &principals {
        let answer = answer(client).await;
        assert_eq!(answer, expected(view));
        assert!(!answer.is_empty());
        assert!(!answers.contains(&answer), "two principals see the same");
        answers.push(answer);
    }

    // What nobody may count is not there for anybody.
    for (client, _) in &principals {
        let status = client.fails("SELECT sum(salary) FROM hr.staff").await;
        assert!(
            status.message().contains("column `salary` does not exist"),
            "{status:?}"
        );
    }
}
