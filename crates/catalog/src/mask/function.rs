//! One engine function for all masks that compute.

use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::keys::MaskKey;
use super::text::End;
use super::truncate::Unit;
use super::{bucket, digest, text, truncate};

/// What a mask computes. Two of them are the same function only if parameters
/// and keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum MaskKind {
    /// `floor(v / w) * w`.
    Bucket(ScalarValue),
    /// The first instant of the unit.
    Truncate(Unit),
    /// All but so many characters at one end become `*`.
    Show(End, u32),
    /// The keyed digest.
    Token(MaskKey),
    /// The keyed digest.
    Hash(MaskKey),
    /// Letters become `x`, digits `9`.
    Alphanum,
}

/// A mask as a scalar function of one argument.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MaskFunction {
    kind: MaskKind,
    signature: Signature,
}

impl MaskKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "mask_bucket",
            Self::Truncate(Unit::Month) => "mask_truncate_month",
            Self::Truncate(Unit::Year) => "mask_truncate_year",
            Self::Show(End::Last, _) => "mask_show_last",
            Self::Show(End::First, _) => "mask_show_first",
            Self::Token(_) => "mask_token",
            Self::Hash(_) => "mask_hash",
            Self::Alphanum => "mask_alphanum",
        }
    }

    /// The type of masked values; `None` where the mask does not fit.
    pub(super) fn output_type(&self, input: &DataType) -> Option<DataType> {
        let fits = match self {
            Self::Bucket(width) => width.data_type() == *input && bucket::fits(input),
            Self::Truncate(_) => truncate::fits(input),
            Self::Show(..) | Self::Alphanum => input.is_string(),
            Self::Token(_) | Self::Hash(_) => return digest::fits(input).then_some(DataType::Utf8),
        };
        fits.then(|| input.clone())
    }

    /// Masks every value. `None` where the type is not the planned one.
    pub(super) fn run(&self, values: &dyn Array) -> Option<ArrayRef> {
        match self {
            Self::Bucket(width) => bucket::bucket(values, width),
            Self::Truncate(unit) => truncate::truncate(values, *unit),
            Self::Show(end, count) => text::show(values, *end, *count),
            Self::Token(key) | Self::Hash(key) => digest::digest(values, key),
            Self::Alphanum => text::alphanum(values),
        }
    }
}

impl MaskFunction {
    pub(super) fn new(kind: MaskKind) -> Self {
        Self {
            kind,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MaskFunction {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [input] => match self.kind.output_type(input) {
                Some(output) => Ok(output),
                None => plan_err!("{} does not fit {input}", self.name()),
            },
            _ => plan_err!("{} takes one argument", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // What was not planned shows nothing.
        let masked = |values: &dyn Array| {
            self.kind
                .run(values)
                .unwrap_or_else(|| new_null_array(args.return_type(), values.len()))
        };
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(masked(values))),
            [ColumnarValue::Scalar(value)] => {
                let masked = masked(&value.to_array()?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &masked, 0,
                )?))
            }
            _ => plan_err!("{} takes one argument", self.name()),
        }
    }
}
