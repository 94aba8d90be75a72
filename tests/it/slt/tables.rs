//! The tables that a test file makes, as data products.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

use crate::support::{MeshDir, contract, parquet};

/// What the tables hold at one moment of a file: a domain of the mesh.
#[derive(Debug)]
pub(super) struct Moment {
    /// The domain's name.
    pub(super) name: String,
    tables: BTreeMap<String, RecordBatch>,
}

impl Moment {
    pub(super) fn new(file: &str, number: usize) -> Self {
        let plain = file.trim_end_matches(".slt").to_lowercase();
        let plain = plain.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        Self {
            name: format!("slt_{plain}_{number}"),
            tables: BTreeMap::new(),
        }
    }

    /// Whether it has this table, with these contents, or may have.
    pub(super) fn fits(&self, table: &str, contents: &RecordBatch) -> bool {
        // Names that differ by case alone are not for one domain.
        let same = |other: &str| other.eq_ignore_ascii_case(table);
        self.tables
            .iter()
            .filter(|(name, _)| same(name))
            .all(|(name, there)| name == table && there == contents)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(super) fn add(&mut self, table: &str, contents: RecordBatch) {
        self.tables.insert(table.to_owned(), contents);
    }

    /// Makes it a domain that gives everything to everybody.
    pub(super) fn write(&self, mesh: MeshDir) -> MeshDir {
        let contracts: Vec<_> = self
            .tables
            .iter()
            .map(|(table, contents)| {
                let schema = contents.schema();
                let columns: Vec<_> = schema
                    .fields()
                    .iter()
                    .map(|field| format!("- {}", property(field)))
                    .collect();
                contract(
                    table,
                    "parquet",
                    &format!("data/{table}.parquet"),
                    &columns.join("\n"),
                )
            })
            .collect();
        let contracts: Vec<_> = contracts.iter().map(String::as_str).collect();
        let grants: Vec<_> = self
            .tables
            .keys()
            .map(|table| {
                format!("- {{name: {table}, to: [everyone], on: {table}, columns: \"*\"}}")
            })
            .collect();
        let mesh = mesh.domain(&self.name, &grants.join("\n"), &contracts);
        for (table, contents) in &self.tables {
            let path = mesh.data(&self.name).join(format!("{table}.parquet"));
            parquet(&path, std::slice::from_ref(contents), 1 << 20);
        }
        mesh
    }

    /// DataFusion without weft, on the same files.
    pub(super) async fn bare(&self, mesh: &MeshDir) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(2);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let context = SessionContext::new_with_config(config);
        for (table, contents) in &self.tables {
            let path = mesh.data(&self.name).join(format!("{table}.parquet"));
            let schema = contents.schema();
            let options = ParquetReadOptions::default().schema(&schema);
            let table = format!("\"{table}\"");
            context
                .register_parquet(table.as_str(), path.to_str().unwrap(), options)
                .await
                .unwrap();
        }
        context
    }
}

/// A table's rows in the types that a contract can declare, or why not.
pub(super) fn storable(
    name: &str,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<RecordBatch, String> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain {
        return Err(format!("the name `{name}`"));
    }
    if schema.fields().is_empty() {
        return Err("a table without columns".to_owned());
    }
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| declarable_field(field))
        .collect::<Result<_, _>>()?;
    for (at, field) in fields.iter().enumerate() {
        let same = |other: &Field| other.name().eq_ignore_ascii_case(field.name());
        if field.name().is_empty() || fields[..at].iter().any(same) {
            return Err("columns whose names are equal but for case".to_owned());
        }
    }
    let declared = Arc::new(Schema::new(fields));
    let whole = arrow::compute::concat_batches(schema, batches).map_err(|e| e.to_string())?;
    let columns = whole
        .columns()
        .iter()
        .zip(declared.fields())
        .map(|(column, field)| cast(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    RecordBatch::try_new(declared, columns).map_err(|error| error.to_string())
}

fn declarable_field(field: &Field) -> Result<Field, String> {
    let data_type = declarable(field.data_type())?;
    Ok(Field::new(field.name(), data_type, field.is_nullable()))
}

fn declarable(data_type: &DataType) -> Result<DataType, String> {
    let list = |item: &Field| {
        let item = declarable(item.data_type())?;
        Ok(DataType::List(Arc::new(Field::new("item", item, true))))
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Ok(DataType::Binary),
        DataType::Dictionary(_, values) => declarable(values),
        DataType::RunEndEncoded(_, values) => declarable(values.data_type()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            Ok(DataType::Decimal128(*precision, *scale))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => list(item),
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields: Vec<Field> = fields
                .iter()
                .map(|field| declarable_field(field))
                .collect::<Result<_, _>>()?;
            Ok(DataType::Struct(Fields::from(fields)))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(data_type.to_string());
            };
            let [key, value] = [&pair[0], &pair[1]].map(|part| declarable(part.data_type()));
            let pair = Fields::from(vec![
                Field::new("key", key?, false),
                Field::new("value", value?, true),
            ]);
            let entries = Field::new("entries", DataType::Struct(pair), false);
            Ok(DataType::Map(Arc::new(entries), false))
        }
        plain => physical_type(plain).map(|_| plain.clone()),
    }
}

/// A column, as one item of a contract's `properties`.
fn property(field: &Field) -> String {
    let name = serde_json::to_string(field.name()).unwrap();
    let required = if field.is_nullable() {
        ""
    } else {
        ", required: true"
    };
    format!("{{name: {name}, {}{required}}}", typed(field.data_type()))
}

fn typed(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => {
            format!("logicalType: array, items: {{{}}}", typed(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| property(field)).collect();
            format!("logicalType: object, properties: [{}]", fields.join(", "))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                unreachable!("a map's entries are a struct");
            };
            format!(
                "logicalType: map, map: {{key: {{{}}}, value: {{{}}}}}",
                typed(pair[0].data_type()),
                typed(pair[1].data_type())
            )
        }
        plain => format!("physicalType: \"{}\"", physical_type(plain).unwrap()),
    }
}

fn physical_type(data_type: &DataType) -> Result<String, String> {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    Ok(match data_type {
        DataType::Utf8 => "TEXT".to_owned(),
        DataType::Binary => "BLOB".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "UINT8".to_owned(),
        DataType::UInt16 => "UINT16".to_owned(),
        DataType::UInt32 => "UINT32".to_owned(),
        DataType::UInt64 => "UINT64".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => {
            format!("TIMESTAMP({}) WITH TIME ZONE", digits(unit))
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)
            if *scale >= 0
                && (*precision > 38) == matches!(data_type, DataType::Decimal256(..)) =>
        {
            format!("DECIMAL({precision},{scale})")
        }
        other => return Err(other.to_string()),
    })
}
