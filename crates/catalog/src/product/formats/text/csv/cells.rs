//! A batch of CSV of which some cells do not parse.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, new_null_array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::csv::reader::Decoder;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::Result;

use super::super::wanted::Decoded;
use super::Settings;
use super::columns::Columns;
use super::split::Record;

/// The text of the cells that are read, column by column.
pub(super) struct Cells<'a> {
    settings: &'a Settings,
    columns: Vec<CellColumn>,
    rows: usize,
}

struct CellColumn {
    field: FieldRef,
    /// Its place in the file.
    place: usize,
    /// Every cell as a quoted record of its own.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    unparsed: Vec<bool>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(settings: &'a Settings, columns: &Columns) -> Self {
        let fields = columns.in_file.fields();
        Self {
            settings,
            columns: columns
                .read
                .iter()
                .filter_map(|place| {
                    Some(CellColumn {
                        field: Arc::clone(fields.get(*place)?),
                        place: *place,
                        text: Vec::new(),
                        ends: Vec::new(),
                        unparsed: Vec::new(),
                    })
                })
                .collect(),
            rows: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn push(&mut self, record: &Record<'_>) {
        self.rows += 1;
        let quote = self.settings.format.quote;
        for column in &mut self.columns {
            let cell = record.cell(column.place);
            column.unparsed.push(cell.is_none());
            column.text.push(quote);
            for byte in cell.unwrap_or_default().bytes() {
                if byte == quote {
                    column.text.push(quote);
                }
                column.text.push(byte);
            }
            column.text.extend([quote, b'\n']);
            column.ends.push(column.text.len());
        }
    }

    /// The columns that are read, in that order.
    pub(super) fn decode(self) -> Result<Decoded> {
        let mut decoded = Decoded::clean(Vec::new(), self.rows);
        for column in self.columns {
            let (values, unparsed) = column.decode(self.settings, self.rows)?;
            decoded.columns.push(values);
            decoded.unparsed.push(unparsed);
        }
        Ok(decoded)
    }
}

impl CellColumn {
    /// Halves what does not decode until single cells are left.
    fn decode(
        mut self,
        settings: &Settings,
        rows: usize,
    ) -> Result<(ArrayRef, Option<BooleanArray>)> {
        let schema = Arc::new(Schema::new(vec![Arc::clone(&self.field)]));
        let mut decoder = settings.decoder(&schema, None)?;
        let mut pieces: Vec<ArrayRef> = Vec::new();
        let all = 0..rows;
        let mut todo = vec![all];
        while let Some(range) = todo.pop() {
            // A lost cell stands there as an empty one, which may parse.
            let values = if self.any_lost(&range) {
                None
            } else {
                self.values(&mut decoder, settings, &schema, &range)?
            };
            match values {
                Some(values) => pieces.push(values),
                None if range.len() <= 1 || self.all_lost(&range) => {
                    pieces.push(new_null_array(self.field.data_type(), range.len()));
                    if let Some(lost) = self.unparsed.get_mut(range) {
                        lost.fill(true);
                    }
                }
                None => {
                    let middle = range.start + range.len() / 2;
                    todo.push(middle..range.end);
                    todo.push(range.start..middle);
                }
            }
        }
        let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
        let values = concat(&pieces)?;
        let damaged = self.unparsed.contains(&true);
        Ok((values, damaged.then(|| BooleanArray::from(self.unparsed))))
    }

    fn any_lost(&self, range: &Range<usize>) -> bool {
        self.flags(range).contains(&true)
    }

    fn all_lost(&self, range: &Range<usize>) -> bool {
        !self.flags(range).contains(&false)
    }

    fn flags(&self, range: &Range<usize>) -> &[bool] {
        self.unparsed.get(range.clone()).unwrap_or_default()
    }

    /// The cells of `range`, if all of them parse.
    fn values(
        &self,
        decoder: &mut Decoder,
        settings: &Settings,
        schema: &SchemaRef,
        range: &Range<usize>,
    ) -> Result<Option<ArrayRef>> {
        let end = |row: usize| self.ends.get(row).copied().unwrap_or_default();
        let start = range.start.checked_sub(1).map_or(0, end);
        let text = self
            .text
            .get(start..end(range.end.saturating_sub(1)))
            .unwrap_or_default();
        let read = decoder.decode(text).and_then(|_| decoder.flush());
        if let Ok(Some(batch)) = &read
            && batch.num_rows() == range.len()
        {
            return Ok(batch.columns().first().cloned());
        }
        if decoder.capacity() != settings.batch_size {
            *decoder = settings.decoder(schema, None)?;
        }
        Ok(None)
    }
}
