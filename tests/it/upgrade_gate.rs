//! An upgrade of DataFusion must not open a way past the seal in silence.
//!
//! Each method that a trait gains with a default is a possible way around
//! `GovernedScanExec` or `GovernedTable`. Whoever upgrades reads the new ones,
//! overrides what the seal must not leave open, and then adds them here.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The methods that were reviewed, by trait and the file that declares it.
const REVIEWED: &[(&str, &str, &str, &[&str])] = &[
    (
        "datafusion-physical-plan",
        "src/execution_plan.rs",
        "ExecutionPlan",
        &[
            "apply_expressions",
            "benefits_from_input_partitioning",
            "cardinality_effect",
            "check_invariants",
            "child_stats_requests",
            "children",
            "downcast_delegate",
            "dynamic_expressions_produced",
            "execute",
            "fetch",
            "gather_filters_for_pushdown",
            "handle_child_pushdown_result",
            "input_distribution_requirements",
            "maintains_input_order",
            "metrics",
            "name",
            "partition_statistics",
            "properties",
            "repartitioned",
            "replace_children",
            "required_input_distribution",
            "required_input_ordering",
            "reset_state",
            "schema",
            "static_name",
            "statistics_from_inputs",
            "supports_limit_pushdown",
            "try_pushdown_sort",
            "try_swapping_with_projection",
            "try_to_proto",
            "with_fetch",
            "with_new_children",
            "with_new_children_and_same_properties",
            "with_new_state",
            "with_preserve_order",
        ],
    ),
    (
        "datafusion-session",
        "src/table.rs",
        "TableProvider",
        &[
            "constraints",
            "delete_from",
            "get_column_default",
            "get_logical_plan",
            "get_table_definition",
            "insert_into",
            "merge_into",
            "scan",
            "scan_with_args",
            "schema",
            "statistics",
            "supports_filters_pushdown",
            "table_type",
            "truncate",
            "update",
        ],
    ),
    (
        "datafusion-session",
        "src/schema.rs",
        "SchemaProvider",
        &[
            "deregister_table",
            "owner_name",
            "register_table",
            "table",
            "table_exist",
            "table_names",
            "table_type",
        ],
    ),
    (
        "datafusion-session",
        "src/catalog.rs",
        "CatalogProvider",
        &[
            "deregister_schema",
            "register_schema",
            "schema",
            "schema_names",
        ],
    ),
];

#[test]
fn traits_of_the_engine_have_no_method_that_nobody_reviewed() {
    let metadata = cargo_metadata::MetadataCommand::new().exec().unwrap();
    for (package, file, name, reviewed) in REVIEWED {
        let manifest = metadata
            .packages
            .iter()
            .find(|p| p.name.as_str() == *package)
            .unwrap();
        let source = PathBuf::from(&manifest.manifest_path)
            .parent()
            .unwrap()
            .join(file);
        let source = std::fs::read_to_string(source).unwrap();
        let found = methods(&source, name);
        let reviewed: BTreeSet<String> = reviewed.iter().map(|m| (*m).to_owned()).collect();
        assert!(found.len() > 3, "cannot read trait `{name}`");
        let unread: Vec<_> = found.difference(&reviewed).collect();
        assert!(
            unread.is_empty(),
            "`{name}` of {package} {} has new methods: {unread:?}",
            manifest.version
        );
    }
}

/// The names of the functions of a trait: those at four spaces inside it.
fn methods(source: &str, name: &str) -> BTreeSet<String> {
    source
        .lines()
        .skip_while(|line| !line.starts_with(&format!("pub trait {name}:")))
        .take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.strip_prefix("async ").unwrap_or(line))
        .filter_map(|line| line.strip_prefix("fn "))
        .filter_map(|line| line.split(['(', '<']).next())
        .map(str::to_owned)
        .collect()
}
