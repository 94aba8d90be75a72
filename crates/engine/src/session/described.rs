//! Schemas as they are described to people: how a string lies in memory is the
//! engine's own affair.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    datasource::empty::EmptyTable,
    error::Result,
};

/// `schema` without the layouts of strings and bytes that clients never see.
pub(crate) fn described(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(field);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn field(field: &FieldRef) -> FieldRef {
    let data_type = data_type(field.data_type());
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other types are what they are called"
)]
fn data_type(of: &DataType) -> DataType {
    match of {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

/// A catalog of the same names, whose tables have their described schemas and
/// no rows.
#[derive(Debug)]
pub(super) struct DescribedCatalog(pub(super) Arc<dyn CatalogProvider>);

impl CatalogProvider for DescribedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.0.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = self.0.schema(name)?;
        Some(Arc::new(DescribedSchema(schema)))
    }
}

#[derive(Debug)]
struct DescribedSchema(Arc<dyn SchemaProvider>);

#[async_trait]
impl SchemaProvider for DescribedSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.0.table(name).await?;
        let described = table.map(|table| EmptyTable::new(described(&table.schema())));
        Ok(described.map(|table| Arc::new(table) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.table_exist(name)
    }
}
