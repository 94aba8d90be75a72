//! An unambiguous byte form of what policy decides, for digests and for an
//! order that does not depend on the order of files.

use arrow_schema::DataType;
use datafusion_common::ScalarValue;

/// Writes values so that different values have different bytes: every text
/// carries its length, every list its count, every choice its tag.
#[derive(Debug)]
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins with the name of what is written, so that two kinds of value
    /// never have the same bytes.
    pub(crate) fn new(purpose: &str) -> Self {
        let mut out = Self(Vec::with_capacity(256));
        out.text(purpose);
        out
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A choice among the variants of an enum.
    pub(crate) fn tag(&mut self, tag: &str) {
        self.text(tag);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.boolean(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    pub(crate) fn data_type(&mut self, data_type: &DataType) {
        self.text(&data_type.to_string());
    }

    /// The Debug form of a scalar holds its exact value; the type tells a
    /// decimal's scale and a timestamp's unit apart.
    pub(crate) fn scalar(&mut self, value: &ScalarValue) {
        self.data_type(&value.data_type());
        self.text(&format!("{value:?}"));
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
