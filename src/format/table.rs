//! Aligned columns for a person.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::FormatOptions;

use super::{Encoder, text};
use crate::error::Result;

/// So many rows are looked at before the first is shown; the rest streams.
const SAMPLE_ROWS: usize = 1000;

/// Column widths come from the first [`SAMPLE_ROWS`] rows. A later, wider cell pushes its line out
/// of shape rather than waiting for the whole result.
pub(crate) struct TableEncoder {
    names: Vec<String>,
    numeric: Vec<bool>,
    max_cell: usize,
    sample: Vec<Vec<String>>,
    /// Known once the sample is written.
    widths: Option<Vec<usize>>,
    rows: usize,
}

impl TableEncoder {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            names: schema
                .fields()
                .iter()
                .map(|field| one_line(field.name()))
                .collect(),
            numeric: schema
                .fields()
                .iter()
                .map(|field| is_number(field.data_type()))
                .collect(),
            max_cell: usize::MAX,
            sample: Vec::new(),
            widths: None,
            rows: 0,
        }
    }

    /// Cuts longer cells short, with `…` for what is missing.
    pub(crate) fn with_max_cell(mut self, characters: usize) -> Self {
        self.max_cell = characters.max(2);
        self
    }

    fn cells(&self, batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
        let options = FormatOptions::new().with_null("NULL");
        let columns = text::formatters(batch.columns(), &options)?;
        (0..batch.num_rows())
            .map(|row| {
                columns
                    .iter()
                    .map(|column| Ok(self.fit(one_line(&column.value(row).try_to_string()?))))
                    .collect()
            })
            .collect()
    }

    fn fit(&self, cell: String) -> String {
        match cell.char_indices().nth(self.max_cell - 1) {
            Some((end, last)) if end + last.len_utf8() < cell.len() => {
                let mut short = cell.get(..end).unwrap_or_default().to_owned();
                short.push('…');
                short
            }
            _ => cell,
        }
    }

    /// Writes the header and the sample, and settles the widths.
    fn open(&mut self, out: &mut String) -> Vec<usize> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| width(name)).collect();
        for row in &self.sample {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        write_row(out, &self.names, &widths, &self.numeric);
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        write_row(out, &rule, &widths, &self.numeric);
        for row in std::mem::take(&mut self.sample) {
            write_row(out, &row, &widths, &self.numeric);
        }
        widths
    }
}

impl Encoder for TableEncoder {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let rows = self.cells(batch)?;
        self.rows += rows.len();
        let mut out = String::new();
        match &self.widths {
            Some(widths) => {
                for row in &rows {
                    write_row(&mut out, row, widths, &self.numeric);
                }
            }
            None => {
                self.sample.extend(rows);
                if self.sample.len() >= SAMPLE_ROWS {
                    self.widths = Some(self.open(&mut out));
                }
            }
        }
        Ok(out.into_bytes())
    }

    fn tail(&mut self) -> Result<Vec<u8>> {
        let mut out = String::new();
        if self.widths.is_none() {
            self.widths = Some(self.open(&mut out));
        }
        let noun = if self.rows == 1 { "row" } else { "rows" };
        let _ = writeln!(out, "({} {noun})", self.rows);
        Ok(out.into_bytes())
    }
}

fn write_row(out: &mut String, cells: &[String], widths: &[usize], numeric: &[bool]) {
    let mut line = String::new();
    for ((cell, widest), right) in cells.iter().zip(widths).zip(numeric) {
        let padding = " ".repeat(widest.saturating_sub(width(cell)));
        line.push_str(if line.is_empty() { " " } else { "  " });
        let (first, second) = if *right {
            (&padding, cell)
        } else {
            (cell, &padding)
        };
        line.push_str(first);
        line.push_str(second);
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A cell stays on its line, and cannot move the cursor.
fn one_line(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            let (escaped, plain) = if c.is_control() {
                (Some(c.escape_default()), None)
            } else {
                (None, Some(c))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn batch(numbers: &[i64], texts: &[Option<&str>]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            (
                "n",
                Arc::new(Int64Array::from(numbers.to_vec())) as _,
                false,
            ),
            (
                "text",
                Arc::new(StringArray::from(texts.to_vec())) as _,
                true,
            ),
        ])
        .unwrap()
    }

    fn render(encoder: TableEncoder, batches: &[RecordBatch]) -> String {
        let mut encoder = encoder;
        let mut out = encoder.head().unwrap();
        for batch in batches {
            out.extend(encoder.batch(batch).unwrap());
        }
        out.extend(encoder.tail().unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_align_right_and_texts_left() {
        let batch = batch(&[7, 1200], &[Some("a\nb\x1b"), None]);
        let table = render(TableEncoder::new(&batch.schema()), &[batch]);
        assert_eq!(
            table,
            "    n  text\n ────  ────────\n    7  a\\nb\\u{1b}\n 1200  NULL\n(2 rows)\n"
                .replace("────────", "──────────")
        );
    }

    #[test]
    fn an_empty_result_still_has_its_header() {
        let batch = batch(&[], &[]);
        let table = render(TableEncoder::new(&batch.schema()), &[]);
        assert_eq!(table, " n  text\n ─  ────\n(0 rows)\n");
    }

    #[test]
    fn long_cells_are_cut_by_characters() {
        let encoder = |max| TableEncoder::new(&batch(&[], &[]).schema()).with_max_cell(max);
        assert_eq!(encoder(4).fit("äöüß".to_owned()), "äöüß");
        assert_eq!(encoder(4).fit("äöüßx".to_owned()), "äöü…");
    }

    #[test]
    fn rows_after_the_sample_stream() {
        let many: Vec<i64> = (0..1500).collect();
        let texts = vec![Some("x"); 1500];
        let batch = batch(&many, &texts);
        let mut encoder = TableEncoder::new(&batch.schema());
        assert!(!encoder.batch(&batch).unwrap().is_empty());
        assert_eq!(
            encoder.batch(&batch.slice(0, 2)).unwrap(),
            b"    0  x\n    1  x\n"
        );
        assert!(encoder.tail().unwrap().ends_with(b"(1502 rows)\n"));
    }
}
