//! The engine: what all sessions share.

use std::sync::Arc;

use chrono::Utc;
use datafusion::execution::{
    memory_pool::{GreedyMemoryPool, MemoryPool},
    runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
};
use uuid::Uuid;
use weft_catalog::{LiveMesh, MeshSnapshot};
use weft_policy::{Principal, PrincipalId};

use crate::{
    config::{EngineConfig, SessionOptions},
    error::{Result, classify},
    execute::RunningQueries,
    memory::QueryPool,
    runtime::QueryRuntime,
    session::{GovernedSession, NoObjectStores},
};

/// Plans and runs queries of every principal over one live mesh.
#[derive(Debug)]
pub struct Engine {
    live: Arc<LiveMesh>,
    shared: Arc<Shared>,
}

/// What outlives a session: a running query holds it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) runtime: QueryRuntime,
    pub(crate) running: RunningQueries,
    memory: Arc<dyn MemoryPool>,
    environment: RuntimeEnv,
}

impl Engine {
    /// Starts the threads that plan and run.
    ///
    /// # Errors
    /// [`Internal`](crate::Error::Internal) if the system gives no threads or
    /// no directory for spilling.
    pub fn new(live: Arc<LiveMesh>, config: EngineConfig) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            live,
            shared: Shared::start(config)?,
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
        GovernedSession::open(
            Arc::clone(&self.shared),
            self.snapshot(),
            principal,
            options,
            Utc::now(),
        )
    }

    /// Stops the running query `query_id`, if it runs and is of `principal`.
    pub fn cancel(&self, query_id: Uuid, principal: &PrincipalId) -> bool {
        self.shared.running.cancel(query_id, principal)
    }
}

#[cfg(test)]
impl Engine {
    /// Tasks of running queries.
    pub(crate) fn running_tasks(&self) -> usize {
        self.shared.runtime.handle().metrics().num_alive_tasks()
    }
}

impl Shared {
    pub(crate) fn start(config: EngineConfig) -> Result<Arc<Self>> {
        let memory: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(config.memory_limit));
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&memory))
            .with_object_store_registry(Arc::new(NoObjectStores))
            .build()
            .map_err(classify)?;
        let runtime = QueryRuntime::start(config.target_partitions)?;
        Ok(Arc::new(Self {
            config,
            runtime,
            running: RunningQueries::default(),
            memory,
            environment,
        }))
    }

    /// The surroundings of one query: its own share of memory, no object store.
    pub(crate) fn query_environment(&self) -> Arc<RuntimeEnv> {
        let pool = QueryPool::new(Arc::clone(&self.memory), self.config.query_memory_limit);
        Arc::new(RuntimeEnv {
            memory_pool: Arc::new(pool),
            ..self.environment.clone()
        })
    }
}
