//! The detector: a function that notes every value it is called on.
//!
//! It needs no error to happen. Registered three ways, because rules of the
//! engine treat them apart: as a plain function, as a volatile one, and as one
//! that wants to be near the leaves. The idea is that of PostgreSQL's tests
//! with `f_leak`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::Utc;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::CatalogProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ExpressionPlacement, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use tempfile::TempDir;
use weft_catalog::{CatalogConfig, GovernedCatalog, LiveMesh};
use weft_mesh::Purpose;
use weft_policy::{Principal, PrincipalId, Viewer};

use super::generate::{Disguise, MARKED};
use super::interpreter::authorised;
use super::model::{GROUP, REGION, USER, Value, World};
use super::rng::Rng;
use super::sql::{self, Visible};
use super::{files, generate};

/// Every place of a query; `p` is the detector, `t` the table, `y` a number.
const SHAPES: &[&str] = &[
    "SELECT p(y) FROM t",
    "SELECT id FROM t WHERE p(y) > 0",
    "SELECT id, p(y) + 1 FROM t WHERE id > 3",
    "SELECT id FROM t WHERE id < 30 AND p(y) > 0 AND region LIKE 'E%'",
    "SELECT id FROM t ORDER BY p(y) LIMIT 3",
    "SELECT id FROM t ORDER BY p(y) DESC, id",
    "SELECT p(y), count(*) FROM t GROUP BY p(y)",
    "SELECT region, count(*) FROM t GROUP BY GROUPING SETS ((region), (p(y)))",
    "SELECT max(p(y)), sum(p(id)) FILTER (WHERE p(y) > 1) FROM t",
    "SELECT id FROM t GROUP BY id HAVING max(p(y)) > 1",
    "SELECT id, rank() OVER (PARTITION BY p(y) ORDER BY p(id)) FROM t",
    "SELECT id, lag(p(y)) OVER (ORDER BY id) FROM t",
    "SELECT a.id FROM t a JOIN t b ON p(a.y) = p(b.id)",
    "SELECT a.id FROM t a LEFT JOIN t b ON p(a.y) = b.id AND p(b.y) > 2",
    "SELECT a.id FROM t a FULL JOIN t b ON p(a.y) = p(b.y)",
    "SELECT a.id FROM t a LEFT ANTI JOIN t b ON p(a.y) = p(b.id)",
    "SELECT v.k FROM (VALUES (1), (2)) v(k) RIGHT JOIN t ON p(t.y) = v.k",
    "SELECT id FROM t WHERE id IN (SELECT p(y) FROM t)",
    "SELECT id FROM t o WHERE EXISTS (SELECT 1 FROM t i WHERE i.id = o.id AND p(i.y) > 0)",
    "SELECT id FROM t o WHERE y > (SELECT max(p(i.y)) FROM t i WHERE i.id = o.id)",
    "SELECT (SELECT min(p(y)) FROM t) FROM t",
    "SELECT id FROM t UNION ALL SELECT p(y) FROM t",
    "SELECT id FROM t EXCEPT SELECT p(y) FROM t",
    "SELECT DISTINCT p(y) FROM t",
    "SELECT CASE WHEN p(y) > 1 THEN p(id) ELSE 0 END FROM t",
    "WITH a AS (SELECT * FROM t WHERE p(y) > 0), b AS (SELECT * FROM a WHERE p(id) > 1) SELECT count(*) FROM b",
    "SELECT * FROM (SELECT id, p(y) AS w FROM t) WHERE w > 2 LIMIT 2",
    "SELECT count(*) FROM t, LATERAL (SELECT count(*) AS n FROM t i WHERE p(i.y) > 0) l WHERE l.n > 0",
    "SELECT coalesce(p(y), p(id)) FROM t",
];

type Seen = Arc<Mutex<BTreeSet<i64>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Plain,
    Volatile,
    Leafward,
}

const WAYS: [Way; 3] = [Way::Plain, Way::Volatile, Way::Leafward];

#[derive(Debug)]
struct Peek {
    seen: Seen,
    way: Way,
    signature: Signature,
}

impl PartialEq for Peek {
    fn eq(&self, other: &Self) -> bool {
        self.way == other.way
    }
}

