//! Which columns of a file are those of the contract.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::SchemaMismatch;
use crate::product::layout::RequiredColumns;

/// Where the wanted columns stand in one file.
pub(super) struct Columns {
    pub(super) in_file: SchemaRef,
    /// Places in the file of the columns that are read.
    pub(super) read: Vec<usize>,
    /// For each wanted column its place among those read; none where the file lacks it.
    pub(super) sources: Vec<Option<usize>>,
}

impl Columns {
    pub(super) fn by_position(contract: &SchemaRef, wanted: &Schema) -> Self {
        let read: Vec<usize> = wanted
            .fields()
            .iter()
            .filter_map(|f| contract.index_of(f.name()).ok())
            .collect();
        let in_file = contract
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true));
        let sources = (0..read.len()).map(Some).collect();
        Self {
            in_file: Arc::new(Schema::new(in_file.collect::<Vec<_>>())),
            read,
            sources,
        }
    }

    pub(super) fn by_name(
        names: &[&str],
        contract: &Schema,
        required: &RequiredColumns,
        wanted: &Schema,
    ) -> Result<Self, SchemaMismatch> {
        for field in contract.fields() {
            match names.iter().filter(|name| **name == field.name()).count() {
                0 if !required.contains(field.name()) => {}
                0 => {
                    return Err(SchemaMismatch(format!(
                        "a file lacks the required column `{}`",
                        field.name()
                    )));
                }
                1 => {}
                _ => {
                    return Err(SchemaMismatch(format!(
                        "a file has two columns `{}`",
                        field.name()
                    )));
                }
            }
        }
        let in_file = names
            .iter()
            .map(|name| match contract.field_with_name(name) {
                Ok(field) => field.clone().with_nullable(true),
                Err(_) => Field::new(*name, DataType::Utf8, true),
            });
        let mut read = Vec::new();
        let mut sources = Vec::new();
        for field in wanted.fields() {
            let place = names.iter().position(|name| name == field.name());
            sources.push(place.map(|_| read.len()));
            read.extend(place);
        }
        Ok(Self {
            in_file: Arc::new(Schema::new(in_file.collect::<Vec<_>>())),
            read,
            sources,
        })
    }
}
