//! The laws of the access model over random policies and rows, each under its
//! name in access-model.md. M5 and M6 are about whole queries: what a decision
//! can say of them is here, and tests/it/proof holds the engine against them.

use std::sync::Arc;

use arrow_schema::DataType;
use datafusion_common::ScalarValue;
use proptest::prelude::*;
use weft_mesh::{
    Domain, GrantManifest, Grantee, GuardrailEffect, GuardrailManifest, GuardrailTarget, Spanned,
};

use super::{
    Narrow, column, domain, except, grant, guardrail,
    interpreter::{cell, eval, visible},
    limited, masked,
    meaning::{Seen, amount_shown, expected, gives, holds, is_active},
    mesh, names, now, on, orders, orders_id, patterns, purpose, spanned, table, user,
};
use crate::{
    Access, CellRule, ColumnMask, Explanation, Exposure, Operand, Outcome, RowPredicate, Standing,
    TableAccess, Viewer, predicate::Entitlements,
};

const PREDICATES: [&str; 18] = [
    "region = 'EU'",
    "region = session.attr('region')",
    "region <> session.attr('missing')",
    "open",
    "NOT open",
    "open IS NOT TRUE",
    "region = 'EU' AND open OR id < 3",
    "session.in_group('analysts') AND region IN ('EU', 'US')",
    "session.in_group('nobody') OR id BETWEEN 2 AND 4",
    "region NOT IN ('EU')",
    "starts_with(email, session.user)",
    "lower(region) LIKE 'e%' OR \"Mixed\" < id",
    "amount > 10.5 IS UNKNOWN",
    "true",
    "session.purpose = 'audit' OR id < 2",
    "region IN (SELECT area FROM sales.members WHERE who = session.user)",
    "open AND region IN (SELECT area FROM sales.members WHERE who = session.purpose OR session.in_group('others'))",
    "false",
];

/// Of guardrails: those of grants, and two that do not fit.
const LIMITS: [&str; 2] = ["nowhere = 'EU'", "region = 7"];

/// Of guardrails, on whatever column.
const FLOORS: [&str; 8] = [
    "hash",
    "nullify",
    "show_last(1)",
    "bucket(100)",
    "token(a)",
    "truncate_year",
    "alphanum",
    "fixed('x')",
];

const MASKS: [&[&str]; 7] = [
    &["hash", "bucket(10)", "bucket(100)", "nullify", "token(a)"],
    &["hash", "show_last(1)", "show_first(1)", "alphanum"],
    &["hash", "token(a)", "token(b)", "fixed('x')"],
    &["bucket(1)", "bucket(100)", "nullify", "fixed(0)"],
    &["truncate_month", "truncate_year", "nullify"],
    &["nullify", "fixed(false)"],
    &["bucket(5)", "hash"],
];

pub(super) fn any_grant() -> impl Strategy<Value = GrantManifest> {
    let masks = MASKS.map(|masks| proptest::option::weighted(0.4, 0..masks.len()));
    let to = [
        "user:ana",
        "group:analysts",
        "group:others",
        "user:ben",
        "everyone",
    ];
    (
        proptest::sample::subsequence(to.to_vec(), 1..=3),
        proptest::sample::subsequence((0..7).collect::<Vec<usize>>(), 1..=7),
        masks,
        proptest::option::weighted(0.8, 0..PREDICATES.len()),
        0..1_000_000u32,
        any_purposes(),
    )
        .prop_map(|(to, columns, masks, rows, name, purposes)| {
            let table = orders();
            let name_of = |index: usize| table.columns[index].name.as_str();
            let given: Vec<_> = columns.iter().map(|index| name_of(*index)).collect();
            let mut grant = grant(&format!("g{name}"), &to)
                .only(&given)
                .purposes(&purposes);
            for index in columns {
                if let Some(mask) = masks[index] {
                    grant = grant.mask(name_of(index), MASKS[index][mask]);
                }
            }
            match rows {
                Some(rows) => grant.rows(PREDICATES[rows]),
                None => grant,
            }
        })
}

fn any_purposes() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::sample::subsequence(vec!["audit", "fraud"], 1..=2),
    ]
}

pub(super) fn any_grants() -> impl Strategy<Value = Vec<GrantManifest>> {
    proptest::collection::vec(any_grant(), 1..6)
}

