//! The session that plans and runs the inside of a seal.
//!
//! It shares nothing with a user's session: built-in rules only, no functions
//! by name, no catalog, fixed time zone. What the operator sets for the engine
//! is taken over from the caller: partitions, rows a batch, how Parquet filters.

use std::sync::{Arc, LazyLock};

use datafusion::config::ConfigOptions;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::eliminate_limit::EliminateLimit;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::push_down_limit::PushDownLimit;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_coop::EnsureCooperative;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::join_selection::JoinSelection;
use datafusion::physical_optimizer::limit_pushdown::LimitPushdown;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::prelude::SessionConfig;

static OPTIONS: LazyLock<Arc<ConfigOptions>> =
    LazyLock::new(|| Arc::clone(base_config().options()));

/// Functions are in the policy's expressions already, so none has a name here: a state is cloned
/// for every scan.
static STATE: LazyLock<SessionState> = LazyLock::new(|| {
    SessionStateBuilder::new()
        .with_config(base_config())
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .build()
});

/// Of the engine's own rules, in its order, those that have something to do in a scan behind a
/// policy: filters, masks, lookups of entitlements and a limit. Most of planning a statement is
/// planning its scans.
fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(EliminateLimit::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(PushDownLimit::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    vec![
        Arc::new(JoinSelection::new()),
        Arc::new(FilterPushdown::new()),
        Arc::new(EnsureRequirements::new()),
        Arc::new(ProjectionPushdown::new()),
        Arc::new(LimitPushdown::new()),
        Arc::new(EnsureCooperative::new()),
        Arc::new(FilterPushdown::new_post_optimization()),
        Arc::new(SanityCheckPlan::new()),
    ]
}

/// The options that rules inside the seal run with.
pub(crate) fn private_options() -> &'static ConfigOptions {
    &OPTIONS
}

/// The private configuration with the caller's partitions and batch size.
pub(crate) fn private_config(caller: &ConfigOptions) -> SessionConfig {
    let mut config = base_config();
    copy_sizes(caller, &mut config);
    config
}

/// A planner for one sealed plan.
pub(crate) fn private_state(caller: &ConfigOptions) -> SessionState {
    let mut state = STATE.clone();
    copy_sizes(caller, state.config_mut());
    state
}

fn copy_sizes(caller: &ConfigOptions, config: &mut SessionConfig) {
    let options = config.options_mut();
    options.execution.target_partitions = caller.execution.target_partitions;
    options.execution.batch_size = caller.execution.batch_size;
    // Every conjunct inside is total, so any order and place of evaluation is safe.
    options.execution.parquet.pushdown_filters = caller.execution.parquet.pushdown_filters;
    options.execution.parquet.reorder_filters = caller.execution.parquet.reorder_filters;
}

fn base_config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.execution.time_zone = Some("+00:00".to_owned());
    options.execution.parquet.bloom_filter_on_read = true;
    // Sizes come from `VisibleRows`; footers are read only by the scan itself.
    options.execution.collect_statistics = false;
    // Dynamic filters inside are those that the seal accepts, and no others:
    // the join of an entitlement makes none of its own.
    // The first is a short name for the others only where it is set by text.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    config
}
