//! The engine: what all sessions share.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use datafusion::{
    common::runtime::SpawnedTask,
    execution::{
        memory_pool::{GreedyMemoryPool, MemoryPool},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
};
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use uuid::Uuid;
use weft_catalog::{LiveMesh, MeshSnapshot};
use weft_mesh::ByteSize;
use weft_policy::{Limit, Owner, Principal, PrincipalId};

use crate::{
    admission::{Admission, Turns},
    config::{EngineConfig, SessionOptions},
    error::{Error, Result, classify},
    execute::{RunningQueries, end_what_is_revoked},
    memory::QueryPool,
    metrics::{Gauges, Metrics},
    plan::RecentStatements,
    runtime::QueryRuntime,
    session::{GovernedSession, NoObjectStores},
    system::{Caches, KeptPlans, SystemTable, SystemTables},
    trace,
};

/// Plans and runs queries of every principal over one live mesh.
#[derive(Debug)]
pub struct Engine {
    live: Arc<LiveMesh>,
    shared: Arc<Shared>,
    /// Ends running queries whose access has changed, where that is asked for.
    _revocation: Option<SpawnedTask<()>>,
}

/// Who makes a call, verified on the snapshot that the call is decided on.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose rights count, and theirs alone.
    pub principal: Arc<Principal>,
    /// The service that acts for the principal, if one does.
    pub acting: Option<PrincipalId>,
}

impl Caller {
    /// What the call makes belongs to the pair.
    pub fn owner(&self) -> Owner {
        Owner {
            principal: self.principal.id().clone(),
            acting: self.acting.clone(),
        }
    }
}

impl From<Arc<Principal>> for Caller {
    fn from(principal: Arc<Principal>) -> Self {
        Self {
            principal,
            acting: None,
        }
    }
}

/// What outlives a session: a running query holds it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) runtime: QueryRuntime,
    pub(crate) running: RunningQueries,
    pub(crate) admission: Admission,
    pub(crate) system: SystemTables,
    pub(crate) kept_plans: KeptPlans,
    pub(crate) recent: Arc<RecentStatements>,
    pub(crate) metrics: Metrics,
    memory: Arc<dyn MemoryPool>,
    environment: RuntimeEnv,
}

impl Engine {
    /// Starts the threads that plan and run.
    ///
    /// # Errors
    /// [`Internal`](crate::Error::Internal) if the system gives no threads or
    /// no directory for spilling, and for `kill_on_revoke` outside of a Tokio
    /// runtime.
    pub fn new(live: Arc<LiveMesh>, config: EngineConfig) -> Result<Arc<Self>> {
        let kill_on_revoke = config.kill_on_revoke;
        let shared = Shared::start(&live, config)?;
        let revocation = if kill_on_revoke {
            // On the caller's runtime: the threads for queries are kept busy by them.
            Handle::try_current().map_err(|error| Error::internal(&error))?;
            let watch = end_what_is_revoked(Arc::clone(&live), shared.running.clone());
            Some(SpawnedTask::spawn(watch))
        } else {
            None
        };
        Ok(Arc::new(Self {
            live,
            shared,
            _revocation: revocation,
        }))
    }

    /// The mesh as the next session will see it.
    pub fn snapshot(&self) -> Arc<MeshSnapshot> {
        self.live.snapshot()
    }

    /// Pins `principal` to the mesh of this instant. A session is for one
    /// statement or one metadata call: a later one sees later grants.
    ///
    /// # Errors
    /// [`NotFound`](crate::Error::NotFound) for a catalog or schema that is
    /// missing or hidden, [`InvalidArgument`](crate::Error::InvalidArgument)
    /// for a time zone that is none.
    pub fn session(
        &self,
        principal: Arc<Principal>,
        options: SessionOptions,
    ) -> Result<GovernedSession> {
        self.session_on(self.snapshot(), principal.into(), options)
    }

