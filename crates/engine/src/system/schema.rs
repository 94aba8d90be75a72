//! The tables by name, and the schema as one viewer sees it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{SchemaProvider, TableProvider},
    error::Result,
};
use weft_catalog::{MeshSnapshot, VisibleColumn, VisibleTable};
use weft_policy::Viewer;

use super::{
    SYSTEM, SystemColumn, SystemTable, columns::Columns, grants::Grants, products::Products,
    provider::SystemTableProvider,
};

/// The tables of the schema by name.
#[derive(Clone, Debug)]
pub(crate) struct SystemTables(Arc<BTreeMap<&'static str, Described>>);

/// A table with its columns, asked for once.
#[derive(Debug)]
struct Described {
    table: Arc<dyn SystemTable>,
    columns: Vec<SystemColumn>,
    schema: SchemaRef,
}

impl SystemTables {
    /// Those that the engine makes itself, and `others`.
    pub(crate) fn new(others: &[Arc<dyn SystemTable>]) -> Self {
        let own: [Arc<dyn SystemTable>; 3] =
            [Arc::new(Products), Arc::new(Columns), Arc::new(Grants)];
        let described = own.iter().chain(others).map(|table| {
            let columns = table.columns();
            let described = Described {
                table: Arc::clone(table),
                schema: SystemColumn::schema(&columns),
                columns,
            };
            (table.name(), described)
        });
        Self(Arc::new(described.collect()))
    }

    /// All tables as metadata describes them.
    pub(crate) fn describe(&self) -> Vec<VisibleTable> {
        let describe = |(name, described): (&&'static str, &Described)| VisibleTable {
            domain: SYSTEM.to_owned(),
            name: (*name).to_owned(),
            description: Some(described.table.description().to_owned()),
            schema: Arc::clone(&described.schema),
            columns: described.columns.iter().map(visible).collect(),
            primary_key: Vec::new(),
        };
        self.0.iter().map(describe).collect()
    }
}

fn visible(column: &SystemColumn) -> VisibleColumn {
    VisibleColumn {
        name: column.name.to_owned(),
        description: Some(column.description.to_owned()),
    }
}

/// The schema as one viewer sees it on one snapshot.
pub(crate) struct SystemSchema {
    tables: SystemTables,
    snapshot: Arc<MeshSnapshot>,
    viewer: Viewer,
}

impl SystemSchema {
    pub(crate) fn new(tables: SystemTables, snapshot: Arc<MeshSnapshot>, viewer: Viewer) -> Self {
        Self {
            tables,
            snapshot,
            viewer,
        }
    }
}

/// Hand-written: neither policy nor identities.
impl fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemSchema")
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let names = self.tables.0.keys();
        names.map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.0.get(name).map(|described| {
            let provider = SystemTableProvider::new(
                Arc::clone(&described.table),
                Arc::clone(&described.schema),
                Arc::clone(&self.snapshot),
                self.viewer.clone(),
            );
            Arc::new(provider) as Arc<dyn TableProvider>
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.0.contains_key(name)
    }
}
