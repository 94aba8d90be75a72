//! The governed meshes: one visible part, and hidden data that differs from
//! mesh to mesh in amount, in place and in every value.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use weft_engine::{CatalogConfig, Engine, EngineConfig, LiveMesh};
use weft_policy::{Principal, PrincipalId};

use crate::support::{self, MeshDir, contract};

/// Visible rows of every mesh but those that hide all.
pub(super) const VISIBLE: i64 = 60;
const ROW_GROUPS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Csv,
}

/// How many rows the policy hides, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Tenth,
    Half,
    Ninety,
    /// Half of the rows, by a predicate that the engine takes for expensive.
    Like,
    All,
    /// All of other rows.
    AllOthers,
}

impl Share {
    /// Those that show the same rows, and must answer alike.
    pub(super) const SIBLINGS: [&[Share]; 2] = [
        &[Share::Tenth, Share::Half, Share::Ninety, Share::Like],
        &[Share::All, Share::AllOthers],
    ];

    pub(super) fn visible(self) -> i64 {
        match self {
            Share::Tenth | Share::Half | Share::Ninety | Share::Like => VISIBLE,
            Share::All | Share::AllOthers => 0,
        }
    }

    fn hidden(self) -> i64 {
        match self {
            Share::Tenth => VISIBLE / 9,
            Share::Half => VISIBLE,
            Share::Ninety => VISIBLE * 9,
            Share::Like => VISIBLE + 7,
            Share::All => 120,
            Share::AllOthers => 31,
        }
    }

    /// Some so many that those whose footers exclude a filter are not opened.
    fn files(self) -> usize {
        match self {
            Share::Half | Share::Ninety | Share::All => 20,
            Share::Tenth | Share::Like | Share::AllOthers => 3,
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Share::Like => "region LIKE 'E%' AND tenant LIKE '%'",
            _ => "region = 'EU'",
        }
    }
}

/// A row of `sales.orders` as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) region: String,
    pub(super) tenant: Option<String>,
    pub(super) y: i64,
    pub(super) z: Option<i64>,
    pub(super) ssn: Option<String>,
    pub(super) email: Option<String>,
    /// In hundredths.
    pub(super) salary: i128,
    /// In units of 1e-10.
    pub(super) price: i128,
    /// Microseconds.
    pub(super) ts: i64,
    pub(super) stamp: String,
    pub(super) unit: String,
    pub(super) code: String,
    pub(super) note: String,
    pub(super) doc: Option<(String, i64)>,
    pub(super) tags: Vec<String>,
    /// `None` is a struct that is NULL.
    pub(super) card: Option<(String, i64)>,
    pub(super) margin: i64,
}

/// Day `n` of 2024.
fn day(n: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_micros(1_704_067_200_000_000).unwrap() + TimeDelta::days(n)
}

impl Row {
    /// The `n`th visible row. What is masked or not granted depends on `other`,
    /// and nothing that is shown does.
    pub(super) fn visible(n: i64, other: i64) -> Self {
        let tenants = ["acme", "globex", "initech"];
        Self {
            id: n * 10,
            region: "EU".into(),
            tenant: Some(tenants[usize::try_from(n % 3).unwrap()].into()),
            y: 1 + n % 5,
            z: (n % 13 != 12).then_some(n % 12),
            ssn: Some(format!("{:03}-{:02}-{:04}", 123 + other, 45 + other, n)),
            email: (other % 2 == 0 || n % 4 != 0).then(|| format!("u{n}@x{other}.example")),
            salary: i128::from((n % 7) * 1000 + (other * 137 + n) % 1000) * 100,
            price: i128::from(n * 3 + 1) * 10_000_000_000 + 5_000_000_000,
            ts: day(n % 40).timestamp_micros(),
            stamp: day(n % 40).format("%Y-%m-%dT%H:%M:%S").to_string(),
            unit: if n % 2 == 0 { "day" } else { "hour" }.into(),
            code: format!("{:04}", n % 50),
            note: format!("{},{}", n % 4, n % 9),
            doc: Some((format!("a{}", n % 4), 1 + n % 6)),
            tags: vec![(n % 3).to_string(), (n % 5).to_string()],
            card: (other % 3 != 0).then(|| (format!("4000-{}", n + other), 2030 + other)),
            margin: n * (other + 1),
        }
    }

