//! CSV: columns by the names in the header, values as the contract's types.
//!
//! The engine's own reader takes columns by position and knows no text for
//! NULL: a file with its columns in another order would be read wrongly.

mod cells;
mod columns;
mod rows;
mod split;

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::{Decoder, Format as CsvReaderFormat};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use futures::stream::{self, StreamExt};
use regex::Regex;
use weft_mesh::CsvFormat;

use self::columns::Columns;
use self::rows::CsvRows;
use super::input::Input;
use super::wanted::Wanted;
use super::{Damage, Rows};
use crate::error::SchemaMismatch;
use crate::product::layout::RequiredColumns;

/// A header that is longer is not a header.
const MAX_HEADER: usize = 1024 * 1024;

/// How to read the files of one scan.
pub(super) struct CsvReading {
    settings: Arc<Settings>,
    /// Every column of the files that the contract has.
    contract: SchemaRef,
    required: Arc<RequiredColumns>,
    wanted: Arc<Wanted>,
}

/// What the decoders of a file share.
struct Settings {
    format: Arc<CsvFormat>,
    null: Option<Regex>,
    batch_size: usize,
}

impl CsvReading {
    pub(super) fn new(
        format: &Arc<CsvFormat>,
        contract: SchemaRef,
        required: Arc<RequiredColumns>,
        wanted: Arc<Wanted>,
        batch_size: usize,
    ) -> Result<Self> {
        Ok(Self {
            settings: Arc::new(Settings {
                format: Arc::clone(format),
                null: null_text(format)?,
                batch_size,
            }),
            contract,
            required,
            wanted,
        })
    }

    pub(super) async fn rows(&self, mut input: Input, damage: Damage) -> Result<Rows> {
        let columns = if self.settings.format.header {
            match take_header(&mut input, self.settings.format.quote).await? {
                Some(header) => self.columns_of(&header)?,
                None => return Ok(stream::empty().boxed()),
            }
        } else {
            input.skip_byte_order_mark().await?;
            Columns::by_position(&self.contract, self.wanted.columns())
        };
        let rows = CsvRows::new(
            Arc::clone(&self.settings),
            Arc::clone(&self.wanted),
            columns,
            input,
            damage,
        )?;
        Ok(stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        })
        .boxed())
    }

    fn columns_of(&self, header: &[u8]) -> Result<Columns> {
        let format = CsvReaderFormat::default()
            .with_header(true)
            .with_delimiter(self.settings.format.delimiter)
            .with_quote(self.settings.format.quote);
        let (header, _) = format.infer_schema(header, Some(0))?;
        let names: Vec<&str> = header.fields().iter().map(|f| f.name().trim()).collect();
        Columns::by_name(
            &names,
            &self.contract,
            &self.required,
            self.wanted.columns(),
        )
        .map_err(DataFusionError::from)
    }
}

impl Settings {
    /// A decoder of records with the columns of `schema`.
    fn decoder(&self, schema: &SchemaRef, projection: Option<&[usize]>) -> Result<Decoder> {
        let mut reader = ReaderBuilder::new(Arc::clone(schema))
            .with_header(false)
            .with_delimiter(self.format.delimiter)
            .with_quote(self.format.quote)
            .with_batch_size(self.batch_size);
        if let Some(projection) = projection {
            reader = reader.with_projection(projection.to_vec());
        }
        if let Some(null) = &self.null {
            reader = reader.with_null_regex(null.clone());
        }
        let mut decoder = reader.build_decoder();
        // At its very beginning it would skip a byte order mark, which here is data.
        decoder.decode(b"\n")?;
        Ok(decoder)
    }
}

fn null_text(format: &CsvFormat) -> Result<Option<Regex>> {
    let pattern = |text| Regex::new(&format!("^(?:{})$", regex::escape(text)));
    format
        .null
        .as_deref()
        .map(pattern)
        .transpose()
        .map_err(|e| DataFusionError::External(Box::new(e)))
}

/// The first record, which is then consumed; none in an empty file.
async fn take_header(input: &mut Input, quote: u8) -> Result<Option<Bytes>> {
    input.skip_byte_order_mark().await?;
    input
        .fill_until(|text| text.len() > MAX_HEADER || record_end(text, quote).is_some())
        .await?;
    let end = match record_end(&input.ahead, quote) {
        Some(end) => end,
        None if input.ahead.len() > MAX_HEADER => {
            return Err(
                SchemaMismatch("a file's first line is too long for a header".to_owned()).into(),
            );
        }
        None => input.ahead.len(),
    };
    let header = input.ahead.split_to(end);
    Ok((!header.trim_ascii().is_empty()).then_some(header))
}

/// The length of the first record with its line break, which may stand in quotes before.
fn record_end(text: &[u8], quote: u8) -> Option<usize> {
    let mut quoted = false;
    text.iter()
        .position(|byte| {
            quoted ^= *byte == quote;
            *byte == b'\n' && !quoted
        })
        .map(|at| at + 1)
}
