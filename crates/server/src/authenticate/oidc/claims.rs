//! From the claims of a token to a principal.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use weft_mesh::{ClaimPath, OidcIssuer, is_principal_name};
use weft_policy::{Principal, PrincipalId, VouchedBy, Voucher};

use super::{Claims, Refused, invalid};

/// Nobody is in more groups that matter.
const MOST_GROUPS: usize = 2_000;

/// Who a verified token lets in.
///
/// A token that a service got for itself names the client as its subject (RFC
/// 9068, section 2.2); any other one is a person's.
pub(super) fn principal(
    issuer: &OidcIssuer,
    tag: [u8; 16],
    claims: &Claims,
) -> Result<Principal, Refused> {
    if claims.contains_key("cnf") {
        // Whoever presents it would have to prove that it is theirs (RFC 7800).
        return Err(invalid("it is bound to a key of its holder"));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let subject = text("sub").ok_or_else(|| invalid("it has no subject"))?;
    let client = text("client_id").or_else(|| text("azp"));
    let prefixed = |name: &str| {
        let name = format!("{}{name}", issuer.prefix);
        is_principal_name(&name).then_some(name)
    };
    let unusable = || invalid("its name is empty, too long, or has spaces or colons");
    let id = if client == Some(subject) {
        PrincipalId::service(prefixed(subject).ok_or_else(unusable)?)
    } else {
        let name = value(claims, &issuer.name_claim).and_then(Value::as_str);
        let name = name.ok_or_else(|| {
            let claim = issuer.name_claim.as_str();
            invalid(format!("it has no claim `{claim}` for the name"))
        })?;
        // Anybody may say that an address is theirs.
        let is_unverified = claims.get("email_verified").is_some_and(|it| !is_true(it));
        if issuer.name_claim.as_str() == "email" && is_unverified {
            return Err(Refused::Unfit(
                "the provider has not verified the e-mail address in the token",
            ));
        }
        PrincipalId::user(prefixed(name).ok_or_else(unusable)?)
    };
    let expires = claims.get("exp").and_then(Value::as_f64);
    let expires = expires
        .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds as i64, 0))
        .and_then(|expires| expires.checked_add_signed(skew(issuer)))
        .ok_or_else(|| invalid("its `exp` is no time"))?;
    let voucher = Voucher {
        by: VouchedBy::Issuer(issuer.issuer.value.clone()),
        tag,
        until: expires,
    };
    let groups = groups(issuer, claims, prefixed);
    Ok(Principal::new(id, groups, attributes(issuer, claims)).with_voucher(voucher))
}

fn skew(issuer: &OidcIssuer) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(issuer.clock_skew).unwrap_or_default()
}

/// Some providers write `"true"`.
fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

/// A name that no grant can be written for is left out: it gives nothing.
fn groups(
    issuer: &OidcIssuer,
    claims: &Claims,
    prefixed: impl Fn(&str) -> Option<String>,
) -> BTreeSet<String> {
    let groups = match value(claims, &issuer.groups_claim) {
        Some(Value::Array(groups)) => groups.as_slice(),
        Some(group @ Value::String(_)) => std::slice::from_ref(group),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => &[],
    };
    let names = groups.iter().take(MOST_GROUPS).filter_map(Value::as_str);
    names.filter_map(prefixed).collect()
}

/// An attribute that is not there is NULL to predicates, and gives nothing.
fn attributes(issuer: &OidcIssuer, claims: &Claims) -> BTreeMap<String, String> {
    let attributes = issuer.attributes.iter().filter_map(|(name, claim)| {
        let text = match value(claims, claim)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), text))
    });
    attributes.collect()
}

fn value<'a>(claims: &'a Claims, path: &ClaimPath) -> Option<&'a Value> {
    let path = path.as_str();
    let Some(pointer) = path.strip_prefix('/') else {
        return claims.get(path);
    };
    let mut parts = pointer
        .split('/')
        .map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut found = claims.get(&parts.next()?)?;
    for part in parts {
        found = match found {
            Value::Object(inner) => inner.get(&part)?,
            Value::Array(inner) => inner.get(part.parse::<usize>().ok()?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(found)
}
