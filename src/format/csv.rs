use std::sync::Arc;

use arrow::csv::WriterBuilder;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::{Encoder, text};
use crate::error::Result;

/// RFC 4180 with a header line, which an empty result has as well.
pub(super) struct CsvEncoder {
    schema: SchemaRef,
}

impl CsvEncoder {
    pub(super) fn new(schema: &Schema) -> Self {
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), text::flat_type(field.data_type()), true))
            .collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
        }
    }

    fn encode(batch: &RecordBatch, header: bool) -> Result<Vec<u8>> {
        let mut writer = WriterBuilder::new().with_header(header).build(Vec::new());
        writer.write(batch)?;
        Ok(writer.into_inner())
    }
}

impl Encoder for CsvEncoder {
    fn head(&mut self) -> Result<Vec<u8>> {
        Self::encode(&RecordBatch::new_empty(Arc::clone(&self.schema)), true)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        if batch.num_columns() == 0 {
            return Ok(Vec::new());
        }
        let columns = batch
            .columns()
            .iter()
            .map(text::flatten)
            .collect::<std::result::Result<_, _>>()?;
        Self::encode(
            &RecordBatch::try_new(Arc::clone(&self.schema), columns)?,
            false,
        )
    }
}
