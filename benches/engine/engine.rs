//! What planning with a seal and encoding a result cost: `make bench-engine`.
//!
//! Planning is that of the demo's mesh by a principal with rows and masks of its own, beside bare
//! DataFusion over the same files: from the text to a plan that can run.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, StringViewArray};
use arrow::record_batch::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::execution::options::{CsvReadOptions, ParquetReadOptions};
use datafusion::prelude::SessionContext;
use tokio::runtime::Runtime;
use weft_catalog::{CatalogConfig, LiveMesh};
use weft_engine::{Engine, EngineConfig, SessionOptions};
use weft_policy::{Principal, PrincipalId};

const STATEMENTS: [(&str, &str); 4] = [
    ("SELECT 1", "SELECT 1"),
    ("a row", "SELECT order_id, amount FROM sales.orders WHERE order_id = 17"),
    (
        "a group",
        "SELECT channel, count(*), sum(amount) FROM sales.orders GROUP BY channel ORDER BY channel",
    ),
    (
        "a join",
        "SELECT c.name, p.category, sum(o.amount) FROM sales.orders o \
         JOIN crm.customers c ON c.customer_id = o.customer_id \
         JOIN sales.products p ON p.sku = o.sku \
         WHERE o.quantity > 2 GROUP BY c.name, p.category ORDER BY 3 DESC LIMIT 10",
    ),
];

fn demo() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/demo"))
}

async fn sealed() -> Arc<Engine> {
    let manifest = demo().join("mesh.yaml");
    let live = LiveMesh::open(&manifest, CatalogConfig::default()).await;
    let live = live.expect("the demo is sound");
    Engine::new(live, EngineConfig::default()).expect("an engine")
}

fn ana() -> Arc<Principal> {
    Arc::new(Principal::new(
        PrincipalId::user("ana"),
        ["sales-analysts".to_owned()].into(),
        BTreeMap::from([("region".to_owned(), "EU".to_owned())]),
    ))
}

async fn bare() -> SessionContext {
    let context = SessionContext::new();
    for domain in ["sales", "crm"] {
        let create = format!("CREATE SCHEMA {domain}");
        context.sql(&create).await.expect("a schema");
    }
    for table in ["sales.orders", "crm.customers"] {
        let folder = demo().join("domains").join(table.replace('.', "/data/"));
        let folder = folder.to_str().expect("a path in UTF-8");
        let parquet = ParquetReadOptions::default();
        context.register_parquet(table, folder, parquet).await.expect("Parquet");
    }
    let products = demo().join("domains/sales/data/products.csv");
    let products = products.to_str().expect("a path in UTF-8");
    let csv = CsvReadOptions::new().delimiter(b';');
    context.register_csv("sales.products", products, csv).await.expect("CSV");
    context
}

fn plan(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (engine, bare) = runtime.block_on(async { (sealed().await, bare().await) });
    let ana = ana();
    let mut group = criterion.benchmark_group("plan");
    for (name, sql) in STATEMENTS {
        group.bench_function(format!("{name}, sealed"), |bench| {
            bench.iter(|| {
                let session = engine.session(Arc::clone(&ana), SessionOptions::default());
                let planned = session.expect("a session");
                let planned = runtime.block_on(planned.plan(sql)).expect("a plan");
                black_box(planned)
            });
        });
        group.bench_function(format!("{name}, bare"), |bench| {
            bench.iter(|| {
                let planned = runtime.block_on(async {
                    let query = bare.sql(sql).await.expect("a query");
                    query.create_physical_plan().await.expect("a plan")
                });
                black_box(planned)
            });
        });
    }
    group.finish();
}

/// Eight columns as they leave a query.
fn batch(rows: i64) -> RecordBatch {
    let numbers = || Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef;
    let amounts = Decimal128Array::from_iter_values((0..rows).map(i128::from))
        .with_precision_and_scale(15, 2)
        .expect("they fit");
    let days = (0..rows).map(|row| i32::try_from(row % 10_000).unwrap_or_default());
    let texts = |longest: i64| {
        let text = move |row| format!("{row:>width$}", width = (row % longest) as usize);
        Arc::new(StringViewArray::from_iter_values((0..rows).map(text))) as ArrayRef
    };
    RecordBatch::try_from_iter([
        ("order", numbers()),
        ("part", numbers()),
        ("price", Arc::new(amounts.clone()) as ArrayRef),
        ("tax", Arc::new(amounts) as ArrayRef),
        ("ordered", Arc::new(Date32Array::from_iter_values(days)) as ArrayRef),
        ("flag", texts(2)),
        ("mode", texts(12)),
        ("comment", texts(44)),
    ])
    .expect("columns of one length")
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for rows in [1, 8192, 100_000] {
        let batch = batch(rows);
        let messages = weft_server::messages(&batch).expect("messages");
        let bytes: usize = messages.iter().map(|it| it.data_body.len()).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("{rows} rows"), |bench| {
            bench.iter(|| weft_server::messages(black_box(&batch)).expect("messages"));
        });
    }
    group.finish();
}

criterion_group!(benches, plan, encode);
criterion_main!(benches);
