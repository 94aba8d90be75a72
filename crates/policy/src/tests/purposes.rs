//! Grants that ask for a purpose, and predicates that read it.

use super::{Narrow, ana, domain, grant, guardrail, mesh, on, orders, orders_id, purpose, viewer};
use crate::{Access, DenialReason, GuardrailReason, RowPredicate, Taken};
use weft_mesh::{GrantManifest, GuardrailEffect, GuardrailManifest};

fn decide(
    grants: Vec<GrantManifest>,
    guardrails: &[GuardrailManifest],
    stated: Option<&str>,
) -> Access {
    let sales = domain(vec![orders()], grants);
    let viewer = viewer(&ana()).with_purpose(stated.map(purpose));
    mesh(&[&sales], guardrails).decide(&viewer, &orders_id())
}

fn columns(access: &Access) -> Vec<&str> {
    match access {
        Access::Granted(access) => access.columns.iter().map(|it| it.name.as_str()).collect(),
        Access::Denied(_) => Vec::new(),
    }
}

#[test]
fn a_grant_holds_for_any_of_its_purposes_and_no_other() {
    let grants = || {
        vec![
            grant("open", &["user:ana"]).only(&["id"]),
            grant("asking", &["user:ana"])
                .only(&["email"])
                .purposes(&["fulfilment", "fraud"]),
        ]
    };
    for (stated, seen) in [
        (None, vec!["id"]),
        (Some("marketing"), vec!["id"]),
        // Exactly as the grant writes it: no prefix, no other case.
        (Some("Fraud"), vec!["id"]),
        (Some("frau"), vec!["id"]),
        (Some("fraud.v2"), vec!["id"]),
        (Some("fraud"), vec!["id", "email"]),
        (Some("fulfilment"), vec!["id", "email"]),
    ] {
        assert_eq!(columns(&decide(grants(), &[], stated)), seen, "{stated:?}");
    }
}

#[test]
fn a_denial_says_which_purpose_would_do() {
    let grants = vec![
        grant("b", &["user:ana"]).purposes(&["fraud"]),
        grant("a", &["group:analysts"])
            .purposes(&["audit"])
            .between(None, Some("2020-01-01T00:00:00Z")),
        grant("not-hers", &["user:ben"]).purposes(&["audit"]),
    ];
    for stated in [None, Some("marketing")] {
        let Access::Denied(denial) = decide(grants.clone(), &[], stated) else {
            panic!("granted");
        };
        let other = |grant: &str, of: &str| DenialReason::OtherPurpose {
            grant: grant.to_owned(),
            purposes: vec![purpose(of)],
        };
        assert_eq!(denial.reasons, [other("a", "audit"), other("b", "fraud")]);
        assert_eq!(denial.valid_until, None);
    }
    // With the purpose the period decides.
    let Access::Denied(denial) = decide(vec![grants[1].clone()], &[], Some("audit")) else {
        panic!("granted");
    };
    assert!(matches!(
        denial.reasons.as_slice(),
        [DenialReason::Expired { .. }]
    ));
}

#[test]
fn a_purpose_that_is_not_stated_changes_nothing_with_the_clock() {
    let grants = vec![
        grant("now", &["user:ana"]).only(&["id"]),
        grant("asking", &["user:ana"])
            .purposes(&["audit"])
            .between(None, Some("2026-07-01T00:00:00Z")),
    ];
    let until = |stated| match decide(grants.clone(), &[], stated) {
        Access::Granted(access) => access.valid_until,
        Access::Denied(_) => panic!("denied"),
    };
    assert_eq!(until(None), None);
    assert!(until(Some("audit")).is_some());
}

#[test]
fn the_decision_is_another_for_another_purpose_only_where_it_matters() {
    let digest = |rows: &str, stated| match decide(
        vec![grant("g", &["user:ana"]).rows(rows)],
        &[],
        stated,
    ) {
        Access::Granted(access) => access.digest(),
        Access::Denied(_) => panic!("denied"),
    };
    let reads = "region = session.purpose";
    assert_ne!(digest(reads, Some("a")), digest(reads, Some("b")));
    assert_ne!(digest(reads, Some("a")), digest(reads, None));
    assert_eq!(digest("open", Some("a")), digest("open", None));
}

#[test]
fn session_purpose_is_text_or_null() {
    let bound = |text: &str, stated: Option<&str>| {
        let parsed = super::parse(text, &super::span(), &orders()).unwrap();
        parsed.bind(&viewer(&ana()).with_purpose(stated.map(purpose)))
    };
    let literal = RowPredicate::Literal;
    for (text, stated, value) in [
        ("session.purpose = 'audit'", Some("audit"), Some(true)),
        ("session.purpose = 'audit'", Some("fraud"), Some(false)),
        ("session.purpose = 'audit'", None, None),
        ("session.purpose <> 'audit'", None, None),
        ("session.purpose IS NULL", None, Some(true)),
        ("session.purpose IS NOT NULL", Some("x"), Some(true)),
        ("SESSION.Purpose IN ('a', 'b')", Some("b"), Some(true)),
        ("NOT session.purpose IN ('a', 'b')", None, None),
        (
            "starts_with(session.purpose, 'au')",
            Some("audit"),
            Some(true),
        ),
        (
            "upper(session.purpose) = 'AUDIT'",
            Some("audit"),
            Some(true),
        ),
    ] {
        assert_eq!(bound(text, stated), literal(value), "{text} {stated:?}");
    }
    // A column of that name is not the session's.
    for wrong in [
        "session.purpose()",
        "\"session\".purpose = 'x'",
        "purpose = 'x'",
    ] {
        super::parse(wrong, &super::span(), &orders()).unwrap_err();
    }
}

#[test]
fn a_guardrail_asks_for_any_purpose() {
    let mut target = on();
    target.tags = super::names(&["pii"]);
    let limits = [guardrail(
        "why",
        GuardrailEffect::RequirePurpose { on: target },
    )];
    let grants = || vec![grant("g", &["user:ana"]).only(&["id", "email"])];
    assert_eq!(columns(&decide(grants(), &limits, None)), ["id"]);
    assert_eq!(
        columns(&decide(grants(), &limits, Some("anything"))),
        ["id", "email"]
    );
    let only_email = vec![grant("g", &["user:ana"]).only(&["email"])];
    let Access::Denied(denial) = decide(only_email, &limits, None) else {
        panic!("granted");
    };
    assert_eq!(
        denial.reasons,
        [DenialReason::Guardrail(GuardrailReason {
            guardrail: "why".to_owned(),
            taken: Taken::WithoutPurpose(vec!["email".to_owned()]),
        })]
    );
}
