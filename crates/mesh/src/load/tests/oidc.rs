use std::time::Duration;

use super::fixture::{Fixture, MESH_YAML};
use crate::SignatureAlgorithm;

const LOGIN: &str = "    - issuer: https://login.acme.example\n      audience: weft\n";

fn with(items: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.append(MESH_YAML, &format!("  oidc:\n{items}"));
    fixture
}

#[test]
fn a_provider_has_defaults_and_can_say_everything() {
    let report = with(LOGIN).load();
    assert!(!report.has_errors());
    let issuers = report.mesh.unwrap().identity.issuers;
    let issuer = &issuers[0];
    assert_eq!(issuer.issuer.value, "https://login.acme.example");
    assert!(issuer.audiences.contains("weft") && issuer.audiences.len() == 1);
    assert_eq!(issuer.name_claim.as_str(), "sub");
    assert_eq!(issuer.groups_claim.as_str(), "groups");
    assert_eq!((issuer.prefix.as_str(), issuer.sessions), ("", None));
    assert_eq!(issuer.algorithms.len(), SignatureAlgorithm::ALL.len());
    assert_eq!(issuer.clock_skew, Duration::from_secs(60));

    let all = "    - issuer: http://127.0.0.1:8080/realms/acme\n      audience: [weft, bi]\n      \
               nameClaim: email\n      groupsClaim: /realm_access/roles\n      prefix: staff/\n      \
               attributes: {region: \"https://acme.example/region\"}\n      algorithms: [ES256]\n      \
               clockSkew: 5s\n      sessions: 8h\n";
    let report = with(all).load();
    assert!(!report.has_errors());
    let issuers = report.mesh.unwrap().identity.issuers;
    let issuer = &issuers[0];
    assert_eq!(issuer.audiences.len(), 2);
    assert_eq!(issuer.prefix, "staff/");
    assert_eq!(
        issuer.attributes["region"].as_str(),
        "https://acme.example/region"
    );
    assert_eq!(issuer.sessions, Some(Duration::from_secs(8 * 3600)));
}

#[test]
fn what_would_let_in_the_wrong_people_is_a_fault() {
    let no_audience = "    - issuer: https://login.acme.example\n";
    for (items, rule) in [
        (no_audience.to_owned(), "missing-key"),
        (LOGIN.replace("weft", "\"\""), "empty"),
        (LOGIN.replace("weft", "[]"), "empty"),
        (LOGIN.replace("https", "http"), "issuer"),
        (LOGIN.replace("https://", ""), "issuer"),
        (LOGIN.replace("example", "example?tenant=1"), "issuer"),
        (format!("{LOGIN}{LOGIN}"), "duplicate-issuer"),
        (
            format!("{LOGIN}{}", LOGIN.replace("login", "partner")),
            "shared-names",
        ),
        (
            format!(
                "{LOGIN}{}      prefix: a/\n",
                LOGIN.replace("login", "partner")
            ),
            "shared-names",
        ),
        (format!("{LOGIN}      prefix: \"a:\"\n"), "name"),
        (format!("{LOGIN}      algorithms: [HS256]\n"), "wrong-value"),
        (format!("{LOGIN}      algorithms: [none]\n"), "wrong-value"),
        (format!("{LOGIN}      clockSkew: 1h\n"), "wrong-value"),
        (format!("{LOGIN}      sessions: 30d\n"), "wrong-value"),
        (format!("{LOGIN}      groupClaim: roles\n"), "unknown-key"),
    ] {
        let fixture = with(&items);
        assert_eq!(fixture.rules(), [rule], "{items}");
        assert!(fixture.load().mesh.is_none(), "{items}");
    }
}
