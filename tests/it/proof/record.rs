//! A failing case as a file: all of it, so that it outlives the generator.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use weft_catalog::UserPushdown;

use super::files::{Data, Mesh};
use super::interpreter::Copy;
use super::model::{Format, Type, Value};
use super::oracles::Scene;
use super::run::Setting;

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/proof/regressions")
}

/// Writes a case beside the others; returns its path.
pub(super) fn write(name: &str, scene: &Scene, sql: &str) -> PathBuf {
    let case = json!({
        "sql": sql,
        "partitions": scene.setting.partitions,
        "batch_size": scene.setting.batch_size,
        "purpose": scene.setting.purpose,
        "one": mesh(&scene.one),
        "other": mesh(&scene.other),
        "bare": scene.bare.as_ref().map(mesh),
        "copies": scene.copies.iter().map(|(name, copy)| json!({
            "name": name,
            "columns": columns(&copy.columns),
            "rows": rows(&copy.rows),
            "hidden": copy.hidden,
        })).collect::<Vec<_>>(),
    });
    let path = folder().join(format!("{name}.json"));
    std::fs::write(&path, serde_json::to_string_pretty(&case).unwrap() + "\n").unwrap();
    path
}

pub(super) fn read(path: &Path) -> (Scene, String) {
    let case: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let number = |key: &str| usize::try_from(case[key].as_u64().unwrap()).unwrap();
    let copies = case["copies"].as_array().unwrap().iter().map(|it| {
        let columns = read_columns(&it["columns"]);
        let copy = Copy {
            rows: read_rows(&it["rows"], &columns),
            columns,
            hidden: serde_json::from_value(it["hidden"].clone()).unwrap(),
        };
        (it["name"].as_str().unwrap().to_owned(), copy)
    });
    let scene = Scene {
        one: read_mesh(&case["one"]),
        other: read_mesh(&case["other"]),
        bare: case.get("bare").filter(|it| !it.is_null()).map(read_mesh),
        copies: copies.collect(),
        setting: Setting {
            partitions: number("partitions"),
            batch_size: number("batch_size"),
            purpose: case["purpose"].as_str().map(str::to_owned),
            user_pushdown: UserPushdown::Leakproof,
        },
    };
    (scene, case["sql"].as_str().unwrap().to_owned())
}

fn mesh(mesh: &Mesh) -> Json {
    let data = mesh.data.iter().map(|data| {
        json!({
            "folder": data.folder,
            "format": format!("{:?}", data.format),
            "files": data.files,
            "columns": columns(&data.columns),
            "rows": rows(&data.rows),
            "undeclared": data.undeclared,
        })
    });
    json!({ "texts": mesh.texts, "data": data.collect::<Vec<_>>() })
}

fn read_mesh(json: &Json) -> Mesh {
    let data = json["data"].as_array().unwrap().iter().map(|it| {
        let columns = read_columns(&it["columns"]);
        Data {
            folder: it["folder"].as_str().unwrap().to_owned(),
            format: [Format::Parquet, Format::Csv, Format::Json]
                .into_iter()
                .find(|format| it["format"] == format!("{format:?}"))
                .unwrap(),
            files: usize::try_from(it["files"].as_u64().unwrap()).unwrap(),
            rows: read_rows(&it["rows"], &columns),
            columns,
            undeclared: usize::try_from(it["undeclared"].as_u64().unwrap_or(0)).unwrap(),
        }
    });
    Mesh {
        texts: serde_json::from_value(json["texts"].clone()).unwrap(),
        data: data.collect(),
    }
}

fn columns(columns: &[(&'static str, Type)]) -> Json {
    let pairs = columns
        .iter()
        .map(|(name, of)| ((*name).to_owned(), json!(format!("{of:?}"))));
    json!(
        pairs
            .map(|(name, of)| json!([name, of]))
            .collect::<Vec<_>>()
    )
}

fn read_columns(json: &Json) -> Vec<(&'static str, Type)> {
    const TYPES: [Type; 10] = [
        Type::Bool,
        Type::Int32,
        Type::Int64,
        Type::Decimal,
        Type::Date,
        Type::Timestamp,
        Type::Float,
        Type::Text,
        Type::Doc,
        Type::Tags,
    ];
    let pairs = json.as_array().unwrap().iter().map(|pair| {
        let name: &'static str = Box::leak(pair[0].as_str().unwrap().to_owned().into_boxed_str());
        let of = TYPES
            .into_iter()
            .find(|of| pair[1] == format!("{of:?}"))
            .unwrap();
        (name, of)
    });
    pairs.collect()
}

/// Numbers as they are, so that they stay exact.
fn rows(rows: &[Vec<Value>]) -> Json {
    let cell = |value: &Value| match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Decimal(value) => json!(i64::try_from(*value).unwrap()),
        Value::Date(value) => json!(value),
        Value::Timestamp(value) => json!(value),
        Value::Float(quarters) => json!(quarters),
        Value::Text(value) => json!(value),
        Value::Doc(a, b) => json!([a, b]),
        Value::Tags(tags) => json!(tags),
        Value::Broken(text) => json!({ "broken": text }),
    };
    json!(
        rows.iter()
            .map(|row| row.iter().map(cell).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    )
}

fn read_rows(json: &Json, columns: &[(&'static str, Type)]) -> Vec<Vec<Value>> {
    let cell = |(value, (_, of)): (&Json, &(&'static str, Type))| match (value, of) {
        (Json::Null, _) => Value::Null,
        (Json::Object(broken), _) => Value::Broken(broken["broken"].as_str().unwrap().to_owned()),
        (value, Type::Bool) => Value::Bool(value.as_bool().unwrap()),
        (value, Type::Int32 | Type::Int64) => Value::Int(value.as_i64().unwrap()),
        (value, Type::Decimal) => Value::Decimal(value.as_i64().unwrap().into()),
        (value, Type::Date) => Value::Date(i32::try_from(value.as_i64().unwrap()).unwrap()),
        (value, Type::Timestamp) => Value::Timestamp(value.as_i64().unwrap()),
        (value, Type::Float) => Value::Float(value.as_i64().unwrap()),
        (value, Type::Text) => Value::Text(value.as_str().unwrap().to_owned()),
        (value, Type::Doc) => {
            let (a, b) = serde_json::from_value(value.clone()).unwrap();
            Value::Doc(a, b)
        }
        (value, Type::Tags) => Value::Tags(serde_json::from_value(value.clone()).unwrap()),
    };
    let rows = json.as_array().unwrap().iter();
    rows.map(|row| {
        row.as_array()
            .unwrap()
            .iter()
            .zip(columns)
            .map(cell)
            .collect()
    })
    .collect()
}
