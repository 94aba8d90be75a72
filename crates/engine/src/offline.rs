//! What a statement would read, planned over schemas alone: no mesh is opened,
//! no file is looked at, nothing runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{
        CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
        SchemaProvider,
    },
    common::{ScalarValue, tree_node::TreeNodeRecursion},
    datasource::empty::EmptyTable,
    execution::{config::SessionConfig, session_state::SessionStateBuilder},
    logical_expr::LogicalPlan,
    optimizer::Optimizer,
    sql::parser::Statement,
};
use weft_mesh::{Domain, Table, TableId};
use weft_policy::{Access, PolicySnapshot, Viewer};

use crate::{
    config::EngineConfig,
    error::{Result, classify, with_references},
    functions::{Caps, Registry, SessionConstants},
    plan::{logical_plan, refuse_too_large},
    session::interruptible,
    sql,
    system::{SYSTEM, SystemTables},
};

/// A table by the names that SQL has for it.
#[derive(Debug, Clone)]
pub struct OfflineTable {
    /// The SQL schema.
    pub domain: String,
    /// The SQL name: `orders`, or `orders@1`.
    pub name: String,
    /// Every column of its contract.
    pub schema: SchemaRef,
}

/// A table that a statement reads, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// The SQL schema.
    pub domain: String,
    /// The SQL name, as the statement has it.
    pub name: String,
    /// The columns that the statement cannot do without, in the order of the
    /// contract.
    pub columns: Vec<String>,
}

/// What `sql` reads of `tables` in the mesh called `mesh`, for somebody who sees
/// these tables with these columns. The schemas that belong to no domain are
/// there, and not told of.
///
/// # Errors
/// See [`Error`](crate::Error): a statement that is wrong, refused, too big, or
/// names what is not there.
pub async fn reads(sql: &str, mesh: &str, tables: &[OfflineTable]) -> Result<Vec<Read>> {
    reads_of(sql::parse(sql, mesh)?.statement, mesh, tables).await
}

async fn reads_of(statement: Statement, mesh: &str, tables: &[OfflineTable]) -> Result<Vec<Read>> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_default_catalog_and_schema(mesh, "");
    config.options_mut().execution.time_zone = Some("+00:00".to_owned());
    let caps = Arc::new(Caps::new(EngineConfig::default().plan_timeout));
    let nothing = ScalarValue::Utf8(None);
    let constants = SessionConstants {
        catalog: nothing.clone(),
        schema: nothing.clone(),
        user: nothing.clone(),
        purpose: nothing,
    };
    let registry = Registry::new(&caps, &constants, config.options());
    let catalogs = MemoryCatalogProviderList::new();
    datafusion::catalog::CatalogProviderList::register_catalog(
        &catalogs,
        mesh.to_owned(),
        Arc::new(catalog(tables)?),
    );
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_catalog_list(Arc::new(catalogs))
        .with_expr_planners(registry.expr_planners())
        .with_aggregate_functions(registry.aggregate_functions())
        .with_window_functions(registry.window_functions())
        .with_optimizer_rules(interruptible(Optimizer::new().rules, &caps))
        .build();
    let references = state
        .resolve_table_references(&statement)
        .map_err(classify)?;
    let plan = logical_plan(&mut state, &registry, &references, statement)
        .await
        .map_err(|error| with_references(error, &references, (mesh, ""), |_| None))?;
    refuse_too_large(&plan)?;
    let mut names = BTreeSet::new();
    let is_told = |(domain, name): &(String, String)| {
        let mut tables = tables.iter();
        tables.any(|it| it.domain == *domain && it.name == *name)
    };
    tables_of(&plan, &mut |table, _| {
        if is_told(&table) {
            names.insert(table);
        }
    })?;
    let mut found: BTreeMap<(String, String), BTreeSet<usize>> = names
        .into_iter()
        .map(|name| (name, BTreeSet::new()))
        .collect();
    // Where the optimiser finds that a table is not needed at all, it is still read by its name.
    let optimized = state.optimize(&plan).map_err(classify)?;
    tables_of(&optimized, &mut |table, columns| {
        if is_told(&table) {
            found.entry(table).or_default().extend(columns);
        }
    })?;
    let read = found.into_iter().map(|((domain, name), positions)| {
        let schema = tables
            .iter()
            .find(|it| it.domain == domain && it.name == name)
            .map(|it| Arc::clone(&it.schema));
        let column = |at: &usize| Some(schema.as_ref()?.fields().get(*at)?.name().clone());
        Read {
            columns: positions.iter().filter_map(column).collect(),
            domain,
            name,
        }
    });
    Ok(read.collect())
}

