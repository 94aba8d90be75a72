//! The text of a file, and the header in front of it.

use bytes::{Buf, Bytes, BytesMut};
use datafusion::common::Result;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::SchemaMismatch;

/// A header that is longer is not a header.
const MAX_HEADER: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of one file that has not been decoded yet.
pub(super) struct Input {
    text: BoxStream<'static, Result<Bytes>>,
    pub(super) ahead: Bytes,
    pub(super) ended: bool,
}

impl Input {
    pub(super) fn new(text: BoxStream<'static, Result<Bytes>>) -> Self {
        Self {
            text,
            ahead: Bytes::new(),
            ended: false,
        }
    }

    /// Makes `ahead` non-empty, or notes the end.
    pub(super) async fn fill(&mut self) -> Result<()> {
        while self.ahead.is_empty() && !self.ended {
            match self.text.next().await {
                Some(bytes) => self.ahead = bytes?,
                None => self.ended = true,
            }
        }
        Ok(())
    }

    /// Reads on, keeping what is there, until `enough` or the end.
    async fn fill_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut buffer = BytesMut::from(self.ahead.as_ref());
        while !enough(&buffer) && !self.ended {
            match self.text.next().await {
                Some(bytes) => buffer.extend_from_slice(&bytes?),
                None => self.ended = true,
            }
        }
        self.ahead = buffer.freeze();
        Ok(())
    }

    pub(super) async fn skip_byte_order_mark(&mut self) -> Result<()> {
        self.fill_until(|text| text.len() >= BYTE_ORDER_MARK.len())
            .await?;
        if self.ahead.starts_with(BYTE_ORDER_MARK) {
            self.ahead.advance(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    /// The first record, which is then consumed; none in an empty file.
    pub(super) async fn take_header(&mut self, quote: u8) -> Result<Option<Bytes>> {
        self.skip_byte_order_mark().await?;
        self.fill_until(|text| text.len() > MAX_HEADER || record_end(text, quote).is_some())
            .await?;
        let end = match record_end(&self.ahead, quote) {
            Some(end) => end,
            None if self.ahead.len() > MAX_HEADER => {
                return Err(SchemaMismatch(
                    "a file's first line is too long for a header".to_owned(),
                )
                .into());
            }
            None => self.ahead.len(),
        };
        let header = self.ahead.split_to(end);
        Ok((!header.trim_ascii().is_empty()).then_some(header))
    }
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
