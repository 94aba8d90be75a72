//! A function that refuses to make too much.

use std::{fmt, hash, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef},
        compute::concat,
        datatypes::{DataType, FieldRef},
    },
    common::{config::ConfigOptions, not_impl_err},
    error::Result,
    logical_expr::{
        ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs,
        ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        simplify::{ExprSimplifyResult, SimplifyContext},
        sort_properties::{ExprProperties, SortProperties},
    },
};

use super::{
    bounds::{Bound, bound_of, work_of},
    caps::{Caps, exceeded},
    size::{self, Rows},
};

/// Steps for one row, and for one batch.
const WORK: usize = 100_000_000;
const BATCH_WORK: usize = 2_000_000_000;

/// Bytes of a type of a fixed size: its nulls have as many. Inside a list each item does.
const WIDEST: usize = 1024;
const WIDEST_INSIDE: usize = 32;

/// Whether `data_type` has a part of a fixed size of no or more than `most` bytes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other types hold no others"
)]
fn is_unfit(data_type: &DataType, most: usize) -> bool {
    match data_type {
        DataType::FixedSizeBinary(_) => !(1..=most).contains(&width(data_type)),
        DataType::FixedSizeList(item, _) => {
            !(1..=most).contains(&width(data_type)) || is_unfit(item.data_type(), WIDEST_INSIDE)
        }
        DataType::Struct(fields) => fields.iter().any(|it| is_unfit(it.data_type(), most)),
        DataType::Dictionary(_, values) => is_unfit(values, most),
        DataType::RunEndEncoded(_, values) => is_unfit(values.data_type(), most),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => is_unfit(item.data_type(), WIDEST_INSIDE),
        DataType::Union(fields, _) => fields.iter().any(|(_, it)| is_unfit(it.data_type(), most)),
        _ => false,
    }
}

/// The bytes that one value of `data_type` has, even a null.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other types hold no others"
)]
fn width(data_type: &DataType) -> usize {
    /// Offsets or a view.
    const OTHER: usize = 16;
    let times = |count: &i32, width: usize| {
        usize::try_from(*count)
            .unwrap_or(usize::MAX)
            .saturating_mul(width)
    };
    match data_type {
        DataType::FixedSizeBinary(size) => times(size, 1),
        DataType::FixedSizeList(item, size) => times(size, width(item.data_type())),
        DataType::Struct(fields) => fields
            .iter()
            .fold(1, |sum, it| sum.saturating_add(width(it.data_type()))),
        other => other.primitive_width().unwrap_or(OTHER),
    }
}

/// What is checked of a function's calls.
#[derive(Clone, Copy)]
pub(super) struct Checks {
    bound: Option<Bound>,
    work: Option<Bound>,
    casts: bool,
}

impl Checks {
    /// Of a function of the engine's registry by its name; `None` if it needs none.
    pub(super) fn of(function: &str) -> Option<Self> {
        let checks = Self {
            bound: bound_of(function),
            work: work_of(function),
            casts: matches!(function, "arrow_cast" | "arrow_try_cast"),
        };
        let needed = checks.bound.is_some() || checks.work.is_some() || checks.casts;
        needed.then_some(checks)
    }
}

/// Wraps `inner`. What it would be simplified to is not asked for: that would
/// be a call of the function without its cap.
struct Capped {
    inner: Arc<ScalarUDF>,
    caps: Arc<Caps>,
    checks: Checks,
}

/// `inner` under `checks` and the caps of a statement.
pub(super) fn capped(inner: Arc<ScalarUDF>, checks: Checks, caps: &Arc<Caps>) -> Arc<ScalarUDF> {
    let caps = Arc::clone(caps);
    let capped = Capped {
        inner,
        caps,
        checks,
    };
    Arc::new(ScalarUDF::new_from_impl(capped))
}

/// Whether the size of what `function` makes is checked.
pub(crate) fn is_capped(function: &ScalarUDF) -> bool {
    function.inner().is::<Capped>()
}

impl Capped {
    fn check_work(&self, rows: &Rows, work: Bound) -> Result<()> {
        let mut sum = 0_usize;
        for row in 0..rows.len {
            let steps = work(rows, row);
            sum = sum.saturating_add(steps);
            if steps > WORK || sum > BATCH_WORK {
                return Err(exceeded(format!(
                    "{}: arguments too long for each other",
                    self.inner.name()
                )));
            }
        }
        Ok(())
    }

