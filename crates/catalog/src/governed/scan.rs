//! The sealed leaf: the only operator that reads a data product.
//!
//! [`GovernedScanExec`] owns a finished physical plan (scan, policy filter,
//! masks) and shows the rest of the engine no children. No optimizer rule can
//! move an expression of the user across it, so everything above it sees rows,
//! columns, statistics, plan text and errors of the *authorised* table alone.
//!
//! ```text
//! what the user's plan holds          what the seal holds
//!
//! FilterExec: 100 / y > 0             (nothing of it)
//!   GovernedScanExec: sales.orders    ProjectionExec: id, y, mask(email)
//!                                       FilterExec: region = 'EU' AND id < 50
//!                                         DataSourceExec: parquet
//! ```
//!
//! Only total, silent expressions are evaluated inside: the policy, the masks,
//! pushed filters that [`super::leakproof`] accepts, and dynamic filters over
//! columns that are clear on every visible row.

mod display;

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots, reset_plan_states,
};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{
    ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use weft_policy::PrincipalId;

use super::entitlement::EntitlementTables;
use super::estimate::Estimate;
use super::private_session::{private_config, private_options};
use super::row_filter::RowFilter;
use super::stream::SealedStream;
use super::traced::{ScanSpans, metric_total};
use super::visible_rows::{Filters, Footers, RunCount, Told, VisibleRows};
use super::{dynamic_filter, leakproof, partitions};
use crate::error::redact;
use crate::mesh_snapshot::Epoch;
use crate::pace::Paced;
use crate::product::ProductTable;

/// What a seal stands for: whose access, to which table, decided how.
///
/// Compared by the verifier with a fresh decision on the pinned snapshot.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SealIdentity {
    pub(crate) table: weft_mesh::TableId,
    pub(crate) epoch: Epoch,
    pub(crate) principal: PrincipalId,
    /// [`weft_policy::TableAccess::digest`] of the decision that built the plan.
    pub(crate) digest: [u8; 32],
}

/// A governed read of one data product, see the module documentation.
pub struct GovernedScanExec {
    identity: SealIdentity,
    product: Arc<ProductTable>,
    /// What the policy inside looks membership up in.
    members: EntitlementTables,
    /// The plan without dynamic filters: what `reset_state` goes back to.
    base: Arc<dyn ExecutionPlan>,
    /// The plan that runs.
    inner: Arc<dyn ExecutionPlan>,
    /// Dynamic filters that `inner` carries, over this node's own columns.
    dynamic_filters: Vec<Arc<dyn PhysicalExpr>>,
    /// For each output column: clear on every visible row, and no cell of it
    /// that does not parse.
    open_columns: Arc<[bool]>,
    /// The output columns that `inner` has a marker for, behind all of them.
    markers: Arc<[usize]>,
    /// Whether every cell of the table is visible.
    hides_nothing: bool,
    /// Whether every row of the table is.
    hides_no_row: bool,
    /// The user's filters that run inside, as the user may read them.
    pushed: Arc<[String]>,
    limit: Option<usize>,
    rows: VisibleRows,
    /// Whose ranges the planner may know once the table is read.
    ranged: Arc<[String]>,
    estimate: Estimate,
    run: Arc<RunCount>,
    spans: ScanSpans,
    properties: Arc<PlanProperties>,
}

/// What [`GovernedScanExec::new`] needs.
pub(crate) struct Seal {
    pub(crate) identity: SealIdentity,
    pub(crate) product: Arc<ProductTable>,
    pub(crate) members: EntitlementTables,
    /// The governed plan; its output columns are the sealed columns by name and
    /// position, and the markers behind them.
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// How many the seal has; `plan` has no more.
    pub(crate) partitions: usize,
    /// The authorised schema of the projected columns.
    pub(crate) schema: SchemaRef,
    pub(crate) open_columns: Vec<bool>,
    pub(crate) markers: Vec<usize>,
    /// Whether every cell of the table is visible.
    pub(crate) hides_nothing: bool,
    pub(crate) hides_no_row: bool,
    pub(crate) pushed: Vec<String>,
    pub(crate) limit: Option<usize>,
    pub(crate) rows: VisibleRows,
    pub(crate) ranged: Vec<String>,
    pub(super) estimate: Estimate,
}

