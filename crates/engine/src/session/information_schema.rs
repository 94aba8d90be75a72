//! `information_schema` of what the principal sees.
//!
//! The engine's own would also show its settings; here they do not exist.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{ArrayRef, StringArray},
        datatypes::{DataType, Field, Schema},
        record_batch::RecordBatch,
    },
    catalog::{
        CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider,
        TableFunction, TableProvider, information_schema::InformationSchemaProvider,
    },
    datasource::{MemTable, empty::EmptyTable},
    error::Result,
};

use super::described::DescribedCatalog;
use crate::system::SYSTEM;

pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

const TABLES: &str = "tables";
/// There are none: the engine's own would list the tables.
const VIEWS: &str = "views";
/// What the engine's own provider answers for us.
const DELEGATED: [&str; 4] = ["columns", "parameters", "routines", "schemata"];

#[derive(Debug)]
pub(crate) struct InformationSchema {
    catalog_name: String,
    schemas: Arc<dyn CatalogProvider>,
    provider: InformationSchemaProvider,
}

impl InformationSchema {
    pub(crate) fn new(
        catalog_name: &str,
        schemas: Arc<dyn CatalogProvider>,
        table_functions: &HashMap<String, Arc<TableFunction>>,
    ) -> Self {
        let list = MemoryCatalogProviderList::new();
        let described = DescribedCatalog(Arc::clone(&schemas));
        list.register_catalog(catalog_name.to_owned(), Arc::new(described));
        let provider = InformationSchemaProvider::new(Arc::new(list))
            .with_table_functions(table_functions.clone());
        Self {
            catalog_name: catalog_name.to_owned(),
            schemas,
            provider,
        }
    }

    fn tables(&self) -> Result<MemTable> {
        let mut rows: Vec<(String, String, &str)> = Vec::new();
        for schema_name in self.schemas.schema_names() {
            let Some(schema) = self.schemas.schema(&schema_name) else {
                continue;
            };
            let kind = if schema_name == SYSTEM {
                "VIEW"
            } else {
                "BASE TABLE"
            };
            let names = schema.table_names().into_iter();
            rows.extend(names.map(|name| (schema_name.clone(), name, kind)));
        }
        rows.extend(
            self.table_names()
                .into_iter()
                .map(|t| (INFORMATION_SCHEMA.to_owned(), t, "VIEW")),
        );

        let names = ["table_catalog", "table_schema", "table_name", "table_type"];
        let fields: Vec<_> = names
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, false))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let columns: [ArrayRef; 4] = [
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|_| &self.catalog_name),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(schema, ..)| schema),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(_, table, _)| table),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(.., kind)| kind),
            )),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec())?;
        MemTable::try_new(schema, vec![vec![batch]])
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        DELEGATED
            .into_iter()
            .chain([TABLES, VIEWS])
            .map(str::to_owned)
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match name {
            TABLES => Ok(Some(Arc::new(self.tables()?))),
            VIEWS => Ok(Some(Arc::new(views()))),
            name if DELEGATED.contains(&name) => self.provider.table(name).await,
            _ => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        name == TABLES || name == VIEWS || DELEGATED.contains(&name)
    }
}

fn views() -> EmptyTable {
    let names = ["table_catalog", "table_schema", "table_name", "definition"];
    let fields = names.map(|name| Field::new(name, DataType::Utf8, name == "definition"));
    EmptyTable::new(Arc::new(Schema::new(fields.to_vec())))
}
