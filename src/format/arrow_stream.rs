use arrow::datatypes::Schema;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use super::Encoder;
use crate::error::Result;

/// An Arrow IPC stream, as `pyarrow.ipc.open_stream` reads it.
pub(super) struct ArrowEncoder {
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowEncoder {
    pub(super) fn try_new(schema: &Schema) -> Result<Self> {
        Ok(Self {
            writer: StreamWriter::try_new(Vec::new(), schema)?,
        })
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }
}

impl Encoder for ArrowEncoder {
    fn head(&mut self) -> Result<Vec<u8>> {
        Ok(self.take())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        self.writer.write(batch)?;
        Ok(self.take())
    }

    fn tail(&mut self) -> Result<Vec<u8>> {
        self.writer.finish()?;
        Ok(self.take())
    }
}
