//! `a || b` as a function, so that it can be capped.

use datafusion::{
    arrow::{compute::kernels::concat_elements::concat_elements_dyn, datatypes::DataType},
    common::{ScalarValue, exec_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
        binary::BinaryTypeCoercer,
    },
};

/// Takes any number of sides, so that a chain of operators is one call: nested
/// calls take the planner cubic time. Null if any side is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ConcatOperator {
    signature: Signature,
}

impl ConcatOperator {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ConcatOperator {
    fn name(&self) -> &str {
        "||"
    }

    /// As the operator's, so that columns keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let sides: Vec<_> = args
            .iter()
            .map(|side| side.schema_name().to_string())
            .collect();
        Ok(sides.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        common_type(arg_types)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![common_type(arg_types)?; arg_types.len()])
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let sides = args.args.into_iter().map(|arg| arg.into_array(rows));
        let joined =
            sides.reduce(|left, right| Ok(concat_elements_dyn(left?.as_ref(), right?.as_ref())?));
        let Some(joined) = joined else {
            return exec_err!("`||` takes two sides");
        };
        let joined = joined?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &joined, 0,
            )?));
        }
        Ok(ColumnarValue::Array(joined))
    }
}

/// The type that all sides are cast to, found from left to right.
fn common_type(sides: &[DataType]) -> Result<DataType> {
    let Some((first, others)) = sides.split_first() else {
        return plan_err!("`||` takes two sides");
    };
    others
        .iter()
        .try_fold(first.clone(), |left, right| match (&left, right) {
            (DataType::Null, DataType::Null) => Ok(DataType::Utf8),
            (left, right) => {
                BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
            }
        })
}
