//! `identity:` of `mesh.yaml`: users and services with their credentials.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use argon2::password_hash::PasswordHash;

use super::grants::read_grantees;
use super::oidc::read_issuers;
use crate::fault::{Span, Spanned};
use crate::grant::{Grantee, is_principal_name};
use crate::identity::{Identity, IdentityCredential, IdentityUser, PasswordSource};
use crate::location::WILDCARDS;
use crate::secret::SecretRef;
use crate::yaml::{Fields, Kind, Node, Source};

/// The identities, and where the tokens of people are kept.
pub(crate) fn read_identity(source: &Source, node: &Node) -> (Identity, Option<Spanned<String>>) {
    if let Some(users) = node.child("users")
        && users.kind() != Kind::List
    {
        source.hide(users);
    }
    let Some(fields) = Fields::open(source, node, "`identity`") else {
        return Default::default();
    };
    let mut users: Vec<IdentityUser> = Vec::new();
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut certificates: HashMap<String, Spanned<String>> = HashMap::new();
    for item in fields.list("users") {
        let Some(user) = read_user(source, item) else {
            continue;
        };
        if let Some(first) = seen.get(&user.name.value) {
            source.report(
                crate::Fault::error(
                    user.name.span.clone(),
                    "duplicate-user",
                    format!(
                        "`{}` is named twice, first in line {}",
                        user.name.value, first.line
                    ),
                )
                .with_help("users and services share one set of names: rename one of the two"),
            );
            continue;
        }
        if let IdentityCredential::Certificate(name) = &user.credential
            && let Some(first) = certificates.insert(name.clone(), user.name.clone())
        {
            source.report(
                crate::Fault::error(
                    user.name.span.clone(),
                    "duplicate-certificate",
                    format!("`{name}` is the certificate of `{}` as well", first.value),
                )
                .with_help("give each service a certificate of its own: whose it is must be plain"),
            );
        }
        seen.insert(user.name.value.clone(), user.name.span.clone());
        users.push(user);
    }
    let issuers = read_issuers(source, fields.list("oidc"));
    let tokens = fields
        .get("tokens")
        .and_then(|node| read_token_folder(source, node));
    fields.finish();
    let identity = Identity {
        users,
        issuers,
        ..Identity::default()
    };
    (identity, tokens)
}

fn read_token_folder(source: &Source, node: &Node) -> Option<Spanned<String>> {
    let text = source.read_text(node, "tokens")?;
    let is_here = text.split('/').all(|part| part.is_empty() || part == ".");
    if !is_here && !text.contains(WILDCARDS) {
        return Some(source.spanned(node, text));
    }
    source
        .error(
            node,
            "wrong-value",
            format!("`{text}` is not a folder for tokens"),
        )
        .help("name a folder that holds nothing else, such as `tokens/`")
        .report();
    None
}

fn read_user(source: &Source, node: &Node) -> Option<IdentityUser> {
    // Before anything is reported: no snippet of a credential, whatever else is wrong.
    for key in ["password", "token"] {
        if let Some(value) = node.child(key) {
            hide_unless_reference(source, value);
        }
    }
    let fields = Fields::open(source, node, "a user")?;
    let name = fields.required_text("name").and_then(|(node, text)| {
        if is_principal_name(text) {
            return Some(source.spanned(node, text));
        }
        source
            .error(node, "name", format!("`{text}` is not a user name"))
            .help("use no spaces, colons or control characters")
            .report();
        None
    });
    let service = match fields.get("kind") {
        None => Some(false),
        Some(node) => match source.read_text(node, "kind") {
            Some("user") => Some(false),
            Some("service") => Some(true),
            Some(other) => {
                source
                    .error(
                        node,
                        "wrong-value",
                        format!("`{other}` is not a kind of user"),
                    )
                    .help("the kinds are `user` and `service`")
                    .report();
                None
            }
            None => None,
        },
    };
    let (password, token) = (fields.get("password"), fields.get("token"));
    let certificate = fields.get("certificate");
    let credential = match service {
        Some(false) => {
            refuse_credential(source, token, "`token` is for services", "password");
            refuse_credential(
                source,
                certificate,
                "`certificate` is for services",
                "password",
            );
            let node = match password {
                Some(node) => Some(node),
                None => fields.required("password"),
            };
            node.and_then(|node| read_password(source, node))
                .map(IdentityCredential::Password)
        }
        Some(true) => {
            refuse_credential(source, password, "`password` is for people", "token");
            match (token, certificate) {
                (Some(_), Some(node)) => {
                    source
                        .error(
                            node,
                            "wrong-credential",
                            "a service has a `token` or a `certificate`, not both",
                        )
                        .help("remove one of the two")
                        .report();
                    None
                }
                (None, Some(node)) => {
                    read_certificate(source, node).map(IdentityCredential::Certificate)
                }
                (token, None) => token
                    .or_else(|| fields.required("token"))
                    .and_then(|node| read_secret(source, node, "token"))
                    .map(IdentityCredential::Token),
            }
        }
        None => None,
    };
    let mut groups = BTreeSet::new();
    if let Some(node) = fields.get("groups") {
        for group in source.read_texts(node, "groups") {
            if is_principal_name(&group.value) {
                groups.insert(group.value);
            } else {
                source.report(
                    crate::Fault::error(
                        group.span,
                        "name",
                        format!("`{}` is not a group name", group.value),
                    )
                    .with_help("use no spaces, colons or control characters, and no `group:`"),
                );
            }
        }
    }
    let mut attributes = BTreeMap::new();
    if let Some(node) = fields.get("attributes") {
        for (key, value) in source.read_mapping(node, "attributes").unwrap_or_default() {
            if let (Some(key), Some(text)) =
                (key.key_text(), source.read_text(value, "an attribute"))
            {
                attributes.insert(key.to_owned(), text.to_owned());
            }
        }
    }
    let impersonates = fields
        .get("impersonates")
        .map(|node| read_impersonates(source, node, service))
        .unwrap_or_default();
    fields.finish();
    Some(IdentityUser {
        name: name?,
        credential: credential?,
        groups,
        attributes,
        impersonates,
    })
}

