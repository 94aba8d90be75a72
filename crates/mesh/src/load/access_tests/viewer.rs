//! `as:` of a test: somebody whom the mesh knows, or somebody who is described.

use std::collections::{BTreeMap, BTreeSet};

use super::super::grants::read_names;
use crate::access_test::{TestPrincipal, TestViewer};
use crate::fault::Fault;
use crate::grant::{Grantee, is_principal_name};
use crate::identity::{IdentityCredential, IdentityUser, Mesh};
use crate::name::Purpose;
use crate::suggest::did_you_mean;
use crate::yaml::{Fields, Kind, Node, Source};

/// Without a mesh, whose manifest has a fault, nobody is unknown.
pub(super) fn read_viewer(source: &Source, node: &Node, mesh: Option<&Mesh>) -> Option<TestViewer> {
    let (principal, purpose) = match node.kind() {
        Kind::Text => (read_short(source, node, mesh)?, None),
        Kind::Mapping => read_long(source, node, mesh)?,
        Kind::Null | Kind::Boolean | Kind::Integer | Kind::Float | Kind::List => {
            let wanted =
                "`user:NAME`, `group:NAME`, or a mapping with `user`, `groups` or `attributes`";
            source.wrong_type(node, "as", wanted);
            return None;
        }
    };
    Some(TestViewer { principal, purpose })
}

/// `user:ana`, `service:bi`, `group:partners`, `everyone`.
fn read_short(source: &Source, node: &Node, mesh: Option<&Mesh>) -> Option<TestPrincipal> {
    match Grantee::parse(source.read_text(node, "as")?) {
        Ok(known @ (Grantee::User(_) | Grantee::Service(_))) => {
            is_known(source, node, &known, mesh).then_some(TestPrincipal::Known(known))
        }
        Ok(Grantee::Group(group)) => Some(TestPrincipal::Described {
            name: None,
            groups: BTreeSet::from([group]),
            attributes: BTreeMap::new(),
        }),
        Ok(Grantee::Everyone) => Some(TestPrincipal::Described {
            name: None,
            groups: BTreeSet::new(),
            attributes: BTreeMap::new(),
        }),
        Err(error) => {
            source
                .error(node, "grantee", error.to_string())
                .help("write `user:NAME`, `group:NAME`, `service:NAME` or `everyone`")
                .report();
            None
        }
    }
}

fn read_long(
    source: &Source,
    node: &Node,
    mesh: Option<&Mesh>,
) -> Option<(TestPrincipal, Option<Purpose>)> {
    let fields = Fields::open(source, node, "`as`")?;
    let (user, service) = (fields.get("user"), fields.get("service"));
    let groups = fields.get("groups");
    let attributes = fields.get("attributes");
    let purpose = fields.get("purpose").and_then(|node| {
        let parsed = Purpose::parse(source.read_text(node, "purpose")?);
        let wrong = |error: crate::Error| source.error(node, "name", error.to_string()).report();
        parsed.map_err(wrong).ok()
    });
    fields.finish();
    let name = match (user, service) {
        (Some(_), Some(node)) => {
            source
                .error(node, "wrong-value", "`as` has both `user` and `service`")
                .help("keep one of the two")
                .report();
            return None;
        }
        (Some(node), None) => Some((node, Grantee::User(read_name(source, node, "user")?))),
        (None, Some(node)) => Some((node, Grantee::Service(read_name(source, node, "service")?))),
        (None, None) => None,
    };
    let described = groups.or(attributes);
    match (&name, described) {
        (Some((node, name)), None) => {
            let known = is_known(source, node, name, mesh);
            return known.then(|| (TestPrincipal::Known(name.clone()), purpose));
        }
        (Some((_, name)), Some(described)) => {
            if mesh.is_some_and(|mesh| find(mesh, name).is_some()) {
                let message =
                    format!("`{name}` is in the mesh's identity file, and described here");
                source
                    .error(described, "wrong-value", message)
                    .help("leave `groups` and `attributes` out: they stand in mesh.yaml")
                    .report();
                return None;
            }
        }
        (None, Some(_)) => {}
        (None, None) => {
            source
                .error(node, "missing-key", "`as` names nobody")
                .help("add `user: NAME` for somebody of mesh.yaml, or describe them: `groups: […]`, `attributes: {…}`; `as: everyone` is somebody without any")
                .report();
            return None;
        }
    }
    let groups = groups.map(|node| read_groups(source, node));
    let attributes = attributes.map(|node| read_attributes(source, node));
    let described = TestPrincipal::Described {
        name: name.map(|(_, name)| name),
        groups: groups.unwrap_or_default(),
        attributes: attributes.unwrap_or_default(),
    };
    Some((described, purpose))
}

fn read_name(source: &Source, node: &Node, key: &'static str) -> Option<String> {
    let text = source.read_text(node, key)?;
    if is_principal_name(text) {
        return Some(text.to_owned());
    }
    source
        .error(node, "name", format!("`{text}` is not a name of a {key}"))
        .help(format!("write the name alone: `{key}: NAME`"))
        .report();
    None
}

fn read_groups(source: &Source, node: &Node) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    for group in read_names(source, node, "groups") {
        if is_principal_name(&group.value) {
            groups.insert(group.value);
        } else {
            let message = format!("`{}` is not a name of a group", group.value);
            source.report(
                Fault::error(group.span, "name", message)
                    .with_help("write the name alone: `groups: [partners]`"),
            );
        }
    }
    groups
}

fn read_attributes(source: &Source, node: &Node) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (key, value) in source.read_mapping(node, "attributes").unwrap_or_default() {
        let Some(name) = key.key_text() else { continue };
        match value.as_scalar() {
            Some(text) => {
                attributes.insert(name.to_owned(), text.to_owned());
            }
            None => source.wrong_type(value, "an attribute", "a string"),
        }
    }
    attributes
}

/// Reports somebody whom the identity file does not know.
fn is_known(source: &Source, node: &Node, name: &Grantee, mesh: Option<&Mesh>) -> bool {
    let Some(mesh) = mesh else { return true };
    if find(mesh, name).is_some() {
        return true;
    }
    let names = mesh.identity.users.iter().map(grantee);
    let names: Vec<String> = names.map(|it| it.to_string()).collect();
    let near = did_you_mean(&name.to_string(), names.iter().map(String::as_str));
    let describe = "describe them with `groups` and `attributes` if they come from elsewhere";
    source
        .error(
            node,
            "unknown-user",
            format!("`{name}` is not in the mesh's identity file"),
        )
        .help(near.map_or_else(
            || describe.to_owned(),
            |near| format!("did you mean `{near}`? Otherwise {describe}"),
        ))
        .report();
    false
}

fn find<'a>(mesh: &'a Mesh, name: &Grantee) -> Option<&'a IdentityUser> {
    let mut users = mesh.identity.users.iter();
    users.find(|user| grantee(user) == *name)
}

fn grantee(user: &IdentityUser) -> Grantee {
    let name = user.name.value.clone();
    match &user.credential {
        IdentityCredential::Password(_) => Grantee::User(name),
        IdentityCredential::Token(_) | IdentityCredential::Certificate(_) => Grantee::Service(name),
    }
}