    /// The `n`th hidden row, with traps of every kind.
    fn hidden(n: i64, other: i64) -> Self {
        let trap = n * 7 + other;
        let id = match trap % 3 {
            0 => -1 - n,
            1 => 200_000 + trap,
            _ => n * 10 + 1 + other,
        };
        Self {
            id,
            region: ["US", "DE", "ZZ"][usize::try_from(trap % 3).unwrap()].into(),
            tenant: (trap % 4 != 0).then(|| "secret-tenant".into()),
            y: [0, i64::MIN, 7, 0, -200][usize::try_from(trap % 5).unwrap()],
            z: Some([1_000_000 + trap, i64::MAX, -5, 0][usize::try_from(trap % 4).unwrap()]),
            ssn: Some(format!("secret-{trap}")),
            email: Some(format!("secret-{trap}@x.example")),
            salary: 10_i128.pow(28) - i128::from(trap),
            price: 10_i128.pow(37) * 9 + i128::from(trap),
            // Beyond what nanoseconds can hold.
            ts: 253_402_300_799_000_000 - trap * 1_000_000,
            stamp: format!("secret-stamp-{trap}"),
            unit: format!("secret-unit-{trap}"),
            code: format!("secret-{trap}"),
            note: "(".into(),
            doc: (trap % 2 == 0).then(|| (format!("secret-doc-{trap}"), 0)),
            tags: vec![format!("secret-tag-{trap}"); usize::try_from(trap % 3).unwrap()],
            card: Some((format!("secret-card-{trap}"), trap)),
            margin: i64::MAX - trap,
        }
    }
}

/// All rows of a mesh, hidden ones among and before the visible.
fn rows(share: Share, other: i64) -> Vec<Row> {
    let (visible, hidden) = (share.visible(), share.hidden());
    let mut rows = Vec::new();
    let mut shown = 0;
    for n in 0..hidden {
        rows.push(Row::hidden(n, other));
        // The visible rows come late, so that whole row groups are hidden.
        let due = visible * (n + 1 - hidden / 4).max(0) / (hidden - hidden / 4);
        while shown < due {
            rows.push(Row::visible(shown, other));
            shown += 1;
        }
    }
    assert_eq!(shown, visible);
    rows
}

/// The columns of a format: plain text holds nothing nested.
pub(super) struct Columns {
    pub(super) format: Format,
}

impl Columns {
    /// As the contract has them, `margin` last.
    pub(super) fn schema(&self) -> Schema {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let mut fields = vec![
            Field::new("id", DataType::Int64, false),
            text("region"),
            text("tenant"),
            Field::new("y", DataType::Int64, true),
            Field::new("z", DataType::Int64, true),
            text("ssn"),
            text("email"),
            Field::new("salary", DataType::Decimal128(30, 2), true),
            Field::new("price", DataType::Decimal128(38, 10), true),
            Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            text("stamp"),
            text("unit"),
            text("code"),
            text("note"),
        ];
        if self.format == Format::Parquet {
            let tag = Arc::new(Field::new("item", DataType::Utf8, true));
            fields.extend([
                Field::new("doc", DataType::Struct(pair("a", "b")), true),
                Field::new("tags", DataType::List(tag), true),
                Field::new("card", DataType::Struct(pair("no", "expires")), true),
            ]);
        }
        fields.push(Field::new("margin", DataType::Int64, true));
        Schema::new(fields)
    }

