//! Names of functions by family, as clients ask for them.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use datafusion::{common::ScalarValue, logical_expr::ScalarUDF};

use super::{caps::Caps, constants::SessionConstants, registry::Registry};
/// Scalar functions by family; sorted, aliases included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionNames {
    pub string: Vec<String>,
    pub numeric: Vec<String>,
    pub datetime: Vec<String>,
    /// What tells of the session.
    pub system: Vec<String>,
}

static NAMES: LazyLock<FunctionNames> = LazyLock::new(collect);

/// The functions that a statement may call.
pub fn functions() -> &'static FunctionNames {
    &NAMES
}

fn collect() -> FunctionNames {
    const SYSTEM: [&str; 6] = [
        "version",
        "current_catalog",
        "current_schema",
        "current_user",
        "current_purpose",
        "cell_hidden",
    ];
    let none = ScalarValue::Utf8(None);
    let constants = SessionConstants {
        catalog: none.clone(),
        schema: none.clone(),
        user: none.clone(),
        purpose: none,
    };
    let registry = Registry::new(
        &Arc::new(Caps::new(Duration::MAX)),
        &constants,
        &Arc::default(),
    );
    let scalar: Vec<_> = registry.scalar_functions().collect();
    let named = |belongs: &dyn Fn(&ScalarUDF) -> bool| -> Vec<String> {
        let mut names = BTreeSet::new();
        for function in scalar.iter().filter(|function| belongs(function)) {
            names.insert(function.name().to_owned());
            names.extend(function.aliases().iter().cloned());
        }
        names.into_iter().collect()
    };
    let section = |function: &ScalarUDF| function.documentation().map(|doc| doc.doc_section.label);
    FunctionNames {
        string: named(&|f| {
            matches!(
                section(f),
                Some(
                    "String Functions" | "Regular Expression Functions" | "Binary String Functions"
                )
            )
        }),
        numeric: named(&|f| section(f) == Some("Math Functions")),
        datetime: named(&|f| section(f) == Some("Time and Date Functions")),
        system: named(&|f| SYSTEM.contains(&f.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_its_functions() {
        let names = functions();
        let has = |names: &[String], wanted: &[&str]| {
            wanted.iter().all(|name| names.iter().any(|n| n == name))
        };
        assert!(
            has(
                &names.string,
                &["upper", "concat", "repeat", "regexp_replace", "substring"]
            ),
            "{names:?}"
        );
        assert!(has(&names.numeric, &["abs", "round", "pow"]), "{names:?}");
        assert!(
            has(&names.datetime, &["now", "date_trunc", "to_timestamp"]),
            "{names:?}"
        );
        assert!(
            has(
                &names.system,
                &["version", "current_user", "current_database"]
            ),
            "{names:?}"
        );
        assert!(!names.string.contains(&"input_file_name".to_owned()));
    }
}
