//! Results as bytes for a person or a program, batch by batch.

mod arrow_stream;
mod csv;
mod json;
mod table;
mod text;

use std::io::{self, Write as _};

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use clap::ValueEnum;

use crate::error::{Error, Result};

pub(crate) use table::TableEncoder;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for reading; widths come from the first rows
    #[default]
    Table,
    /// RFC 4180 with a header line; NULL is empty
    Csv,
    /// One JSON object a line; decimals are written in full
    Json,
    /// An Arrow IPC stream
    Arrow,
}

/// Turns batches into bytes. Each call hands over what is ready to be written.
pub(crate) trait Encoder: Send {
    fn head(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>>;
    fn tail(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

impl Format {
    pub(crate) fn encoder(self, schema: &Schema) -> Result<Box<dyn Encoder>> {
        Ok(match self {
            Self::Table => Box::new(TableEncoder::new(schema)),
            Self::Csv => Box::new(csv::CsvEncoder::new(schema)),
            Self::Json => Box::new(json::JsonEncoder),
            Self::Arrow => Box::new(arrow_stream::ArrowEncoder::try_new(schema)?),
        })
    }

    /// Whether the bytes would do harm to a terminal.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow)
    }
}

pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|cause| Error::io("write the result", &cause))
}
