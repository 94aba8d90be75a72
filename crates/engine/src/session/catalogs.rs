//! The one catalog that a session resolves names in.

use std::{collections::HashMap, sync::Arc};

use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableFunction};

use super::information_schema::{INFORMATION_SCHEMA, InformationSchema};
use crate::system::{SYSTEM, SystemSchema};

/// A list of one: the mesh, as the principal sees it.
#[derive(Debug)]
pub(crate) struct SessionCatalogs {
    name: String,
    catalog: Arc<SessionCatalog>,
}

impl SessionCatalogs {
    pub(crate) fn new(
        name: &str,
        governed: Arc<dyn CatalogProvider>,
        system: Arc<SystemSchema>,
        table_functions: &HashMap<String, Arc<TableFunction>>,
    ) -> Self {
        let described: Arc<dyn CatalogProvider> = Arc::new(DescribedSchemas { governed, system });
        let information_schema =
            InformationSchema::new(name, Arc::clone(&described), table_functions);
        let catalog = SessionCatalog {
            described,
            information_schema: Arc::new(information_schema),
        };
        Self {
            name: name.to_owned(),
            catalog: Arc::new(catalog),
        }
    }
}

impl CatalogProviderList for SessionCatalogs {
    /// Nothing is ever registered.
    fn register_catalog(
        &self,
        _: String,
        _: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.name).then(|| Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>)
    }
}

/// The principal's catalog and `system`: what `information_schema` describes.
#[derive(Debug)]
struct DescribedSchemas {
    governed: Arc<dyn CatalogProvider>,
    system: Arc<SystemSchema>,
}

impl CatalogProvider for DescribedSchemas {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.governed.schema_names();
        names.push(SYSTEM.to_owned());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == SYSTEM {
            return Some(Arc::clone(&self.system) as Arc<dyn SchemaProvider>);
        }
        self.governed.schema(name)
    }
}

/// All of that, and `information_schema`.
#[derive(Debug)]
struct SessionCatalog {
    described: Arc<dyn CatalogProvider>,
    information_schema: Arc<InformationSchema>,
}

impl CatalogProvider for SessionCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.described.schema_names();
        names.push(INFORMATION_SCHEMA.to_owned());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            return Some(Arc::clone(&self.information_schema) as Arc<dyn SchemaProvider>);
        }
        self.described.schema(name)
    }
}
