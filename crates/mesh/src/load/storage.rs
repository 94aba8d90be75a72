//! The storages of a domain.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::files::settled;
use super::identity::read_secret;
use super::options::read_options;
use crate::domain::{Credentials, Storage, StorageUrl};
use crate::location::{WILDCARDS, check_segments};
use crate::name::StorageName;
use crate::secret::SecretRef;
use crate::yaml::{Fields, Node, Source, report_unknown_key};

/// The secrets that a storage may have.
const SECRETS: [&str; 4] = [
    "access_key_id",
    "secret_access_key",
    "token",
    "session_token",
];

/// A storage, and how a contract may spell the way to it.
#[derive(Debug)]
pub(crate) struct StorageDraft {
    pub(crate) storage: Storage,
    /// The URL as the manifest has it.
    pub(crate) written: String,
    /// A local root as written, made absolute; its canonical form may differ by symlinks.
    pub(crate) folder: Option<PathBuf>,
}

/// The storages that are sound, and whether all of them are.
pub(crate) fn read_storages(source: &Source, fields: &Fields<'_>) -> (Vec<StorageDraft>, bool) {
    let Some(node) = fields.required("storage") else {
        return (Vec::new(), false);
    };
    let Some(items) = source.read_list(node, "storage") else {
        return (Vec::new(), false);
    };
    let mut storages: Vec<StorageDraft> = Vec::new();
    let mut sound = true;
    for item in items {
        let Some(draft) = read_storage(source, item) else {
            sound = false;
            continue;
        };
        let at = item.child("name").unwrap_or(item);
        if let Some(other) = storages
            .iter()
            .find(|other| other.storage.name == draft.storage.name)
        {
            source
                .error(
                    at,
                    "duplicate-storage",
                    format!("storage `{}` is named twice", other.storage.name),
                )
                .help("rename one of the two")
                .report();
            sound = false;
        } else if let Some(other) = storages
            .iter()
            .find(|other| same_root(&other.storage, &draft.storage))
        {
            source
                .error(
                    item.child("url").unwrap_or(item),
                    "duplicate-storage",
                    format!(
                        "storages `{}` and `{}` are one place",
                        other.storage.name, draft.storage.name
                    ),
                )
                .help("keep one of the two")
                .report();
            sound = false;
        } else {
            storages.push(draft);
        }
    }
    (storages, sound)
}

fn same_root(a: &Storage, b: &Storage) -> bool {
    a.url == b.url && a.options.get("endpoint") == b.options.get("endpoint")
}

fn read_storage(source: &Source, node: &Node) -> Option<StorageDraft> {
    // Before anything is reported: no snippet of a secret, whatever else is wrong.
    if let Some(secrets) = node.child("secrets") {
        source.hide_if_secret(secrets);
    }
    let fields = Fields::open(source, node, "a storage")?;
    let name = fields.required_text("name").and_then(|(node, text)| {
        StorageName::parse(text)
            .map_err(|error| source.error(node, "name", error.to_string()).report())
            .ok()
    });
    let url = fields
        .required_text("url")
        .and_then(|(node, text)| Some((text, read_url(source, node, text)?)));
    let is_s3 = url
        .as_ref()
        .map(|(_, (url, _))| matches!(url, StorageUrl::S3 { .. }));
    let (options, credentials) = read_access(source, &fields, is_s3);
    let cache = read_cache(source, &fields);
    fields.finish();
    let (written, (url, folder)) = url?;
    Some(StorageDraft {
        storage: Storage {
            name: name?,
            url,
            options,
            credentials: credentials?,
            cache: cache?,
        },
        written: written.to_owned(),
        folder,
    })
}

/// Whether what is read may be kept: yes, unless the domain says no.
fn read_cache(source: &Source, fields: &Fields<'_>) -> Option<bool> {
    let Some(node) = fields.get("cache") else {
        return Some(true);
    };
    let cache = node.as_boolean();
    if cache.is_none() {
        source
            .error(node, "wrong-value", "`cache` is neither `true` nor `false`")
            .help("write `cache: false` where no server may keep on its disk what it reads here")
            .report();
    }
    cache
}

/// How a place is opened; `is_s3` is `None` where its URL could not be read.
pub(crate) fn read_access(
    source: &Source,
    fields: &Fields<'_>,
    is_s3: Option<bool>,
) -> (BTreeMap<String, String>, Option<Credentials>) {
    if is_s3 != Some(false) {
        let options = fields
            .get("options")
            .map(|node| read_options(source, node))
            .unwrap_or_default();
        return (options, read_credentials(source, fields, is_s3.is_some()));
    }
    for key in ["options", "secrets", "credentials"] {
        if let Some(node) = fields.get(key) {
            source
                .error(
                    node,
                    "wrong-value",
                    format!("a local storage has no `{key}`"),
                )
                .help("remove it")
                .report();
        }
    }
    (BTreeMap::new(), Some(Credentials::None))
}

