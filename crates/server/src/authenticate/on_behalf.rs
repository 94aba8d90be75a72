//! A service that acts for a user: the header `x-weft-on-behalf-of`.
//!
//! The rights of such a call are the user's and none of the service's. Whether
//! the service may act for the user is looked up for every call in the identity
//! file of the moment.

use std::sync::Arc;

use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::warn;
use weft_engine::{Caller, MeshSnapshot};
use weft_policy::Principal;

pub(crate) const HEADER: &str = "x-weft-on-behalf-of";

/// Whose rights a call of `principal` with these headers has.
///
/// # Errors
/// A header that is not `user:NAME`; a user that does not exist or that this
/// principal may not act for, in one text.
pub(crate) fn caller(
    principal: Arc<Principal>,
    headers: &MetadataMap,
    snapshot: &MeshSnapshot,
) -> Result<Caller, Status> {
    let Some(name) = named(headers)? else {
        return Ok(principal.into());
    };
    let service = principal.id();
    let authenticator = snapshot.policy().authenticator();
    match authenticator.impersonated(service, name) {
        Some(user) => Ok(Caller {
            principal: user,
            acting: Some(service.clone()),
        }),
        None => {
            let name: String = name.chars().take(200).collect();
            warn!(principal = %service, on_behalf_of = name, "acting for a user was refused");
            Err(Status::permission_denied(
                "there is no such user, or you may not act for it: `impersonates` in mesh.yaml names the groups \
                 whose members a service may act for",
            ))
        }
    }
}

/// The user that the header names.
fn named(headers: &MetadataMap) -> Result<Option<&str>, Status> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let name = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("user:"));
    match (name, values.next()) {
        (Some(name), None) if !name.is_empty() => Ok(Some(name)),
        _ => Err(Status::invalid_argument(format!(
            "the header `{HEADER}` names one user: `user:NAME`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn of(values: &[&'static str]) -> Result<Option<String>, Code> {
        let mut headers = MetadataMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        named(&headers)
            .map(|name| name.map(str::to_owned))
            .map_err(|status| status.code())
    }

    #[test]
    fn one_user_and_nothing_else() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["user:ana"]), Ok(Some("ana".to_owned())));
        assert_eq!(of(&["user:user:ana"]), Ok(Some("user:ana".to_owned())));
        for bad in [
            &["ana"][..],
            &[""],
            &["user:"],
            &["User:ana"],
            &[" user:ana"],
            &["service:bi"],
            &["group:hr"],
            &["user:ana", "user:ana"],
            &["user:ana", "user:bo"],
            &["user:ana", ""],
        ] {
            assert_eq!(of(bad), Err(Code::InvalidArgument), "{bad:?}");
        }
    }
}
