//! From a statement to the logical plan of what it says, whose names are found in a session.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    catalog::TableFunctionArgs,
    common::{DFSchema, ResolvedTableReference, TableReference, plan_datafusion_err},
    config::ConfigOptions,
    datasource::{cte_worktable::CteWorkTable, provider_as_source},
    error::Result,
    execution::{FunctionRegistry, context::SessionState},
    logical_expr::{
        AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
        planner::{ContextProvider, ExprPlanner},
        simplify::SimplifyContext,
    },
    optimizer::simplify_expressions::ExprSimplifier,
    sql::{
        parser::Statement,
        planner::{ParserOptions, SqlToRel},
    },
};

use crate::{functions::Registry, session::INFORMATION_SCHEMA};

/// Plans `statement`, whose tables are `references`.
///
/// As [`SessionState::statement_to_plan`] does, but that it wants every function that there is in
/// the state: to make them all takes longer than to plan a small statement. They are put there for
/// a statement that lists them.
pub(crate) async fn logical_plan(
    state: &mut SessionState,
    registry: &Registry,
    references: &[TableReference],
    statement: Statement,
) -> Result<LogicalPlan> {
    let mut tables = HashMap::with_capacity(references.len());
    for reference in references {
        let resolved = resolved(state, reference.clone());
        if lists_functions(&resolved) && state.scalar_functions().is_empty() {
            for function in registry.scalar_functions() {
                state.register_udf(function)?;
            }
        }
        if !tables.contains_key(&resolved)
            && let Ok(schema) = state.schema_for_ref(resolved.clone())
            && let Some(table) = schema.table(&resolved.table).await?
        {
            tables.insert(resolved, provider_as_source(table));
        }
    }
    let names = Names {
        state,
        registry,
        tables,
    };
    let options = ParserOptions::from(&names.options().sql_parser);
    SqlToRel::new_with_options(&names, options).statement_to_plan(statement)
}

fn resolved(state: &SessionState, name: TableReference) -> ResolvedTableReference {
    let catalog = &state.config_options().catalog;
    name.resolve(&catalog.default_catalog, &catalog.default_schema)
}

fn lists_functions(table: &ResolvedTableReference) -> bool {
    &*table.schema == INFORMATION_SCHEMA && matches!(&*table.table, "routines" | "parameters")
}

/// What the names in a statement mean.
struct Names<'a> {
    state: &'a SessionState,
    registry: &'a Registry,
    tables: HashMap<ResolvedTableReference, Arc<dyn TableSource>>,
}

impl ContextProvider for Names<'_> {
    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let name = resolved(self.state, name);
        let found = self.tables.get(&name).cloned();
        found.ok_or_else(|| plan_datafusion_err!("table '{name}' not found"))
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        let function = self.registry.table_functions().get(name);
        let function =
            function.ok_or_else(|| plan_datafusion_err!("table function '{name}' not found"))?;
        let started = self.state.execution_props().query_execution_start_time;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(started)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let schema = DFSchema::empty();
        let args = args.into_iter().map(|arg| {
            let arg = simplifier.coerce(arg, &schema)?;
            simplifier.simplify(arg)
        });
        let args = args.collect::<Result<Vec<_>>>()?;
        let args = TableFunctionArgs::new(&args, self.state);
        let table = function.create_table_provider_with_args(args)?;
        Ok(provider_as_source(table))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        let table = CteWorkTable::new(name, schema);
        Ok(provider_as_source(Arc::new(table)))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.registry.scalar(name)
    }

    /// Functions that run a lambda are not offered.
    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    /// There are no variables.
    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    // In order, that the one which is suggested for a misspelt name is always the same.

    fn udf_names(&self) -> Vec<String> {
        in_order(self.registry.scalar_names())
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        in_order(self.state.aggregate_functions().keys())
    }

    fn udwf_names(&self) -> Vec<String> {
        in_order(self.state.window_functions().keys())
    }
}

fn in_order(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().map(Into::into).collect();
    names.sort_unstable();
    names
}
