//! `cell_hidden(column)`: whether policy, not data, made a cell NULL.
//!
//! The function is a name only: [`crate::plan`] puts a column of the sealed
//! scan in its place, which depends on the policy and never on the raw value.

use datafusion::{
    arrow::datatypes::DataType,
    common::plan_err,
    error::Result,
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

pub(crate) const CELL_HIDDEN: &str = "cell_hidden";

/// What to write, for whoever wrote something else.
pub(crate) const USAGE: &str = "`cell_hidden` takes one column of a table that the same SELECT, or \
                                a subquery that passes the column on, reads";

pub(super) fn cell_hidden() -> ScalarUDF {
    ScalarUDF::new_from_impl(CellHidden {
        signature: Signature::any(1, Volatility::Stable),
    })
}

/// The argument of a call.
pub(crate) fn argument_of(expr: &Expr) -> Option<&Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    call.func
        .inner()
        .is::<CellHidden>()
        .then(|| call.args.first())?
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CellHidden {
    signature: Signature,
}

impl ScalarUDFImpl for CellHidden {
    fn name(&self) -> &'static str {
        CELL_HIDDEN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("{USAGE}")
    }
}
