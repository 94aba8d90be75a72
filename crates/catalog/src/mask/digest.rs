//! `hash` and `token`: HMAC-SHA-256 of a text, or of an integer's decimal
//! text, in lower-case hex.

use std::fmt::{Display, Write};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use hmac::Mac;

use super::keys::{Keyed, MaskKey};

/// The length of a digest in hex.
const HEX: usize = 64;

pub(super) fn fits(input: &DataType) -> bool {
    input.is_string() || input.is_integer()
}

/// Digests every value; `None` where the type is not one of those that fit, or
/// there are more rows than 32-bit offsets can address.
pub(super) fn digest(values: &dyn Array, key: &MaskKey) -> Option<ArrayRef> {
    use DataType::*;
    if i32::try_from(values.len().checked_mul(HEX)?).is_err() {
        return None;
    }
    let keyed = key.keyed();
    let data_type = values.data_type();
    Some(if let Some(values) = values.as_string_opt::<i32>() {
        texts(values.iter(), &keyed)
    } else if let Some(values) = values.as_string_opt::<i64>() {
        texts(values.iter(), &keyed)
    } else if let Some(values) = values.as_string_view_opt() {
        texts(values.iter(), &keyed)
    } else if *data_type == Int8 {
        integers::<Int8Type>(values, &keyed)?
    } else if *data_type == Int16 {
        integers::<Int16Type>(values, &keyed)?
    } else if *data_type == Int32 {
        integers::<Int32Type>(values, &keyed)?
    } else if *data_type == Int64 {
        integers::<Int64Type>(values, &keyed)?
    } else if *data_type == UInt8 {
        integers::<UInt8Type>(values, &keyed)?
    } else if *data_type == UInt16 {
        integers::<UInt16Type>(values, &keyed)?
    } else if *data_type == UInt32 {
        integers::<UInt32Type>(values, &keyed)?
    } else if *data_type == UInt64 {
        integers::<UInt64Type>(values, &keyed)?
    } else {
        return None;
    })
}

fn texts<'a>(values: impl ExactSizeIterator<Item = Option<&'a str>>, keyed: &Keyed) -> ArrayRef {
    let mut out = StringBuilder::with_capacity(values.len(), values.len() * HEX);
    for value in values {
        match value {
            Some(text) => append(&mut out, keyed, text.as_bytes()),
            None => out.append_null(),
        }
    }
    Arc::new(out.finish())
}

fn integers<T>(values: &dyn Array, keyed: &Keyed) -> Option<ArrayRef>
where
    T: ArrowPrimitiveType<Native: Display>,
{
    let values = values.as_primitive_opt::<T>()?;
    let mut out = StringBuilder::with_capacity(values.len(), values.len() * HEX);
    let mut text = String::new();
    for value in values {
        text.clear();
        // Writing to a String does not fail.
        match value.map(|value| write!(text, "{value}")) {
            Some(_) => append(&mut out, keyed, text.as_bytes()),
            None => out.append_null(),
        }
    }
    Some(Arc::new(out.finish()))
}

fn append(out: &mut StringBuilder, keyed: &Keyed, message: &[u8]) {
    let digest = keyed.clone().chain_update(message).finalize().into_bytes();
    let digit = |nibble: u8| {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        }
    };
    let mut hex = [0; HEX];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 0xf);
        }
    }
    out.append_value(std::str::from_utf8(&hex).unwrap_or_default());
}