    fn contract(&self) -> String {
        let plain = "
- {name: id, physicalType: BIGINT, required: true}
- {name: region, physicalType: VARCHAR}
- {name: tenant, physicalType: VARCHAR}
- {name: y, physicalType: BIGINT}
- {name: z, physicalType: BIGINT}
- {name: ssn, physicalType: VARCHAR}
- {name: email, physicalType: VARCHAR}
- {name: salary, physicalType: \"DECIMAL(30,2)\"}
- {name: price, physicalType: \"DECIMAL(38,10)\"}
- {name: ts, physicalType: TIMESTAMP}
- {name: stamp, physicalType: VARCHAR}
- {name: unit, physicalType: VARCHAR}
- {name: code, physicalType: VARCHAR}
- {name: note, physicalType: VARCHAR}
";
        let nested = "
- {name: doc, logicalType: object, properties: [{name: a, logicalType: string}, {name: b, logicalType: integer}]}
- {name: tags, logicalType: array, items: {logicalType: string}}
- {name: card, logicalType: object, properties: [{name: no, logicalType: string}, {name: expires, logicalType: integer}]}
";
        let nested = if self.format == Format::Parquet {
            nested
        } else {
            ""
        };
        format!("{plain}{nested}- {{name: margin, physicalType: BIGINT}}\n")
    }

    pub(super) fn batch(&self, rows: &[Row]) -> RecordBatch {
        fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
            Arc::new(values.collect::<StringArray>())
        }
        fn ints(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
            Arc::new(values.collect::<Int64Array>())
        }
        let decimals = |value: fn(&Row) -> i128, precision, scale| -> ArrayRef {
            let values = Decimal128Array::from_iter_values(rows.iter().map(value));
            Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
        };
        let text = |value: fn(&Row) -> &String| texts(rows.iter().map(|r| Some(value(r).clone())));
        let mut columns = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))) as ArrayRef,
            text(|r| &r.region),
            texts(rows.iter().map(|r| r.tenant.clone())),
            ints(rows.iter().map(|r| Some(r.y))),
            ints(rows.iter().map(|r| r.z)),
            texts(rows.iter().map(|r| r.ssn.clone())),
            texts(rows.iter().map(|r| r.email.clone())),
            decimals(|r| r.salary, 30, 2),
            decimals(|r| r.price, 38, 10),
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                rows.iter().map(|r| r.ts),
            )),
            text(|r| &r.stamp),
            text(|r| &r.unit),
            text(|r| &r.code),
            text(|r| &r.note),
        ];
        if self.format == Format::Parquet {
            let structs = |fields: Fields, value: fn(&Row) -> &Option<(String, i64)>| -> ArrayRef {
                let first = texts(rows.iter().map(|r| value(r).as_ref().map(|v| v.0.clone())));
                let second = ints(rows.iter().map(|r| value(r).as_ref().map(|v| v.1)));
                let nulls = rows.iter().map(|r| value(r).is_some()).collect::<Vec<_>>();
                Arc::new(StructArray::new(
                    fields,
                    vec![first, second],
                    Some(nulls.into()),
                ))
            };
            columns.push(structs(pair("a", "b"), |r| &r.doc));
            let mut tags = ListBuilder::new(StringBuilder::new());
            for row in rows {
                tags.append_value(row.tags.iter().map(Some));
            }
            columns.push(Arc::new(tags.finish()));
            columns.push(structs(pair("no", "expires"), |r| &r.card));
        }
        columns.push(ints(rows.iter().map(|r| Some(r.margin))));
        RecordBatch::try_new(Arc::new(self.schema()), columns).unwrap()
    }
}

fn pair(text: &str, number: &str) -> Fields {
    Fields::from(vec![
        Field::new(text, DataType::Utf8, true),
        Field::new(number, DataType::Int64, true),
    ])
}

const REGIONS: &str = "region,rank\nEU,1\nUS,2\nZZ,3\n";
const PEOPLE: &str = "name,salary\nsecret-bob,1000\n0007,0\n";

/// A table in folders, of which `eu` sees one file of one kind; how much lies
/// beside it differs.
fn shards(mesh: &MeshDir, share: Share) {
    let file = |kind: &str, name: &str, text: &str| {
        mesh.write(
            &format!("domains/sales/data/shards/kind={kind}/{name}.csv"),
            text,
        );
    };
    file("EU", "0", "n,tenant\n1,acme\n2,acme\n");
    let rows = "0,secret-tenant\n".repeat(usize::try_from(share.hidden() * 20).unwrap());
    let kinds = ["EU", "US", "ZZ"];
    for n in 0..share as usize {
        file(
            kinds[n % 3],
            &format!("hidden-{n}"),
            &format!("n,tenant\n{rows}"),
        );
    }
}

