//! The functions of one statement, with its caps and constants.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use datafusion::{
    catalog::TableFunction,
    config::ConfigOptions,
    execution::SessionStateDefaults,
    logical_expr::{AggregateUDF, ScalarUDF, WindowUDF, planner::ExprPlanner},
    optimizer::{Analyzer, AnalyzerRule},
};

use super::{
    capped::{Checks, capped},
    caps::Caps,
    cell_hidden::cell_hidden,
    closed::ClosedFunctions,
    concat_operator::ConcatOperator,
    constants::SessionConstants,
    planner::ConcatPlanner,
    series,
};

/// Not offered: they show files, or put metadata on columns that clients take
/// for the contract's.
const LEFT_OUT: [&str; 4] = [
    "input_file_name",
    "file_row_index",
    "with_metadata",
    "arrow_metadata",
];

/// A function that every session shares, before caps.
struct Shared {
    function: Arc<ScalarUDF>,
    checks: Option<Checks>,
    /// Whether it is another one with other options of a session.
    is_configured: bool,
}

impl Shared {
    fn new(function: Arc<ScalarUDF>) -> Self {
        let of_default = function
            .inner()
            .with_updated_config(&ConfigOptions::default());
        Self {
            checks: Checks::of(function.name()),
            is_configured: of_default.is_some(),
            function,
        }
    }

    fn of_statement(&self, caps: &Arc<Caps>, config: &ConfigOptions) -> Arc<ScalarUDF> {
        let configured = self
            .is_configured
            .then(|| self.function.inner().with_updated_config(config))
            .flatten()
            .map_or_else(|| Arc::clone(&self.function), Arc::new);
        match self.checks {
            Some(checks) => capped(configured, checks, caps),
            None => configured,
        }
    }
}

/// All of them. The ones that run a lambda are not among them: they copy what it captures for
/// each element.
static SCALAR: LazyLock<Vec<Shared>> = LazyLock::new(|| {
    let all = SessionStateDefaults::default_scalar_functions();
    all.into_iter()
        .filter(|function| !LEFT_OUT.contains(&function.name()))
        .map(Shared::new)
        .collect()
});

static CONCAT: LazyLock<Shared> =
    LazyLock::new(|| Shared::new(Arc::new(ScalarUDF::new_from_impl(ConcatOperator::new()))));

/// All that a statement may call.
#[derive(Debug)]
pub(crate) struct Registry {
    scalar: Vec<Arc<ScalarUDF>>,
    concat: Arc<ScalarUDF>,
    table: HashMap<String, Arc<TableFunction>>,
}

impl Registry {
    /// `config` decides for functions that follow the session's time zone.
    pub(crate) fn new(
        caps: &Arc<Caps>,
        constants: &SessionConstants,
        config: &ConfigOptions,
    ) -> Self {
        let concat = CONCAT.of_statement(caps, config);
        let shared = SCALAR.iter();
        let mut scalar: Vec<_> = shared
            .map(|function| function.of_statement(caps, config))
            .collect();
        scalar.extend(constants.functions().into_iter().map(Arc::new));
        scalar.push(Arc::new(cell_hidden()));
        let table = SessionStateDefaults::default_table_functions().into_iter();
        let table = table
            .map(|function| (function.name().to_owned(), series::capped(function)))
            .collect();
        Self {
            scalar,
            concat,
            table,
        }
    }

    pub(crate) fn scalar_functions(&self) -> &[Arc<ScalarUDF>] {
        &self.scalar
    }

    pub(crate) fn aggregate_functions(&self) -> Vec<Arc<AggregateUDF>> {
        SessionStateDefaults::default_aggregate_functions()
    }

    pub(crate) fn window_functions(&self) -> Vec<Arc<WindowUDF>> {
        SessionStateDefaults::default_window_functions()
    }

    pub(crate) fn table_functions(&self) -> &HashMap<String, Arc<TableFunction>> {
        &self.table
    }

    pub(crate) fn expr_planners(&self) -> Vec<Arc<dyn ExprPlanner>> {
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(ConcatPlanner {
            concat: Arc::clone(&self.concat),
        })];
        planners.extend(SessionStateDefaults::default_expr_planners());
        planners
    }

    /// The default analyzer behind a rule that closes the list of functions.
    pub(crate) fn analyzer_rules(&self) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
        let mut functions = HashMap::new();
        for function in self.scalar.iter().chain([&self.concat]) {
            functions.insert(function.name().to_owned(), Arc::clone(function));
        }
        let closed = ClosedFunctions {
            functions: Arc::new(functions),
            concat: Arc::clone(&self.concat),
        };
        let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(closed)];
        rules.extend(Analyzer::new().rules);
        rules
    }
}
