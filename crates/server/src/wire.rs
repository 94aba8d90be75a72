//! Wire types: the Arrow types that every client reads.
//!
//! The engine works with view types, dictionaries and the like; drivers in the
//! field do not know them. Each column is therefore declared and sent as its
//! wire type:
//!
//! | inside | on the wire |
//! |---|---|
//! | `Utf8View`, `LargeUtf8`, `Null` | `Utf8` |
//! | `BinaryView`, `LargeBinary`, `FixedSizeBinary` | `Binary` |
//! | `Dictionary`, `RunEndEncoded` | the type of their values |
//! | `LargeList`, `ListView`, `LargeListView`, `FixedSizeList` | `List` |
//! | `Float16` | `Float32` |
//! | `Decimal32`, `Decimal64` | `Decimal128` |
//! | `Date64` | `Date32` |
//!
//! and so on inside lists, structs and maps. Metadata of schema and fields stays
//! behind; a decimal's says how many digits it has, because JDBC looks for them there
//! and not in its type.
//!
//! A client that knows more types can ask for the engine's own ([`Types::Native`]):
//! columns then keep theirs, save for dictionaries, run-ends and list views, and for
//! what is inside lists, structs and maps. It can ask for compressed messages too.

mod views;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{
    BinaryType, DataType, Field, FieldRef, Fields, Schema, SchemaRef, Utf8Type,
};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// How a client wants its results; by default as every client reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireOptions {
    pub(crate) types: Types,
    /// Of the buffers of each message.
    pub(crate) compression: Option<CompressionType>,
}

/// Which types columns have on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Types {
    /// Those that every client reads.
    #[default]
    Portable,
    /// The engine's own where they need no message of their own.
    Native,
}

/// The schema that clients are told and sent for results of `schema`.
pub(crate) fn wire_schema(schema: &Schema) -> SchemaRef {
    wire_schema_of(schema, Types::Portable)
}

/// The schema that a client which wants `types` is told and sent for results of `schema`.
pub(crate) fn wire_schema_of(schema: &Schema, types: Types) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let field = match types {
            Types::Native if is_plain(field.data_type()) => Arc::new(Field::new(
                field.name(),
                field.data_type().clone(),
                field.is_nullable(),
            )),
            Types::Portable | Types::Native => wire_field(field),
        };
        match digits(field.data_type()) {
            Some(digits) => Arc::new(field.as_ref().clone().with_metadata(digits)),
            None => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// Types of one array each that travel as they are.
fn is_plain(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Null
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::Float16
            | DataType::Date64
            | DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
    )
}

fn digits(data_type: &DataType) -> Option<HashMap<String, String>> {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) =
        data_type
    else {
        return None;
    };
    Some(HashMap::from([
        (
            "ARROW:FLIGHT:SQL:PRECISION".to_owned(),
            precision.to_string(),
        ),
        ("ARROW:FLIGHT:SQL:SCALE".to_owned(), scale.to_string()),
    ]))
}

