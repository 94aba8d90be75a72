//! Whether a file's columns fit the contract's.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::error::SchemaMismatch;
use crate::product::layout::RequiredColumns;

/// The engine's adapter behind a check: it would turn text into numbers and
/// cut numbers down; here a file may only be narrower than its contract.
#[derive(Clone, Debug)]
pub(crate) struct FitFactory {
    required: Arc<RequiredColumns>,
}

impl FitFactory {
    pub(crate) fn new(required: &Arc<RequiredColumns>) -> Self {
        Self {
            required: Arc::clone(required),
        }
    }

    /// The fields to adapt those of `file` to.
    pub(super) fn fitted(
        &self,
        contract: &Schema,
        file: &Schema,
    ) -> Result<Vec<Arc<Field>>, SchemaMismatch> {
        let fields = contract.fields().iter();
        let fitted = fields.map(|wanted| fitted(wanted, file, &self.required));
        fitted.collect()
    }
}

impl PhysicalExprAdapterFactory for FitFactory {
    fn create(&self, contract: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let fields = self.fitted(&contract, &file)?;
        let contract = Arc::new(Schema::new_with_metadata(
            fields,
            contract.metadata().clone(),
        ));
        DefaultPhysicalExprAdapterFactory.create(contract, file)
    }
}

/// The field to adapt to. Where only nullability or metadata differ it is the
/// file's own: a cast between them would hide the column from pruning.
fn fitted(
    wanted: &Arc<Field>,
    file: &Schema,
    required: &RequiredColumns,
) -> Result<Arc<Field>, SchemaMismatch> {
    let mut found = file
        .fields()
        .iter()
        .filter(|field| field.name() == wanted.name());
    let Some(field) = found.next() else {
        if !required.contains(wanted.name()) {
            return Ok(Arc::clone(wanted));
        }
        return Err(SchemaMismatch(format!(
            "a file lacks the required column `{}`",
            wanted.name()
        )));
    };
    if found.next().is_some() {
        return Err(SchemaMismatch(format!(
            "a file has two columns `{}`",
            wanted.name()
        )));
    }
    if field.data_type() == wanted.data_type() {
        return Ok(Arc::clone(field));
    }
    if fits(field.data_type(), wanted.data_type()) {
        return Ok(Arc::clone(wanted));
    }
    Err(SchemaMismatch(format!(
        "column `{}` is {} in a file and {} in the contract",
        wanted.name(),
        field.data_type(),
        wanted.data_type()
    )))
}

/// Whether every value of `from` is a value of `to`. One exception: a time
/// that is finer in the file is cut to the contract's unit, which cannot fail.
pub(crate) fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Date64, Dictionary, FixedSizeList, Float16, Float32, Float64,
        LargeBinary, LargeList, LargeUtf8, List, Map, Null, Struct, Time32, Time64, Timestamp,
        Utf8, Utf8View,
    };
    if from == to {
        return true;
    }
    if let (Some(from), Some(to)) = (decimal(from), decimal(to)) {
        return from.scale <= to.scale && from.whole() <= to.whole();
    }
    if from.is_integer() && to.is_integer() {
        let (f, t) = (bits(from), bits(to));
        return if from.is_signed_integer() == to.is_signed_integer() {
            f <= t
        } else {
            to.is_signed_integer() && f < t
        };
    }
    if from.is_integer()
        && let Some(to) = decimal(to)
    {
        return digits(from) <= to.whole();
    }
    match (from, to) {
        (Null, _) => true,
        (Dictionary(_, value), _) => fits(value, to),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View)
        | (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView)
        | (Float16, Float32 | Float64)
        | (Float32, Float64)
        | (Date32, Date64)
        | (Time32(_) | Time64(_), Time32(_) | Time64(_)) => true,
        (_, Float64) if from.is_integer() => bits(from) <= 32,
        (_, Float32) if from.is_integer() => bits(from) <= 16,
        // Without a zone a time is taken as UTC.
        (Timestamp(_, from), Timestamp(_, to)) => {
            to.is_some() || from.as_deref().is_none_or(is_utc)
        }
        (List(from) | LargeList(from) | FixedSizeList(from, _), List(to) | LargeList(to)) => {
            fits(from.data_type(), to.data_type())
        }
        // The parts of a map have places, and names of the file's format.
        (Map(from, _), Map(to, _)) => match (from.data_type(), to.data_type()) {
            (Struct(from), Struct(to)) => {
                from.len() == to.len()
                    && from
                        .iter()
                        .zip(to)
                        .all(|(from, to)| fits(from.data_type(), to.data_type()))
            }
            _ => false,
        },
        (Struct(from), Struct(to)) => {
            to.iter().all(
                |wanted| match from.iter().find(|field| field.name() == wanted.name()) {
                    Some(field) => fits(field.data_type(), wanted.data_type()),
                    None => wanted.is_nullable(),
                },
            )
        }
        _ => false,
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Z" | "+00:00" | "+00" | "Etc/UTC" | "GMT")
}

fn bits(integer: &DataType) -> usize {
    integer
        .primitive_width()
        .unwrap_or(usize::MAX)
        .saturating_mul(8)
}

/// Decimal digits of the largest value.
fn digits(integer: &DataType) -> i16 {
    match bits(integer) {
        8 => 3,
        16 => 5,
        32 => 10,
        _ if integer.is_signed_integer() => 19,
        _ => 20,
    }
}

#[derive(Clone, Copy)]
struct Decimal {
    precision: u8,
    scale: i8,
}

impl Decimal {
    /// Digits before the point.
    fn whole(self) -> i16 {
        i16::from(self.precision) - i16::from(self.scale)
    }
}

fn decimal(data_type: &DataType) -> Option<Decimal> {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    let (Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s)) = data_type
    else {
        return None;
    };
    Some(Decimal {
        precision: *p,
        scale: *s,
    })
}
