//! `system.caches`: what the server keeps so as not to do it again, for auditors of the mesh.
//!
//! Numbers of the whole server: they tell of no principal, statement or table, and would tell
//! anybody else whether others are at work.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use datafusion::arrow::{
    array::{ArrayRef, Int64Array},
    datatypes::DataType,
    record_batch::RecordBatch,
};
use futures::stream::BoxStream;
use weft_catalog::LiveMesh;

use super::{
    Look, SystemColumn, SystemTable,
    arrays::text,
    table::{batch_of, lazily},
};
use crate::{admission::Admission, error::Result, plan::RecentStatements};

/// How many plans wait for the call that runs them, and how often one was still right then.
#[derive(Clone, Default)]
pub(crate) struct KeptPlans(Arc<Plans>);

#[derive(Default)]
struct Plans {
    now: Arc<()>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A plan counts while it has this.
pub(crate) struct KeptPlan {
    _one: Arc<()>,
}

impl KeptPlans {
    pub(crate) fn keep(&self) -> KeptPlan {
        KeptPlan {
            _one: Arc::clone(&self.0.now),
        }
    }

    pub(crate) fn count(&self, is_hit: bool) {
        let counter = match is_hit {
            true => &self.0.hits,
            false => &self.0.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn row(&self) -> Row {
        Row {
            entries: Some(Arc::strong_count(&self.0.now).saturating_sub(1) as u64),
            hits: Some(self.0.hits.load(Ordering::Relaxed)),
            misses: Some(self.0.misses.load(Ordering::Relaxed)),
            ..Row::new("plans")
        }
    }
}

impl fmt::Debug for KeptPlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptPlans")
    }
}

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Caches {
    live: Weak<LiveMesh>,
    plans: KeptPlans,
    statements: Arc<RecentStatements>,
    admission: Admission,
}

struct Row {
    cache: &'static str,
    entries: Option<u64>,
    bytes: Option<u64>,
    most_bytes: Option<u64>,
    hits: Option<u64>,
    misses: Option<u64>,
}

impl Row {
    fn new(cache: &'static str) -> Self {
        Self {
            cache,
            entries: None,
            bytes: None,
            most_bytes: None,
            hits: None,
            misses: None,
        }
    }
}

impl Caches {
    pub(crate) fn new(
        live: &Arc<LiveMesh>,
        plans: &KeptPlans,
        statements: &Arc<RecentStatements>,
        admission: &Admission,
    ) -> Self {
        Self {
            live: Arc::downgrade(live),
            plans: plans.clone(),
            statements: Arc::clone(statements),
            admission: admission.clone(),
        }
    }

    fn of_all(&self) -> Vec<Row> {
        let Some(live) = self.live.upgrade() else {
            return Vec::new();
        };
        let kept = live.kept();
        let footers = kept.footers;
        let statements = self.statements.counts();
        let blocks = kept.blocks.map(|blocks| Row {
            most_bytes: Some(blocks.most_bytes),
            hits: Some(blocks.hits),
            misses: Some(blocks.misses),
            ..Row::new("blocks")
        });
        let mut rows: Vec<_> = blocks.into_iter().collect();
        rows.extend([
            Row {
                entries: Some(footers.entries),
                bytes: Some(footers.bytes),
                most_bytes: Some(footers.most_bytes),
                hits: Some(footers.hits),
                misses: Some(footers.misses),
                ..Row::new("footers")
            },
            Row {
                entries: Some(kept.listed_files),
                ..Row::new("listings")
            },
            self.plans.row(),
            Row {
                entries: Some(kept.known_sizes),
                ..Row::new("sizes")
            },
            Row {
                entries: Some(self.admission.slow_statements() as u64),
                ..Row::new("slow_statements")
            },
            Row {
                entries: Some(statements.entries as u64),
                bytes: Some(statements.bytes as u64),
                most_bytes: Some(statements.most_bytes as u64),
                hits: Some(statements.hits),
                misses: Some(statements.misses),
                ..Row::new("statements")
            },
        ]);
        rows
    }
}

impl SystemTable for Caches {
    fn name(&self) -> &'static str {
        "caches"
    }

    fn description(&self) -> &'static str {
        "What the server keeps so as not to do it again; for auditors of the mesh"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let number = |name, description| SystemColumn::new(name, DataType::Int64, description);
        vec![
            SystemColumn::new(
                "cache",
                DataType::Utf8,
                "blocks of files on disk where the server keeps some, footers of Parquet files, \
                 listings of files, plans that wait for their call, sizes of tables as \
                 principals see them, slow_statements of late, statements that are planned \
                 for whoever asks the same again",
            ),
            number(
                "entries",
                "how many of them there are; NULL where nobody counts them",
            )
            .nullable(),
            number("bytes", "what they take; NULL where nobody measures it").nullable(),
            number("most_bytes", "what they may take; likewise").nullable(),
            number(
                "hits",
                "how often one was there that was looked for, since the server began; NULL for \
                 what is always there",
            )
            .nullable(),
            number(
                "misses",
                "how often none was; of plans, how often one was there and no longer right",
            )
            .nullable(),
        ]
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let caches = self.clone();
        lazily(move || {
            let schema = SystemColumn::schema(&caches.columns());
            let rows = match look.snapshot.policy().is_auditor(&look.viewer.principal) {
                true => caches.of_all(),
                false => Vec::new(),
            };
            let batches = rows.chunks(look.batch_size.max(1)).map(|rows| {
                let all = |number: fn(&Row) -> Option<u64>| {
                    let numbers = rows.iter().map(|row| i64::try_from(number(row)?).ok());
                    Arc::new(numbers.collect::<Int64Array>()) as ArrayRef
                };
                let columns = vec![
                    text(rows.iter().map(|row| row.cache)),
                    all(|row| row.entries),
                    all(|row| row.bytes),
                    all(|row| row.most_bytes),
                    all(|row| row.hits),
                    all(|row| row.misses),
                ];
                batch_of(&schema, columns)
            });
            batches.collect()
        })
    }
}
