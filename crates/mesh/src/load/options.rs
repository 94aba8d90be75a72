//! Storage options: object_store's own keys, those that do no harm.
//!
//! A domain must not turn the server into a probe of its network, nor borrow
//! the server's own rights: no proxies, no metadata or token services, no
//! container credentials, no roles.

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::{Host, Url};

use crate::suggest::did_you_mean;
use crate::yaml::{Kind, Node, Source, in_backticks};

/// The options that a manifest may set, by their canonical names.
const ALLOWED: [&str; 7] = [
    "allow_http",
    "checksum_algorithm",
    "endpoint",
    "region",
    "request_payer",
    "unsigned_payload",
    "virtual_hosted_style_request",
];

/// Keys of object_store that other keys of a storage stand for, and which.
const ELSEWHERE: [(&str, &str); 10] = [
    ("bucket", "the bucket stands in `url`"),
    ("bucket_name", "the bucket stands in `url`"),
    ("access_key_id", "it goes under `secrets`, by reference"),
    ("secret_access_key", "it goes under `secrets`, by reference"),
    (
        "session_token",
        "it goes under `secrets`, as `token`, by reference",
    ),
    ("token", "it goes under `secrets`, by reference"),
    ("skip_signature", "write `credentials: anonymous`"),
    ("default_region", "it is called `region`"),
    ("endpoint_url", "it is called `endpoint`"),
    ("endpoint_url_s3", "it is called `endpoint`"),
];

pub(crate) fn read_options(source: &Source, node: &Node) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for (key, value) in source.read_mapping(node, "options").unwrap_or_default() {
        let Some(name) = key.key_text() else {
            continue;
        };
        if !ALLOWED.contains(&name) {
            source.hide(value);
            report_forbidden(source, key, name);
            continue;
        }
        // Quoted or not, `true` is what object_store reads.
        let text = if value.kind() == Kind::Boolean {
            value.as_scalar().map(str::to_ascii_lowercase)
        } else {
            source.read_text(value, name).map(str::to_owned)
        };
        let Some(text) = text else { continue };
        if let Err(reason) = check(name, &text) {
            source.hide_if_secret(value);
            source
                .error(value, "wrong-value", format!("option `{name}` {reason}"))
                .report();
            continue;
        }
        options.insert(name.to_owned(), text);
    }
    let plain = options
        .get("endpoint")
        .is_some_and(|endpoint| endpoint.starts_with("http:"));
    if plain && options.get("allow_http").map(String::as_str) != Some("true") {
        source
            .error(
                node.child("endpoint").unwrap_or(node),
                "wrong-value",
                "option `endpoint` is plain http, which is off",
            )
            .help("use https, or say `allow_http: \"true\"` as well")
            .report();
    }
    options
}

fn report_forbidden(source: &Source, key: &Node, name: &str) {
    let short = name
        .strip_prefix("aws_")
        .unwrap_or(name)
        .to_ascii_lowercase();
    let help = if let Some((_, help)) = ELSEWHERE.iter().find(|(other, _)| *other == short) {
        (*help).to_owned()
    } else if ALLOWED.contains(&short.as_str()) {
        format!("it is called `{short}`")
    } else if let Some(near) = did_you_mean(&short, ALLOWED) {
        format!("did you mean `{near}`?")
    } else {
        format!("the options are {}", in_backticks(&ALLOWED))
    };
    source
        .error(
            key,
            "forbidden-option",
            format!("`{name}` is not an option that a domain may set"),
        )
        .help(help)
        .report();
}

fn check(name: &str, text: &str) -> Result<(), &'static str> {
    match name {
        "endpoint" => check_endpoint(text),
        "region" => {
            let sound = text.len() <= 64
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
            if sound {
                Ok(())
            } else {
                Err("is not a region")
            }
        }
        "checksum_algorithm" if text == "sha256" => Ok(()),
        "checksum_algorithm" => Err("can only be `sha256`"),
        _ if matches!(text, "true" | "false") => Ok(()),
        _ => Err("must be `true` or `false`"),
    }
}

fn check_endpoint(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment");
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address).to_canonical()),
        Some(Host::Domain(name)) if name.trim_end_matches('.') == "metadata.google.internal" => {
            return Err("must not be a cloud's metadata service");
        }
        Some(Host::Domain(_)) => None,
        None => return Err("names no host"),
    };
    let metadata = match address {
        Some(IpAddr::V4(address)) => address.is_link_local(),
        Some(IpAddr::V6(address)) => {
            address.is_unicast_link_local()
                || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
        None => false,
    };
    if metadata {
        return Err("must not be a cloud's metadata service");
    }
    Ok(())
}