/// Keys of `on`, some of which match nothing of `orders`.
fn any_target() -> impl Strategy<Value = GuardrailTarget> {
    let some = |pool: &[&'static str]| {
        prop_oneof![
            2 => Just(Vec::new()),
            1 => proptest::sample::subsequence(pool.to_vec(), 1..=2),
        ]
    };
    (
        some(&["pii", "public", "inside", "none"]),
        some(&["restricted", "secret"]),
        some(&["sales", "hr"]),
        some(&[
            "sales.orders",
            "sales.*",
            "sales.orders@1",
            "sales.orders@2",
            "hr.*",
        ]),
        some(&["email", "region", "amount", "id", "nowhere"]),
    )
        .prop_map(
            |(tags, classification, domains, tables, columns)| GuardrailTarget {
                tags: names(&tags),
                classification: names(&classification),
                domains: names(&domains),
                tables: patterns(&tables),
                columns: names(&columns),
                ..on()
            },
        )
}

pub(super) fn any_guardrail() -> impl Strategy<Value = GuardrailManifest> {
    let rows: Vec<_> = PREDICATES.into_iter().chain(LIMITS).collect();
    let effect = prop_oneof![
        2 => (any_target(), proptest::sample::select(rows)).prop_map(|(on, it)| limited(on, it)),
        3 => (any_target(), proptest::sample::select(&FLOORS[..])).prop_map(|(on, it)| masked(on, it)),
        1 => any_target().prop_map(|on| GuardrailEffect::Deny { on }),
        1 => any_target().prop_map(|on| GuardrailEffect::RequirePurpose { on }),
        1 => Just(GuardrailEffect::ForbidCombine { sides: patterns(&["sales.*", "hr.*"]) }),
    ];
    let whom = prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::sample::subsequence(vec!["user:ana", "group:analysts", "group:others"], 1..=2),
    ];
    (effect, whom, 0..1_000_000u32)
        .prop_map(|(effect, whom, name)| except(guardrail(&format!("l{name}"), effect), &whom))
}

pub(super) fn any_guardrails() -> impl Strategy<Value = Vec<GuardrailManifest>> {
    proptest::collection::vec(any_guardrail(), 0..4)
}

pub(super) fn any_row() -> impl Strategy<Value = Vec<ScalarValue>> {
    let region = proptest::option::of(proptest::sample::select(vec!["EU", "US", "eu", ""]));
    let email = proptest::option::of(proptest::sample::select(vec!["ana@x", "ben@x"]));
    let amount = proptest::option::of(-100_000i128..100_000);
    (
        0..6i64,
        region,
        email,
        amount,
        any::<Option<bool>>(),
        any::<Option<i32>>(),
    )
        .prop_map(|(id, region, email, amount, open, mixed)| {
            vec![
                ScalarValue::Int64(Some(id)),
                ScalarValue::Utf8(region.map(str::to_owned)),
                ScalarValue::Utf8(email.map(str::to_owned)),
                ScalarValue::Decimal128(amount, 12, 2),
                ScalarValue::TimestampMicrosecond(Some(id), Some("UTC".into())),
                ScalarValue::Boolean(open),
                ScalarValue::Int32(mixed),
            ]
        })
}

pub(super) fn any_viewer() -> impl Strategy<Value = Viewer> {
    let groups = proptest::sample::subsequence(vec!["analysts", "others"], 0..=2);
    (
        proptest::sample::select(vec!["ana", "ben"]),
        groups,
        any::<bool>(),
        proptest::sample::select(vec![None, Some("audit"), Some("fraud"), Some("other")]),
    )
        .prop_map(|(name, groups, attribute, stated)| {
            let attributes: &[_] = if attribute { &[("region", "EU")] } else { &[] };
            let principal = Arc::new(user(name, &groups, attributes));
            Viewer::new(principal, now()).with_purpose(stated.map(purpose))
        })
}

/// `orders` with marks of every kind, and `members`.
pub(super) fn sales(grants: Vec<GrantManifest>) -> Domain {
    let mut orders = orders();
    orders.columns[1].inside.tags.insert("inside".to_owned());
    orders.columns[3].classification = Some("restricted".to_owned());
    orders.columns[5]
        .inside
        .classifications
        .insert("secret".to_owned());
    let members = vec![
        column("who", DataType::Utf8),
        column("area", DataType::Utf8),
    ];
    domain(vec![orders, table("members", members)], grants)
}

