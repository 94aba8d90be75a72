//! A principal, one snapshot of the mesh, one instant: all that a statement
//! depends on.

mod catalogs;
mod described;
mod information_schema;
mod interruptible;
mod meaning;
mod object_stores;
mod time_zone;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use datafusion::{
    catalog::CatalogProvider,
    common::{
        ResolvedTableReference, ScalarValue,
        config::{ConfigNonZeroUsize, Dialect},
    },
    config::{ConfigOptions, SpillCompression},
    execution::{config::SessionConfig, context::SessionState, session_state::SessionStateBuilder},
    optimizer::Optimizer,
};
use tracing::Span;
use uuid::Uuid;
use weft_catalog::{
    Epoch, GovernedCatalog, MeshSnapshot, QuietFilters, StatementSpan, VisibleTable,
};
use weft_policy::{Allowance, Owner, Principal, Viewer};

use self::{catalogs::SessionCatalogs, time_zone::time_zone};
use crate::{
    config::SessionOptions,
    engine::{Caller, Shared},
    error::{Error, Result, Timeout},
    execute::Returned,
    footprint::NamedTable,
    functions::{Caps, Registry, SessionConstants},
    plan::PlannedQuery,
    system::{SYSTEM, SystemSchema},
};

pub(crate) use self::{
    described::described, information_schema::INFORMATION_SCHEMA, interruptible::interruptible,
    meaning::Meaning, object_stores::NoObjectStores,
};

/// A principal's view of the mesh, for one statement or metadata call.
#[derive(Clone)]
pub struct GovernedSession {
    shared: Arc<Shared>,
    snapshot: Arc<MeshSnapshot>,
    meaning: Arc<Meaning>,
    catalog: Arc<GovernedCatalog>,
    statement_timeout: Timeout,
    /// By its statement, in all its runs.
    returned: Arc<Returned>,
    /// Of its statement, once that could be parsed.
    named: Arc<OnceLock<Vec<NamedTable>>>,
    /// Of the call, where traces are collected.
    span: Span,
}

impl GovernedSession {
    pub(crate) fn open(
        shared: Arc<Shared>,
        snapshot: Arc<MeshSnapshot>,
        caller: Caller,
        options: SessionOptions,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let SessionOptions {
            catalog,
            schema,
            timezone,
            statement_timeout,
            purpose,
        } = options;
        let owner = caller.owner();
        let viewer = Viewer::new(caller.principal, now).with_purpose(purpose);
        if let Some(other) = catalog.filter(|catalog| catalog != snapshot.mesh_name()) {
            return Err(Error::not_found("catalog", &other));
        }
        let governed = Arc::new(GovernedCatalog::with_pushdown(
            &snapshot,
            &viewer,
            shared.config.user_pushdown,
        ));
        if let Some(name) = &schema
            && name != INFORMATION_SCHEMA
            && name != SYSTEM
            && governed.schema(name).is_none()
        {
            return Err(Error::not_found("schema", name));
        }
        let allowance = snapshot.policy().allowance(&viewer.principal);
        let longest = shared.config.statement_timeout;
        let asked = statement_timeout.map_or(longest, |asked| asked.min(longest));
        let statement_timeout = statement_time(asked, &allowance);
        let meaning = Meaning {
            viewer,
            owner,
            schema: schema.unwrap_or_default(),
            time_zone: time_zone(timezone.as_deref())?,
            allowance: Arc::new(allowance),
        };
        Ok(Self {
            snapshot,
            meaning: Arc::new(meaning),
            catalog: governed,
            statement_timeout,
            returned: Arc::default(),
            named: Arc::default(),
            span: Span::none(),
            shared,
        })
    }

