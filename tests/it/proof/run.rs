//! What can be observed of a query: governed, and on the authorised copy.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use weft_catalog::{CatalogConfig, LiveMesh, UserPushdown};
use weft_engine::{Engine, EngineConfig, SessionOptions};
use weft_mesh::Purpose;
use weft_policy::{Principal, PrincipalId};

use super::interpreter::Copy;
use super::model::{GROUP, REGION, USER};
use super::{below, faults, files};

/// Column names and rows, sorted; or an error.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Rows(Vec<String>, Vec<String>),
    Error(String),
    /// A fault of the engine, and right only where the copy finds it as well.
    Internal(String),
    /// A wall with a hole, never right: a plan that the verifier refuses, a
    /// value below a NULL.
    Broken(String),
}

impl Outcome {
    pub(super) fn is_error(&self) -> bool {
        !matches!(self, Self::Rows(..))
    }
}

/// A mesh that is served, and its one user.
pub(super) struct Governed {
    engine: Arc<Engine>,
    options: SessionOptions,
}

impl Governed {
    pub(super) async fn open(folder: &Path, setting: &Setting) -> Self {
        faults::listen();
        let config = CatalogConfig {
            refresh: Duration::from_secs(3600),
            ..CatalogConfig::default()
        };
        let live = LiveMesh::open(&folder.join("mesh.yaml"), config)
            .await
            .unwrap();
        assert!(
            live.snapshot().domains().next().is_some(),
            "no domain is served: {folder:?}"
        );
        let config = EngineConfig {
            target_partitions: setting.partitions,
            batch_size: setting.batch_size,
            user_pushdown: setting.user_pushdown,
            ..EngineConfig::default()
        };
        let purpose = setting
            .purpose
            .as_deref()
            .map(|it| Purpose::parse(it).unwrap());
        Self {
            engine: Engine::new(live, config).unwrap(),
            options: SessionOptions {
                purpose,
                ..SessionOptions::default()
            },
        }
    }

    pub(super) async fn run(&self, sql: &str) -> Outcome {
        let groups = [GROUP.to_owned()].into();
        let attributes = [("region".to_owned(), REGION.to_owned())].into();
        let eve = Arc::new(Principal::new(PrincipalId::user(USER), groups, attributes));
        let run = async {
            let session = self.engine.session(eve, self.options.clone())?;
            let query = session.plan(sql).await?.execute().await?;
            let schema = query.schema();
            let batches: Vec<RecordBatch> = query.try_collect().await?;
            weft_engine::Result::Ok((schema, batches))
        };
        match run.await {
            Ok((schema, batches)) => {
                if let Some(found) = below::nulls(&batches) {
                    return Outcome::Broken(format!("below a NULL stands {found}"));
                }
                let names = schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
                Outcome::Rows(names, rows(&batches))
            }
            Err(error @ weft_engine::Error::Internal { .. }) => {
                let text = error.to_string();
                let detail = faults::detail(&text).unwrap_or(text);
                if faults::is_refusal(&detail) {
                    Outcome::Broken(detail)
                } else {
                    Outcome::Internal(detail)
                }
            }
            Err(error) => Outcome::Error(error.to_string()),
        }
    }
}

/// How queries run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) partitions: usize,
    pub(super) batch_size: usize,
    pub(super) purpose: Option<String>,
    pub(super) user_pushdown: UserPushdown,
}

/// The authorised copy in an engine that knows nothing of policy.
pub(super) struct Plain(SessionContext);

impl Plain {
    pub(super) fn of(context: SessionContext) -> Self {
        Self(context)
    }

    #[expect(clippy::disallowed_methods, reason = "the reference has no policy")]
    pub(super) fn open(copies: &[(String, Copy)], partitions: usize, batch_size: usize) -> Self {
        let mut config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_batch_size(batch_size)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("acme", "");
        config.options_mut().execution.time_zone = Some("+00:00".to_owned());
        let context = SessionContext::new_with_config(config);
        // Some functions follow the time zone once they have been told of it.
        let state = context.state();
        for function in state.scalar_functions().values() {
            if let Some(told) = function.inner().with_updated_config(state.config_options()) {
                context.register_udf(told);
            }
        }
        let catalog = MemoryCatalogProvider::new();
        for (name, copy) in copies {
            let (domain, table) = name.split_once('.').unwrap();
            if catalog.schema(domain).is_none() {
                catalog
                    .register_schema(domain, Arc::new(MemorySchemaProvider::new()))
                    .unwrap();
            }
            let batch = files::batch(&copy.columns, &copy.rows, true);
            let parts = batch.num_rows().div_ceil(partitions).max(1);
            let slices = (0..partitions)
                .map(|at| (at * parts).min(batch.num_rows()))
                .map(|from| vec![batch.slice(from, parts.min(batch.num_rows() - from))])
                .collect();
            let held = MemTable::try_new(batch.schema(), slices).unwrap();
            catalog
                .schema(domain)
                .unwrap()
                .register_table(table.to_owned(), Arc::new(held))
                .unwrap();
        }
        context.register_catalog("acme", Arc::new(catalog));
        Self(context)
    }

    #[expect(clippy::disallowed_methods, reason = "the reference has no policy")]
    pub(super) async fn run(&self, sql: &str) -> Outcome {
        let run = async {
            let frame = self.0.sql(sql).await?;
            let names = frame
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            datafusion::error::Result::Ok((names, frame.collect().await?))
        };
        let ran: datafusion::error::Result<(Vec<String>, Vec<RecordBatch>)> = run.await;
        match ran {
            Ok((names, batches)) => Outcome::Rows(names, rows(&batches)),
            Err(error) => {
                let text = error.to_string();
                // A fault of the engine's own, with or without a seal.
                if text.starts_with("Internal error") {
                    Outcome::Internal(text)
                } else {
                    Outcome::Error(text)
                }
            }
        }
    }
}

fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                if column.is_null(row) {
                    "∅".to_owned()
                } else {
                    array_value_to_string(column, row).unwrap()
                }
            });
            lines.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    lines.sort();
    lines
}
