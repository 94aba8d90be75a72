//! The functions of one statement, with its caps and constants.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
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

/// Where each name, or another name, stands in [`SCALAR`].
static NAMED: LazyLock<HashMap<&str, usize>> = LazyLock::new(|| {
    let mut named = HashMap::new();
    for (at, shared) in SCALAR.iter().enumerate() {
        named.extend(names(&shared.function).map(|name| (name, at)));
    }
    named
});

fn names(function: &ScalarUDF) -> impl Iterator<Item = &str> {
    let others = function.aliases().iter().map(String::as_str);
    std::iter::once(function.name()).chain(others)
}

/// All that a statement may call. What it does call is made for it then, for its caps.
pub(crate) struct Registry {
    caps: Arc<Caps>,
    config: Arc<ConfigOptions>,
    /// Of [`SCALAR`], by place.
    made: Mutex<HashMap<usize, Arc<ScalarUDF>>>,
    /// Those that the session gives; they go before others of their names.
    own: Vec<Arc<ScalarUDF>>,
    concat: Arc<ScalarUDF>,
    table: HashMap<String, Arc<TableFunction>>,
}

impl Registry {
    /// `config` decides for functions that follow the session's time zone.
    pub(crate) fn new(
        caps: &Arc<Caps>,
        constants: &SessionConstants,
        config: &Arc<ConfigOptions>,
    ) -> Self {
        let mut own: Vec<_> = constants.functions().into_iter().map(Arc::new).collect();
        own.push(Arc::new(cell_hidden()));
        let table = SessionStateDefaults::default_table_functions().into_iter();
        let table = table
            .map(|function| (function.name().to_owned(), series::capped(function)))
            .collect();
        Self {
            caps: Arc::clone(caps),
            config: Arc::clone(config),
            made: Mutex::default(),
            own,
            concat: CONCAT.of_statement(caps, config),
            table,
        }
    }

    /// The function called `name`, or that has it as another name.
    pub(crate) fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let own = self.own.iter().find(|it| names(it).any(|its| its == name));
        own.cloned().or_else(|| self.shared(*NAMED.get(name)?))
    }

    fn shared(&self, at: usize) -> Option<Arc<ScalarUDF>> {
        let shared = SCALAR.get(at)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let function = made
            .entry(at)
            .or_insert_with(|| shared.of_statement(&self.caps, &self.config));
        Some(Arc::clone(function))
    }

    /// Every name of a scalar function.
    pub(crate) fn scalar_names(&self) -> impl Iterator<Item = &str> {
        let own = self.own.iter().flat_map(|it| names(it));
        own.chain(NAMED.keys().copied())
    }

    pub(crate) fn scalar_functions(&self) -> impl Iterator<Item = Arc<ScalarUDF>> {
        let shared = (0..SCALAR.len()).filter_map(|at| self.shared(at));
        shared.chain(self.own.iter().cloned())
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

    /// What stands for `||`; it has a name that nobody can write.
    pub(super) fn concat(&self) -> &Arc<ScalarUDF> {
        &self.concat
    }

    pub(crate) fn expr_planners(&self) -> Vec<Arc<dyn ExprPlanner>> {
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(ConcatPlanner {
            concat: Arc::clone(&self.concat),
        })];
        planners.extend(SessionStateDefaults::default_expr_planners());
        planners
    }

    /// The default analyzer behind a rule that closes the list of functions.
    pub(crate) fn analyzer_rules(self: &Arc<Self>) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
        let closed = ClosedFunctions(Arc::clone(self));
        let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(closed)];
        rules.extend(Analyzer::new().rules);
        rules
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}