fn decide(grants: Vec<GrantManifest>, limits: &[GuardrailManifest], viewer: &Viewer) -> Access {
    mesh(&[&sales(grants)], limits).decide(viewer, &orders_id())
}

fn parse(text: &str) -> RowPredicate {
    let sales = sales(Vec::new());
    let entitlements = Entitlements {
        reader: Some(&sales.name),
        domains: &[&sales],
    };
    RowPredicate::parse(text, &super::span(), &sales.tables[0], entitlements).unwrap()
}

/// What the decision shows.
fn seen(access: &Access, viewer: &Viewer, row: &[ScalarValue]) -> Seen {
    let Access::Granted(access) = access else {
        return None;
    };
    let cells = || {
        (0..row.len())
            .map(|at| cell(access, at, row, viewer))
            .collect()
    };
    visible(access, row, viewer).then(cells)
}

/// Whether an explanation tells the decision: the same columns, each given by
/// somebody, and nothing given or taken by what does not count.
fn agrees(explained: &Explanation, access: &Access) -> bool {
    let shown: Vec<&str> = match access {
        Access::Granted(access) => access.columns.iter().map(|it| it.name.as_str()).collect(),
        Access::Denied(_) => Vec::new(),
    };
    let columns = explained.columns.iter();
    let visible: Vec<&str> = columns
        .clone()
        .filter(|it| it.outcome.is_visible())
        .map(|it| it.name.as_str())
        .collect();
    let has_reasons = columns.clone().all(|it| match it.outcome {
        Outcome::NotGranted | Outcome::Found => it.given_by.is_empty(),
        Outcome::Denied => !it.given_by.is_empty() && !it.taken_by.is_empty(),
        Outcome::Clear => !it.given_by.is_empty() && it.taken_by.is_empty(),
        Outcome::Masked(_) | Outcome::Conditional(_) | Outcome::Hidden => !it.given_by.is_empty(),
    });
    let active = explained.grants.iter();
    let active: Vec<&str> = active
        .filter(|it| it.standing == Standing::Active)
        .map(|it| it.name.as_str())
        .collect();
    let counted: Vec<&str> = match access {
        Access::Granted(access) => access.grants.iter().map(|it| it.grant.as_str()).collect(),
        Access::Denied(_) => active.clone(),
    };
    explained.access == *access && visible == shown && has_reasons && active == counted
}

/// The positions of the columns that a decision reads to tell rows apart.
fn read_by_predicates(access: &TableAccess) -> Vec<usize> {
    let of_cells = access
        .columns
        .iter()
        .flat_map(|column| match &column.exposure {
            Exposure::Clear => &[],
            Exposure::Cells(rules) => rules.as_slice(),
        });
    let when = |rule: &'_ CellRule| rule.when.clone();
    let mut read = Vec::new();
    for predicate in access.rows.iter().cloned().chain(of_cells.filter_map(when)) {
        predicate.for_each_leaf(&mut |leaf| {
            if let Operand::Column { index, .. } = leaf {
                read.push(*index);
            }
        });
    }
    read
}