impl Eq for Peek {}

impl std::hash::Hash for Peek {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.way.hash(state);
    }
}

impl Peek {
    fn detector(way: Way) -> (ScalarUDF, Seen) {
        let seen = Seen::default();
        let volatility = match way {
            Way::Volatile => Volatility::Volatile,
            Way::Plain | Way::Leafward => Volatility::Immutable,
        };
        let signature = Signature::exact(vec![DataType::Int64], volatility);
        (
            ScalarUDF::from(Self {
                seen: Arc::clone(&seen),
                way,
                signature,
            }),
            seen,
        )
    }
}

impl ScalarUDFImpl for Peek {
    fn name(&self) -> &'static str {
        "p"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn placement(&self, _: &[ExpressionPlacement]) -> ExpressionPlacement {
        match self.way {
            Way::Leafward => ExpressionPlacement::MoveTowardsLeafNodes,
            Way::Plain | Way::Volatile => ExpressionPlacement::KeepInPlace,
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let numbers = array.as_primitive::<Int64Type>();
        self.seen.lock().unwrap().extend(numbers.iter().flatten());
        Ok(args.args[0].clone())
    }
}

fn context(way: Way, partitions: usize, batch_size: usize) -> (SessionContext, Seen) {
    let mut config = SessionConfig::new();
    // A reader that filters while it reads would be the first to call it.
    config.options_mut().execution.parquet.pushdown_filters = true;
    config.options_mut().execution.parquet.reorder_filters = true;
    let config = config
        .with_target_partitions(partitions)
        .with_batch_size(batch_size)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("acme", "d0");
    let context = SessionContext::new_with_config(config);
    let (function, seen) = Peek::detector(way);
    context.register_udf(function);
    (context, seen)
}

#[expect(clippy::disallowed_methods, reason = "a session of the test's own")]
async fn run(context: &SessionContext, sql: &str) {
    // A value that fails has been seen all the same.
    if let Ok(frame) = context.sql(sql).await {
        let _ = frame.collect().await;
    }
}

/// A mesh that is served to one of its users.
struct Mesh {
    live: Arc<LiveMesh>,
    viewer: Viewer,
    _folder: TempDir,
}

impl Mesh {
    async fn open(world: &World) -> Self {
        let folder = TempDir::new().unwrap();
        files::mesh(world).write(folder.path());
        let live = LiveMesh::open(&folder.path().join("mesh.yaml"), CatalogConfig::default())
            .await
            .unwrap();
        let eve = Principal::new(
            PrincipalId::user(USER),
            [GROUP.to_owned()].into(),
            [("region".to_owned(), REGION.to_owned())].into(),
        );
        let viewer = Viewer::new(Arc::new(eve), Utc::now())
            .with_purpose(world.purpose.map(|it| Purpose::parse(it).unwrap()));
        Self {
            live,
            viewer,
            _folder: folder,
        }
    }

