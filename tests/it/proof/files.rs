//! A world as a mesh in a folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Fields, Int64Type, Schema, SchemaRef, TimeUnit,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::interpreter::{Copy, SECRET};
use super::model::{
    Column, Effect, Format, GROUP, Guardrail, On, REGION, Type, USER, Value, World,
};

/// The files of a mesh: manifests as text, data as rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mesh {
    /// By path.
    pub(super) texts: BTreeMap<String, String>,
    pub(super) data: Vec<Data>,
}

/// The files of one table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Data {
    pub(super) folder: String,
    pub(super) format: Format,
    pub(super) files: usize,
    pub(super) columns: Vec<(&'static str, Type)>,
    pub(super) rows: Vec<Vec<Value>>,
    /// Bytes a row of a column that no contract declares; 0 without one.
    pub(super) undeclared: usize,
}

const UNDECLARED: &str = "undeclared";

impl Mesh {
    /// The same with a column more in every file, which no contract declares.
    pub(super) fn with_undeclared(mut self, bytes: usize) -> Self {
        for data in &mut self.data {
            data.undeclared = bytes;
        }
        self
    }

    pub(super) fn write(&self, folder: &Path) {
        for (path, text) in &self.texts {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for data in &self.data {
            data.write(&folder.join(&data.folder));
        }
    }
}

/// A world as the files of a mesh.
pub(super) fn mesh(world: &World) -> Mesh {
    let mut texts = BTreeMap::new();
    let mut domains: Vec<&str> = world.tables.iter().map(|table| table.domain).collect();
    domains.sort_unstable();
    domains.dedup();
    let mut mesh = "apiVersion: weft/v1\nkind: Mesh\nname: acme\nsecret: file:./secret\nguardrails: guardrails.yaml\ndomains:\n".to_owned();
    for domain in &domains {
        let _ = writeln!(mesh, "  - {domain}/domain.yaml");
    }
    let _ = write!(
        mesh,
        "identity:\n  users:\n    - name: {USER}\n      password: env:WEFT_NO_SUCH_VARIABLE\n      groups: [{GROUP}]\n      attributes:\n        region: {REGION}\n"
    );
    texts.insert("mesh.yaml".to_owned(), mesh);
    texts.insert("secret".to_owned(), SECRET.to_owned());
    texts.insert("guardrails.yaml".to_owned(), guardrails(world));
    let mut data = Vec::new();
    for domain in domains {
        texts.insert(format!("{domain}/domain.yaml"), format!("apiVersion: weft/v1\nkind: Domain\nname: {domain}\nstorage:\n  - name: local\n    url: ./data/\nproducts: [\"*.odcs.yaml\"]\ngrants: grants.yaml\nentitlements: {}\n", if domain == "d0" { "[ent]" } else { "[c]" }));
        texts.insert(format!("{domain}/grants.yaml"), grants(world, domain));
        for table in world.tables.iter().filter(|table| table.domain == domain) {
            texts.insert(
                format!("{domain}/{}.odcs.yaml", table.name),
                contract(domain, table.name, table.format, &table.columns),
            );
            data.push(Data {
                folder: format!("{domain}/data/{}", table.name),
                format: table.format,
                files: table.files,
                columns: table.columns.iter().map(|it| (it.name, it.of)).collect(),
                rows: table.rows.clone(),
                undeclared: 0,
            });
        }
    }
    Mesh { texts, data }
}

/// The authorised copies as a mesh of their own that hides nothing, written as
/// `like` is: what enters a scan depends on the format.
pub(super) fn open_mesh(copies: &[(String, Copy)], like: &Mesh) -> Mesh {
    let mut domains: BTreeMap<&str, Vec<(&str, &Copy)>> = BTreeMap::new();
    for (name, copy) in copies {
        let (domain, table) = name.split_once('.').unwrap();
        domains.entry(domain).or_default().push((table, copy));
    }
    let mut texts = BTreeMap::new();
    let mut mesh = "apiVersion: weft/v1\nkind: Mesh\nname: acme\ndomains:\n".to_owned();
    let mut data = Vec::new();
    for (domain, tables) in domains {
        let _ = writeln!(mesh, "  - {domain}/domain.yaml");
        texts.insert(format!("{domain}/domain.yaml"), format!("apiVersion: weft/v1\nkind: Domain\nname: {domain}\nstorage:\n  - name: local\n    url: ./data/\nproducts: [\"*.odcs.yaml\"]\ngrants: grants.yaml\n"));
        texts.insert(format!("{domain}/grants.yaml"), format!("apiVersion: weft/v1\nkind: Grants\ndomain: {domain}\ngrants:\n  - name: all\n    to: [everyone]\n    on: \"*\"\n    columns: \"*\"\n"));
        for (name, copy) in tables {
            let folder = format!("{domain}/data/{name}");
            let model = like.data.iter().find(|data| data.folder == folder);
            let (format, files) =
                model.map_or((Format::Parquet, 1), |data| (data.format, data.files));
            let columns: Vec<_> = copy
                .columns
                .iter()
                .map(|(name, of)| Column {
                    name,
                    of: *of,
                    tags: &[],
                })
                .collect();
            texts.insert(
                format!("{domain}/{name}.odcs.yaml"),
                contract(domain, name, format, &columns),
            );
            data.push(Data {
                folder,
                format,
                files,
                columns: copy.columns.clone(),
                rows: copy.rows.clone(),
                undeclared: 0,
            });
        }
    }
    texts.insert("mesh.yaml".to_owned(), mesh);
    Mesh { texts, data }
}

fn grants(world: &World, domain: &str) -> String {
    let mut out = format!("apiVersion: weft/v1\nkind: Grants\ndomain: {domain}\n");
    let own: Vec<_> = world
        .grants
        .iter()
        .filter(|grant| grant.domain == domain)
        .collect();
    out.push_str(if own.is_empty() {
        "grants: []\n"
    } else {
        "grants:\n"
    });
    for grant in own {
        let _ = writeln!(
            out,
            "  - name: {}\n    to: [{}]\n    on: {}\n    columns: [{}]",
            grant.name,
            grant.to,
            grant.table,
            grant.columns.join(", ")
        );
        if !grant.masks.is_empty() {
            out.push_str("    masks:\n");
            for (column, mask) in &grant.masks {
                let _ = writeln!(out, "      {column}: {:?}", mask.to_string());
            }
        }
        if let Some(rows) = &grant.rows {
            let _ = writeln!(out, "    rows: {}", quoted(&rows.to_string()));
        }
        if let Some(purpose) = grant.purpose {
            let _ = writeln!(out, "    purposes: [{purpose}]");
        }
        if grant.expired {
            out.push_str("    until: 2020-01-01\n");
        }
    }
    out
}

/// YAML's single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn guardrails(world: &World) -> String {
    let mut out = "apiVersion: weft/v1\nkind: Guardrails\n".to_owned();
    out.push_str(if world.guardrails.is_empty() {
        "guardrails: []\n"
    } else {
        "guardrails:\n"
    });
    for Guardrail {
        name,
        on,
        except,
        effect,
    } in &world.guardrails
    {
        let on = match on {
            On::Tag(tag) => format!("tags: [{tag}]"),
            On::Column(column) => format!("column: {column}"),
            On::Table(domain, table) => format!("tables: [{domain}.{table}]"),
            On::Domain(domain, column) => format!("domains: [{domain}]\n      column: {column}"),
        };
        let _ = writeln!(out, "  - name: {name}\n    on:\n      {on}");
        if let Some(except) = except {
            let _ = writeln!(out, "    except: [{except}]");
        }
        let _ = match effect {
            Effect::Rows(rows) => writeln!(out, "    rows: {}", quoted(&rows.to_string())),
            Effect::Mask(mask) => writeln!(out, "    mask: {:?}", mask.to_string()),
            Effect::Deny => writeln!(out, "    deny: true"),
            Effect::RequirePurpose => writeln!(out, "    requirePurpose: true"),
        };
    }
    out
}

