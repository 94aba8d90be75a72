//! Where one JSON record ends and the next begins.

use bytes::{Buf, Bytes, BytesMut};
use datafusion::common::Result;
use memchr::memchr;
use weft_mesh::JsonLayout;

use super::super::input::{Input, check_record};
use crate::error::SchemaMismatch;

/// The records of one file as text.
pub(super) struct Records {
    input: Input,
    layout: JsonLayout,
    /// A record whose end has not come yet.
    begun: BytesMut,
    place: Place,
}

/// Where in the file the input stands; lines have no end of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Inside,
    Behind,
}

impl Records {
    pub(super) fn new(layout: JsonLayout, input: Input) -> Self {
        Self {
            input,
            layout,
            begun: BytesMut::new(),
            place: Place::Start,
        }
    }

    /// The next record that is not blank.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.place == Place::Start {
            self.start().await?;
        }
        loop {
            let record = match self.layout {
                JsonLayout::NewLine => self.line().await?,
                JsonLayout::Array => self.element().await?,
            };
            let Some(record) = record else {
                return Ok(None);
            };
            if !record.iter().all(|byte| is_space(*byte)) {
                return Ok(Some(record));
            }
        }
    }

    async fn start(&mut self) -> Result<()> {
        self.input.skip_byte_order_mark().await?;
        self.place = Place::Inside;
        if self.layout == JsonLayout::Array {
            self.skip_spaces().await?;
            match self.input.ahead.first() {
                Some(b'[') => self.input.ahead.advance(1),
                Some(_) => return Err(not_an_array("does not begin as one").into()),
                None => return Err(not_an_array("is blank").into()),
            }
        }
        Ok(())
    }

    async fn skip_spaces(&mut self) -> Result<()> {
        loop {
            self.input.fill().await?;
            let ahead = &mut self.input.ahead;
            let spaces = ahead.iter().take_while(|byte| is_space(**byte)).count();
            ahead.advance(spaces);
            if spaces == 0 || !ahead.is_empty() {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> Result<Option<Bytes>> {
        loop {
            self.input.fill().await?;
            if self.input.ahead.is_empty() {
                let last = self.begun.split().freeze();
                return Ok((!last.is_empty()).then_some(last));
            }
            if let Some(at) = memchr(b'\n', &self.input.ahead) {
                return Ok(Some(self.complete(at + 1)));
            }
            self.keep()?;
        }
    }

    /// The text between two commas, or brackets, of the outermost array.
    async fn element(&mut self) -> Result<Option<Bytes>> {
        if self.place == Place::Behind {
            return Ok(None);
        }
        let mut scan = Scan::default();
        loop {
            self.input.fill().await?;
            if self.input.ahead.is_empty() {
                return Err(not_an_array("does not end as one").into());
            }
            let end = self.input.ahead.iter().position(|byte| scan.ends_at(*byte));
            let Some(at) = end else {
                self.keep()?;
                continue;
            };
            let last = self.input.ahead.get(at) == Some(&b']');
            let record = self.complete(at);
            self.input.ahead.advance(1);
            if last {
                self.place = Place::Behind;
                self.skip_spaces().await?;
                if !self.input.ahead.is_empty() {
                    return Err(not_an_array("has text behind its end").into());
                }
            }
            return Ok(Some(record));
        }
    }

    /// The record that ends before `length` bytes from here.
    fn complete(&mut self, length: usize) -> Bytes {
        let rest = self.input.ahead.split_to(length);
        if self.begun.is_empty() {
            return rest;
        }
        self.begun.extend_from_slice(&rest);
        self.begun.split().freeze()
    }

    /// All that is ahead belongs to a record that goes on.
    fn keep(&mut self) -> Result<()> {
        self.begun.extend_from_slice(&self.input.ahead);
        self.input.ahead.clear();
        check_record(self.begun.len())?;
        Ok(())
    }
}

/// Brackets and quotes of an element that has been read so far.
#[derive(Default)]
struct Scan {
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Scan {
    /// Whether `byte` stands behind the element.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.quoted = true,
            b'{' | b'[' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return true,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn not_an_array(reason: &str) -> SchemaMismatch {
    SchemaMismatch(format!("a file that should be a JSON array {reason}"))
}
