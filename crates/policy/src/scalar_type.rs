//! The column types that a row predicate may read, and the casts among them
//! that keep every value.

use arrow_schema::DataType;

/// Whether comparisons of the type are total: the set S of the enforcement
/// design. Nested types, intervals and half floats are outside.
pub(crate) fn is_comparable(data_type: &DataType) -> bool {
    use DataType::*;
    is_integer(data_type)
        || is_string(data_type)
        || is_binary(data_type)
        || matches!(
            data_type,
            Boolean
                | Float32
                | Float64
                | FixedSizeBinary(_)
                | Date32
                | Date64
                | Time32(_)
                | Time64(_)
                | Timestamp(_, _)
                | Decimal128(_, _)
                | Decimal256(_, _)
        )
}

pub(crate) fn is_string(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

pub(crate) fn is_integer(data_type: &DataType) -> bool {
    integer(data_type).is_some()
}

/// The type that holds all values of both, where a lossless cast to it exists
/// for each: integers to wider ones, Float32 to Float64, and the layouts of
/// text and of bytes.
pub(crate) fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    if let (Some((a_signed, a_bits)), Some((b_signed, b_bits))) = (integer(a), integer(b)) {
        return match (a_signed, b_signed) {
            (true, true) => signed(a_bits.max(b_bits)),
            (false, false) => Some(if a_bits >= b_bits {
                a.clone()
            } else {
                b.clone()
            }),
            (true, false) => signed(a_bits.max(b_bits * 2)),
            (false, true) => signed(b_bits.max(a_bits * 2)),
        };
    }
    let floats = |it: &DataType| matches!(it, DataType::Float32 | DataType::Float64);
    if floats(a) && floats(b) {
        return Some(DataType::Float64);
    }
    if is_string(a) && is_string(b) {
        return Some(DataType::LargeUtf8);
    }
    (is_binary(a) && is_binary(b)).then_some(DataType::LargeBinary)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

/// Whether it is signed, and its bits.
fn integer(data_type: &DataType) -> Option<(bool, u32)> {
    use DataType::*;
    Some(match data_type {
        Int8 => (true, 8),
        Int16 => (true, 16),
        Int32 => (true, 32),
        Int64 => (true, 64),
        UInt8 => (false, 8),
        UInt16 => (false, 16),
        UInt32 => (false, 32),
        UInt64 => (false, 64),
        Null | Boolean | Float16 | Float32 | Float64 | Timestamp(..) | Date32 | Date64
        | Time32(_) | Time64(_) | Duration(_) | Interval(_) | Binary | FixedSizeBinary(_)
        | LargeBinary | BinaryView | Utf8 | LargeUtf8 | Utf8View | List(_) | ListView(_)
        | FixedSizeList(..) | LargeList(_) | LargeListView(_) | Struct(_) | Union(..)
        | Dictionary(..) | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..)
        | Map(..) | RunEndEncoded(..) => return None,
    })
}

fn signed(bits: u32) -> Option<DataType> {
    Some(match bits {
        8 => DataType::Int8,
        16 => DataType::Int16,
        32 => DataType::Int32,
        64 => DataType::Int64,
        _ => return None,
    })
}
