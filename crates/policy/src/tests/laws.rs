//! The laws of the access model over random policies and rows.

use datafusion_common::ScalarValue;
use proptest::prelude::*;
use weft_mesh::{ColumnSelection, GrantManifest, Grantee, Table};

use super::{
    Narrow, decide, grant,
    interpreter::{Cell, cell, eval, visible},
    names, orders, spanned, user,
};
use crate::{Access, ColumnMask, Principal, RowPredicate, TableAccess};

const PREDICATES: [&str; 14] = [
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

fn any_grant() -> impl Strategy<Value = GrantManifest> {
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
    )
        .prop_map(|(to, columns, masks, rows, name)| {
            let table = orders();
            let name_of = |index: usize| table.columns[index].name.as_str();
            let given: Vec<_> = columns.iter().map(|index| name_of(*index)).collect();
            let mut grant = grant(&format!("g{name}"), &to).only(&given);
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

fn any_grants() -> impl Strategy<Value = Vec<GrantManifest>> {
    proptest::collection::vec(any_grant(), 1..6)
}

fn any_row() -> impl Strategy<Value = Vec<ScalarValue>> {
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

fn any_principal() -> impl Strategy<Value = Principal> {
    let groups = proptest::sample::subsequence(vec!["analysts", "others"], 0..=2);
    (
        proptest::sample::select(vec!["ana", "ben"]),
        groups,
        any::<bool>(),
    )
        .prop_map(|(name, groups, attribute)| {
            let attributes: &[_] = if attribute { &[("region", "EU")] } else { &[] };
            user(name, &groups, attributes)
        })
}

/// A grant as the access model reads it.
struct Rule {
    rows: Option<RowPredicate>,
    exposure: Vec<Option<Cell>>,
}

fn rule(grant: &GrantManifest, table: &Table) -> Rule {
    let ColumnSelection::Only(given) = &grant.columns else {
        panic!("only lists are generated")
    };
    let exposure = table.columns.iter().map(|column| {
        given.iter().find(|name| name.value == column.name)?;
        let mask = grant
            .masks
            .iter()
            .find(|(name, _)| name.value == column.name);
        Some(match mask {
            Some((_, mask)) => Cell::Masked(ColumnMask::parse(&mask.value, column).unwrap()),
            None => Cell::Clear,
        })
    });
    Rule {
        rows: grant
            .rows
            .as_ref()
            .map(|rows| super::parse(&rows.value, &rows.span, table).unwrap()),
        exposure: exposure.collect(),
    }
}

fn is_for(grant: &GrantManifest, principal: &Principal) -> bool {
    grant.to.iter().any(|to| match &to.value {
        Grantee::User(name) => name == principal.name(),
        Grantee::Service(_) => false,
        Grantee::Group(name) => principal.is_in(name),
        Grantee::Everyone => true,
    })
}

/// How much of a cell is shown; more is greater.
fn amount_shown(a: &Cell, b: &Cell) -> std::cmp::Ordering {
    match (a, b) {
        (Cell::Masked(a), Cell::Masked(b)) => b.cmp_revealing(a),
        (a, b) => {
            let rank = |cell: &Cell| match cell {
                Cell::Hidden => 0,
                Cell::Masked(_) => 1,
                Cell::Clear => 2,
            };
            rank(a).cmp(&rank(b))
        }
    }
}

/// All cells of a row: `None` where it is hidden, or the column does not exist.
type Seen = Option<Vec<Option<Cell>>>;

/// The normative meaning, read from the manifests.
fn expected(grants: &[GrantManifest], principal: &Principal, row: &[ScalarValue]) -> Seen {
    let table = orders();
    let mine: Vec<Rule> = grants
        .iter()
        .filter(|grant| is_for(grant, principal))
        .map(|grant| rule(grant, &table))
        .collect();
    let holding: Vec<&Rule> = mine
        .iter()
        .filter(|rule| {
            rule.rows
                .as_ref()
                .is_none_or(|rows| eval(rows, row, principal) == Some(true))
        })
        .collect();
    if holding.is_empty() {
        return None;
    }
    let column = |index: usize| {
        mine.iter()
            .any(|rule| rule.exposure[index].is_some())
            .then(|| {
                let shown = holding
                    .iter()
                    .filter_map(|rule| rule.exposure[index].clone());
                shown.max_by(amount_shown).unwrap_or(Cell::Hidden)
            })
    };
    Some((0..table.columns.len()).map(column).collect())
}

/// What the decision shows.
fn seen(access: &Access, principal: &Principal, row: &[ScalarValue]) -> Seen {
    let Access::Granted(access) = access else {
        return None;
    };
    visible(access, row, principal).then(|| cells(access, principal, row))
}

fn cells(access: &TableAccess, principal: &Principal, row: &[ScalarValue]) -> Vec<Option<Cell>> {
    (0..row.len())
        .map(|index| cell(access, index, row, principal))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_decision_is_the_meaning(
        grants in any_grants(),
        principal in any_principal(),
        rows in proptest::collection::vec(any_row(), 8),
    ) {
        let access = decide(grants.clone(), &principal);
        for row in rows {
            prop_assert_eq!(
                seen(&access, &principal, &row),
                expected(&grants, &principal, &row)
            );
        }
    }

    #[test]
    fn binding_keeps_the_truth_value(
        predicate in 0..PREDICATES.len(),
        principal in any_principal(),
        row in any_row(),
    ) {
        let parsed =
            super::parse(PREDICATES[predicate], &super::span(), &orders()).unwrap();
        let bound = parsed.bind(&super::viewer(&principal));
        let nobody = user("", &[], &[]);
        prop_assert_eq!(eval(&bound, &row, &nobody), eval(&parsed, &row, &principal));
        let settled = bound.where_true();
        prop_assert_eq!(
            eval(&settled, &row, &nobody) == Some(true),
            eval(&parsed, &row, &principal) == Some(true)
        );
    }

    #[test]
    fn m1_another_grant_never_hides_or_coarsens(
        grants in any_grants(),
        another in any_grant(),
        principal in any_principal(),
        row in any_row(),
    ) {
        let before = seen(&decide(grants.clone(), &principal), &principal, &row);
        let more: Vec<_> = grants.into_iter().chain([another]).collect();
        let after = seen(&decide(more, &principal), &principal, &row);
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
    fn m3_the_order_of_grants_does_not_matter(
        (grants, shuffled) in any_grants()
            .prop_flat_map(|grants| (Just(grants.clone()), Just(grants).prop_shuffle())),
        principal in any_principal(),
    ) {
        let (a, b) = (decide(grants, &principal), decide(shuffled, &principal));
        prop_assert_eq!(&a, &b);
        if let (Access::Granted(a), Access::Granted(b)) = (a, b) {
            prop_assert_eq!(a.digest(), b.digest());
        }
    }

    #[test]
    fn m4_one_grant_is_the_view_that_it_describes(
        grant in any_grant(),
        principal in any_principal(),
        row in any_row(),
    ) {
        let view = rule(&grant, &orders());
        let shown = is_for(&grant, &principal)
            && view.rows.as_ref().is_none_or(|it| eval(it, &row, &principal) == Some(true));
        let seen = seen(&decide(vec![grant], &principal), &principal, &row);
        prop_assert_eq!(seen, shown.then_some(view.exposure));
    }

    #[test]
    fn m7_a_grant_to_a_group_is_a_grant_to_each_member(
        grants in any_grants(),
        principal in any_principal(),
        row in any_row(),
    ) {
        let to_members: Vec<_> = grants
            .iter()
            .cloned()
            .map(|mut grant| {
                let member = grant.to.iter().any(|to| match &to.value {
                    Grantee::Group(group) => principal.is_in(group),
                    _ => false,
                });
                grant.to.retain(|to| !matches!(to.value, Grantee::Group(_)));
                if member {
                    grant.to.push(spanned(Grantee::User(principal.name().to_owned())));
                }
                grant
            })
            .collect();
        let (by_group, by_name) = (decide(grants, &principal), decide(to_members, &principal));
        prop_assert_eq!(
            seen(&by_group, &principal, &row),
            seen(&by_name, &principal, &row)
        );
        if let (Access::Granted(a), Access::Granted(b)) = (by_group, by_name) {
            prop_assert_eq!(a.digest(), b.digest());
        }
    }

    #[test]
    fn m8_expired_is_absent(
        grants in any_grants(),
        expired in any_grant(),
        principal in any_principal(),
    ) {
        let expired = expired.between(None, Some("2026-01-01T00:00:00Z"));
        let with: Vec<_> = grants.iter().cloned().chain([expired]).collect();
        match (decide(grants, &principal), decide(with, &principal)) {
            (Access::Granted(a), Access::Granted(b)) => prop_assert_eq!(a, b),
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
        super::parse(predicate, &super::span(), &orders()).unwrap();
    }
    assert_eq!(names(&["a"]).len(), 1);
}
