//! Explanations say what the decision is, and what stood in the way.

use super::{
    Narrow, ana, domain, except, grant, guardrail, masked, mesh, on, orders, orders_id, purpose,
    viewer,
};
use crate::{Explanation, Outcome, Standing, Stands};
use weft_mesh::{GrantManifest, GuardrailManifest};

fn explain(
    grants: Vec<GrantManifest>,
    limits: &[GuardrailManifest],
    stated: Option<&str>,
) -> Explanation {
    let sales = domain(vec![orders()], grants);
    let viewer = viewer(&ana()).with_purpose(stated.map(purpose));
    let policy = mesh(&[&sales], limits);
    policy.explain(&viewer, &orders_id()).unwrap()
}

fn outcome(explanation: &Explanation, column: &str) -> String {
    let found = explanation.columns.iter().find(|it| it.name == column);
    match &found.unwrap().outcome {
        Outcome::Clear => "clear".to_owned(),
        Outcome::Masked(mask) => mask.to_string(),
        Outcome::Conditional(rules) => format!("{} arms", rules.len()),
        Outcome::Hidden => "hidden".to_owned(),
        Outcome::Found => "found".to_owned(),
        Outcome::Denied => "denied".to_owned(),
        Outcome::NotGranted => "not granted".to_owned(),
    }
}

#[test]
fn every_grant_says_whether_it_counts_and_why_not() {
    let past = Some("2020-01-01T00:00:00Z");
    let soon = Some("2027-01-01T00:00:00Z");
    let grants = vec![
        grant("a-hers", &["user:ana", "group:analysts", "group:others"])
            .rows("region = session.attr('region')"),
        grant("b-not-hers", &["user:ben"]).rows("region = 'US'"),
        grant("c-ended", &["everyone"]).between(None, past),
        grant("d-to-come", &["everyone"]).between(soon, None),
        grant("e-for-fraud", &["everyone"]).purposes(&["fraud"]),
    ];
    let found = explain(grants, &[], None);
    let standing: Vec<_> = found.grants.iter().map(|it| it.standing.clone()).collect();
    assert_eq!(
        standing,
        [
            Standing::Active,
            Standing::OtherGrantee,
            Standing::Expired,
            Standing::NotYet,
            Standing::OtherPurpose
        ]
    );
    let hers = &found.grants[0];
    assert_eq!(hers.matched.len(), 2);
    assert_eq!(
        hers.rows.as_ref().unwrap().to_string(),
        "region = session.attr('region')"
    );
    assert_eq!(
        hers.bound_rows.as_ref().unwrap().to_string(),
        "region = 'EU'"
    );
    assert!(found.grants[1].bound_rows.is_none());
}

#[test]
fn every_column_says_what_is_shown_and_by_whom() {
    let grants = vec![
        grant("part", &["user:ana"])
            .only(&["id", "region", "email", "amount", "open"])
            .mask("amount", "bucket(10)")
            .rows("region = 'EU'"),
        grant("more", &["user:ana"]).only(&["id"]),
        grant("none", &["user:ana"])
            .only(&["ordered_at"])
            .rows("false"),
    ];
    let mut pii = on();
    pii.tags = super::names(&["pii"]);
    let mut secret = on();
    secret.columns = super::names(&["open"]);
    let limits = [
        guardrail("pii-hashed", masked(pii.clone(), "hash")),
        except(
            guardrail("not-for-her", masked(pii, "nullify")),
            &["user:ana"],
        ),
        guardrail("no-open", weft_mesh::GuardrailEffect::Deny { on: secret }),
    ];
    let found = explain(grants, &limits, None);
    for (column, shown) in [
        ("id", "clear"),
        ("region", "1 arms"),
        ("email", "1 arms"),
        ("amount", "1 arms"),
        ("ordered_at", "hidden"),
        ("open", "denied"),
        ("Mixed", "not granted"),
    ] {
        assert_eq!(outcome(&found, column), shown, "{column}");
    }
    let email = &found.columns[2];
    assert_eq!(
        (email.given_by.as_slice(), email.taken_by.as_slice()),
        (&["part".to_owned()][..], &["pii-hashed".to_owned()][..])
    );
    assert_eq!(found.columns[0].given_by, ["more", "part"]);
    let stands: Vec<_> = found.guardrails.iter().map(|it| &it.stands).collect();
    assert!(matches!(
        stands.as_slice(),
        [Stands::Binding, Stands::Excepted(_), Stands::Binding]
    ));
}

#[test]
fn what_is_not_there_has_no_explanation() {
    let sales = domain(vec![orders()], vec![]);
    let policy = mesh(&[&sales], &[]);
    let mut other = orders_id();
    other.domain = weft_mesh::DomainName::parse("hr").unwrap();
    assert!(policy.explain(&viewer(&ana()), &other).is_none());
}
