//! The text of one file as it comes in.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use datafusion::common::Result;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::SchemaMismatch;

/// What is longer is no record but the rest of a damaged file.
pub(super) const MAX_RECORD: usize = 64 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of a file that has not been decoded yet, and what has been since
/// the last [`Input::forget`].
pub(super) struct Input {
    text: BoxStream<'static, Result<Bytes>>,
    pub(super) ahead: Bytes,
    /// What comes before more of `text`.
    pending: VecDeque<Bytes>,
    consumed: Vec<Bytes>,
    ended: bool,
}

impl Input {
    pub(super) fn new(text: BoxStream<'static, Result<Bytes>>) -> Self {
        Self {
            text,
            ahead: Bytes::new(),
            pending: VecDeque::new(),
            consumed: Vec::new(),
            ended: false,
        }
    }

    /// Makes `ahead` non-empty; it stays empty at the end alone.
    pub(super) async fn fill(&mut self) -> Result<()> {
        while self.ahead.is_empty() {
            if let Some(bytes) = self.pending.pop_front() {
                self.ahead = bytes;
            } else if self.ended {
                break;
            } else {
                self.read().await?;
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        match self.text.next().await {
            Some(bytes) => self.ahead = bytes?,
            None => self.ended = true,
        }
        Ok(())
    }

    /// Takes `length` bytes from `ahead`, which [`Self::rewind`] brings back.
    pub(super) fn consume(&mut self, length: usize) {
        if length > 0 {
            let bytes = self.ahead.split_to(length.min(self.ahead.len()));
            self.consumed.push(bytes);
        }
    }

    /// What was consumed is done with.
    pub(super) fn forget(&mut self) {
        self.consumed.clear();
    }

    /// Back to the last [`Self::forget`].
    pub(super) fn rewind(&mut self) {
        self.pending.push_front(std::mem::take(&mut self.ahead));
        for bytes in self.consumed.drain(..).rev() {
            self.pending.push_front(bytes);
        }
    }

    /// Reads on, keeping what is there, until `enough` or the end.
    pub(super) async fn fill_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut buffer = BytesMut::from(self.ahead.as_ref());
        while !enough(&buffer) && !self.ended {
            self.read().await?;
            buffer.extend_from_slice(&std::mem::take(&mut self.ahead));
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
}

/// Refuses a record that has `length` bytes so far and no end.
pub(super) fn check_record(length: usize) -> Result<(), SchemaMismatch> {
    if length > MAX_RECORD {
        return Err(SchemaMismatch(format!(
            "a record has no end within {MAX_RECORD} bytes"
        )));
    }
    Ok(())
}