/// The manifests and files of one mesh: `eu` is the attacker, `us` another one.
pub(super) fn mesh(format: Format, share: Share) -> MeshDir {
    let columns = Columns { format };
    let extension = match format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
    };
    let (nested, card) = match format {
        Format::Parquet => (", doc, tags, card", "    card: nullify\n"),
        Format::Csv => ("", ""),
    };
    let grants = format!(
        "- name: eu
  to: [user:eu]
  on: orders
  columns: [id, region, tenant, y, z, ssn, email, salary, price, ts, stamp, unit, code, note{nested}]
  rows: \"{}\"
  masks:
    ssn: show_last(4)
    email: nullify
    salary: bucket(1000)
{card}- name: us
  to: [user:us]
  on: orders
  columns: [id, region, y, code]
  rows: \"region = 'US'\"
- name: regions
  to: [user:eu, user:us]
  on: regions
  columns: [region, rank]
- name: shards
  to: [user:eu]
  on: shards
  columns: [n, kind]
  rows: \"tenant = 'acme'\"
",
        share.policy()
    );
    let orders = contract(
        "orders",
        extension,
        &format!("./data/orders-*.{extension}"),
        &columns.contract(),
    );
    let regions = contract(
        "regions",
        "csv",
        "./data/regions.csv",
        "- {name: region, physicalType: VARCHAR}\n- {name: rank, physicalType: BIGINT}\n",
    );
    let people = "- {name: name, physicalType: VARCHAR}\n- {name: salary, physicalType: BIGINT}\n";
    let shards_contract = contract(
        "shards",
        "csv",
        "./data/shards/**/*.csv",
        "- {name: n, physicalType: BIGINT}\n- {name: tenant, physicalType: VARCHAR}\n\
         - {name: kind, physicalType: VARCHAR, partitioned: true, partitionKeyPosition: 1}\n",
    );
    let secrets = contract("secrets", "csv", "./data/secrets.csv", people);
    let people = contract("people", "csv", "./data/people.csv", people);
    let mesh = MeshDir::new("acme")
        .user("eu", "pw-eu", &[], &[])
        .user("us", "pw-us", &[], &[])
        .user("nobody", "pw-nobody", &[], &[])
        .domain(
            "sales",
            &grants,
            &[&orders, &regions, &shards_contract, &secrets],
        )
        .domain("hr", "", &[&people]);
    mesh.write("domains/sales/data/regions.csv", REGIONS);
    mesh.write("domains/sales/data/secrets.csv", PEOPLE);
    mesh.write("domains/hr/data/people.csv", PEOPLE);
    shards(&mesh, share);
    let rows = rows(share, share as i64);
    write(&mesh.data("sales"), &columns, &rows, share.files());
    mesh
}

fn write(folder: &Path, columns: &Columns, rows: &[Row], files: usize) {
    let file_rows = rows.len().div_ceil(files);
    for (number, part) in rows.chunks(file_rows).enumerate() {
        let batch = columns.batch(part);
        match columns.format {
            Format::Parquet => support::parquet(
                &folder.join(format!("orders-{number}.parquet")),
                &[batch],
                part.len().div_ceil(ROW_GROUPS),
            ),
            Format::Csv => support::csv(&folder.join(format!("orders-{number}.csv")), &[batch]),
        }
    }
}

/// A mesh and an engine on it.
pub(super) struct World {
    pub(super) engine: Arc<Engine>,
    pub(super) principal: Arc<Principal>,
    _mesh: MeshDir,
}

impl World {
    pub(super) async fn open(format: Format, share: Share, partitions: usize) -> Self {
        let mesh = mesh(format, share);
        let live = LiveMesh::open(&mesh.mesh_file(), CatalogConfig::default())
            .await
            .unwrap();
        let snapshot = live.snapshot();
        let eu = PrincipalId::user("eu");
        let principal = snapshot.policy().authenticator().principal(&eu).unwrap();
        let config = EngineConfig {
            target_partitions: partitions,
            // Small batches beside many partitions: the evaluation of AND depends on them.
            batch_size: if partitions > 1 { 16 } else { 8192 },
            plan_timeout: std::time::Duration::from_secs(120),
            ..EngineConfig::default()
        };
        Self {
            engine: Engine::new(live, config).unwrap(),
            principal,
            _mesh: mesh,
        }
    }
}