/// What `sql` reads of somebody who sees `theirs`; or, if it is refused for
/// them, what of `all` it would read, and the refusal.
///
/// # Errors
/// See [`Error`](crate::Error): a statement that cannot be planned over all
/// tables and columns either.
pub async fn reads_as(
    sql: &str,
    mesh: &str,
    theirs: &[OfflineTable],
    all: &[OfflineTable],
) -> Result<(Vec<Read>, Option<String>)> {
    statement_reads_as(&sql::parse(sql, mesh)?.statement, mesh, theirs, all).await
}

pub(crate) async fn statement_reads_as(
    statement: &Statement,
    mesh: &str,
    theirs: &[OfflineTable],
    all: &[OfflineTable],
) -> Result<(Vec<Read>, Option<String>)> {
    let refused = match reads_of(statement.clone(), mesh, theirs).await {
        Ok(read) => return Ok((read, None)),
        Err(error) => error.to_string(),
    };
    let read = reads_of(statement.clone(), mesh, all).await?;
    Ok((read, Some(refused)))
}

impl OfflineTable {
    /// The tables of `domains` that have a schema, by all of their names.
    pub fn of<'a>(
        domains: impl IntoIterator<Item = &'a Domain>,
        schema: impl Fn(&TableId, &Table) -> Option<SchemaRef>,
    ) -> Vec<Self> {
        let mut found = Vec::new();
        for domain in domains {
            for table in &domain.tables {
                let Some(schema) = schema(&table.id(&domain.name), table) else {
                    continue;
                };
                found.extend(table.sql_names().into_iter().map(|name| Self {
                    domain: domain.name.to_string(),
                    name,
                    schema: Arc::clone(&schema),
                }));
            }
        }
        found
    }

    /// The tables of `domains` as `viewer` sees them.
    pub fn seen_by<'a>(
        viewer: &Viewer,
        policy: &PolicySnapshot,
        domains: impl IntoIterator<Item = &'a Domain>,
    ) -> Vec<Self> {
        Self::of(domains, |id, _| match policy.decide(viewer, id) {
            Access::Granted(access) => Some(access.arrow_schema()),
            Access::Denied(_) => None,
        })
    }
}

fn catalog(tables: &[OfflineTable]) -> Result<MemoryCatalogProvider> {
    let catalog = MemoryCatalogProvider::new();
    let mut schemas: BTreeMap<&str, Arc<MemorySchemaProvider>> = BTreeMap::new();
    for table in tables {
        let schema = schemas.entry(&table.domain).or_default();
        let empty = Arc::new(EmptyTable::new(Arc::clone(&table.schema)));
        schema
            .register_table(table.name.clone(), empty)
            .map_err(classify)?;
    }
    for table in SystemTables::new(&[]).describe() {
        let empty = Arc::new(EmptyTable::new(table.schema));
        let schema = schemas.entry(SYSTEM).or_default();
        schema.register_table(table.name, empty).map_err(classify)?;
    }
    for (name, schema) in schemas {
        catalog.register_schema(name, schema).map_err(classify)?;
    }
    Ok(catalog)
}

/// Every scan below a plan, in subqueries too, with the positions it reads.
fn tables_of(
    plan: &LogicalPlan,
    visit: &mut impl FnMut((String, String), Vec<usize>),
) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let schema = scan.source.schema();
            let mut columns = match &scan.projection {
                Some(columns) => columns.clone(),
                None => (0..schema.fields().len()).collect(),
            };
            for filter in &scan.filters {
                let read = filter.column_refs();
                columns.extend(read.iter().filter_map(|it| schema.index_of(&it.name).ok()));
            }
            if let Some(domain) = scan.table_name.schema() {
                visit(
                    (domain.to_owned(), scan.table_name.table().to_owned()),
                    columns,
                );
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;
    Ok(())
}
