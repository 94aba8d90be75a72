//! Schemas, types, reasons and time.

use arrow_schema::DataType;
use weft_mesh::{GrantTarget, Grantee};

use super::{Narrow, ana, decide, grant, granted, names, orders, orders_id, snapshot, time, user};
use crate::{
    Access, ColumnMask, Denial, DenialReason, Exposure, Reveal, RowPredicate, TableAccess,
};

fn column<'a>(access: &'a TableAccess, name: &str) -> &'a crate::ColumnAccess {
    access
        .columns
        .iter()
        .find(|column| column.name == name)
        .unwrap()
}

#[test]
fn a_grant_in_clear_without_predicate_is_the_table() {
    let access = granted(vec![grant("all", &["everyone"])], &ana());
    assert_eq!(access.rows, None);
    assert_eq!(access.columns.len(), orders().columns.len());
    assert!(
        access
            .columns
            .iter()
            .all(|column| column.exposure == Exposure::Clear)
    );
}

#[test]
fn one_masked_grant_masks_every_row() {
    let access = granted(
        vec![grant("g", &["everyone"]).mask("id", "hash").rows("open")],
        &ana(),
    );
    let id = column(&access, "id");
    assert_eq!(id.data_type, DataType::Utf8);
    assert!(id.nullable);
    let Exposure::Cells(rules) = &id.exposure else {
        panic!()
    };
    assert_eq!((rules.len(), &rules[0].when), (1, &None));
    assert_eq!(rules[0].reveal, Reveal::Masked(ColumnMask::Hash));
}

#[test]
fn an_integer_clear_here_and_hashed_there_is_text() {
    let access = granted(
        vec![
            grant("a", &["everyone"]).rows("open"),
            grant("b", &["everyone"]).mask("id", "hash"),
        ],
        &ana(),
    );
    assert_eq!(column(&access, "id").data_type, DataType::Utf8);
    // NULL has every type, so nullify does not change it.
    let access = granted(
        vec![
            grant("a", &["everyone"]).rows("open"),
            grant("b", &["everyone"]).mask("id", "nullify"),
        ],
        &ana(),
    );
    assert_eq!(column(&access, "id").data_type, DataType::Int64);
}

#[test]
fn a_grant_that_is_never_true_leaves_an_empty_table() {
    let nobody = user("ben", &[], &[]);
    let rows = "region = session.attr('region')";
    let access = granted(vec![grant("g", &["everyone"]).rows(rows)], &nobody);
    assert_eq!(access.rows, Some(RowPredicate::Literal(Some(false))));
    assert_eq!(column(&access, "id").exposure, Exposure::Cells(vec![]));
    assert_eq!(column(&access, "id").data_type, DataType::Int64);
}

#[test]
fn a_grant_that_is_never_true_does_not_touch_the_cells_of_others() {
    let access = granted(
        vec![
            grant("never", &["everyone"])
                .mask("id", "hash")
                .rows("session.in_group('x')"),
            grant("open", &["everyone"]).only(&["id"]).rows("open"),
        ],
        &ana(),
    );
    assert_eq!(column(&access, "id").exposure, Exposure::Clear);
    assert_eq!(column(&access, "id").data_type, DataType::Int64);
    assert_eq!(column(&access, "email").exposure, Exposure::Cells(vec![]));
}

#[test]
fn equal_predicates_count_once() {
    let access = granted(
        vec![
            grant("a", &["everyone"])
                .only(&["id"])
                .rows("region = session.attr('region')"),
            grant("b", &["everyone"])
                .only(&["id"])
                .rows("region = 'EU'"),
        ],
        &ana(),
    );
    assert_eq!(access.rows.unwrap().to_string(), "region = 'EU'");
}

#[test]
fn reasons_name_grants_and_grantees() {
    let access = granted(
        vec![
            grant("b", &["group:analysts", "everyone"]).between(None, Some("2027-01-01T00:00:00Z")),
            grant("a", &["user:ana"]),
            grant("other", &["user:ben"]),
        ],
        &ana(),
    );
    let names: Vec<_> = access
        .grants
        .iter()
        .map(|grant| grant.grant.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        access.grants[1].to,
        [Grantee::Group("analysts".to_owned()), Grantee::Everyone]
    );
    assert_eq!(access.valid_until, Some(time("2027-01-01T00:00:00Z")));
}

