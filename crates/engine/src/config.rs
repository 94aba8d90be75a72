//! What the operator sets for the engine, and what a client sets for its session.

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use weft_catalog::UserPushdown;
use weft_mesh::Purpose;

use crate::system::SystemTable;

/// How the engine plans and runs; every field has a default.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// How long a statement runs unless its session says less.
    pub statement_timeout: Duration,
    /// How long planning may take, waiting for a turn included.
    pub plan_timeout: Duration,
    /// Bytes for the operators of all queries together.
    pub memory_limit: usize,
    /// Bytes for the operators of one query.
    pub query_memory_limit: usize,
    /// Statements that run at a time beyond their [`quick_time`](Self::quick_time); of one
    /// principal at most half of them. As many more that have just begun.
    pub statements: usize,
    /// How long a statement runs, with a core to itself, before it needs a turn among the long
    /// ones. One that finds none, and has returned no row yet, begins anew when it has one.
    pub quick_time: Duration,
    /// Statements that may wait to begin, and as many that wait for a turn among the long ones.
    pub waiting_statements: usize,
    /// How long one waits for its turn.
    pub queue_timeout: Duration,
    /// Partitions of a plan, and threads that run plans.
    pub target_partitions: usize,
    /// Rows a batch.
    pub batch_size: usize,
    /// Whether a running query ends when what it reads is no longer granted as
    /// it was. Otherwise it goes on to its end, on the mesh it began with.
    pub kill_on_revoke: bool,
    /// Which filters of users run where the data is read.
    pub user_pushdown: UserPushdown,
    /// Tables of the schema `system` beside those that the engine makes itself.
    pub system_tables: Vec<Arc<dyn SystemTable>>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let memory_limit = crate::memory::default_limit();
        // The standard library reads the quota of the cgroup.
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            statement_timeout: Duration::from_secs(10 * 60),
            plan_timeout: Duration::from_secs(30),
            memory_limit,
            query_memory_limit: memory_limit / 2,
            // So that one principal alone can use all cores.
            statements: 2 * cores.max(2),
            quick_time: Duration::from_millis(150),
            waiting_statements: 100,
            queue_timeout: Duration::from_secs(30),
            target_partitions: cores,
            batch_size: 8192,
            kill_on_revoke: false,
            user_pushdown: UserPushdown::default(),
            system_tables: Vec::new(),
        }
    }
}

/// What a client chooses for its session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// The default catalog; there is one, the mesh.
    pub catalog: Option<String>,
    /// Where an unqualified table name is looked up, and nowhere else.
    pub schema: Option<String>,
    /// An IANA name or an offset like `+02:00`; UTC unless told.
    pub timezone: Option<String>,
    /// At most the engine's own.
    pub statement_timeout: Option<Duration>,
    /// What the data is for: grants and guardrails may ask.
    pub purpose: Option<Purpose>,
}