    /// Ends of the pieces of rows that fit into a batch each.
    fn pieces(&self, rows: &Rows, bound: Bound) -> Result<Vec<usize>> {
        let room = self.caps.room();
        let mut ends = Vec::new();
        let mut sum = 0_usize;
        for row in 0..rows.len {
            let bytes = bound(rows, row);
            if bytes > room {
                self.caps.check_value(self.inner.name(), bytes)?;
                self.caps.take(self.inner.name(), bytes)?;
            }
            if sum.saturating_add(bytes) > room {
                ends.push(row);
                sum = 0;
            }
            sum = sum.saturating_add(bytes);
        }
        ends.push(rows.len);
        Ok(ends)
    }

    /// Counts a result, value by value.
    fn check_result(&self, result: &dyn Array) -> Result<()> {
        for row in 0..result.len() {
            if !result.is_null(row) {
                self.caps
                    .check_value(self.inner.name(), size::bytes(result, row, 1))?;
            }
        }
        self.caps
            .take(self.inner.name(), size::bytes(result, 0, result.len()))
    }

    /// Runs piece by piece, so that no more than a batch is made before it is counted.
    fn invoke_in_pieces(&self, args: &ScalarFunctionArgs, ends: &[usize]) -> Result<ColumnarValue> {
        let mut start = 0;
        let mut total = 0_usize;
        let mut results: Vec<ArrayRef> = Vec::with_capacity(ends.len());
        for end in ends {
            let len = end - start;
            let piece = args.args.iter().map(|arg| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, len)),
                ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
            });
            let piece = ScalarFunctionArgs {
                args: piece.collect(),
                number_rows: len,
                ..args.clone()
            };
            let result = self
                .inner
                .inner()
                .invoke_with_args(piece)?
                .into_array(len)?;
            self.check_result(result.as_ref())?;
            total = total.saturating_add(size::bytes(result.as_ref(), 0, len));
            if total > self.caps.room() {
                self.caps.take(self.inner.name(), total)?;
            }
            results.push(result);
            start = *end;
        }
        let results: Vec<&dyn Array> = results.iter().map(|array| array.as_ref()).collect();
        Ok(ColumnarValue::Array(concat(&results)?))
    }
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        let capped = Self {
            inner,
            caps: Arc::clone(&self.caps),
            checks: self.checks,
        };
        Some(ScalarUDF::new_from_impl(capped))
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = Rows::new(&args.args, args.number_rows)?;
        if let Some(work) = self.checks.work {
            self.check_work(&rows, work)?;
        }
        let Some(bound) = self.checks.bound else {
            return self.inner.inner().invoke_with_args(args);
        };
        let ends = self.pieces(&rows, bound)?;
        if ends.len() > 1 {
            return self.invoke_in_pieces(&args, &ends);
        }
        let number_rows = args.number_rows;
        let result = self.inner.inner().invoke_with_args(args)?;
        match &result {
            ColumnarValue::Array(array) => self.check_result(array.as_ref())?,
            ColumnarValue::Scalar(scalar) => {
                let one = scalar.to_array_of_size(1)?;
                self.check_result(one.as_ref())?;
                // Whoever wants an array gets a copy for each row.
                let copies = size::bytes(one.as_ref(), 0, 1).saturating_mul(number_rows);
                self.caps.take(self.name(), copies)?;
            }
        }
        Ok(result)
    }

    /// A cast by name becomes a cast; nothing else is simplified.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if !self.checks.casts {
            return Ok(ExprSimplifyResult::Original(args));
        }
        if let Some(Expr::Literal(name, _)) = args.get(1)
            && let Some(Some(name)) = name.try_as_str()
            && let Ok(data_type) = name.parse::<DataType>()
            && is_unfit(&data_type, WIDEST)
        {
            return not_impl_err!(
                "casts to {data_type}: a type of a fixed size may have 1 to {WIDEST} bytes, inside another {WIDEST_INSIDE}"
            );
        }
        self.inner.inner().simplify(args, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.inner().short_circuits()
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.inner().documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.inner().placement(args)
    }
}

/// Two capped functions are one if what they wrap is.
impl PartialEq for Capped {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Capped {}

impl hash::Hash for Capped {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Debug for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capped({})", self.inner.name())
    }
}