impl GovernedScanExec {
    pub(crate) fn new(seal: Seal) -> Self {
        // No orderings, no constants, no uniqueness: all of them are read off
        // data that the principal may not see.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(seal.schema),
            Partitioning::UnknownPartitioning(seal.partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            identity: seal.identity,
            product: seal.product,
            members: seal.members,
            base: Arc::clone(&seal.plan),
            inner: seal.plan,
            dynamic_filters: Vec::new(),
            open_columns: seal.open_columns.into(),
            markers: seal.markers.into(),
            hides_nothing: seal.hides_nothing,
            hides_no_row: seal.hides_no_row,
            pushed: seal.pushed.into(),
            limit: seal.limit,
            rows: seal.rows,
            ranged: seal.ranged.into(),
            estimate: seal.estimate,
            run: Arc::default(),
            spans: ScanSpans::default(),
            properties: Arc::new(properties),
        }
    }

    pub(crate) fn identity(&self) -> &SealIdentity {
        &self.identity
    }

    pub(crate) fn product(&self) -> &Arc<ProductTable> {
        &self.product
    }

    pub(crate) fn members(&self) -> &EntitlementTables {
        &self.members
    }

    /// The plan inside, for the verifier and for metrics of the operator's log.
    pub(crate) fn inner(&self) -> &Arc<dyn ExecutionPlan> {
        &self.inner
    }

    pub(crate) fn dynamic_filters(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.dynamic_filters
    }

    /// The sum of a metric over the plan inside the seal, for the operator and
    /// for tests; never shown to a principal.
    pub fn operator_metric(&self, name: &str) -> usize {
        metric_total(&self.inner, name)
    }

    /// How many rows a run reads at least, where the principal may know: as many as it sees, unless
    /// a filter of the user or a limit lets it leave some out.
    pub fn rows_to_read(&self) -> Option<usize> {
        let reads_all = self.pushed.is_empty() && self.limit.is_none();
        let known = self.rows.known().filter(|_| reads_all)?;
        Some(known.rows)
    }

    fn with_inner(
        &self,
        inner: Arc<dyn ExecutionPlan>,
        dynamic: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Self {
        Self {
            identity: self.identity.clone(),
            product: Arc::clone(&self.product),
            members: self.members.clone(),
            base: Arc::clone(&self.base),
            inner,
            dynamic_filters: dynamic,
            open_columns: Arc::clone(&self.open_columns),
            markers: Arc::clone(&self.markers),
            hides_nothing: self.hides_nothing,
            hides_no_row: self.hides_no_row,
            pushed: Arc::clone(&self.pushed),
            limit: self.limit,
            rows: self.rows.clone(),
            ranged: Arc::clone(&self.ranged),
            estimate: self.estimate.clone(),
            run: Arc::default(),
            spans: ScanSpans::default(),
            properties: Arc::clone(&self.properties),
        }
    }

    /// The same with those of its dynamic filters alone that may stay; `None` if all of them may,
    /// as they may where no row is hidden.
    pub(super) fn with_filters(
        &self,
        may_stay: impl Fn(&Arc<dyn PhysicalExpr>) -> bool,
    ) -> Result<Option<Self>> {
        if self.hides_no_row || self.dynamic_filters.iter().all(&may_stay) {
            return Ok(None);
        }
        let filters = self.dynamic_filters.iter().filter(|it| may_stay(it));
        let filters: Vec<_> = filters.cloned().collect();
        let inner = dynamic_filter::push(&filters, &self.base, private_options())
            .map_err(|e| redact(&self.identity.table, e))?;
        Ok(Some(self.with_inner(inner, filters)))
    }

    /// What a run will tell that is not known yet.
    fn to_learn(&self) -> Option<Told> {
        let known = self.rows.known();
        let is_known = |column: &&String| {
            let known = known.as_ref();
            known.is_some_and(|known| known.ranges.contains_key(*column))
        };
        let columns = self.ranged.iter().filter(|column| !is_known(column));
        let columns: Vec<String> = columns.cloned().collect();
        let is_new = known.is_none() || !columns.is_empty();
        // Below a limit hardly a file may have been opened.
        if self.limit.is_some() {
            return None;
        }
        let reads_all = self.dynamic_filters.is_empty();
        // A run that reads everything the principal may see has counted it.
        if reads_all && self.pushed.is_empty() {
            let schema = self.properties.eq_properties.schema();
            let place = |name: String| Some((schema.index_of(&name).ok()?, name));
            return is_new.then(|| Told {
                all: Some(columns.into_iter().filter_map(place).collect()),
                ..Told::default()
            });
        }
        let filters = Filters::new(&self.pushed);
        let passing = (reads_all && self.rows.passing(filters).is_none()).then_some(filters);
        let is_told = is_new && self.hides_no_row && self.product.has_footers();
        let footers = is_told.then(|| Footers {
            product: Arc::clone(&self.product),
            plan: Arc::clone(&self.inner),
            columns,
        });
        (passing.is_some() || footers.is_some()).then_some(Told {
            passing,
            footers,
            all: None,
        })
    }

    fn is_open(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        expr.downcast_ref::<Column>()
            .is_some_and(|c| self.open_columns.get(c.index()).copied().unwrap_or(false))
    }

    /// A clear column whose statistics bound every value of it.
    fn is_prunable(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        let schema = self.properties.eq_properties.schema();
        self.is_open(expr)
            && expr
                .downcast_ref::<Column>()
                .and_then(|c| schema.fields().get(c.index()))
                .is_some_and(|f| leakproof::is_scalar(f.data_type()))
    }

    /// The inner plan's own context: credentials live in its runtime only, and
    /// nothing of the caller's session but its memory and disk reaches it.
    fn private_context(&self, context: &TaskContext) -> Arc<TaskContext> {
        Arc::new(TaskContext::new(
            context.task_id(),
            context.session_id(),
            private_config(context.session_config().options()),
            Default::default(),
            Default::default(),
            Default::default(),
            Default::default(),
            self.product
                .runtime(&context.runtime_env(), self.members.products()),
        ))
    }
}

impl ExecutionPlan for GovernedScanExec {
    fn name(&self) -> &'static str {
        "GovernedScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Always empty: this is the seal.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    /// Physical plans are one-shot. Without this a recursive query would read
    /// the table once and silently miss rows from then on.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let base = reset_plan_states(Arc::clone(&self.base))?;
        let mut fresh = self.with_inner(Arc::clone(&base), Vec::new());
        fresh.base = base;
        Ok(Arc::new(fresh))
    }

