//! Grants held against contracts: every fault, with its help.

use weft_mesh::{ColumnSelection, Fault, GrantManifest, GrantTarget, Severity};

use super::{Narrow, column, compile, domain, grant, names, now, orders, table};

/// Rule, message and help of every fault.
fn faults(grants: Vec<GrantManifest>) -> Vec<(&'static str, String, String)> {
    let returns = table(
        "returns",
        vec![
            column("id", arrow_schema::DataType::Int64),
            column("why", arrow_schema::DataType::Utf8),
        ],
    );
    match compile(&domain(vec![orders(), returns], grants)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .into_iter()
            .map(
                |Fault {
                     rule,
                     message,
                     help,
                     ..
                 }| (rule, message, help.unwrap_or_default()),
            )
            .collect(),
    }
}

fn fault(grant: GrantManifest) -> (&'static str, String, String) {
    let mut faults = faults(vec![grant]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

fn is(found: (&str, String, String), rule: &str, message: &str, help: &str) {
    assert_eq!(
        (found.0, found.1.as_str(), found.2.as_str()),
        (rule, message, help)
    );
}

#[test]
fn unknown_names() {
    is(
        fault(grant("g", &["everyone"]).on(GrantTarget::Tables(names(&["order"])))),
        "unknown-table",
        "table `order` is not in domain `sales`",
        "did you mean `orders`?",
    );
    is(
        fault(grant("g", &["everyone"]).on(GrantTarget::Tags(names(&["pubic"])))),
        "unknown-tag",
        "no table of domain `sales` has tag `pubic`",
        "did you mean `public`?",
    );
    is(
        fault(grant("g", &["everyone"]).only(&["id", "emial"])),
        "unknown-column",
        "column `emial` is not in table `sales.orders`",
        "did you mean `email`?",
    );
    let mut except = grant("g", &["everyone"]);
    except.columns = ColumnSelection::Except(names(&["regoin"]));
    is(
        fault(except),
        "unknown-column",
        "column `regoin` is not in table `sales.orders`",
        "did you mean `region`?",
    );
    let mut tags = grant("g", &["everyone"]);
    tags.columns = ColumnSelection::Tags(names(&["pi"]));
    is(
        fault(tags),
        "unknown-tag",
        "no column of the tables of grant `g` has tag `pi`",
        "did you mean `pii`?",
    );
    is(
        fault(grant("g", &["everyone"]).mask("emial", "hash")),
        "unknown-column",
        "column `emial` is not in table `sales.orders`",
        "did you mean `email`?",
    );
}

#[test]
fn masks() {
    is(
        fault(
            grant("g", &["everyone"])
                .only(&["id"])
                .mask("email", "hash"),
        ),
        "mask-without-column",
        "grant `g` masks column `email`, which it does not give",
        "add it to `columns`, or remove the mask",
    );
    is(
        fault(grant("g", &["everyone"]).mask("open", "hash")),
        "invalid-mask",
        "mask `hash` does not fit column `open`, which is Boolean; these fit: `fixed(value)`, `nullify`",
        "",
    );
    is(
        fault(
            grant("g", &["everyone"])
                .mask("id", "hash")
                .mask("id", "nullify"),
        ),
        "duplicate-mask",
        "column `id` has two masks",
        "",
    );
}

#[test]
fn a_grant_has_to_give_something() {
    let mut nothing = grant("g", &["everyone"]).on(GrantTarget::Tables(names(&["returns"])));
    nothing.columns = ColumnSelection::Except(names(&["id", "why"]));
    is(
        fault(nothing),
        "empty-grant",
        "grant `g` gives no column of any table",
        "name at least one column under `columns`",
    );
}

#[test]
fn tables_by_name_need_every_column_and_others_one() {
    let both = GrantTarget::Tables(names(&["orders", "returns"]));
    is(
        fault(grant("g", &["everyone"]).on(both).only(&["id", "why"])),
        "unknown-column",
        "column `why` is not in table `sales.orders`",
        "there are `id`, `region`, `email`, `amount`, `ordered_at`, `open`, `Mixed`",
    );
    let all = grant("g", &["everyone"]).on(GrantTarget::All);
    assert_eq!(
        faults(vec![all.clone().only(&["id", "why"]).mask("why", "hash")]),
        []
    );
    assert_eq!(faults(vec![all.clone().only(&["id"]).rows("id > 1")]), []);
    // A predicate that one of the tables cannot answer is an error.
    is(
        fault(all.rows("region = 'EU'")),
        "unknown-column",
        "column `region` is not in table `returns` (at character 1)",
        "there are `id`, `why`",
    );
}

#[test]
fn all_faults_of_all_grants_at_once() {
    let found = faults(vec![
        grant("a", &["everyone"])
            .only(&["nix"])
            .mask("id", "bucket(0)")
            .rows("nix = 1"),
        grant("b", &["everyone"]).on(GrantTarget::Tables(names(&["nix"]))),
        grant("c", &["everyone"]).rows("id = 'x' AND now() = 1"),
    ]);
    let rules: Vec<_> = found.iter().map(|fault| fault.0).collect();
    assert_eq!(
        rules,
        [
            "unknown-column",
            "mask-without-column",
            "unknown-table",
            "predicate-type",
            "predicate-not-allowed",
        ]
    );
}

#[test]
fn an_ended_grant_is_a_warning() {
    let ended = grant("old", &["everyone"]).between(None, Some("2026-01-01T00:00:00Z"));
    let policy = compile(&domain(vec![orders()], vec![ended])).unwrap();
    let warnings = policy.warnings(now());
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!(
        warnings[0].message,
        "grant `old` ended at 2026-01-01T00:00:00+00:00"
    );
    assert_eq!(policy.warnings(super::time("2025-12-31T00:00:00Z")), []);
}
