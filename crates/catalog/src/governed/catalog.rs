//! The catalog of one principal: it holds what was granted and nothing else.
//!
//! Planning, `information_schema`, `SHOW TABLES` and the metadata calls of
//! Flight SQL all read it, so a hidden table and a missing one are the same
//! `None` everywhere.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use weft_mesh::{Table, TableId};
use weft_policy::{Access, Viewer};

use super::table::{GovernedTable, UserPushdown};
use crate::mesh_snapshot::{MeshSnapshot, Named};
use crate::product::ProductTable;

/// The tables of a mesh that one viewer sees.
pub struct GovernedCatalog {
    snapshot: Arc<MeshSnapshot>,
    viewer: Viewer,
    pushdown: UserPushdown,
    /// Those that were asked for.
    domains: Mutex<HashMap<String, Arc<GovernedSchema>>>,
}

/// A table in the words of a principal who sees it.
#[derive(Clone, Debug)]
pub struct VisibleTable {
    /// The SQL schema.
    pub domain: String,
    /// The SQL name: `orders`, or `orders@1` for an older major version.
    pub name: String,
    pub description: Option<String>,
    /// The authorised columns, without metadata.
    pub schema: SchemaRef,
    /// One for each field of `schema`.
    pub columns: Vec<VisibleColumn>,
    /// In key order; empty unless every column of the key is visible and clear.
    pub primary_key: Vec<String>,
}

/// A column of a [`VisibleTable`].
#[derive(Clone, Debug)]
pub struct VisibleColumn {
    pub name: String,
    pub description: Option<String>,
}

impl GovernedCatalog {
    /// Nothing is decided before it is asked for.
    pub fn new(snapshot: &Arc<MeshSnapshot>, viewer: &Viewer) -> Self {
        Self::with_pushdown(snapshot, viewer, UserPushdown::Leakproof)
    }

    /// The same, where the user's filters enter the seals as `pushdown` says.
    pub fn with_pushdown(
        snapshot: &Arc<MeshSnapshot>,
        viewer: &Viewer,
        pushdown: UserPushdown,
    ) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            viewer: viewer.clone(),
            pushdown,
            domains: Mutex::default(),
        }
    }

    fn domain(&self, name: &str) -> Option<Arc<GovernedSchema>> {
        let tables = self.snapshot.by_name().get(name)?;
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let domain = domains.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(GovernedSchema {
                snapshot: Arc::clone(&self.snapshot),
                viewer: self.viewer.clone(),
                pushdown: self.pushdown,
                tables: Arc::clone(tables),
                decided: Mutex::default(),
            })
        });
        Some(Arc::clone(domain))
    }

    fn domains(&self) -> impl Iterator<Item = (&String, Arc<GovernedSchema>)> {
        let names = self.snapshot.by_name().keys();
        names.filter_map(|name| Some((name, self.domain(name)?)))
    }

    /// Whom to ask for a table that the viewer may find and not query, by its SQL
    /// names. `None` for every other name, as for one that never existed.
    pub fn whom_to_ask(&self, domain: &str, name: &str) -> Option<String> {
        let id = self.snapshot.by_name().get(domain)?.get(name)?.product.id();
        let policy = self.snapshot.policy();
        match policy.decide(&self.viewer, id) {
            Access::Denied(denial) if !denial.discovered_by.is_empty() => {
                Some(policy.domain(&id.domain)?.whom_to_ask())
            }
            Access::Denied(_) | Access::Granted(_) => None,
        }
    }

    /// Every visible table once, under its shortest name, by domain and name.
    pub fn visible_tables(&self) -> Vec<VisibleTable> {
        let mut visible = Vec::new();
        for (domain, schema) in self.domains() {
            let tables = schema.listed();
            visible.extend(
                tables.map(|(name, named, table)| describe(domain, name, &named.product, &table)),
            );
        }
        visible
    }
}

impl fmt::Debug for GovernedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GovernedCatalog")
    }
}

impl CatalogProvider for GovernedCatalog {
    /// Domains with a visible table; a domain without one does not exist.
    fn schema_names(&self) -> Vec<String> {
        self.domains()
            .filter(|(_, schema)| schema.listed().next().is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = self.domain(name)?;
        schema.listed().next()?;
        Some(schema)
    }
}

/// One domain as a SQL schema.
struct GovernedSchema {
    snapshot: Arc<MeshSnapshot>,
    viewer: Viewer,
    pushdown: UserPushdown,
    tables: Arc<BTreeMap<String, Named>>,
    decided: Mutex<HashMap<TableId, Option<Arc<GovernedTable>>>>,
}

impl GovernedSchema {
    /// Decided once, also where two statements of one session ask at a time.
    fn resolve(&self, product: &Arc<ProductTable>) -> Option<Arc<GovernedTable>> {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = decided.get(product.id()) {
            return table.clone();
        }
        let table = self.decide(product);
        decided.insert(product.id().clone(), table.clone());
        table
    }

    fn decide(&self, product: &Arc<ProductTable>) -> Option<Arc<GovernedTable>> {
        match self.snapshot.policy().decide(&self.viewer, product.id()) {
            Access::Granted(access) => Some(Arc::new(GovernedTable::new(
                Arc::clone(product),
                Arc::new(access),
                self.viewer.principal.id().clone(),
                &self.snapshot,
                self.pushdown,
            ))),
            Access::Denied(_) => None,
        }
    }

    fn listed(&self) -> impl Iterator<Item = (&String, &Named, Arc<GovernedTable>)> {
        let listed = self.tables.iter().filter(|(_, named)| named.listed);
        listed.filter_map(|(name, named)| Some((name, named, self.resolve(&named.product)?)))
    }
}

impl fmt::Debug for GovernedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GovernedSchema")
    }
}

#[async_trait]
impl SchemaProvider for GovernedSchema {
    fn table_names(&self) -> Vec<String> {
        self.listed().map(|(name, ..)| name.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let named = self.tables.get(name);
        let table = named.and_then(|named| self.resolve(&named.product));
        Ok(table.map(|table| table as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables
            .get(name)
            .is_some_and(|named| self.resolve(&named.product).is_some())
    }
}

fn describe(
    domain: &str,
    name: &str,
    product: &ProductTable,
    governed: &GovernedTable,
) -> VisibleTable {
    let contract: &Table = product.table();
    let schema = governed.schema();
    let columns = schema.fields().iter().map(|field| VisibleColumn {
        name: field.name().clone(),
        description: contract
            .column(field.name())
            .and_then(|c| c.description.clone()),
    });
    VisibleTable {
        domain: domain.to_owned(),
        name: name.to_owned(),
        description: contract.description.clone(),
        columns: columns.collect(),
        primary_key: governed.primary_key(contract),
        schema,
    }
}
