//! SQL and a session become a plan whose every source is sealed.

mod cell_hidden;
mod combination;
mod expected;
mod explain_access;
mod lineage;
mod logical;
mod parameters;
mod physical;
mod recent;
mod shape;
mod statement;
mod weight;
mod yielding;

use std::{collections::BTreeMap, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::SchemaRef, common::ScalarValue, execution::context::SessionState,
    logical_expr::LogicalPlan, physical_plan::ExecutionPlan,
};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use uuid::Uuid;
use weft_mesh::TableId;
use weft_policy::{Owner, Viewer};

use self::{
    parameters::Parameters,
    physical::{made_again, physical_query, task_context},
    statement::plan_statement,
};
use crate::{
    engine::Shared,
    error::{Error, Result, classify},
    execute::RunningQuery,
    footprint::{Footprint, NamedTable, TableRead},
    functions::Caps,
    session::GovernedSession,
    system::KeptPlan,
    trace,
};

pub use self::lineage::{ColumnLineage, Lineage, Part, SourceColumn};
pub(crate) use self::{logical::logical_plan, physical::PhysicalQuery, recent::RecentStatements};

/// A statement that is checked, resolved and planned, and that has not run.
///
/// A statement with parameters is planned to the end by [`bind`](Self::bind).
pub struct PlannedQuery {
    session: GovernedSession,
    query_id: Uuid,
    schema: SchemaRef,
    parameters: Parameters,
    is_ordered: bool,
    /// What the statement reads, as it was written.
    tables: Footprint,
    lineage: Arc<Lineage>,
    plan: Deep<Plan>,
    /// While it waits for a later call.
    kept: Option<KeptPlan>,
}

/// What is dropped on a deep stack.
struct Plan {
    state: SessionState,
    /// For whom and when: a later call of the same principal may run it.
    viewer: Viewer,
    caps: Arc<Caps>,
    /// While its parameters have no values.
    open: Option<LogicalPlan>,
    physical: Option<PhysicalQuery>,
    /// Whether it may be kept for a later call.
    may_wait: bool,
}

/// What a plan that runs was made of.
pub(crate) struct Again {
    state: SessionState,
    viewer: Viewer,
    optimized: LogicalPlan,
}

impl Deep<Again> {
    /// The same plan, made once more.
    pub(crate) async fn plan(
        self,
        session: &GovernedSession,
        query_id: Uuid,
        stop: CancellationToken,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let shared = Arc::clone(session.shared());
        let (span, snapshot) = (session.span().clone(), Arc::clone(session.snapshot()));
        let plan = async move {
            let Again {
                state,
                viewer,
                optimized,
            } = self.into_inner()?;
            made_again(&state, &snapshot, &viewer, &optimized, &stop).await
        };
        let job = move || trace::planning(&span, query_id, plan);
        shared.plan_again(query_id, job).await
    }
}

impl PlannedQuery {
    pub(crate) async fn plan(
        session: GovernedSession,
        sql: String,
        query_id: Uuid,
    ) -> Result<Self> {
        let shared = Arc::clone(session.shared());
        let job = move || {
            let span = session.span().clone();
            trace::planning(&span, query_id, plan_statement(session, sql, query_id))
        };
        shared.plan(query_id, job).await
    }

    /// What the query returns, nullability included: the same before and after
    /// binding, and of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// `$1` to `$n` in numeric order, nullable; a type that cannot be inferred
    /// is `Utf8`. Empty for a bound query.
    ///
    /// # Errors
    /// None today: conflicting types are found when planning.
    pub fn parameters(&self) -> Result<SchemaRef> {
        Ok(self.parameters.schema())
    }

    /// Whether the rows come in an order that the statement asks for.
    pub fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// What the query reads and by which right; the columns are known when all
    /// parameters are bound.
    pub fn tables(&self) -> &BTreeMap<TableId, TableRead> {
        &self.tables
    }

    /// The tables that the statement names, whether they are read or not.
    pub fn named_tables(&self) -> &[NamedTable] {
        self.session.named_tables()
    }

    /// Which columns of data products the columns of the result come from.
    pub fn lineage(&self) -> &Arc<Lineage> {
        &self.lineage
    }

    /// What [`Engine::cancel`](crate::Engine::cancel) knows the query by.
    pub fn query_id(&self) -> Uuid {
        self.query_id
    }

    /// The same query under an id that the client has been told before.
    #[must_use]
    pub fn with_query_id(mut self, query_id: Uuid) -> Self {
        self.query_id = query_id;
        self
    }

    /// The same query under an id of its own.
    #[must_use]
    pub fn with_new_query_id(self) -> Self {
        self.with_query_id(Uuid::new_v4())
    }

    /// The query, to be [continued](Self::continued) by a later call. `None` where it may not wait:
    /// it is not planned to its end, means another thing later, or is too large to be kept.
    pub fn waiting(self) -> Option<Self> {
        let plan = self.plan.value.as_ref()?;
        if plan.physical.is_none() || !plan.may_wait {
            return None;
        }
        // Its call is over.
        let session = self.session.clone().traced(Span::none());
        let kept = session.shared().kept_plans.keep();
        let mut waiting = self.below(session);
        waiting.kept = Some(kept);
        Some(waiting)
    }