    /// Only the accepted dynamic filters, so that their producers know that
    /// they are read; never the policy.
    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.dynamic_filters.iter(), f)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let private = self.private_context(&context);
        let table = &self.identity.table;
        let all = self.properties.partitioning.partition_count();
        let span = self.spans.begin(&context, table, &self.inner, all);
        let inner =
            partitions::execute(&self.inner, partition, private).map_err(|e| redact(table, e))?;
        let counter = self.rows.counter(&self.run, all, || self.to_learn());
        let sealed = SealedStream::new(
            inner,
            Arc::clone(self.properties.eq_properties.schema()),
            table.clone(),
            Arc::clone(&self.markers),
            self.hides_nothing,
            counter,
            span,
        );
        let paced = Box::pin(Paced::new(Box::pin(sealed), &context));
        if self.dynamic_filters.is_empty() {
            return Ok(paced);
        }
        let size = context.session_config().batch_size();
        Ok(Box::pin(RowFilter::new(paced, &self.dynamic_filters, size)))
    }

    /// What `estimate.rs` makes of what the principal may know.
    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let partitions = self.properties.partitioning.partition_count();
        Ok(Arc::new(self.estimate.statistics(
            self.properties.eq_properties.schema(),
            args.partition().map(|_| partitions),
        )))
    }

    /// Takes in the dynamic filters of joins, TopK and aggregates whose columns
    /// are clear; everything else stays above.
    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let none =
            FilterPushdownPropagation::with_parent_pushdown_result(vec![
                PushedDown::No;
                result.parent_filters.len()
            ]);
        // Below a limit a filter would change which rows the limit keeps.
        if !matches!(phase, FilterPushdownPhase::Post) || self.limit.is_some() {
            return Ok(none);
        }
        let accepted = dynamic_filter::accept(
            result.parent_filters.iter().map(|f| &f.filter),
            &self.dynamic_filters,
            |child| self.is_prunable(child),
        );
        if accepted.is_empty() {
            return Ok(none);
        }
        let inner = dynamic_filter::push(&accepted, &self.inner, private_options())
            .map_err(|e| redact(&self.identity.table, e))?;
        let dynamic = self
            .dynamic_filters
            .iter()
            .cloned()
            .chain(accepted)
            .collect();
        Ok(none.with_updated_node(Arc::new(self.with_inner(inner, dynamic))))
    }

    /// Lets the reader order files and row groups for a TopK. Only ever
    /// inexact: the sort stays above the seal.
    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        if self.limit.is_some() || !order.iter().all(|key| self.is_open(&key.expr)) {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let sorted = |plan: &Arc<dyn ExecutionPlan>| {
            let sorted = partitions::unspread(plan).try_pushdown_sort(order);
            sorted
                .map(SortOrderPushdownResult::into_inner)
                .map_err(|e| redact(&self.identity.table, e))
        };
        let (Some(base), Some(inner)) = (sorted(&self.base)?, sorted(&self.inner)?) else {
            return Ok(SortOrderPushdownResult::Unsupported);
        };
        let mut sorted = self.with_inner(inner, self.dynamic_filters.clone());
        sorted.base = base;
        Ok(SortOrderPushdownResult::Inexact {
            inner: Arc::new(sorted),
        })
    }
}
