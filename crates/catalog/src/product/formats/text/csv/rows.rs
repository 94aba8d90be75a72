//! Batches of one CSV file: the fast way first, then cell by cell.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use datafusion::arrow::csv::reader::Decoder;
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result;

use super::super::Damage;
use super::super::input::{Input, check_record};
use super::super::wanted::{Decoded, Wanted};
use super::Settings;
use super::cells::Cells;
use super::columns::Columns;
use super::split::{Ended, Splitter};
use crate::error::SchemaMismatch;

pub(super) struct CsvRows {
    settings: Arc<Settings>,
    wanted: Arc<Wanted>,
    columns: Columns,
    input: Input,
    decoder: Decoder,
    damage: Damage,
}

/// What became of a batch on the fast way.
enum Fast {
    Batch(RecordBatch),
    End,
    /// A record or a cell is not as it should be.
    Damaged,
}

impl CsvRows {
    pub(super) fn new(
        settings: Arc<Settings>,
        wanted: Arc<Wanted>,
        columns: Columns,
        input: Input,
        damage: Damage,
    ) -> Result<Self> {
        Ok(Self {
            decoder: settings.decoder(&columns.in_file, Some(&columns.read))?,
            settings,
            wanted,
            columns,
            input,
            damage,
        })
    }

    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let decoded = match self.fast().await? {
            Fast::End => return Ok(None),
            Fast::Batch(batch) => Decoded::clean(
                self.arranged(batch.columns(), batch.num_rows()),
                batch.num_rows(),
            ),
            Fast::Damaged => {
                self.input.rewind();
                self.decoder = self
                    .settings
                    .decoder(&self.columns.in_file, Some(&self.columns.read))?;
                match self.cell_by_cell().await? {
                    Some(decoded) => decoded,
                    None => return Ok(None),
                }
            }
        };
        self.input.forget();
        self.damage.note(&self.wanted, &decoded);
        self.wanted.arrange(&decoded).map(Some)
    }

    async fn fast(&mut self) -> Result<Fast> {
        let mut unfinished = 0_usize;
        loop {
            self.input.fill().await?;
            if self.input.ahead.is_empty() {
                return Ok(match self.last() {
                    Ok(Some(batch)) if holds_text(&batch) => Fast::Batch(batch),
                    Ok(None) => Fast::End,
                    Ok(Some(_)) | Err(_) => Fast::Damaged,
                });
            }
            let room = self.decoder.capacity();
            let Ok(used) = self.decoder.decode(&self.input.ahead) else {
                return Ok(Fast::Damaged);
            };
            self.input.consume(used);
            if self.decoder.capacity() == room {
                unfinished += used;
                check_record(unfinished)?;
            } else {
                unfinished = 0;
            }
            if self.decoder.capacity() == 0 {
                return Ok(match self.decoder.flush() {
                    Ok(Some(batch)) if holds_text(&batch) => Fast::Batch(batch),
                    Ok(_) | Err(_) => Fast::Damaged,
                });
            }
        }
    }

    /// At the end of the text. A line break completes the last record, unless a
    /// quote is open: then the end completes one more.
    fn last(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.decode(b"\n")?;
        let room = self.decoder.capacity();
        self.decoder.decode(&[])?;
        if self.decoder.capacity() != room {
            return Err(ArrowError::CsvError("an open quote".to_owned()));
        }
        self.decoder.flush()
    }

    /// As many records as a batch has, each cell on its own.
    async fn cell_by_cell(&mut self) -> Result<Option<Decoded>> {
        let fields = self.columns.in_file.fields();
        let mut splitter = Splitter::new(&self.settings.format, fields.len());
        let mut cells = Cells::new(&self.settings, &self.columns);
        let mut unfinished = 0_usize;
        while cells.rows() < self.settings.batch_size {
            self.input.fill().await?;
            if self.input.ahead.is_empty() {
                // As in `last`.
                if let Ended::Record(record) = splitter.read(b"\n").1 {
                    cells.push(&record);
                }
                if let Ended::Record(_) = splitter.read(&[]).1 {
                    return Err(SchemaMismatch("a quote is never closed".to_owned()).into());
                }
                break;
            }
            let (used, ended) = splitter.read(&self.input.ahead);
            match ended {
                Ended::Record(record) => {
                    cells.push(&record);
                    unfinished = 0;
                }
                Ended::Input => {
                    unfinished += used;
                    check_record(unfinished)?;
                }
            }
            self.input.consume(used);
        }
        if cells.rows() == 0 {
            return Ok(None);
        }
        let decoded = cells.decode()?;
        Ok(Some(Decoded {
            columns: self.arranged(&decoded.columns, decoded.rows),
            unparsed: self
                .columns
                .sources
                .iter()
                .map(|source| source.and_then(|at| decoded.unparsed.get(at).cloned().flatten()))
                .collect(),
            rows: decoded.rows,
        }))
    }

    /// The wanted columns in their order, NULL where the file has none.
    fn arranged(&self, read: &[ArrayRef], rows: usize) -> Vec<ArrayRef> {
        let fields = self.wanted.columns().fields().iter();
        fields
            .zip(&self.columns.sources)
            .map(|(field, source)| {
                source
                    .and_then(|at| read.get(at).cloned())
                    .unwrap_or_else(|| new_null_array(field.data_type(), rows))
            })
            .collect()
    }
}

/// Whether every string of `batch` is UTF-8. The decoder looks at the text of
/// all cells in a row: half a character at the end of one cell and the other
/// half at the beginning of the next pass as one, and are in neither.
fn holds_text(batch: &RecordBatch) -> bool {
    batch.columns().iter().all(|column| {
        let Some(texts) = column.as_string_view_opt() else {
            return true;
        };
        let texts = texts.clone().to_binary_view();
        texts
            .iter()
            .flatten()
            .all(|bytes| std::str::from_utf8(bytes).is_ok())
    })
}
