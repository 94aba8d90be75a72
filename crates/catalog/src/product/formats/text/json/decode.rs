//! From the text of records to columns.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, new_null_array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::Decoder;
use datafusion::common::Result;
use memchr::memchr2_iter;

use super::super::wanted::Decoded;

/// The engine's decoder follows nested values by recursion.
const MAX_DEPTH: usize = 128;

pub(super) fn decoder(schema: &SchemaRef, batch_size: usize) -> Result<Decoder> {
    Ok(ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(batch_size)
        .build_decoder()?)
}

/// Takes in `record`; whether it is the `number`th and exactly one value.
/// Otherwise `decoder` is of no more use.
pub(super) fn feed(decoder: &mut Decoder, record: &Bytes, number: usize) -> bool {
    !is_too_deep(record)
        && decoder
            .decode(record)
            .is_ok_and(|used| used == record.len())
        && !decoder.has_partial_record()
        && decoder.len() == number
}

/// The `rows` records taken in, if all are `clean`. Otherwise `decoder` is of
/// no more use.
pub(super) fn flush(decoder: &mut Decoder, clean: bool, rows: usize) -> Option<RecordBatch> {
    if !clean {
        return None;
    }
    let batch = decoder.flush().ok().flatten()?;
    (batch.num_rows() == rows).then_some(batch)
}

/// Halves what does not decode until single records are left, of which each
/// column is decoded on its own.
pub(super) fn cell_by_cell(records: &[Bytes], schema: &SchemaRef) -> Result<Decoded> {
    let columns: Vec<(DataType, SchemaRef)> = schema
        .fields()
        .iter()
        .map(|field| {
            let alone = Schema::new(vec![Arc::clone(field)]);
            (field.data_type().clone(), Arc::new(alone))
        })
        .collect();
    let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); columns.len()];
    let mut unparsed: Vec<Vec<bool>> = vec![vec![false; records.len()]; columns.len()];
    let all: Range<usize> = 0..records.len();
    let mut todo = vec![all];
    while let Some(range) = todo.pop() {
        let part = records.get(range.clone()).unwrap_or_default();
        if let Some(batch) = decoded(part, schema)? {
            for (pieces, values) in pieces.iter_mut().zip(batch.columns()) {
                pieces.push(Arc::clone(values));
            }
        } else if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            todo.push(middle..range.end);
            todo.push(range.start..middle);
        } else {
            let is_object = decoded(part, &Arc::new(Schema::empty()))?.is_some();
            let columns = columns.iter().zip(&mut pieces).zip(&mut unparsed);
            for (((data_type, column), pieces), unparsed) in columns {
                let cell = if is_object {
                    decoded(part, column)?
                } else {
                    None
                };
                let values = cell.and_then(|cell| cell.columns().first().cloned());
                if let (None, Some(unparsed)) = (&values, unparsed.get_mut(range.start)) {
                    *unparsed = true;
                }
                pieces.push(values.unwrap_or_else(|| new_null_array(data_type, 1)));
            }
        }
    }
    let columns = pieces
        .iter()
        .map(|pieces| {
            let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
            Ok(concat(&pieces)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let unparsed = unparsed
        .into_iter()
        .map(|cells| cells.contains(&true).then(|| BooleanArray::from(cells)));
    Ok(Decoded {
        columns,
        unparsed: unparsed.collect(),
        rows: records.len(),
    })
}

fn decoded(records: &[Bytes], schema: &SchemaRef) -> Result<Option<RecordBatch>> {
    let mut decoder = decoder(schema, records.len())?;
    let clean = records
        .iter()
        .enumerate()
        .all(|(at, record)| feed(&mut decoder, record, at + 1));
    Ok(flush(&mut decoder, clean, records.len()))
}

fn is_too_deep(record: &[u8]) -> bool {
    if memchr2_iter(b'[', b'{', record).take(MAX_DEPTH + 1).count() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in record {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
