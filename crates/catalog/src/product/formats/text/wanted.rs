//! What a scan reads of a text file, and how it hands that on.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;

/// The columns and markers of one scan.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The columns to decode, by their names in the files.
    columns: SchemaRef,
    /// What leaves the reader.
    output: SchemaRef,
    /// Where each column of `output` comes from.
    sources: Vec<Source>,
}

/// Positions in [`Wanted::columns`].
#[derive(Debug)]
enum Source {
    Value(usize),
    Marker(usize),
}

/// Decoded rows.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The wanted columns, NULL where a cell does not parse.
    pub(super) columns: Vec<ArrayRef>,
    /// For each of them where it does not; nothing where every cell does.
    pub(super) unparsed: Vec<Option<BooleanArray>>,
    pub(super) rows: usize,
}

impl Decoded {
    /// Rows of which every cell parses.
    pub(super) fn clean(columns: Vec<ArrayRef>, rows: usize) -> Self {
        Self {
            unparsed: vec![None; columns.len()],
            columns,
            rows,
        }
    }

    /// Cells that do not parse.
    pub(super) fn unparsed_cells(&self) -> usize {
        let cells = self.unparsed.iter().flatten();
        cells.map(BooleanArray::true_count).sum()
    }
}

impl Wanted {
    /// `file_schema` holds the columns of the files and behind them, in the same
    /// order, their markers; `indices` are those that the scan reads.
    pub(super) fn new(file_schema: &SchemaRef, indices: &[usize]) -> Result<Self> {
        let values = file_schema.fields().len() / 2;
        let mut read: Vec<usize> = indices
            .iter()
            .map(|index| {
                if *index < values {
                    *index
                } else {
                    index - values
                }
            })
            .collect();
        read.sort_unstable();
        read.dedup();
        let place = |column: usize| read.iter().position(|at| *at == column).unwrap_or_default();
        let sources = indices
            .iter()
            .map(|index| {
                if *index < values {
                    Source::Value(place(*index))
                } else {
                    Source::Marker(place(index - values))
                }
            })
            .collect();
        Ok(Self {
            columns: Arc::new(file_schema.project(&read)?),
            output: Arc::new(file_schema.project(indices)?),
            sources,
        })
    }

    /// The columns of the files without their markers.
    pub(super) fn values_of(file_schema: &Schema) -> Schema {
        let values = file_schema.fields().len() / 2;
        Schema::new(
            file_schema
                .fields()
                .iter()
                .take(values)
                .cloned()
                .collect::<Vec<_>>(),
        )
    }

    pub(super) fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// `decoded` as what leaves the reader.
    pub(super) fn arrange(&self, decoded: &Decoded) -> Result<RecordBatch> {
        let rows = decoded.rows;
        let columns = self.sources.iter().filter_map(|source| match source {
            Source::Value(at) => decoded.columns.get(*at).cloned(),
            Source::Marker(at) => {
                let marker = decoded.unparsed.get(*at)?.clone();
                let marker = marker
                    .unwrap_or_else(|| BooleanArray::new(BooleanBuffer::new_unset(rows), None));
                Some(Arc::new(marker) as ArrayRef)
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.output),
            columns.collect(),
            &options,
        )?)
    }
}
