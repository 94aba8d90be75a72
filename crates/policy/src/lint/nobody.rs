//! Grants and limits for those whom the identity file does not know.

use std::collections::BTreeSet;

use weft_mesh::{Domain, Fault, Grantee, IdentityCredential, IdentityUser, Mesh};

pub(super) fn check_grants(mesh: &Mesh, domain: &Domain, found: &mut Vec<Fault>) {
    let known = Known::of(mesh);
    for grant in &domain.grants {
        for to in grant.to.iter().filter(|to| !known.has(&to.value)) {
            let message = format!(
                "grant `{}` is to `{}`, and nobody in mesh.yaml is that: a slip of the pen, or rights that wait for whoever is called so next",
                grant.name.value, to.value
            );
            found.push(
                Fault::warning(to.span.clone(), "grant-to-nobody", message)
                    .with_help("correct the name, or remove it"),
            );
        }
    }
}

pub(super) fn check_limits(mesh: &Mesh, found: &mut Vec<Fault>) {
    let known = Known::of(mesh);
    for limit in &mesh.limits {
        for whom in limit.whom.iter().filter(|it| !known.has(&it.value)) {
            let message = format!(
                "limit `{}` is for `{}`, and nobody in mesh.yaml is that: it may bind nobody",
                limit.name.value, whom.value
            );
            found.push(
                Fault::warning(whom.span.clone(), "limit-for-nobody", message)
                    .with_help("correct the name, or remove it"),
            );
        }
    }
}

/// Who is in the identity file.
struct Known<'a> {
    people: BTreeSet<&'a str>,
    services: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(mesh: &'a Mesh) -> Self {
        let users = &mesh.identity.users;
        let is_user =
            |user: &IdentityUser| matches!(user.credential, IdentityCredential::Password(_));
        let names = |people: bool| {
            let of_kind = users.iter().filter(move |user| is_user(user) == people);
            of_kind.map(|user| user.name.value.as_str())
        };
        let groups = users.iter().flat_map(|user| &user.groups);
        Self {
            people: names(true).collect(),
            services: names(false).collect(),
            groups: groups.map(String::as_str).collect(),
        }
    }

    fn has(&self, grantee: &Grantee) -> bool {
        match grantee {
            Grantee::User(name) => self.people.contains(name.as_str()),
            Grantee::Service(name) => self.services.contains(name.as_str()),
            Grantee::Group(name) => self.groups.contains(name.as_str()),
            Grantee::Everyone => true,
        }
    }
}
