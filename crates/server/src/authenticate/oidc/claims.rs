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
    if claims.contains_key("events") {
        // A message about an event, such as a log-out (RFC 8417): it lets nobody in.
        return Err(invalid("it is about an event"));
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
        if is_unverified && text("email") == Some(name) {
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
    let (groups, attributes) = (groups(issuer, claims)?, attributes(issuer, claims)?);
    Ok(Principal::new(id, groups, attributes).with_voucher(voucher))
}

fn skew(issuer: &OidcIssuer) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(issuer.clock_skew).unwrap_or_default()
}

/// Some providers write `"true"`.
fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

/// All or nothing: predicates may ask who is *not* in a group, so that a group which
/// is left out could give more.
fn groups(issuer: &OidcIssuer, claims: &Claims) -> Result<BTreeSet<String>, Refused> {
    // What providers write in place of more groups than they put into a token.
    let says_too_many = ["_claim_names", "hasgroups"];
    if says_too_many.iter().any(|it| claims.contains_key(*it)) {
        return Err(Refused::Unfit(
            "the provider has left the groups out of the token: let it name fewer",
        ));
    }
    let groups = match value(claims, &issuer.groups_claim) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(groups)) => groups.as_slice(),
        Some(group @ Value::String(_)) => std::slice::from_ref(group),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => return Err(no_groups()),
    };
    if groups.len() > MOST_GROUPS {
        return Err(Refused::Unfit("the token names too many groups"));
    }
    let name = |group: &Value| {
        let name = group.as_str().ok_or_else(no_groups)?;
        Ok(format!("{}{name}", issuer.prefix))
    };
    groups.iter().map(name).collect()
}

fn no_groups() -> Refused {
    Refused::Unfit("the groups in the token are no list of names")
}

/// An attribute that is not there is NULL to predicates; one that is no single value
/// would be as well, and is refused.
fn attributes(issuer: &OidcIssuer, claims: &Claims) -> Result<BTreeMap<String, String>, Refused> {
    let mut attributes = BTreeMap::new();
    for (name, claim) in &issuer.attributes {
        let text = match value(claims, claim) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(Refused::Unfit(
                    "an attribute in the token is not a single value",
                ));
            }
        };
        attributes.insert(name.clone(), text);
    }
    Ok(attributes)
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
