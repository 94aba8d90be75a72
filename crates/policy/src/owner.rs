//! What handles, sessions and running queries belong to.

use std::fmt;

use crate::PrincipalId;

/// Whose rights a call has, and who makes it.
///
/// What a service makes while it acts for a user belongs to the pair: neither
/// the user, nor the service for itself, nor another service can use it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Whose rights count.
    pub principal: PrincipalId,
    /// The service that acts for the principal, if one does.
    pub acting: Option<PrincipalId>,
}

impl Owner {
    /// Who presents credentials.
    pub fn caller(&self) -> &PrincipalId {
        self.acting.as_ref().unwrap_or(&self.principal)
    }

    /// A text that no other owner has: what seals are bound to.
    pub fn binding(&self) -> String {
        let principal = &self.principal;
        match &self.acting {
            None => principal.to_string(),
            // A number comes first, so it reads like no principal, and says
            // where the one name ends and the other begins.
            Some(acting) => {
                let principal = principal.to_string();
                format!("{} {principal} {acting}", principal.len())
            }
        }
    }
}

impl From<PrincipalId> for Owner {
    fn from(principal: PrincipalId) -> Self {
        Self {
            principal,
            acting: None,
        }
    }
}

/// `user:ana`, or `user:ana by service:bi`: for people, not for comparing.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.acting {
            None => self.principal.fmt(f),
            Some(acting) => write!(f, "{} by {acting}", self.principal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_owners_have_one_binding() {
        let names = [
            "a",
            "a service:b",
            "service:b",
            "6 user:a",
            "a by service:b",
        ];
        let mut owners = BTreeSet::new();
        for name in names {
            for id in [PrincipalId::user(name), PrincipalId::service(name)] {
                owners.insert(Owner::from(id.clone()));
                for acting in names {
                    owners.insert(Owner {
                        principal: id.clone(),
                        acting: Some(PrincipalId::service(acting)),
                    });
                }
            }
        }
        let bindings: BTreeSet<_> = owners.iter().map(Owner::binding).collect();
        assert_eq!(bindings.len(), owners.len());
    }

    #[test]
    fn the_caller_is_who_acts() {
        let ana = PrincipalId::user("ana");
        let owner = Owner {
            acting: Some(PrincipalId::service("bi")),
            ..ana.clone().into()
        };
        assert_eq!(owner.caller(), &PrincipalId::service("bi"));
        assert_eq!(owner.to_string(), "user:ana by service:bi");
        assert_eq!(Owner::from(ana.clone()).caller(), &ana);
    }
}