/// A URI or a DNS name, as certificates have it.
fn read_certificate(source: &Source, node: &Node) -> Option<String> {
    let text = source.read_text(node, "certificate")?;
    let is_uri = text.contains("://") && url::Url::parse(text).is_ok();
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let is_dns = text.chars().all(is_host) && !text.starts_with(['.', '-']);
    if is_uri || is_dns {
        // DNS names have no case.
        return Some(if is_uri {
            text.to_owned()
        } else {
            text.to_ascii_lowercase()
        });
    }
    source
        .error(
            node,
            "wrong-value",
            format!("`{text}` is not a subject alternative name"),
        )
        .help("write the URI or the DNS name in the certificate: `spiffe://acme.example/bi` or `bi.acme.example`; no wildcards")
        .report();
    None
}

/// The groups for whose members a service may act. Only groups: a service
/// that may act for everyone would be the owner of all data.
fn read_impersonates(source: &Source, node: &Node, service: Option<bool>) -> BTreeSet<String> {
    if service == Some(false) {
        source
            .error(node, "wrong-value", "only a service acts for others")
            .help("remove `impersonates`, or say `kind: service`")
            .report();
    }
    let mut groups = BTreeSet::new();
    for grantee in read_grantees(source, node, "impersonates") {
        match grantee.value {
            Grantee::Group(group) => {
                groups.insert(group);
            }
            other @ (Grantee::User(_) | Grantee::Service(_) | Grantee::Everyone) => {
                source.report(
                    crate::Fault::error(
                        grantee.span,
                        "wrong-value",
                        format!("`{other}` is not a group"),
                    )
                    .with_help("name groups, as in `impersonates: [group:analysts]`"),
                );
            }
        }
    }
    groups
}

fn refuse_credential(source: &Source, node: Option<&Node>, message: &str, instead: &str) {
    if let Some(node) = node {
        source
            .error(node, "wrong-credential", message)
            .help(format!("give `{instead}`, or change `kind`"))
            .report();
    }
}

fn read_password(source: &Source, node: &Node) -> Option<PasswordSource> {
    let text = source.read_text(node, "password")?;
    if !text.starts_with('$') {
        return read_secret(source, node, "password").map(PasswordSource::Ref);
    }
    let argon2 = PasswordHash::new(text)
        .ok()
        .filter(|hash| {
            matches!(hash.algorithm.as_str(), "argon2id" | "argon2i" | "argon2d")
                && hash.salt.is_some()
                && hash.hash.is_some()
        })
        .is_some();
    if argon2 {
        return Some(PasswordSource::Phc(text.to_owned()));
    }
    source
        .error(
            node,
            "password-hash",
            "`password` is not an argon2 hash in PHC form",
        )
        .help("make one with `weft hash-password`")
        .report();
    None
}

/// Reads a reference to a secret; one that is written out is a fault that does not show it.
pub(crate) fn read_secret(source: &Source, node: &Node, what: &str) -> Option<SecretRef> {
    hide_unless_reference(source, node);
    let text = source.read_text(node, what)?;
    if let Ok(reference) = SecretRef::parse(text) {
        return Some(reference.relative_to(source.folder()));
    }
    let help = if what == "password" {
        "give an argon2 hash (`weft hash-password` makes one), or a reference: `env:NAME` or `file:PATH`"
    } else {
        "give a reference instead: `env:NAME` or `file:PATH`"
    };
    source
        .error(
            node,
            "literal-secret",
            format!("`{what}` is written out, or is no reference to a secret"),
        )
        .help(help)
        .report();
    None
}

fn hide_unless_reference(source: &Source, node: &Node) {
    let reference = node
        .as_text()
        .and_then(|text| SecretRef::parse(text).ok())
        // A file's path that is no path may be a secret after `file:`.
        .is_some_and(|reference| match reference {
            SecretRef::Env(_) => true,
            SecretRef::File(path) => Path::new(&path).components().count() > 1,
        });
    if !reference {
        source.hide(node);
    }
}