/// `group:x` as the viewer's own name where the viewer is a member.
fn by_name(grantees: &mut Vec<Spanned<Grantee>>, viewer: &Viewer) {
    let member = grantees.iter().any(|it| match &it.value {
        Grantee::Group(group) => viewer.principal.is_in(group),
        _ => false,
    });
    grantees.retain(|it| !matches!(it.value, Grantee::Group(_)));
    if member {
        let name = viewer.principal.name().to_owned();
        grantees.push(spanned(Grantee::User(name)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_decision_is_the_meaning(
        grants in any_grants(),
        limits in any_guardrails(),
        viewer in any_viewer(),
        rows in proptest::collection::vec(any_row(), 8),
    ) {
        let access = decide(grants.clone(), &limits, &viewer);
        let explained = mesh(&[&sales(grants.clone())], &limits).explain(&viewer, &orders_id());
        prop_assert!(agrees(&explained.unwrap(), &access));
        let sales = sales(grants);
        for row in rows {
            prop_assert_eq!(
                seen(&access, &viewer, &row),
                expected(&sales, &limits, &viewer, &row)
            );
        }
    }

    #[test]
    fn binding_keeps_the_truth_value(
        predicate in 0..PREDICATES.len(),
        viewer in any_viewer(),
        row in any_row(),
    ) {
        let parsed = parse(PREDICATES[predicate]);
        let bound = parsed.bind(&viewer);
        let nobody = super::viewer(&user("", &[], &[]));
        // Where nobody is a member whatever the row, FALSE takes the lookup's place.
        prop_assert_eq!(eval(&bound, &row, &nobody), eval(&parsed, &row, &viewer));
        let settled = bound.where_true();
        prop_assert_eq!(
            eval(&settled, &row, &nobody) == Some(true),
            eval(&parsed, &row, &viewer) == Some(true)
        );
    }

    #[test]
    fn m1_another_grant_never_hides_or_coarsens(
        grants in any_grants(),
        limits in any_guardrails(),
        another in any_grant(),
        viewer in any_viewer(),
        row in any_row(),
    ) {
        let before = seen(&decide(grants.clone(), &limits, &viewer), &viewer, &row);
        let more: Vec<_> = grants.into_iter().chain([another]).collect();
        let after = seen(&decide(more, &limits, &viewer), &viewer, &row);
        if let Some(before) = before {
            let after = after.unwrap();
            for (before, after) in before.iter().zip(&after) {
                if let Some(before) = before {
                    prop_assert!(amount_shown(after.as_ref().unwrap(), before).is_ge());
                }
            }
        }
    }

    #[test]
    fn m2_another_guardrail_never_reveals(
        grants in any_grants(),
        limits in any_guardrails(),
        another in any_guardrail(),
        viewer in any_viewer(),
        row in any_row(),
    ) {
        let before = decide(grants.clone(), &limits, &viewer);
        let more: Vec<_> = limits.into_iter().chain([another]).collect();
        let after = decide(grants, &more, &viewer);
        // No row, no cell and no column that was not there, whatever the row.
        if let Some(after) = seen(&after, &viewer, &row) {
            let before = seen(&before, &viewer, &row).expect("a row is revealed");
            for (before, after) in before.iter().zip(&after) {
                if let Some(after) = after {
                    let before = before.as_ref().expect("a column is revealed");
                    prop_assert!(amount_shown(after, before).is_le());
                }
            }
        }
        if let Access::Granted(after) = after {
            let Access::Granted(before) = before else {
                return Err(TestCaseError::fail("a table is revealed"));
            };
            let columns = |access: &TableAccess| -> Vec<usize> {
                access.columns.iter().map(|column| column.index).collect()
            };
            let known = columns(&before);
            prop_assert!(columns(&after).iter().all(|index| known.contains(index)));
        }
    }

    #[test]
    fn m3_the_order_of_grants_and_of_guardrails_does_not_matter(
        (grants, shuffled) in any_grants()
            .prop_flat_map(|grants| (Just(grants.clone()), Just(grants).prop_shuffle())),
        (limits, turned) in any_guardrails()
            .prop_flat_map(|limits| (Just(limits.clone()), Just(limits).prop_shuffle())),
        viewer in any_viewer(),
    ) {
        let (a, b) = (decide(grants, &limits, &viewer), decide(shuffled, &turned, &viewer));
        prop_assert_eq!(&a, &b);
        if let (Access::Granted(a), Access::Granted(b)) = (a, b) {
            prop_assert_eq!(a.digest(), b.digest());
        }
    }

    #[test]
    fn m4_one_grant_is_the_view_that_it_describes(
        grant in any_grant(),
        viewer in any_viewer(),
        row in any_row(),
    ) {
        let sales = sales(vec![grant.clone()]);
        let shown = is_active(&grant, &viewer)
            && grant.rows.as_ref().is_none_or(|rows| holds(rows, &sales, &viewer, &row));
        let view = (0..row.len()).map(|at| gives(&grant, &sales.tables[0], at)).collect();
        let seen = seen(&decide(vec![grant], &[], &viewer), &viewer, &row);
        prop_assert_eq!(seen, shown.then_some(view));
    }

    /// Of M5: one condition says whether a row is there, so it is there once
    /// or not at all; a second decision says the same.
    #[test]
    fn m5_a_row_is_shown_once_or_not_at_all(
        grants in any_grants(),
        limits in any_guardrails(),
        viewer in any_viewer(),
        row in any_row(),
    ) {
        let access = decide(grants.clone(), &limits, &viewer);
        let again = decide(grants, &limits, &viewer);
        prop_assert_eq!(&access, &again);
        if let Access::Granted(access) = access {
            let shown = visible(&access, &row, &viewer);
            // A row that is not shown is FALSE or NULL, and both are settled:
            // no literal NULL is left that a filter could treat otherwise.
            let rows = access.rows.clone().unwrap_or(RowPredicate::Literal(Some(true)));
            prop_assert_ne!(&rows, &RowPredicate::Literal(None));
            prop_assert_eq!(eval(&rows.where_true(), &row, &viewer) == Some(true), shown);
            // And every column is there once.
            let mut columns: Vec<_> = access.columns.iter().map(|it| it.index).collect();
            let before = columns.len();
            columns.dedup();
            prop_assert!(columns.is_sorted() && columns.len() == before);
        }
    }

    /// Of M6: what is shown of a row depends on the columns that predicates
    /// read, and nothing depends on any other value. Data is no argument of a
    /// decision.
    #[test]
    fn m6_what_no_predicate_reads_decides_nothing(
        grants in any_grants(),
        limits in any_guardrails(),
        viewer in any_viewer(),
        row in any_row(),
        other in any_row(),
    ) {
        let access = decide(grants, &limits, &viewer);
        if let Access::Granted(granted) = &access {
            let read = read_by_predicates(granted);
            let mixed: Vec<_> = (0..row.len())
                .map(|at| if read.contains(&at) { row[at].clone() } else { other[at].clone() })
                .collect();
            prop_assert_eq!(seen(&access, &viewer, &row), seen(&access, &viewer, &mixed));
        }
    }

    #[test]
    fn m7_a_grant_to_a_group_is_a_grant_to_each_member(
        grants in any_grants(),
        limits in any_guardrails(),
        viewer in any_viewer(),
        row in any_row(),
    ) {
        let (mut to_members, mut for_members) = (grants.clone(), limits.clone());
        to_members.iter_mut().for_each(|grant| by_name(&mut grant.to, &viewer));
        for_members.iter_mut().for_each(|limit| by_name(&mut limit.except, &viewer));
        let by_group = decide(grants, &limits, &viewer);
        let by_name = decide(to_members, &for_members, &viewer);
        prop_assert_eq!(seen(&by_group, &viewer, &row), seen(&by_name, &viewer, &row));
        match (by_group, by_name) {
            (Access::Granted(a), Access::Granted(b)) => prop_assert_eq!(a.digest(), b.digest()),
            (Access::Denied(_), Access::Denied(_)) => {}
            (a, b) => prop_assert!(false, "{a:?} is not {b:?}"),
        }
    }

    /// And so is one that has not begun, or asks for another purpose.
    #[test]
    fn m8_expired_is_absent(
        grants in any_grants(),
        limits in any_guardrails(),
        inactive in any_grant(),
        why in 0..3,
        viewer in any_viewer(),
    ) {
        let inactive = match why {
            // The very moment of `until` is outside.
            0 => inactive.between(None, Some("2026-06-01T00:00:00Z")),
            1 => inactive.between(Some("2026-06-01T00:00:01Z"), None),
            _ => inactive.purposes(&["unheard-of"]),
        };
        let with: Vec<_> = grants.iter().cloned().chain([inactive]).collect();
        match (decide(grants, &limits, &viewer), decide(with, &limits, &viewer)) {
            (Access::Granted(a), Access::Granted(mut b)) => {
                prop_assert_eq!(a.digest(), b.digest());
                // When it begins, the decision changes.
                if why == 1 {
                    b.valid_until = a.valid_until;
                }
                prop_assert_eq!(a, b);
            }
            (Access::Denied(_), Access::Denied(_)) => {}
            (a, b) => prop_assert!(false, "{a:?} is not {b:?}"),
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,80}") {
        let _ = super::parse(&text, &super::span(), &orders());
        for column in &orders().columns {
            let _ = ColumnMask::parse(&text, column);
        }
    }

    #[test]
    fn any_words_of_the_language_are_parsed_or_refused(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "region", "id", "open", "=", "<", "AND", "OR", "NOT", "(", ")", "IN", ",",
                "'EU'", "1", "-", "LIKE", "IS", "NULL", "TRUE", "BETWEEN", "session.user",
                "session.attr(", "starts_with(", "lower(", "1e400", "DATE", "X'0'", "\"", "?",
            ]),
            0..24,
        ),
    ) {
        let _ = super::parse(&words.join(" "), &super::span(), &orders());
    }
}

#[test]
fn the_pool_of_predicates_is_sound() {
    for predicate in PREDICATES {
        parse(predicate);
    }
}
