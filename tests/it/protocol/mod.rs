//! Flight SQL over the wire: what clients send, and what they may rely on.

mod actions;
mod balanced;
mod handles;
mod handshake;
mod metadata;
mod planned;
mod prepared;
mod sessions;
mod statements;
mod transport;
mod wire_options;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};

use crate::support::{MeshDir, TestServer, contract, json_lines, parquet};

pub(crate) const ROWS: i64 = 1_000;

const ORDERS: &str = "
- {name: id, logicalType: integer, physicalType: BIGINT, required: true, primaryKey: true, description: Unique.}
- {name: region, logicalType: string, required: true}
- {name: amount, logicalType: number, physicalType: 'DECIMAL(12,2)'}
- {name: placed_at, logicalType: timestamp}
- {name: note, logicalType: string}
";

const PEOPLE: &str = "
- {name: id, logicalType: integer, required: true, primaryKey: true}
- {name: name, logicalType: string}
- {name: salary, logicalType: integer}
";

/// Ana sees the European orders without their notes; Bo sees everything; Cy sees
/// nothing; the service `bi` sees orders.
async fn start() -> (MeshDir, TestServer) {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    (mesh, server)
}

pub(crate) fn mesh() -> MeshDir {
    let mesh = MeshDir::new("acme")
        .user("ana", "pw-ana", &["analysts"], &[("region", "EU")])
        .user("bo", "pw-bo", &["hr"], &[])
        .user("cy", "pw-cy", &[], &[])
        .service("bi", "token-of-bi", &[], &[])
        .domain(
            "sales",
            "
- name: analysts
  to: [group:analysts]
  on: orders
  columns:
    except: [note]
  rows: \"region = session.attr('region')\"
- name: all
  to: [group:hr, service:bi]
  on: orders
  columns: '*'
",
            &[&contract(
                "orders",
                "parquet",
                "./data/orders/**/*.parquet",
                ORDERS,
            )],
        )
        .domain(
            "hr",
            "
- name: hr
  to: [group:hr]
  on: people
  columns: '*'
",
            &[&contract("people", "json", "./data/people.ndjson", PEOPLE)],
        );
    let orders = orders();
    for file in 0..2 {
        let half = orders.slice(file * 500, 500);
        let path = format!("orders/{file}.parquet");
        parquet(&mesh.data("sales").join(path), &[half], 100);
    }
    json_lines(&mesh.data("hr").join("people.ndjson"), &[people()]);
    mesh
}

fn orders() -> RecordBatch {
    let ids = || 0..ROWS;
    let amounts: Decimal128Array = ids()
        .map(|id| (id % 7 != 0).then_some(i128::from(id) * 100))
        .collect();
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        (
            "region",
            Arc::new(StringArray::from_iter_values(
                ids().map(|id| if id % 2 == 0 { "EU" } else { "US" }),
            )),
        ),
        (
            "amount",
            Arc::new(amounts.with_precision_and_scale(12, 2).unwrap()),
        ),
        (
            "placed_at",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(ids().map(|id| id * 3_600_000_000))
                    .with_timezone("UTC"),
            ),
        ),
        (
            "note",
            Arc::new(StringArray::from_iter_values(ids().map(|id| {
                format!("note number {id}, which is longer than a view's inline text")
            }))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .unwrap()
}

fn people() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec!["Ada", "Lin"]))),
        ("salary", Arc::new(Int64Array::from(vec![100, 200]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A query that nobody waits for.
const ENDLESS: &str = "SELECT a.id, b.id, c.id, d.id FROM sales.orders a \
    CROSS JOIN sales.orders b CROSS JOIN sales.orders c CROSS JOIN sales.orders d";
