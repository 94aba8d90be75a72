//! `CommandGetCatalogs` and `CommandGetDbSchemas`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_flight::sql::CommandGetDbSchemas;

use super::pattern::Pattern;
use super::{View, text_schema};

pub(super) fn catalogs_schema() -> SchemaRef {
    text_schema(&["catalog_name"])
}

/// The mesh is one catalog, whatever the caller sees in it.
pub(super) fn catalogs(view: &View) -> Result<RecordBatch, ArrowError> {
    let names = StringArray::from(vec![view.catalog.as_str()]);
    RecordBatch::try_new(catalogs_schema(), vec![Arc::new(names)])
}

pub(super) fn db_schemas_schema() -> SchemaRef {
    text_schema(&["catalog_name?", "db_schema_name"])
}

/// The domains in which the caller sees a table, and `system`.
pub(super) fn db_schemas(
    command: &CommandGetDbSchemas,
    view: &View,
) -> Result<RecordBatch, ArrowError> {
    let pattern = command
        .db_schema_filter_pattern
        .as_deref()
        .map(Pattern::parse);
    let domains: BTreeSet<&str> = view
        .tables
        .iter()
        .chain(&view.views)
        .filter(|_| view.is_asked_for(command.catalog.as_ref()))
        .map(|table| table.domain.as_str())
        .filter(|domain| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.matches(domain))
        })
        .collect();
    let catalogs: StringArray = domains.iter().map(|_| Some(&view.catalog)).collect();
    let domains = StringArray::from_iter_values(domains);
    RecordBatch::try_new(
        db_schemas_schema(),
        vec![Arc::new(catalogs), Arc::new(domains)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::{texts, view};

    #[track_caller]
    fn check(catalog: Option<&str>, pattern: Option<&str>, expected: &[&str]) {
        let command = CommandGetDbSchemas {
            catalog: catalog.map(str::to_owned),
            db_schema_filter_pattern: pattern.map(str::to_owned),
        };
        let batch = db_schemas(&command, &view()).unwrap();
        assert_eq!(texts(&batch, "db_schema_name"), expected);
        assert!(
            texts(&batch, "catalog_name")
                .iter()
                .all(|name| name == "acme")
        );
    }

    #[test]
    fn schemas_are_filtered_and_sorted() {
        check(None, None, &["crm", "sales", "system"]);
        check(Some("acme"), None, &["crm", "sales", "system"]);
        check(Some(""), None, &[]);
        check(Some("other"), None, &[]);
        check(Some("ac%"), None, &[]);
        check(None, Some("sa%"), &["sales"]);
        check(None, Some(""), &[]);
    }

    #[test]
    fn a_catalog_exists_even_when_empty() {
        let empty = View {
            tables: vec![],
            views: vec![],
            ..view()
        };
        assert_eq!(texts(&catalogs(&empty).unwrap(), "catalog_name"), ["acme"]);
        assert_eq!(
            db_schemas(&CommandGetDbSchemas::default(), &empty)
                .unwrap()
                .num_rows(),
            0
        );
    }
}