    fn context(&self, way: Way, world: &World) -> (SessionContext, Seen) {
        let (context, seen) = context(way, world.partitions, world.batch_size);
        let catalog = GovernedCatalog::new(&self.live.snapshot(), &self.viewer);
        #[expect(clippy::disallowed_methods, reason = "a session of the test's own")]
        context.register_catalog("acme", Arc::new(catalog) as Arc<dyn CatalogProvider>);
        (context, seen)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_function_sees_hidden_values() {
    let mut worlds = 0;
    let mut called = 0;
    for seed in 0..400 {
        let world = generate::world(&mut Rng::new(seed));
        let table = &world.tables[0];
        let has = |name: &str| table.position(name).is_some();
        let Some(copy) = authorised(&world, table) else {
            continue;
        };
        let shown = |name: &str| {
            copy.columns
                .iter()
                .any(|(it, of)| *it == name && *of == super::model::Type::Int64)
        };
        let hides = copy.rows.len() < table.rows.len() && !copy.rows.is_empty();
        if !(has("y")
            && shown("y")
            && shown("id")
            && copy.columns.iter().any(|(it, _)| *it == "region")
            && hides)
        {
            continue;
        }
        worlds += 1;
        let authorised: BTreeSet<i64> = copy
            .rows
            .iter()
            .flatten()
            .filter_map(|value| {
                if let Value::Int(value) = value {
                    Some(*value)
                } else {
                    None
                }
            })
            .collect();
        let mesh = Mesh::open(&world).await;
        for way in WAYS {
            let (context, seen) = mesh.context(way, &world);
            for shape in SHAPES {
                run(&context, &over(shape, table.name)).await;
                let seen = std::mem::take(&mut *seen.lock().unwrap());
                called += seen.len();
                let hidden: Vec<_> = seen.difference(&authorised).collect();
                assert!(
                    hidden.is_empty(),
                    "seed {seed}, {way:?}, {shape}: saw {hidden:?}"
                );
            }
        }
        if worlds == 6 {
            break;
        }
    }
    assert!(
        worlds >= 3 && called > 100,
        "{worlds} worlds, {called} values"
    );
}

/// Random queries with the detector around their columns, over hidden data
/// that is marked.
#[tokio::test(flavor = "multi_thread")]
async fn no_function_in_a_random_query_sees_hidden_values() {
    let seed = super::seed();
    let mut called = 0;
    for number in 0..12 {
        let mut rng = Rng::new(seed.wrapping_add(number));
        let world = generate::world(&mut rng);
        let world = generate::disguised(&mut rng, &world, Disguise::Traps);
        let visible: Vec<Visible> = super::oracles::copies(&world)
            .into_iter()
            .map(|(name, copy)| Visible {
                name,
                columns: copy.columns,
            })
            .collect();
        if visible.is_empty() {
            continue;
        }
        let mesh = Mesh::open(&world).await;
        for way in WAYS {
            let (context, seen) = mesh.context(way, &world);
            for _ in 0..12 {
                let query = sql::query(&mut rng, &visible).calling("p").to_string();
                run(&context, &query).await;
                let seen = std::mem::take(&mut *seen.lock().unwrap());
                called += seen.len();
                let hidden = seen.range(MARKED..MARKED + 1000).next();
                assert!(
                    hidden.is_none(),
                    "WEFT_PROVE_SEED={seed}, world {number}, {way:?}, {query}: saw {hidden:?}"
                );
            }
        }
    }
    assert!(called > 100, "{called} values");
}

/// The shape over the table under its own name.
fn over(shape: &str, table: &str) -> String {
    let own = format!("WITH t AS (SELECT * FROM d0.{table})");
    match shape.strip_prefix("WITH ") {
        Some(rest) => format!("{own}, {rest}"),
        None => format!("{own} {shape}"),
    }
}

/// On a view the detector sees what the view hides: it is not blind.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the leaky way on purpose")]
async fn the_detector_sees_through_a_view() {
    let world = generate::world(&mut Rng::new(3));
    let table = &world.tables[0];
    let columns: Vec<_> = table.columns.iter().map(|it| (it.name, it.of)).collect();
    let rows: Vec<Vec<Value>> = (0..60)
        .map(|number| {
            let cell = |(name, _): &(&str, _)| match *name {
                "id" => Value::Int(number),
                "region" => Value::Text(if number % 2 == 0 { "EU" } else { "US" }.to_owned()),
                _ => Value::Null,
            };
            columns.iter().map(cell).collect()
        })
        .collect();
    let batch = files::batch(&columns, &rows, true);
    let (context, seen) = context(Way::Plain, 1, 8192);
    let held = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    let catalog = datafusion::catalog::MemoryCatalogProvider::new();
    let schema = Arc::new(datafusion::catalog::MemorySchemaProvider::new());
    datafusion::catalog::SchemaProvider::register_table(
        schema.as_ref(),
        "raw".to_owned(),
        Arc::new(held),
    )
    .unwrap();
    catalog.register_schema("d0", schema).unwrap();
    context.register_catalog("acme", Arc::new(catalog));
    run(
        &context,
        "CREATE VIEW t AS SELECT * FROM raw WHERE region = 'EU'",
    )
    .await;
    run(&context, "SELECT id FROM t WHERE p(id) >= 0").await;
    let seen = seen.lock().unwrap().clone();
    assert!(seen.contains(&1), "the view hid it: {seen:?}");
    assert!(!seen.is_empty());
}
