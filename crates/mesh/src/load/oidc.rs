//! `oidc:` of `identity`: providers whose tokens let people in.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use url::{Host, Url};

use super::grants::refuse_empty;
use super::measures::read_duration;
use crate::fault::Fault;
use crate::grant::is_principal_name;
use crate::oidc::{ClaimPath, OidcIssuer, SignatureAlgorithm};
use crate::yaml::{Fields, Node, Source};

const CLOCK_SKEW: Duration = Duration::from_secs(60);
const MOST_CLOCK_SKEW: Duration = Duration::from_secs(10 * 60);
const LONGEST_SESSION: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn read_issuers(source: &Source, items: &[Rc<Node>]) -> Vec<OidcIssuer> {
    let mut issuers: Vec<OidcIssuer> = Vec::new();
    for item in items {
        let Some(issuer) = read_issuer(source, item) else {
            continue;
        };
        let same = issuers.iter().find(|it| it.url == issuer.url);
        if let Some(first) = same {
            let line = first.issuer.span.line;
            source.report(Fault::error(
                issuer.issuer.span.clone(),
                "duplicate-issuer",
                format!(
                    "`{}` is given twice, first in line {line}",
                    issuer.issuer.value
                ),
            ));
            continue;
        }
        // Or one provider could let in somebody as a person of the other.
        let same = issuers.iter().find(|it| {
            it.prefix.starts_with(&issuer.prefix) || issuer.prefix.starts_with(&it.prefix)
        });
        if let Some(first) = same {
            let (line, prefix) = (first.issuer.span.line, &issuer.prefix);
            source.report(
                Fault::error(
                    issuer.issuer.span.clone(),
                    "shared-names",
                    format!(
                        "names of this provider (prefix `{prefix}`) could be those of the one in line {line} (prefix `{}`)",
                        first.prefix
                    ),
                )
                .with_help("give each provider a `prefix` of its own, such as `partner/`: it stands before its users, services and groups in grants"),
            );
            continue;
        }
        issuers.push(issuer);
    }
    issuers
}

fn read_issuer(source: &Source, node: &Node) -> Option<OidcIssuer> {
    let fields = Fields::open(source, node, "an OpenID provider")?;
    let issuer = fields.required_text("issuer").and_then(|(node, text)| {
        let url = read_url(source, node, text)?;
        Some((source.spanned(node, text), url))
    });
    let audiences = fields
        .required("audience")
        .map(|node| texts(source, node, "audience"));
    let claim = |key: &'static str, default: &str| match fields.get(key) {
        Some(node) => source.read_text(node, key).map(ClaimPath::new),
        None => Some(ClaimPath::new(default)),
    };
    let name_claim = claim("nameClaim", "sub");
    let groups_claim = claim("groupsClaim", "groups");
    let mut attributes = BTreeMap::new();
    if let Some(node) = fields.get("attributes") {
        for (key, value) in source.read_mapping(node, "attributes").unwrap_or_default() {
            if let (Some(key), Some(text)) = (key.key_text(), source.read_text(value, "a claim")) {
                attributes.insert(key.to_owned(), ClaimPath::new(text));
            }
        }
    }
    let prefix = match fields.get("prefix") {
        None => Some(String::new()),
        Some(node) => read_prefix(source, node),
    };
    let algorithms = match fields.get("algorithms") {
        None => Some(SignatureAlgorithm::ALL.into_iter().collect()),
        Some(node) => read_algorithms(source, node),
    };
    let bounded = |key: &'static str, most: Duration| {
        let node = fields.get(key)?;
        let given = read_duration(source, node, key)?;
        if given <= most {
            return Some(given);
        }
        source
            .error(
                node,
                "wrong-value",
                format!(
                    "`{key}` is too long: at most {} minutes",
                    most.as_secs() / 60
                ),
            )
            .report();
        None
    };
    let clock_skew = bounded("clockSkew", MOST_CLOCK_SKEW).unwrap_or(CLOCK_SKEW);
    let sessions = bounded("sessions", LONGEST_SESSION);
    fields.finish();
    let (issuer, url) = issuer?;
    Some(OidcIssuer {
        issuer,
        url,
        audiences: audiences.filter(|audiences| !audiences.is_empty())?,
        name_claim: name_claim?,
        groups_claim: groups_claim?,
        attributes,
        prefix: prefix?,
        algorithms: algorithms?,
        clock_skew,
        sessions,
    })
}

/// Keys that come in the open could be anybody's.
fn read_url(source: &Source, node: &Node, text: &str) -> Option<Url> {
    let refuse = |message: String, help: &str| {
        source
            .error(node, "issuer", message)
            .help(help.to_owned())
            .report();
        None
    };
    let Ok(url) = Url::parse(text) else {
        return refuse(
            format!("`{text}` is not a URL"),
            "write it as its tokens do: `https://login.acme.example`",
        );
    };
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return refuse(
            format!("`{text}` does not begin with `https://`"),
            "without TLS anybody on the way could let in whom they like; `http://` is for a provider on this machine",
        );
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || has_user {
        return refuse(
            format!("`{text}` is more than an issuer"),
            "an issuer has no user, query or fragment (OpenID Connect Discovery 1.0)",
        );
    }
    Some(url)
}

fn read_prefix(source: &Source, node: &Node) -> Option<String> {
    let text = source.read_text(node, "prefix")?;
    if is_principal_name(text) {
        return Some(text.to_owned());
    }
    source
        .error(
            node,
            "name",
            format!("`{text}` cannot stand before a user name"),
        )
        .help("use no spaces, colons or control characters, as in `partner/`")
        .report();
    None
}

fn read_algorithms(source: &Source, node: &Node) -> Option<BTreeSet<SignatureAlgorithm>> {
    refuse_empty(source, node, "algorithms");
    let mut algorithms = BTreeSet::new();
    for name in source.read_texts(node, "algorithms") {
        match SignatureAlgorithm::parse(&name.value) {
            Some(algorithm) => {
                algorithms.insert(algorithm);
            }
            None => {
                let known: Vec<_> = SignatureAlgorithm::ALL
                    .into_iter()
                    .map(SignatureAlgorithm::name)
                    .collect();
                source.report(
                    Fault::error(
                        name.span,
                        "wrong-value",
                        format!(
                            "`{}` is not an algorithm that tokens may be signed with",
                            name.value
                        ),
                    )
                    .with_help(format!("those are {}", known.join(", "))),
                );
            }
        }
    }
    (!algorithms.is_empty()).then_some(algorithms)
}

/// One text, or a list of them.
fn texts(source: &Source, node: &Node, what: &str) -> BTreeSet<String> {
    if node.as_text().is_some() {
        return source
            .read_text(node, what)
            .map(str::to_owned)
            .into_iter()
            .collect();
    }
    refuse_empty(source, node, what);
    let texts = source.read_texts(node, what).into_iter();
    texts.map(|text| text.value).collect()
}
