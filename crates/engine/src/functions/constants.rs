//! What a session says of itself: `current_user`, `current_schema()` and such.

use datafusion::{
    arrow::datatypes::DataType,
    common::ScalarValue,
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

/// The values of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionConstants {
    pub(crate) catalog: ScalarValue,
    pub(crate) schema: ScalarValue,
    pub(crate) user: ScalarValue,
    pub(crate) purpose: ScalarValue,
}

impl SessionConstants {
    /// One function for each, under the names that clients ask by.
    pub(super) fn functions(&self) -> Vec<ScalarUDF> {
        let version = ScalarValue::Utf8(Some(format!("weft {}", env!("CARGO_PKG_VERSION"))));
        [
            ("version", &[][..], version),
            (
                "current_catalog",
                &["current_database"][..],
                self.catalog.clone(),
            ),
            ("current_schema", &[][..], self.schema.clone()),
            ("current_purpose", &[][..], self.purpose.clone()),
            ("current_user", &["session_user"][..], self.user.clone()),
        ]
        .into_iter()
        .map(|(name, aliases, value)| {
            ScalarUDF::new_from_impl(Constant {
                name,
                aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
                value,
                signature: Signature::exact(vec![], Volatility::Stable),
            })
        })
        .collect()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    aliases: Vec<String>,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
