//! The functions of one statement, with its caps and constants.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use datafusion::{
    catalog::TableFunction,
    execution::session_state::SessionStateDefaults,
    logical_expr::{AggregateUDF, ScalarUDF, WindowUDF, planner::ExprPlanner},
    optimizer::Analyzer,
};

use super::{
    capped::capped, caps::Caps, closed::ClosedFunctions, concat_operator::ConcatOperator,
    constants::SessionConstants, planner::ConcatPlanner, series,
};

/// Not offered: they show files, or put metadata on columns that clients take
/// for the contract's.
const LEFT_OUT: [&str; 4] = ["input_file_name", "file_row_index", "with_metadata", "arrow_metadata"];

/// The functions that every session shares, before caps. The ones that run a
/// lambda are not among them: they copy what it captures for each element.
static SCALAR: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let all = SessionStateDefaults::default_scalar_functions();
    all.into_iter().filter(|function| !LEFT_OUT.contains(&function.name())).collect()
});

static CONCAT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(ConcatOperator::new())));

/// All that a statement may call.
#[derive(Debug)]
pub(crate) struct Registry {
    scalar: Vec<Arc<ScalarUDF>>,
    concat: Arc<ScalarUDF>,
    table: HashMap<String, Arc<TableFunction>>,
}

impl Registry {
    pub(crate) fn new(caps: &Arc<Caps>, constants: &SessionConstants) -> Self {
        let concat = capped(&CONCAT, caps);
        let mut scalar: Vec<_> = SCALAR.iter().map(|function| capped(function, caps)).collect();
        scalar.extend(constants.functions().into_iter().map(Arc::new));
        let table = SessionStateDefaults::default_table_functions().into_iter();
        let table = table.map(|function| (function.name().to_owned(), series::capped(function))).collect();
        Self { scalar, concat, table }
    }

    pub(crate) fn scalar_functions(&self) -> Vec<Arc<ScalarUDF>> {
        self.scalar.clone()
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
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(ConcatPlanner { concat: Arc::clone(&self.concat) })];
        planners.extend(SessionStateDefaults::default_expr_planners());
        planners
    }

    /// The default analyzer behind a rule that closes the list of functions.
    pub(crate) fn analyzer(&self) -> Analyzer {
        let mut functions = HashMap::new();
        for function in self.scalar.iter().chain([&self.concat]) {
            functions.insert(function.name().to_owned(), Arc::clone(function));
        }
        let closed = ClosedFunctions { functions: Arc::new(functions), concat: Arc::clone(&self.concat) };
        let mut analyzer = Analyzer::new();
        analyzer.rules.insert(0, Arc::new(closed));
        analyzer
    }
}
