//! What a statement reads and by which right: for the audit trail.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::{
    catalog::TableProvider as _,
    common::{TableReference, tree_node::TreeNodeRecursion},
    datasource::source_as_provider,
    logical_expr::{LogicalPlan, TableScan},
};
use weft_catalog::{GovernedTable, MeshSnapshot};
use weft_mesh::TableId;

use crate::error::{Result, classify};

/// One governed table of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableRead {
    /// What is read of it to answer the statement; nothing where no row of it matters.
    pub columns: BTreeSet<String>,
    /// The grants that gave access, by name.
    pub grants: Vec<String>,
    /// The guardrails that took something of it, by name.
    pub guardrails: Vec<String>,
    /// Equal for equal files.
    pub listing: Option<u64>,
}

/// A table as a statement names it, whether it is there or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedTable {
    /// The one of the session where the statement names none.
    pub schema: String,
    pub table: String,
}

/// The tables of a statement.
pub(crate) type Footprint = BTreeMap<TableId, TableRead>;

/// Every governed table that a plan or a subquery of it reads, as it was written.
pub(crate) fn tables(plan: &LogicalPlan) -> Result<Footprint> {
    let mut tables = Footprint::new();
    each_table(plan, |table, _| {
        tables
            .entry(table.id().clone())
            .or_insert_with(|| TableRead {
                columns: BTreeSet::new(),
                grants: table.grants().map(str::to_owned).collect(),
                guardrails: table.guardrails().map(str::to_owned).collect(),
                listing: table.listing(),
            });
    })?;
    Ok(tables)
}

/// Adds the columns that an optimised plan reads.
pub(crate) fn add_columns(tables: &mut Footprint, optimized: &LogicalPlan) -> Result<()> {
    each_table(optimized, |table, scan| {
        if let Some(read) = tables.get_mut(table.id()) {
            read.columns.extend(columns(table, scan));
        }
    })
}

/// The columns that a scan asks for.
fn columns(table: &GovernedTable, scan: &TableScan) -> BTreeSet<String> {
    let schema = table.schema();
    // A flag of `cell_hidden` reads its column.
    let source = |name: &str| Some(table.source_column(schema.index_of(name).ok()?)?.to_owned());
    let projected = scan.projected_schema.fields().iter();
    let mut columns: BTreeSet<String> =
        projected.filter_map(|field| source(field.name())).collect();
    for filter in &scan.filters {
        let read = filter.column_refs();
        columns.extend(read.into_iter().filter_map(|it| source(&it.name)));
    }
    columns
}

/// The files of all scans of a plan.
pub(crate) fn files(plan: &LogicalPlan) -> Result<usize> {
    let mut files = 0_usize;
    each_table(plan, |table, _| files = files.saturating_add(table.files()))?;
    Ok(files)
}

/// Whether every table of a plan reads what it would read in `snapshot`.
pub(crate) fn is_of(plan: &LogicalPlan, snapshot: &MeshSnapshot) -> bool {
    let mut is_of = true;
    let seen = each_table(plan, |table, _| is_of = is_of && table.is_of(snapshot));
    seen.is_ok() && is_of
}

/// What the accesses of all scans of a plan take in memory, in bytes.
pub(crate) fn access_size(plan: &LogicalPlan) -> Result<usize> {
    let mut bytes = 0_usize;
    each_table(plan, |table, _| {
        bytes = bytes.saturating_add(table.access_size())
    })?;
    Ok(bytes)
}

/// Whether a plan has a scan of each of `tables`.
pub(crate) fn reads_all(plan: &LogicalPlan, tables: &Footprint) -> Result<bool> {
    let mut read = BTreeSet::new();
    each_table(plan, |table, _| {
        read.insert(table.id().clone());
    })?;
    Ok(tables.keys().all(|table| read.contains(table)))
}

/// Whether no table of a plan is of the engine itself, as those of `information_schema` are.
pub(crate) fn reads_products_only(plan: &LogicalPlan) -> Result<bool> {
    let mut of_products = 0_usize;
    each_table(plan, |_, _| of_products += 1)?;
    let mut scans = 0_usize;
    plan.apply_with_subqueries(|node| {
        scans += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;
    Ok(scans == of_products)
}

/// Calls `see` with every scan of a governed table.
fn each_table(plan: &LogicalPlan, mut see: impl FnMut(&GovernedTable, &TableScan)) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<GovernedTable>()
        {
            see(table, scan);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(classify)?;
    Ok(())
}

/// What a statement names, sorted.
pub(crate) fn named(references: &[TableReference], schema: &str) -> Vec<NamedTable> {
    let named = references.iter().map(|reference| NamedTable {
        schema: reference.schema().unwrap_or(schema).to_owned(),
        table: reference.table().to_owned(),
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}
