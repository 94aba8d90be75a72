//! JSON: an object a line, or an array of objects.

mod decode;
mod records;

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::json::reader::Decoder;
use datafusion::common::Result;
use futures::stream::{self, StreamExt};
use weft_mesh::JsonLayout;

use self::records::Records;
use super::input::Input;
use super::wanted::{Decoded, Wanted};
use super::{Damage, Rows};

/// How to read the files of one scan.
pub(super) struct JsonReading {
    layout: JsonLayout,
    wanted: Arc<Wanted>,
    batch_size: usize,
}

impl JsonReading {
    pub(super) fn new(layout: JsonLayout, wanted: Arc<Wanted>, batch_size: usize) -> Self {
        Self {
            layout,
            wanted,
            batch_size,
        }
    }

    pub(super) fn rows(&self, input: Input, damage: Damage) -> Result<Rows> {
        let rows = JsonRows {
            records: Records::new(self.layout, input),
            decoder: decode::decoder(self.wanted.columns(), self.batch_size)?,
            wanted: Arc::clone(&self.wanted),
            batch_size: self.batch_size,
            damage,
        };
        Ok(stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        })
        .boxed())
    }
}

struct JsonRows {
    records: Records,
    decoder: Decoder,
    wanted: Arc<Wanted>,
    batch_size: usize,
    damage: Damage,
}

impl JsonRows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut batch: Vec<Bytes> = Vec::new();
        // Without a column there is nothing to decode: records are counted.
        let decodes = !self.wanted.columns().fields().is_empty();
        let mut clean = decodes;
        while batch.len() < self.batch_size {
            let Some(record) = self.records.next().await? else {
                break;
            };
            clean = clean && decode::feed(&mut self.decoder, &record, batch.len() + 1);
            batch.push(record);
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let decoded = if !decodes {
            Decoded::clean(Vec::new(), batch.len())
        } else if let Some(all) = decode::flush(&mut self.decoder, clean, batch.len()) {
            Decoded::clean(all.columns().to_vec(), batch.len())
        } else {
            self.decoder = decode::decoder(self.wanted.columns(), self.batch_size)?;
            decode::cell_by_cell(&batch, self.wanted.columns())?
        };
        self.damage.note(&self.wanted, &decoded);
        self.wanted.arrange(&decoded).map(Some)
    }
}