fn read_credentials(source: &Source, fields: &Fields<'_>, is_s3: bool) -> Option<Credentials> {
    let named = fields.get("credentials");
    let secrets = fields.get("secrets");
    match (named, secrets) {
        (Some(node), Some(_)) => {
            source
                .error(
                    node,
                    "wrong-value",
                    "a storage has either `secrets` or `credentials`",
                )
                .help("keep one of the two")
                .report();
            None
        }
        (Some(node), None) => match source.read_text(node, "credentials")? {
            "anonymous" => Some(Credentials::Anonymous),
            "ambient" => Some(Credentials::Ambient),
            _ => {
                source.hide(node);
                source
                    .error(node, "wrong-value", "`credentials` has no such value")
                    .help("write `anonymous` or `ambient`, or give `secrets`")
                    .report();
                None
            }
        },
        (None, Some(node)) => read_secrets(source, node).map(Credentials::Secrets),
        (None, None) => {
            if is_s3 {
                source
                    .error(
                        fields.node,
                        "missing-key",
                        "a storage in S3 needs `secrets` or `credentials`",
                    )
                    .help(
                        "give `secrets`, or say `credentials: anonymous` (unsigned) or \
                         `credentials: ambient` (the server's own environment)",
                    )
                    .report();
            }
            None
        }
    }
}

fn read_secrets(source: &Source, node: &Node) -> Option<BTreeMap<String, SecretRef>> {
    let mut secrets = BTreeMap::new();
    let mut sound = true;
    for (key, value) in source.read_mapping(node, "secrets")? {
        let Some(name) = key.key_text() else {
            continue;
        };
        if !SECRETS.contains(&name) {
            source.hide(value);
            report_unknown_key(source, key, name, "`secrets`", &SECRETS);
            sound = false;
            continue;
        }
        let canonical = if name == "session_token" {
            "token"
        } else {
            name
        };
        match read_secret(source, value, name) {
            None => sound = false,
            Some(reference) => {
                secrets.insert(canonical.to_owned(), reference);
            }
        }
    }
    if !sound {
        return None;
    }
    for needed in ["access_key_id", "secret_access_key"] {
        if !secrets.contains_key(needed) {
            source
                .error(
                    node,
                    "missing-key",
                    format!("`secrets` needs the key `{needed}`"),
                )
                .help(format!("add `{needed}: env:NAME`"))
                .report();
            sound = false;
        }
    }
    sound.then_some(secrets)
}

/// A place as a manifest names it.
pub(crate) enum Place {
    S3 {
        bucket: String,
        prefix: Vec<String>,
    },
    /// Absolute; it need not be there.
    Folder(PathBuf),
}

impl Place {
    pub(crate) fn is_s3(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }
}

/// The place that a URL or a path names, relative to the manifest.
pub(crate) fn read_place(source: &Source, node: &Node, text: &str) -> Option<Place> {
    let refuse = |rule, message: String, help: &str| {
        source.error(node, rule, message).help(help).report();
    };
    if text.contains('@') && text.contains("://") {
        source.hide(node);
        refuse(
            "literal-secret",
            "`url` must not hold credentials".to_owned(),
            "give them under `secrets`, by reference",
        );
        return None;
    }
    if text.contains(WILDCARDS) {
        refuse(
            "unsafe-location",
            format!("`url` is `{text}`, which has a wildcard"),
            "name the folder that all data lies under; contracts may use wildcards",
        );
        return None;
    }
    let wrong = |reason: &str| {
        refuse(
            "unsafe-location",
            format!("`url` is `{text}`, which {reason}"),
            "write the plain way to the folder, segment by segment",
        );
    };
    if let Some(rest) = text.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_bucket(bucket) {
            refuse(
                "wrong-value",
                format!("`{bucket}` is not the name of a bucket"),
                "write `s3://bucket/prefix/`",
            );
            return None;
        }
        check_segments(prefix).map_err(wrong).ok()?;
        let prefix = segments(prefix);
        let bucket = bucket.to_owned();
        return Some(Place::S3 { bucket, prefix });
    }
    let path = text.strip_prefix("file://").unwrap_or(text);
    if path.contains("://") {
        refuse(
            "not-supported-yet",
            format!("storage `{text}` is not supported yet"),
            "a storage is `s3://bucket/prefix/` or a folder",
        );
        return None;
    }
    let plain = path.strip_prefix("./").unwrap_or(path);
    check_segments(plain.strip_prefix('/').unwrap_or(plain))
        .map_err(wrong)
        .ok()?;
    Some(Place::Folder(source.folder().join(plain)))
}

fn read_url(source: &Source, node: &Node, text: &str) -> Option<(StorageUrl, Option<PathBuf>)> {
    let folder = match read_place(source, node, text)? {
        Place::S3 { bucket, prefix } => return Some((StorageUrl::S3 { bucket, prefix }, None)),
        Place::Folder(folder) => folder,
    };
    // No error, as with the files below it.
    let warn = |message: String, help: &str| {
        source
            .warning(node, "missing-file", message)
            .help(help)
            .report();
    };
    let root = settled(&folder);
    if !root.exists() {
        warn(
            format!("there is no folder `{text}`"),
            "create it, or correct the path; it is relative to this file",
        );
    } else if !root.is_dir() {
        warn(
            format!("storage `{text}` is not a folder"),
            "name the folder that the data lies under",
        );
    }
    Some((StorageUrl::Local { root }, Some(folder)))
}

/// The bucket names that S3 knows, old ones included.
pub(crate) fn is_bucket(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !text.starts_with('.')
        && !text.contains("..")
}

pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `lake` at `s3://acme-sales/lake/`, …
pub(crate) fn describe(storages: &[StorageDraft]) -> String {
    if storages.is_empty() {
        return "the domain has no storage".to_owned();
    }
    let places: Vec<String> = storages
        .iter()
        .map(|draft| format!("`{}` at `{}`", draft.storage.name, draft.written))
        .collect();
    format!("the domain's storages are {}", places.join(", "))
}