    /// Whose query it is.
    pub fn owner(&self) -> &Owner {
        self.session.owner()
    }

    /// The query for a later call of the same statement, whose `session` it takes on. `None` where
    /// that session might plan another: it is of another principal, has other options, looks at
    /// another snapshot of the mesh, or a grant has begun or ended meanwhile.
    pub fn continued(self, session: &GovernedSession) -> Option<Self> {
        let is_the_same = self.session.plans_like(session);
        session.shared().kept_plans.count(is_the_same);
        if !is_the_same {
            return None;
        }
        session.note_names(|_| self.session.named_tables().to_vec());
        Some(self.below(session.clone()))
    }

    /// The same under another session that plans alike.
    fn below(mut self, session: GovernedSession) -> Self {
        self.kept = None;
        if let Some(plan) = self.plan.value.as_mut() {
            session.trace(plan.state.config_mut());
            if let Some(physical) = plan.physical.as_mut() {
                physical.context = task_context(&plan.state);
            }
        }
        self.session = session;
        self
    }

    /// Puts values in place of `$1` to `$n`, cast to the parameters' types.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) for a wrong number of values
    /// or a value that does not fit its type.
    pub async fn bind(self, row: &[ScalarValue]) -> Result<Self> {
        let values = self.parameters.values(row)?;
        if row.is_empty()
            && self
                .plan
                .value
                .as_ref()
                .is_some_and(|it| it.physical.is_some())
        {
            return Ok(self);
        }
        let shared = Arc::clone(self.session.shared());
        let (span, query_id) = (self.session.span().clone(), self.query_id);
        let bind = move || async move {
            let Self {
                session,
                query_id,
                schema,
                is_ordered,
                mut tables,
                lineage,
                plan,
                ..
            } = self;
            let Plan {
                mut state,
                viewer,
                caps,
                open,
                ..
            } = plan.into_inner()?;
            let open = open.ok_or_else(|| Error::internal(&"a statement is bound twice"))?;
            caps.start_planning(session.shared().config.plan_timeout);
            let logical = open.replace_params_with_values(&values).map_err(classify)?;
            let physical =
                physical_query(&mut state, &session, &logical, &schema, &mut tables).await?;
            let settled = physical.optimized.as_ref().unwrap_or(&logical);
            let lasts = shape::lasts(&logical, settled)?;
            let plan = Deep::new(
                Plan {
                    state,
                    viewer,
                    caps,
                    may_wait: lasts && shape::has_few_files(&logical)?,
                    open: None,
                    physical: Some(physical),
                },
                &session,
            );
            Ok::<Self, Error>(Self {
                session,
                query_id,
                schema,
                parameters: Parameters::none(),
                is_ordered,
                tables,
                lineage,
                plan,
                kept: None,
            })
        };
        let job = move || trace::planning(&span, query_id, bind());
        shared.plan(query_id, job).await
    }

    /// Starts the query. The statement timeout runs from here.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) if parameters are not bound.
    pub async fn execute(self) -> Result<RunningQuery> {
        let Self {
            session,
            query_id,
            schema,
            parameters,
            tables,
            plan,
            ..
        } = self;
        let Plan {
            caps,
            state,
            viewer,
            physical,
            ..
        } = plan.into_inner()?;
        let Some(mut physical) = physical else {
            return Err(Error::invalid(format!(
                "{} of the statement have no values",
                parameters.count()
            )));
        };
        caps.start_running(physical.capped_calls);
        let tables = tables.into_keys().collect();
        let optimized = physical.optimized.take();
        let again = optimized.map(|optimized| {
            let again = Again {
                state,
                viewer,
                optimized,
            };
            Deep::new(again, &session)
        });
        RunningQuery::start(&session, query_id, schema, (physical, again), &tables).await
    }
}

impl fmt::Debug for PlannedQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedQuery")
            .field("query_id", &self.query_id)
            .field("principal", self.session.principal().id())
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// Refuses what would take too long or too much to plan.
pub(crate) fn refuse_too_large(plan: &LogicalPlan) -> Result<()> {
    shape::check(plan)?;
    weight::check(plan)
}

/// A value whose parts are nested so deeply that dropping it takes a deep stack.
pub(crate) struct Deep<T: Send + 'static> {
    value: Option<T>,
    shared: Arc<Shared>,
}

impl<T: Send + 'static> Deep<T> {
    fn new(value: T, session: &GovernedSession) -> Self {
        Self {
            value: Some(value),
            shared: Arc::clone(session.shared()),
        }
    }

    /// The caller is on a deep stack, or passes the value on.
    fn into_inner(mut self) -> Result<T> {
        self.value
            .take()
            .ok_or_else(|| Error::internal(&"a plan was taken twice"))
    }
}

impl<T: Send + 'static> Drop for Deep<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.shared.runtime.drop_there(value);
        }
    }
}
