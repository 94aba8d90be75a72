//! Tables that can be found and not read, and who answers for whom.

use super::{
    Narrow, ana, decide, domain, except, grant, guardrail, mesh, names, now, on, orders, snapshot,
    user, viewer,
};
use crate::{Access, Denial, DenialReason, Principal};
use weft_mesh::{ColumnSelection, GrantManifest, Grantee, GuardrailEffect, GuardrailTarget};

fn discover(name: &str, to: &[&str]) -> GrantManifest {
    let mut grant = grant(name, to);
    grant.columns = ColumnSelection::Nothing;
    grant
}

fn denied(grants: Vec<GrantManifest>) -> Denial {
    match decide(grants, &ana()) {
        Access::Denied(denial) => denial,
        Access::Granted(access) => panic!("granted: {access:?}"),
    }
}

#[test]
fn discovery_gives_no_data() {
    let denial = denied(vec![discover("shop-window", &["everyone"])]);
    let found: Vec<_> = denial.discovered_by.iter().map(|it| &it.grant).collect();
    assert_eq!(found, ["shop-window"]);
    assert_eq!(denial.discovered_by[0].to, [Grantee::Everyone]);
    // That it can be found is no reason for a denial.
    assert_eq!(denial.reasons, [DenialReason::NoGrant]);
}

#[test]
fn what_is_granted_is_not_less_for_being_found() {
    let plain = vec![grant("some", &["user:ana"]).only(&["id"])];
    let mut both = plain.clone();
    both.push(discover("shop-window", &["everyone"]));
    let (Access::Granted(alone), Access::Granted(with)) =
        (decide(plain, &ana()), decide(both, &ana()))
    else {
        panic!("denied");
    };
    assert_eq!(alone, with);
}

#[test]
fn discovery_is_for_whom_it_names_and_for_its_time() {
    let others = vec![discover("theirs", &["user:ben"])];
    assert!(denied(others).discovered_by.is_empty());
    let past = Some("2020-01-01T00:00:00Z");
    let ended = vec![discover("ended", &["everyone"]).between(None, past)];
    let denial = denied(ended);
    assert!(denial.discovered_by.is_empty());
    assert_eq!(denial.reasons, [DenialReason::NoGrant]);
    let soon = Some("2026-12-01T00:00:00Z");
    let running = denied(vec![discover("now", &["everyone"]).between(None, soon)]);
    assert_eq!(running.discovered_by.len(), 1);
    assert!(running.valid_until.unwrap() > now());
}

#[test]
fn stewards_and_auditors_are_who_the_manifests_name() {
    let mut sales = domain(vec![orders()], vec![]);
    sales.stewards = vec![Grantee::Group("analysts".to_owned())];
    let snapshot = snapshot(&sales).with_auditors(vec![Grantee::User("otto".to_owned())]);
    let otto = user("otto", &[], &[]);
    assert!(snapshot.is_auditor(&otto) && !snapshot.is_auditor(&ana()));
    assert!(snapshot.stewarded(&ana()).contains(&sales.name));
    assert!(snapshot.stewarded(&otto).is_empty());
    // To answer for data is not to see it.
    for principal in [ana(), otto] {
        assert!(matches!(decide(vec![], &principal), Access::Denied(_)));
    }
}

#[test]
fn a_guardrail_takes_columns_from_those_who_find_too() {
    let mut orders = orders();
    orders.columns[2].tags.insert("secret".to_owned());
    let sales = domain(vec![orders], vec![discover("window", &["everyone"])]);
    let deny = guardrail("secrets", deny_tag("secret"));
    let policy = mesh(&[&sales], &[except(deny, &["user:otto"])]);
    let table = sales.tables[0].id(&sales.name);
    let found = |principal: &Principal| policy.discover(&viewer(principal), &table).unwrap();
    assert_eq!(found(&ana()).columns, [0, 1, 3, 4, 5, 6]);
    assert_eq!(found(&user("otto", &[], &[])).columns.len(), 7);
    assert_eq!(found(&ana()).by[0].grant, "window");
    let plain = domain(sales.tables, vec![grant("all", &["user:ana"])]);
    assert!(
        mesh(&[&plain], &[])
            .discover(&viewer(&ana()), &table)
            .is_none()
    );
}

fn deny_tag(tag: &str) -> GuardrailEffect {
    GuardrailEffect::Deny {
        on: GuardrailTarget {
            tags: names(&[tag]),
            ..on()
        },
    }
}