#[test]
fn denials_say_why() {
    let denied = |grants, reasons: Vec<DenialReason>, valid_until| {
        let expected = Access::Denied(Denial {
            reasons,
            discovered_by: Vec::new(),
            valid_until,
        });
        assert_eq!(decide(grants, &ana()), expected);
    };
    denied(vec![], vec![DenialReason::NoGrant], None);
    denied(
        vec![grant("g", &["service:ana", "user:ben"])],
        vec![DenialReason::NoGrant],
        None,
    );
    let (past, future) = ("2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z");
    denied(
        vec![
            grant("old", &["everyone"]).between(None, Some(past)),
            grant("new", &["everyone"]).between(Some(future), None),
        ],
        vec![
            DenialReason::Expired {
                grant: "old".to_owned(),
                until: time(past),
            },
            DenialReason::NotYet {
                grant: "new".to_owned(),
                from: time(future),
            },
        ],
        Some(time(future)),
    );
}

#[test]
fn from_is_inclusive_and_until_exclusive() {
    let (from, until) = ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    let grants = vec![grant("g", &["everyone"]).between(Some(from), Some(until))];
    let snapshot = snapshot(&super::domain(vec![orders()], grants));
    let active = |at: &str| {
        matches!(
            snapshot.decide(
                &crate::Viewer::new(std::sync::Arc::new(ana()), time(at)),
                &orders_id()
            ),
            Access::Granted(_)
        )
    };
    assert!(!active("2026-01-31T23:59:59Z"));
    assert!(active(from));
    assert!(active("2026-02-28T23:59:59Z"));
    assert!(!active(until));
}

#[test]
fn an_unserved_table_is_unknown() {
    let mut other = orders_id();
    other.major = 2;
    let snapshot = snapshot(&super::domain(
        vec![orders()],
        vec![grant("g", &["everyone"])],
    ));
    let Access::Denied(denial) = snapshot.decide(&super::viewer(&ana()), &other) else {
        panic!()
    };
    assert_eq!(denial.reasons, [DenialReason::UnknownTable]);
}

#[test]
fn on_a_bare_name_covers_the_newest_version_only() {
    let mut old = orders();
    old.newest = false;
    let mut new = orders();
    new.major = 2;
    let (old_id, mut new_id) = (orders_id(), orders_id());
    new_id.major = 2;
    let covers = |target: GrantTarget| {
        let grants = vec![grant("g", &["everyone"]).on(target)];
        let snapshot = snapshot(&super::domain(vec![old.clone(), new.clone()], grants));
        [&old_id, &new_id].map(|id| {
            matches!(
                snapshot.decide(&super::viewer(&ana()), id),
                Access::Granted(_)
            )
        })
    };
    assert_eq!(
        covers(GrantTarget::Tables(names(&["orders"]))),
        [false, true]
    );
    assert_eq!(
        covers(GrantTarget::Tables(names(&["orders@1"]))),
        [true, false]
    );
    assert_eq!(
        covers(GrantTarget::Tables(names(&["orders", "orders@2"]))),
        [false, true]
    );
    assert_eq!(covers(GrantTarget::All), [true, true]);
    assert_eq!(covers(GrantTarget::Tags(names(&["public"]))), [true, true]);
}

#[test]
fn the_digest_changes_with_what_is_visible_and_with_nothing_else() {
    let digest = |grants| granted(grants, &ana()).digest();
    let base = digest(vec![grant("a", &["everyone"]).rows("region = 'EU'")]);
    assert_eq!(
        base,
        digest(vec![grant("b", &["user:ana"]).rows("region = 'EU'")])
    );
    let others = [
        digest(vec![grant("a", &["everyone"])]),
        digest(vec![grant("a", &["everyone"]).rows("region = 'US'")]),
        digest(vec![grant("a", &["everyone"]).rows("region <> 'EU'")]),
        digest(vec![
            grant("a", &["everyone"])
                .rows("region = 'EU'")
                .mask("email", "hash"),
        ]),
        digest(vec![
            grant("a", &["everyone"])
                .rows("region = 'EU'")
                .mask("email", "token(a)"),
        ]),
        digest(vec![
            grant("a", &["everyone"])
                .rows("region = 'EU'")
                .mask("email", "token(b)"),
        ]),
        digest(vec![
            grant("a", &["everyone"])
                .rows("region = 'EU'")
                .only(&["id"]),
        ]),
    ];
    for (position, other) in others.iter().enumerate() {
        assert_ne!(*other, base);
        assert!(!others[..position].contains(other));
    }
}
