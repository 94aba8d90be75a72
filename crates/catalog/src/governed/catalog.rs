//! The catalog of one principal: it holds what was granted and nothing else.
//!
//! Planning, `information_schema`, `SHOW TABLES` and the metadata calls of
//! Flight SQL all read it, so a hidden table and a missing one are the same
//! `None` everywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use weft_mesh::Table;
use weft_policy::{Access, Viewer};

use super::table::{GovernedTable, UserPushdown};
use crate::mesh_snapshot::MeshSnapshot;
use crate::product::ProductTable;

/// The tables of a mesh that one viewer sees.
pub struct GovernedCatalog {
    domains: BTreeMap<String, Arc<GovernedSchema>>,
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
        let mut domains: BTreeMap<String, BTreeMap<String, Entry>> = BTreeMap::new();
        for product in snapshot.products() {
            let id = product.id();
            let names = domains.entry(id.domain.to_string()).or_default();
            for (position, name) in product.table().sql_names().into_iter().enumerate() {
                let entry = Entry {
                    product: Arc::clone(product),
                    listed: position == 0,
                    decided: OnceLock::new(),
                };
                names.insert(name, entry);
            }
        }
        let domains = domains.into_iter().map(|(domain, tables)| {
            let schema = GovernedSchema {
                snapshot: Arc::clone(snapshot),
                viewer: viewer.clone(),
                pushdown,
                tables,
            };
            (domain, Arc::new(schema))
        });
        Self {
            domains: domains.collect(),
        }
    }

    /// Whom to ask for a table that the viewer may find and not query, by its SQL
    /// names. `None` for every other name, as for one that never existed.
    pub fn whom_to_ask(&self, domain: &str, name: &str) -> Option<String> {
        let schema = self.domains.get(domain)?;
        let id = schema.tables.get(name)?.product.id();
        let policy = schema.snapshot.policy();
        match policy.decide(&schema.viewer, id) {
            Access::Denied(denial) if !denial.discovered_by.is_empty() => {
                Some(policy.domain(&id.domain)?.whom_to_ask())
            }
            Access::Denied(_) | Access::Granted(_) => None,
        }
    }

    /// Every visible table once, under its shortest name, by domain and name.
    pub fn visible_tables(&self) -> Vec<VisibleTable> {
        self.domains
            .iter()
            .flat_map(|(domain, schema)| {
                schema
                    .listed()
                    .map(|(name, entry, table)| describe(domain, name, entry, &table))
            })
            .collect()
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
        self.domains
            .iter()
            .filter(|(_, s)| s.listed().next().is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = self.domains.get(name)?;
        schema.listed().next()?;
        Some(Arc::clone(schema) as Arc<dyn SchemaProvider>)
    }
}

/// One domain as a SQL schema.
struct GovernedSchema {
    snapshot: Arc<MeshSnapshot>,
    viewer: Viewer,
    pushdown: UserPushdown,
    tables: BTreeMap<String, Entry>,
}

struct Entry {
    product: Arc<ProductTable>,
    /// `orders@2` can be queried and is not listed beside `orders`.
    listed: bool,
    decided: OnceLock<Option<Arc<GovernedTable>>>,
}

impl GovernedSchema {
    fn resolve(&self, entry: &Entry) -> Option<Arc<GovernedTable>> {
        entry
            .decided
            .get_or_init(|| self.decide(&entry.product))
            .clone()
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

    fn listed(&self) -> impl Iterator<Item = (&String, &Entry, Arc<GovernedTable>)> {
        self.tables
            .iter()
            .filter(|(_, entry)| entry.listed)
            .filter_map(|(name, entry)| Some((name, entry, self.resolve(entry)?)))
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
        let table = self.tables.get(name).and_then(|entry| self.resolve(entry));
        Ok(table.map(|table| table as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables
            .get(name)
            .is_some_and(|entry| self.resolve(entry).is_some())
    }
}

fn describe(domain: &str, name: &str, entry: &Entry, governed: &GovernedTable) -> VisibleTable {
    let contract: &Table = entry.product.table();
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