fn contract(domain: &str, name: &str, format: Format, columns: &[Column]) -> String {
    let format = format.name();
    let mut out = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {domain}-{name}\nname: {name}\nversion: 1.0.0\nstatus: active\ndomain: {domain}\nservers:\n  - server: dev\n    type: local\n    path: ./data/{name}/*.{format}\n    format: {format}\nschema:\n  - name: {name}\n    logicalType: object\n    properties:\n"
    );
    for column in columns {
        let _ = writeln!(
            out,
            "      - name: {}\n        logicalType: {}",
            column.name,
            column.of.logical(),
        );
        if let Some(physical) = column.of.physical() {
            let _ = writeln!(out, "        physicalType: {physical}");
        }
        if !column.tags.is_empty() {
            let _ = writeln!(out, "        tags: [{}]", column.tags.join(", "));
        }
        out.push_str(match column.of {
            Type::Doc => {
                "        properties:\n          - {name: a, logicalType: string}\n          - {name: b, logicalType: integer}\n"
            }
            Type::Tags => "        items: {logicalType: integer}\n",
            _ => "",
        });
    }
    out
}

impl Data {
    fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let parts = self.rows.len().div_ceil(self.files).max(1);
        for number in 0..self.files {
            let rows = self.rows.get(number * parts..).unwrap_or_default();
            let rows = &rows[..rows.len().min(parts)];
            let undeclared: Vec<String> = match self.undeclared {
                0 => Vec::new(),
                bytes => (0..rows.len())
                    .map(|row| format!("{row:0>bytes$}"))
                    .collect(),
            };
            match self.format {
                Format::Parquet => {
                    let mut batch = batch(&self.columns, rows, false);
                    if self.undeclared > 0 {
                        let fields = batch.schema().fields().iter().cloned().collect::<Vec<_>>();
                        let more = Arc::new(Field::new(UNDECLARED, DataType::Utf8, false));
                        let schema = Arc::new(Schema::new([vec![more], fields].concat()));
                        let more: ArrayRef = Arc::new(StringArray::from(undeclared));
                        let columns = [vec![more], batch.columns().to_vec()].concat();
                        batch = RecordBatch::try_new(schema, columns).unwrap();
                    }
                    let properties = WriterProperties::builder()
                        .set_max_row_group_row_count(Some(5))
                        .build();
                    let file = File::create(folder.join(format!("{number}.parquet"))).unwrap();
                    let mut writer =
                        ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
                    writer.write(&batch).unwrap();
                    writer.close().unwrap();
                }
                Format::Csv => {
                    let mut names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
                    names.extend((self.undeclared > 0).then_some(UNDECLARED));
                    let mut text = names.join(",") + "\n";
                    for (at, row) in rows.iter().enumerate() {
                        let cells: Vec<_> = row
                            .iter()
                            .map(|value| match value {
                                Value::Text(text) => format!("\"{}\"", text.replace('"', "\"\"")),
                                other => other.text(),
                            })
                            .chain(undeclared.get(at).cloned())
                            .collect();
                        text.push_str(&(cells.join(",") + "\n"));
                    }
                    fs::write(folder.join(format!("{number}.csv")), text).unwrap();
                }
                Format::Json => {
                    let mut text = String::new();
                    for (at, row) in rows.iter().enumerate() {
                        let cells = self.columns.iter().zip(row);
                        let more = undeclared
                            .get(at)
                            .map(|more| (UNDECLARED.to_owned(), more.clone().into()));
                        let object: serde_json::Map<_, _> = cells
                            .map(|((name, _), value)| ((*name).to_owned(), value.json()))
                            .chain(more)
                            .collect();
                        text.push_str(&(serde_json::Value::from(object).to_string() + "\n"));
                    }
                    fs::write(folder.join(format!("{number}.json")), text).unwrap();
                }
            }
        }
    }
}

/// Rows as a batch; `views` gives strings the layout that scans give them.
pub(super) fn batch(
    columns: &[(&'static str, Type)],
    rows: &[Vec<Value>],
    views: bool,
) -> RecordBatch {
    let schema = schema(columns, views);
    let arrays = columns.iter().enumerate().map(|(at, (_, of))| {
        let cells = || rows.iter().map(|row| &row[at]);
        let int = |value: &Value| {
            if let Value::Int(value) = value {
                Some(*value)
            } else {
                None
            }
        };
        let text = |value: &Value| {
            if let Value::Text(text) = value {
                Some(text.clone())
            } else {
                None
            }
        };
        let array: ArrayRef = match of {
            Type::Bool => Arc::new(BooleanArray::from_iter(cells().map(|value| {
                if let Value::Bool(value) = value {
                    Some(*value)
                } else {
                    None
                }
            }))),
            Type::Int32 => {
                Arc::new(Int32Array::from_iter(cells().map(|value| {
                    int(value).map(|value| i32::try_from(value).unwrap())
                })))
            }
            Type::Int64 => Arc::new(Int64Array::from_iter(cells().map(int))),
            Type::Decimal => Arc::new(
                Decimal128Array::from_iter(cells().map(|value| {
                    if let Value::Decimal(value) = value {
                        Some(*value)
                    } else {
                        None
                    }
                }))
                .with_precision_and_scale(12, 2)
                .unwrap(),
            ),
            Type::Date => Arc::new(Date32Array::from_iter(cells().map(|value| {
                if let Value::Date(value) = value {
                    Some(*value)
                } else {
                    None
                }
            }))),
            Type::Timestamp => Arc::new(
                TimestampMicrosecondArray::from_iter(cells().map(|value| {
                    if let Value::Timestamp(value) = value {
                        Some(*value)
                    } else {
                        None
                    }
                }))
                .with_timezone("UTC"),
            ),
            Type::Float => Arc::new(Float64Array::from_iter(cells().map(|value| {
                if let Value::Float(quarters) = value {
                    Some(*quarters as f64 / 4.0)
                } else {
                    None
                }
            }))),
            Type::Doc => {
                let doc = |value: &Value| {
                    if let Value::Doc(a, b) = value {
                        Some((a.clone(), *b))
                    } else {
                        None
                    }
                };
                let a = cells().map(|value| doc(value).and_then(|(a, _)| a));
                let b = cells().map(|value| doc(value).and_then(|(_, b)| b));
                let parts: Vec<ArrayRef> = vec![
                    Arc::new(StringArray::from_iter(a)),
                    Arc::new(Int64Array::from_iter(b)),
                ];
                let known = cells().map(|value| doc(value).is_some()).collect();
                Arc::new(StructArray::new(doc_fields(), parts, Some(known)))
            }
            Type::Tags => Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                cells().map(|value| {
                    if let Value::Tags(tags) = value {
                        Some(tags.iter().map(|tag| Some(*tag)))
                    } else {
                        None
                    }
                }),
            )),
            Type::Text if views => Arc::new(StringViewArray::from_iter(cells().map(text))),
            Type::Text => Arc::new(StringArray::from_iter(cells().map(text))),
        };
        array
    });
    RecordBatch::try_new(schema, arrays.collect()).unwrap()
}

fn doc_fields() -> Fields {
    vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Int64, true),
    ]
    .into()
}

fn schema(columns: &[(&'static str, Type)], views: bool) -> SchemaRef {
    let fields = columns.iter().map(|(name, of)| {
        let of = match of {
            Type::Bool => DataType::Boolean,
            Type::Int32 => DataType::Int32,
            Type::Int64 => DataType::Int64,
            Type::Decimal => DataType::Decimal128(12, 2),
            Type::Date => DataType::Date32,
            Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Type::Float => DataType::Float64,
            Type::Doc => DataType::Struct(doc_fields()),
            Type::Tags => DataType::List(Arc::new(Field::new("item", DataType::Int64, true))),
            Type::Text if views => DataType::Utf8View,
            Type::Text => DataType::Utf8,
        };
        Field::new(*name, of, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
