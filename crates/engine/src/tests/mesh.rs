//! A mesh in a temporary folder and an engine over it.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use datafusion::arrow::{
    array::Array, compute::concat_batches, record_batch::RecordBatch,
    util::display::array_value_to_string,
};
use futures::TryStreamExt;
use tempfile::TempDir;
use weft_catalog::{CatalogConfig, LiveMesh};
use weft_policy::{Principal, PrincipalId};

use crate::{Engine, EngineConfig, Error, GovernedSession, Result, SessionOptions};

pub(super) struct Mesh {
    pub(super) engine: Arc<Engine>,
    folder: TempDir,
}

const FILES: [(&str, &str); 9] = [
    (
        "mesh.yaml",
        "apiVersion: weft/v1\nkind: Mesh\nname: acme\ndomains:\n  - sales/domain.yaml\n  - hr/domain.yaml\nidentity:\n  users: []\n",
    ),
    (
        "sales/domain.yaml",
        "apiVersion: weft/v1\nkind: Domain\nname: sales\nstorage:\n  - name: local\n    url: ./data/\nproducts: [orders.odcs.yaml]\ngrants: grants.yaml\n",
    ),
    (
        "sales/grants.yaml",
        "apiVersion: weft/v1\nkind: Grants\ndomain: sales\ngrants:\n  - name: eu\n    to: [user:ana]\n    on: orders\n    columns: [id, region, amount]\n    rows: region = 'EU'\n",
    ),
    ("sales/orders.odcs.yaml", ORDERS),
    (
        "sales/data/orders.csv",
        "id,region,amount,margin\n1,EU,10,1\n2,US,secret,2\n3,EU,30,3\n",
    ),
    (
        "hr/domain.yaml",
        "apiVersion: weft/v1\nkind: Domain\nname: hr\nstorage:\n  - name: local\n    url: ./data/\nproducts: [people.odcs.yaml]\ngrants: grants.yaml\n",
    ),
    (
        "hr/grants.yaml",
        "apiVersion: weft/v1\nkind: Grants\ndomain: hr\ngrants: []\n",
    ),
    ("hr/people.odcs.yaml", PEOPLE),
    ("hr/data/people.csv", "name,salary\nbob,1\n"),
];

const ORDERS: &str = "apiVersion: v3.1.0
kind: DataContract
id: 5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c11
name: Orders
version: 1.0.0
status: active
domain: sales
servers:
  - {server: dev, type: local, path: ./data/orders.csv, format: csv}
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: region, logicalType: string}
      - {name: amount, logicalType: string}
      - {name: margin, logicalType: integer}
";

const PEOPLE: &str = "apiVersion: v3.1.0
kind: DataContract
id: 5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c12
name: People
version: 1.0.0
status: active
domain: hr
servers:
  - {server: dev, type: local, path: ./data/people.csv, format: csv}
schema:
  - name: people
    logicalType: object
    properties:
      - {name: name, logicalType: string}
      - {name: salary, logicalType: integer}
";

impl Mesh {
    pub(super) async fn open() -> Self {
        Self::with(|config| config).await
    }

    pub(super) async fn with(configure: impl FnOnce(EngineConfig) -> EngineConfig) -> Self {
        Self::of(&FILES, configure).await
    }

    /// A mesh of these files: path and text.
    pub(super) async fn of(
        files: &[(&str, &str)],
        configure: impl FnOnce(EngineConfig) -> EngineConfig,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new("."))).unwrap();
            fs::write(path, text).unwrap();
        }
        let live = LiveMesh::open(&folder.path().join("mesh.yaml"), CatalogConfig::default())
            .await
            .unwrap();
        let config = EngineConfig {
            target_partitions: 2,
            plan_timeout: Duration::from_secs(60),
            ..EngineConfig::default()
        };
        Self {
            engine: Engine::new(live, configure(config)).unwrap(),
            folder,
        }
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(super) fn session(&self) -> GovernedSession {
        self.session_with(SessionOptions::default()).unwrap()
    }

    pub(super) fn session_with(&self, options: SessionOptions) -> Result<GovernedSession> {
        self.engine.session(ana(), options)
    }

    /// All rows of a statement, as text.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        rows(self.session().plan(sql).await?.execute().await?).await
    }

    pub(super) async fn error(&self, sql: &str) -> Error {
        match self.rows(sql).await {
            Ok(rows) => panic!("`{sql}` returned {} rows", rows.len()),
            Err(error) => error,
        }
    }
}

pub(super) fn ana() -> Arc<Principal> {
    Arc::new(Principal::new(
        PrincipalId::user("ana"),
        Default::default(),
        BTreeMap::new(),
    ))
}

pub(super) async fn rows(query: crate::RunningQuery) -> Result<Vec<String>> {
    let schema = query.schema();
    let batches: Vec<RecordBatch> = query.try_collect().await?;
    assert!(batches.iter().all(|batch| batch.schema() == schema));
    let all = concat_batches(&schema, &batches).unwrap();
    let text = |row: usize| {
        let cells = all.columns().iter().map(|column| {
            if column.is_null(row) {
                "∅".to_owned()
            } else {
                array_value_to_string(column, row).unwrap()
            }
        });
        cells.collect::<Vec<_>>().join("|")
    };
    Ok((0..all.num_rows()).map(text).collect())
}
