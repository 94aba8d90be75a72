use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::record_batch::RecordBatch;

use super::Encoder;
use crate::error::Result;

/// Newline-delimited JSON. A NULL is written out, so that every line has every key.
pub(super) struct JsonEncoder;

impl Encoder for JsonEncoder {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, LineDelimited>(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        Ok(writer.into_inner())
    }
}
