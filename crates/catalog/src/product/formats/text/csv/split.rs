//! Records of CSV as they are, ragged or not.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use weft_mesh::CsvFormat;

/// Cuts text into records exactly as the engine's decoder does.
pub(super) struct Splitter {
    reader: Reader,
    fields: usize,
    output: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    ended: usize,
    overfull: bool,
}

/// One record: its fields, or none where it has more or fewer than it should.
pub(super) struct Record<'a> {
    output: &'a [u8],
    ends: Option<&'a [usize]>,
}

/// Where a read stopped.
pub(super) enum Ended<'a> {
    Record(Record<'a>),
    Input,
}

impl Splitter {
    pub(super) fn new(format: &CsvFormat, fields: usize) -> Self {
        let mut reader = ReaderBuilder::new()
            .delimiter(format.delimiter)
            .quote(format.quote)
            .build();
        // At its very beginning it would skip a byte order mark, which here is data.
        let (mut output, mut ends) = ([0; 8], [0; 2]);
        reader.read_record(b"\n", &mut output, &mut ends);
        Self {
            reader,
            fields,
            output: vec![0; 1024],
            written: 0,
            ends: vec![0; fields + 2],
            ended: 0,
            overfull: false,
        }
    }

    /// Reads on to the end of a record or of `input`, where none is the end of
    /// the text, and returns how much of it that took.
    pub(super) fn read(&mut self, input: &[u8]) -> (usize, Ended<'_>) {
        let mut used = 0;
        loop {
            let (result, read, written, ended) = self.reader.read_record(
                input.get(used..).unwrap_or_default(),
                self.output.get_mut(self.written..).unwrap_or_default(),
                self.ends.get_mut(self.ended..).unwrap_or_default(),
            );
            used += read;
            self.written += written;
            self.ended += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {
                    return (used, Ended::Input);
                }
                ReadRecordResult::OutputFull if self.overfull => self.written = 0,
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => {
                    // None of its cells is read: the rest only has to pass.
                    self.overfull = true;
                    self.ended = 0;
                }
                ReadRecordResult::Record => return (used, Ended::Record(self.record())),
            }
        }
    }

    fn record(&mut self) -> Record<'_> {
        let whole = !self.overfull && self.ended == self.fields;
        let written = std::mem::take(&mut self.written);
        self.ended = 0;
        self.overfull = false;
        Record {
            output: self.output.get(..written).unwrap_or_default(),
            ends: whole.then(|| self.ends.get(..self.fields).unwrap_or_default()),
        }
    }
}

impl<'a> Record<'a> {
    /// The text of a field; none in a ragged record, or where it is not UTF-8.
    pub(super) fn cell(&self, field: usize) -> Option<&'a str> {
        let ends = self.ends?;
        let start = match field.checked_sub(1) {
            Some(before) => *ends.get(before)?,
            None => 0,
        };
        let bytes = self.output.get(start..*ends.get(field)?)?;
        std::str::from_utf8(bytes).ok()
    }
}
