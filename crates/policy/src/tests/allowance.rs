//! Limits of the mesh, and whom they bind.

use std::time::Duration;

use super::user;
use crate::{Allowance, Authenticator, Guardrails, Limit, PolicySnapshot};
use weft_mesh::{Grantee, LimitManifest, Span, Spanned};

fn limit(name: &str, whom: &[&str]) -> LimitManifest {
    let span = Span::of_file("mesh.yaml");
    let grantee = |text: &&str| Spanned::new(Grantee::parse(text).unwrap(), span.clone());
    LimitManifest {
        name: Spanned::new(name.to_owned(), span.clone()),
        whom: whom.iter().map(grantee).collect(),
        concurrency: None,
        memory: None,
        time: None,
        rows: None,
        bytes: None,
    }
}

fn named<T>(name: &str, most: T) -> Option<Limit<T>> {
    Some(Limit {
        name: name.into(),
        most,
    })
}

#[test]
fn the_smallest_of_each_kind_counts() {
    let policy = PolicySnapshot::new(Authenticator::default(), [], Guardrails::default());
    let policy = policy.with_limits(vec![
        LimitManifest {
            time: Some(Duration::from_secs(60)),
            rows: Some(1_000),
            ..limit("all", &["everyone"])
        },
        LimitManifest {
            concurrency: Some(2),
            rows: Some(10),
            ..limit("interns", &["group:interns"])
        },
        LimitManifest {
            rows: Some(10),
            ..limit("zoe", &["user:zoe", "user:ana"])
        },
    ]);
    let zoe = policy.allowance(&user("zoe", &["interns"], &[]));
    assert_eq!(
        zoe,
        Allowance {
            concurrency: named("interns", 2),
            time: named("all", Duration::from_secs(60)),
            rows: named("interns", 10),
            ..Allowance::default()
        }
    );
    let ana = policy.allowance(&user("ana", &["others"], &[]));
    assert_eq!(ana.rows, named("zoe", 10));
    assert_eq!(ana.concurrency, None);
    let bo = policy.allowance(&user("bo", &[], &[]));
    assert_eq!(bo.rows, named("all", 1_000));
    let free = PolicySnapshot::default().allowance(&user("bo", &[], &[]));
    assert_eq!(free, Allowance::default());
}