    /// The same, whose planning and running are below `span` for a collector of traces.
    #[must_use]
    pub fn traced(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Plans one statement under a new query id. Nothing is read but what the
    /// formats need for planning, and nothing is executed.
    ///
    /// # Errors
    /// See [`Error`]: a statement that is wrong, refused, too big, or names
    /// what is hidden or missing.
    pub async fn plan(&self, sql: &str) -> Result<PlannedQuery> {
        PlannedQuery::plan(self.clone(), sql.to_owned(), Uuid::new_v4()).await
    }

    /// Whether a statement means the same in `other`, which is later.
    pub(crate) fn plans_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
            && Arc::ptr_eq(&self.snapshot, &other.snapshot)
            && self
                .meaning
                .is_still(&other.meaning, self.snapshot.policy())
    }

    /// All that a statement of the session depends on but its snapshot.
    pub(crate) fn meaning(&self) -> &Arc<Meaning> {
        &self.meaning
    }

    /// Every table that the principal sees, by schema and name.
    pub fn visible_tables(&self) -> Vec<VisibleTable> {
        self.catalog.visible_tables()
    }

    /// The tables that the statement names, whether they are there or not:
    /// none before it is planned.
    pub fn named_tables(&self) -> &[NamedTable] {
        self.named.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn note_names(&self, names: impl FnOnce(&str) -> Vec<NamedTable>) {
        self.named.get_or_init(|| names(&self.meaning.schema));
    }

    /// The tables of the schema `system`, which everybody has. What is in them
    /// depends on who asks.
    pub fn system_tables(&self) -> Vec<VisibleTable> {
        self.shared.system.describe()
    }

    /// Whom to ask for a table that the principal may find and not query.
    pub(crate) fn whom_to_ask(&self, table: &ResolvedTableReference) -> Option<String> {
        if &*table.catalog != self.snapshot.mesh_name() {
            return None;
        }
        self.catalog.whom_to_ask(&table.schema, &table.table)
    }

    /// The name of the one catalog.
    pub fn mesh_name(&self) -> &str {
        self.snapshot.mesh_name()
    }

    /// The session's schema, if it has one.
    pub fn schema(&self) -> Option<&str> {
        Some(self.meaning.schema.as_str()).filter(|schema| !schema.is_empty())
    }

    /// The snapshot that the session is pinned to.
    pub fn epoch(&self) -> Epoch {
        self.snapshot.epoch()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn snapshot(&self) -> &Arc<MeshSnapshot> {
        &self.snapshot
    }

    /// What the session's queries belong to.
    pub(crate) fn owner(&self) -> &Owner {
        &self.meaning.owner
    }

    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.meaning.viewer.principal
    }

    pub(crate) fn viewer(&self) -> &Viewer {
        &self.meaning.viewer
    }

    pub(crate) fn statement_timeout(&self) -> &Timeout {
        &self.statement_timeout
    }

    pub(crate) fn allowance(&self) -> &Allowance {
        &self.meaning.allowance
    }

    pub(crate) fn returned(&self) -> &Returned {
        &self.returned
    }

    pub(crate) fn default_schema(&self) -> &str {
        &self.meaning.schema
    }

    /// The planner's state for one statement, and the functions that it may call. The state has
    /// catalogs, aggregates and rules; it has no object store, file format, table factory or
    /// variable.
    pub(crate) fn state(&self, caps: &Arc<Caps>) -> (SessionState, Arc<Registry>) {
        let config = self.config();
        let registry = Registry::new(caps, &self.constants(), config.options());
        let registry = Arc::new(registry);
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(
                self.shared
                    .query_environment(self.meaning.allowance.memory.as_ref()),
            )
            .with_catalog_list(Arc::new(SessionCatalogs::new(
                self.snapshot.mesh_name(),
                Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>,
                self.system_schema(),
                registry.table_functions(),
            )))
            .with_expr_planners(registry.expr_planners())
            .with_aggregate_functions(registry.aggregate_functions())
            .with_window_functions(registry.window_functions())
            .with_analyzer_rules(registry.analyzer_rules())
            .with_optimizer_rules(interruptible(Optimizer::new().rules, caps))
            .with_physical_optimizer_rule(Arc::new(QuietFilters))
            .build();
        let config = Arc::clone(state.config_options());
        let properties = state.execution_props_mut();
        properties.mark_start_execution(config);
        properties.query_execution_start_time = Some(self.meaning.viewer.now);
        (state, registry)
    }

    fn system_schema(&self) -> Arc<SystemSchema> {
        Arc::new(SystemSchema::new(
            self.shared.system.clone(),
            Arc::clone(&self.snapshot),
            self.meaning.viewer.clone(),
        ))
    }

    /// What the operators of one statement may hold, in bytes.
    fn query_memory(&self) -> usize {
        let limit = self.meaning.allowance.memory.as_ref();
        let limit = limit.and_then(|limit| usize::try_from(limit.most.bytes()).ok());
        let most = self.shared.config.query_memory_limit;
        limit.map_or(most, |limit| limit.min(most))
    }

    /// Scans that run under `config` are traced below the session's call.
    pub(crate) fn trace(&self, config: &mut SessionConfig) {
        config.set_extension(Arc::new(StatementSpan(self.span.clone())));
    }

    fn config(&self) -> SessionConfig {
        let mut config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            // Our own schema of that name stands in the catalog.
            .with_information_schema(false)
            .with_default_catalog_and_schema(self.snapshot.mesh_name(), &self.meaning.schema);
        let options: &mut ConfigOptions = config.options_mut();
        let engine = &self.shared.config;
        options.execution.target_partitions = engine.target_partitions.max(1);
        if let Ok(rows) = ConfigNonZeroUsize::try_new(engine.batch_size) {
            options.execution.batch_size = rows;
        }
        options.execution.time_zone = Some(self.meaning.time_zone.clone());
        options.execution.collect_statistics = true;
        options.execution.spill_compression = SpillCompression::Lz4Frame;
        options.execution.enforce_batch_size_in_joins = true;
        if self.meaning.allowance.memory.is_some() {
            // Each partition of a sort sets so much aside before it begins.
            let share = self.query_memory() / (4 * engine.target_partitions.max(1));
            let aside = &mut options.execution.sort_spill_reservation_bytes;
            *aside = share.min(*aside);
        }
        // A side of a join that is as small as this is cheaper held once than divided: measured
        // with two cores. Dividing gains with cores, so with more of them less is small.
        let share = engine.target_partitions.div_ceil(8).max(1);
        let memory = self.query_memory() / 16;
        options.optimizer.hash_join_single_partition_threshold = memory.min((64 << 20) / share);
        options.optimizer.hash_join_single_partition_threshold_rows = 4_000_000 / share;
        options.execution.parquet.metadata_size_hint = Some(512 << 10);
        options.optimizer.enable_dynamic_filter_pushdown = true;
        options.sql_parser.dialect = Dialect::Generic;
        options.sql_parser.collect_spans = true;
        options.explain.show_statistics = false;
        options.explain.show_sizes = false;
        self.trace(&mut config);
        config
    }

    fn constants(&self) -> SessionConstants {
        let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
        SessionConstants {
            catalog: text(self.snapshot.mesh_name()),
            schema: ScalarValue::Utf8(self.schema().map(str::to_owned)),
            user: text(self.meaning.viewer.principal.name()),
            purpose: ScalarValue::Utf8(
                self.meaning
                    .viewer
                    .purpose
                    .as_ref()
                    .map(ToString::to_string),
            ),
        }
    }
}

/// The time that a session asks for, or less where a limit of the mesh says so.
fn statement_time(asked: Duration, allowance: &Allowance) -> Timeout {
    match &allowance.time {
        Some(limit) if limit.most < asked => Timeout {
            after: limit.most,
            limit: Some(Arc::clone(&limit.name)),
        },
        Some(_) | None => asked.into(),
    }
}

impl fmt::Debug for GovernedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedSession")
            .field("principal", self.meaning.viewer.principal.id())
            .field("epoch", &self.snapshot.epoch())
            .field("schema", &self.meaning.schema)
            .field("time_zone", &self.meaning.time_zone)
            .finish_non_exhaustive()
    }
}
