//! `unpruned(x)` is `x`, and keeps the reader from skipping data by its bounds.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) const NAME: &str = "weft_unpruned";

/// `expr`, opaque to statistics.
pub(crate) fn unpruned(expr: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::from(Unpruned::new())));
    FUNCTION.call(vec![expr])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Unpruned {
    signature: Signature,
}

impl Unpruned {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Unpruned {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(one_argument)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(one_argument)
    }
}

fn one_argument() -> DataFusionError {
    DataFusionError::Internal(format!("{NAME} takes one argument"))
}