    /// The same on the snapshot that `caller` was verified on, so that nobody is
    /// held against another reading of the manifests than made them.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    pub fn session_on(
        &self,
        snapshot: Arc<MeshSnapshot>,
        caller: Caller,
        options: SessionOptions,
    ) -> Result<GovernedSession> {
        self.session_at(snapshot, caller, options, Utc::now())
    }

    /// The same at a moment of the caller's choice: for tests of access, which
    /// ask what will be seen when grants have ended.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    pub fn session_at(
        &self,
        snapshot: Arc<MeshSnapshot>,
        caller: Caller,
        options: SessionOptions,
        now: DateTime<Utc>,
    ) -> Result<GovernedSession> {
        let shared = Arc::clone(&self.shared);
        GovernedSession::open(shared, snapshot, caller, options, now)
    }

    /// Adds what an operator may want to know of statements, memory and domains. It says
    /// nothing of principals, statements and tables.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
        registry.register_collector(Box::new(Gauges {
            shared: Arc::clone(&self.shared),
            live: Arc::clone(&self.live),
        }));
    }

    /// Stops the running query `query_id`, if it runs and is of `owner`.
    pub fn cancel(&self, query_id: Uuid, owner: &Owner) -> bool {
        self.shared.running.cancel(query_id, owner)
    }
}

#[cfg(test)]
impl Engine {
    /// Statements that run and that wait.
    pub(crate) fn statements(&self) -> (usize, usize) {
        self.shared.admission.counts()
    }

    pub(crate) fn live(&self) -> &Arc<LiveMesh> {
        &self.live
    }

    /// How many statements are known, and how often one was asked again.
    pub(crate) fn recent(&self) -> (usize, u64) {
        let counts = self.shared.recent.counts();
        (counts.entries, counts.hits)
    }

    /// Tasks of running queries.
    pub(crate) fn running_tasks(&self) -> usize {
        let runtime = &self.shared.runtime;
        let tasks = |handle: &Handle| handle.metrics().num_alive_tasks();
        tasks(runtime.handle()) + tasks(runtime.long())
    }
}

impl Shared {
    pub(crate) fn start(live: &Arc<LiveMesh>, config: EngineConfig) -> Result<Arc<Self>> {
        let memory: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(config.memory_limit));
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&memory))
            .with_object_store_registry(Arc::new(NoObjectStores))
            .build()
            .map_err(classify)?;
        let runtime = QueryRuntime::start(config.target_partitions, config.statements)?;
        let admission = Admission::new(Turns {
            running: config.statements.max(1),
            of_one: config.statements.div_ceil(2).max(1),
            quick: config.quick_time,
            cores: config.target_partitions,
            waiting: config.waiting_statements,
            patience: config.queue_timeout,
        });
        let kept_plans = KeptPlans::default();
        let recent = Arc::<RecentStatements>::default();
        let caches = Caches::new(live, &kept_plans, &recent, &admission);
        let caches: Arc<dyn SystemTable> = Arc::new(caches);
        let mut system_tables = config.system_tables.clone();
        system_tables.push(caches);
        Ok(Arc::new(Self {
            system: SystemTables::new(&system_tables),
            kept_plans,
            recent,
            admission,
            config,
            runtime,
            running: RunningQueries::default(),
            metrics: Metrics::default(),
            memory,
            environment,
        }))
    }

    /// What all operators hold, in bytes.
    pub(crate) fn memory_reserved(&self) -> usize {
        self.memory.reserved()
    }

    /// What all operators have put on disk, in bytes.
    pub(crate) fn disk_used(&self) -> u64 {
        self.environment.disk_manager.used_disk_space()
    }

    /// Runs a `job` that plans the query, see [`QueryRuntime::plan`].
    pub(crate) async fn plan<T, J, F>(&self, query_id: Uuid, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let lines = trace::of_log(query_id);
        let planned = self.runtime.plan(self.config.plan_timeout, lines, job);
        self.timed(Box::pin(planned)).await
    }

    /// The same for a query that has a turn to run, and waits for none to be planned.
    pub(crate) async fn plan_again<T, J, F>(&self, query_id: Uuid, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let lines = trace::of_log(query_id);
        let planned = self.runtime.plan_now(self.config.plan_timeout, lines, job);
        self.timed(Box::pin(planned)).await
    }

    async fn timed<T>(&self, planning: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let planned = planning.await;
        self.metrics.planned(since);
        planned
    }

    /// The surroundings of one query: its own share of memory, no object store.
    pub(crate) fn query_environment(&self, limit: Option<&Limit<ByteSize>>) -> Arc<RuntimeEnv> {
        let own = self.config.query_memory_limit;
        let pool = QueryPool::new(Arc::clone(&self.memory), own, limit);
        Arc::new(RuntimeEnv {
            memory_pool: Arc::new(pool),
            ..self.environment.clone()
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.runtime.drop_there(self.recent.take());
    }
}