/// `batch` as clients receive it; `schema` is the [`wire_schema_of`] the result.
///
/// # Errors
/// When a column cannot be cast, or has a null where `schema` allows none.
pub(crate) fn wire_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() != schema.fields().len() {
        return Err(ArrowError::SchemaError(format!(
            "batch has {} columns, its schema {}",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| wire_array(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// The IPC message of `schema`, as `FlightInfo`, `SchemaResult` and
/// `table_schema` carry it.
pub(crate) fn schema_message(schema: &Schema) -> Result<Bytes, ArrowError> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options).try_into()?;
    Ok(bytes)
}

/// Identifies a result schema inside a handle.
pub(crate) fn schema_hash(schema: &Schema) -> Result<[u8; 32], ArrowError> {
    Ok(Sha256::digest(schema_message(schema)?).into())
}

fn wire_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(
        field.name(),
        wire_type(field.data_type()),
        field.is_nullable() || *field.data_type() == DataType::Null,
    ))
}

fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            DataType::Utf8
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(wire_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(wire_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(wire_entries(entries), *sorted),
        // No expression of the engine makes a union of its own accord.
        DataType::Union(_, _)
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(_, _)
        | DataType::Date32
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => data_type.clone(),
    }
}

/// The entries of a map; its keys are never null, though those of an empty one may say so.
fn wire_entries(entries: &FieldRef) -> FieldRef {
    let entries = wire_field(entries);
    let DataType::Struct(parts) = entries.data_type() else {
        return entries;
    };
    let parts = parts.iter().enumerate().map(|(at, part)| match at {
        0 => Arc::new(part.as_ref().clone().with_nullable(false)),
        _ => Arc::clone(part),
    });
    let parts = DataType::Struct(parts.collect());
    Arc::new(entries.as_ref().clone().with_data_type(parts))
}

fn wire_array(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        // A few views may keep large buffers, which would travel with them.
        return Ok(if *to == DataType::Utf8View {
            Arc::new(array.as_string_view().gc())
        } else if *to == DataType::BinaryView {
            Arc::new(array.as_binary_view().gc())
        } else {
            Arc::clone(array)
        });
    }
    match (array.data_type(), to) {
        (DataType::Utf8View, DataType::Utf8) => Ok(Arc::new(views::laid_out::<_, Utf8Type>(
            array.as_string_view(),
        )?)),
        (DataType::BinaryView, DataType::Binary) => Ok(Arc::new(views::laid_out::<_, BinaryType>(
            array.as_binary_view(),
        )?)),
        // `cast` has no kernel from a list view to a list of another item type.
        (DataType::ListView(item) | DataType::LargeListView(item), DataType::List(target))
            if item.data_type() != target.data_type() =>
        {
            let plain = DataType::List(Arc::clone(item));
            cast(&cast(array, &plain)?, to)
        }
        _ => cast(array, to),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, BinaryViewArray, Date64Array, Decimal64Array, DictionaryArray, FixedSizeBinaryArray,
        Float16Array, Int32Array, LargeListArray, LargeStringArray, ListArray, ListViewArray,
        MapBuilder, NullArray, StringArray, StringViewArray, StringViewBuilder, StructArray,
    };
    use arrow::buffer::{OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::{Float16Type, Int32Type, Int64Type};

    use super::*;

    #[track_caller]
    fn check(array: ArrayRef, expected: &ArrayRef) {
        let batch = RecordBatch::try_from_iter_with_nullable([("c", array, true)]).unwrap();
        let schema = wire_schema(&batch.schema());
        let wire = wire_batch(&batch, &schema).unwrap();
        assert_eq!(wire.column(0), expected);
        assert_eq!(wire.schema(), schema);
        assert_eq!(wire_schema(&schema), schema, "wire types are a fixed point");
        let empty = wire_batch(&batch.slice(0, 0), &schema).unwrap();
        assert_eq!(empty.num_rows(), 0);
    }

    fn strings() -> ArrayRef {
        Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]))
    }

    #[test]
    fn text_and_bytes() {
        check(
            Arc::new(StringViewArray::from(vec![Some("a"), None, Some("b")])),
            &strings(),
        );
        check(
            Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("b")])),
            &strings(),
        );
        check(
            Arc::new(NullArray::new(2)),
            &(Arc::new(StringArray::from(vec![None::<&str>, None])) as ArrayRef),
        );
        let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![
            b"ab".as_slice(),
            b"cd".as_slice(),
        ]));
        check(
            Arc::new(BinaryViewArray::from(vec![
                b"ab".as_slice(),
                b"cd".as_slice(),
            ])),
            &bytes,
        );
        check(
            Arc::new(FixedSizeBinaryArray::try_from_iter([b"ab", b"cd"].into_iter()).unwrap()),
            &bytes,
        );
    }

    #[test]
    fn numbers_and_dates() {
        check(
            Arc::new(Float16Array::from_iter_values([
                <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(1.5),
            ])),
            &(Arc::new(arrow::array::Float32Array::from(vec![1.5])) as ArrayRef),
        );
        check(
            Arc::new(
                Decimal64Array::from(vec![125])
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
            &(Arc::new(
                arrow::array::Decimal128Array::from(vec![125])
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ) as ArrayRef),
        );
        check(
            Arc::new(Date64Array::from(vec![86_400_000])),
            &(Arc::new(arrow::array::Date32Array::from(vec![1])) as ArrayRef),
        );
    }

    #[test]
    fn dictionaries_and_runs() {
        let dictionary: DictionaryArray<Int32Type> =
            vec![Some("a"), None, Some("b")].into_iter().collect();
        check(Arc::new(dictionary), &strings());
        let views = DictionaryArray::<Int32Type>::try_new(
            Int32Array::from(vec![Some(0), None, Some(1)]),
            Arc::new(StringViewArray::from(vec!["a", "b"])),
        )
        .unwrap();
        check(Arc::new(views), &strings());
        let runs = arrow::array::RunArray::<Int32Type>::try_new(
            &Int32Array::from(vec![1, 2, 3]),
            &StringArray::from(vec![Some("a"), None, Some("b")]),
        )
        .unwrap();
        check(Arc::new(runs), &strings());
    }

    #[test]
    fn nested() {
        let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]);
        let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]);
        check(Arc::new(large), &(Arc::new(numbers) as ArrayRef));

        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let list_view = ListViewArray::new(
            item,
            ScalarBuffer::from(vec![1, 0]),
            ScalarBuffer::from(vec![2, 1]),
            Arc::new(StringViewArray::from(vec!["a", "b", "c"])),
            None,
        );
        let wire_item = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let list = ListArray::new(
            wire_item,
            OffsetBuffer::from_lengths([2, 1]),
            Arc::new(StringArray::from(vec!["b", "c", "a"])),
            None,
        );
        check(Arc::new(list_view), &(Arc::new(list) as ArrayRef));

        let mut map = MapBuilder::new(
            None,
            StringViewBuilder::new(),
            arrow::array::LargeStringBuilder::new(),
        );
        map.keys().append_value("k");
        map.values().append_value("v");
        map.append(true).unwrap();
        let map = map.finish();
        let structs = StructArray::new(
            Fields::from(vec![
                Field::new("m", map.data_type().clone(), true),
                Field::new("n", DataType::Null, true),
            ]),
            vec![Arc::new(map), Arc::new(NullArray::new(1))],
            None,
        );
        let batch =
            RecordBatch::try_from_iter_with_nullable([("s", Arc::new(structs) as ArrayRef, true)])
                .unwrap();
        let schema = wire_schema(&batch.schema());
        let wire = wire_batch(&batch, &schema).unwrap();
        let wire = wire.column(0).as_struct();
        assert_eq!(wire.column(1).data_type(), &DataType::Utf8);
        let entries = wire.column(0).as_map().value(0);
        assert_eq!(entries.column(0).as_string::<i32>().value(0), "k");
        assert_eq!(entries.column(1).as_string::<i32>().value(0), "v");
    }

    #[test]
    fn metadata_stays_behind_and_a_row_count_survives() {
        let field = Field::new("a", DataType::Int64, false)
            .with_metadata([("secret".to_owned(), "x".to_owned())].into());
        let schema = Schema::new(vec![field])
            .with_metadata([("path".to_owned(), "/data".to_owned())].into());
        let wire = wire_schema(&schema);
        assert!(wire.metadata().is_empty());
        assert!(wire.field(0).metadata().is_empty());

        let no_columns = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            vec![],
            &RecordBatchOptions::new().with_row_count(Some(3)),
        )
        .unwrap();
        let wire = wire_batch(&no_columns, &wire_schema(&no_columns.schema())).unwrap();
        assert_eq!(wire.num_rows(), 3);
    }

    #[test]
    fn a_batch_of_another_width_is_an_error() {
        let batch = RecordBatch::try_from_iter([(
            "a",
            Arc::new(arrow::array::PrimitiveArray::<Int64Type>::from(vec![1])) as ArrayRef,
        )])
        .unwrap();
        assert!(wire_batch(&batch, &Arc::new(Schema::empty())).is_err());
    }
}
