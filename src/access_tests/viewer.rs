//! Who looks, as the policy knows principals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use weft_mesh::{AccessTest, Grantee, TestPrincipal};
use weft_policy::{PolicySnapshot, Principal, PrincipalId, Viewer};

/// Somebody of whom no name is told. No principal can be called so, and no
/// grant name them.
const NOBODY: &str = "somebody who is described";

/// `None` where the identity file does not know them.
pub(super) fn viewer(
    test: &AccessTest,
    policy: &PolicySnapshot,
    now: DateTime<Utc>,
) -> Option<Viewer> {
    let principal = match &test.viewer.principal {
        TestPrincipal::Known(name) => policy.authenticator().principal(&id(Some(name)))?,
        TestPrincipal::Described {
            name,
            groups,
            attributes,
        } => described(id(name.as_ref()), groups, attributes),
    };
    let now = test.now.unwrap_or(now);
    Some(Viewer::new(principal, now).with_purpose(test.viewer.purpose.clone()))
}

fn described(
    id: PrincipalId,
    groups: &BTreeSet<String>,
    attributes: &BTreeMap<String, String>,
) -> Arc<Principal> {
    Arc::new(Principal::new(id, groups.clone(), attributes.clone()))
}

fn id(name: Option<&Grantee>) -> PrincipalId {
    match name {
        Some(Grantee::User(name)) => PrincipalId::user(name),
        Some(Grantee::Service(name)) => PrincipalId::service(name),
        Some(Grantee::Group(_) | Grantee::Everyone) | None => PrincipalId::user(NOBODY),
    }
}
