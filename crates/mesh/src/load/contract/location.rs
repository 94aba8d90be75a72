//! Where a contract's files are: held against the domain's storages.

use std::path::{Component, Path};

use super::super::local::check_local;
use super::super::storage::{StorageDraft, describe, segments};
use crate::domain::StorageUrl;
use crate::location::{Location, check_segments};
use crate::name::StorageName;
use crate::yaml::{Node, Source};

/// What a location is held against.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) storages: &'a [StorageDraft],
    /// Whether a location outside all of them is a fault: not if some storage
    /// could not be read.
    pub(crate) complete: bool,
    /// The folder of `domain.yaml`, which relative paths start from, canonical.
    pub(crate) folder: &'a Path,
}

/// Reads `text`, the value of `node` with `{table}` filled in.
pub(crate) fn read_location(
    source: &Source,
    node: &Node,
    text: &str,
    s3: bool,
    surroundings: &Surroundings<'_>,
) -> Option<(StorageName, Location)> {
    let unsafe_location = |reason: &str| {
        source
            .error(node, "unsafe-location", format!("location `{text}` {reason}"))
            .help("write the plain way to the files, segment by segment, below one of the domain's storages")
            .report();
    };
    let (bucket, path) = if s3 {
        let Some((bucket, path)) = text
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'))
        else {
            unsafe_location("is not `s3://bucket/…`");
            return None;
        };
        (Some(bucket), path)
    } else {
        let path = text.strip_prefix("file://").unwrap_or(text);
        (None, path.strip_prefix("./").unwrap_or(path))
    };
    let absolute = bucket.is_none() && path.starts_with('/');
    let path = if absolute {
        path.strip_prefix('/').unwrap_or(path)
    } else {
        path
    };
    if let Err(reason) = check_segments(path) {
        unsafe_location(reason);
        return None;
    }
    let mut whole = if bucket.is_none() && !absolute {
        folder_segments(surroundings.folder)
    } else {
        Vec::new()
    };
    whole.extend(segments(path));
    let innermost = surroundings
        .storages
        .iter()
        .filter_map(|draft| Some((rest_below(draft, bucket, &whole)?, draft)))
        .min_by_key(|(rest, _)| rest.len());
    let Some((rest, draft)) = innermost else {
        if surroundings.complete {
            source
                .error(
                    node,
                    "location-outside-storage",
                    format!("location `{text}` lies under no storage of its domain"),
                )
                .help(describe(surroundings.storages))
                .report();
        }
        return None;
    };
    let mut relative = rest.join("/");
    if path.ends_with('/') && !relative.is_empty() {
        relative.push('/');
    }
    let location = match Location::parse(&relative) {
        Ok(location) => location,
        Err(error) => {
            source
                .error(node, "unsafe-location", error.to_string())
                .help("wildcards are `*`, `?`, `[a-z]` and `{a,b}` within a segment, and `**` for any number of them")
                .report();
            return None;
        }
    };
    if let StorageUrl::Local { root } = &draft.storage.url {
        check_local(source, node, text, root, &location);
    }
    Some((draft.storage.name.clone(), location))
}

/// What is left of a location below a storage's root; none if it lies elsewhere.
fn rest_below<'w>(
    draft: &StorageDraft,
    bucket: Option<&str>,
    whole: &'w [String],
) -> Option<&'w [String]> {
    match (&draft.storage.url, bucket) {
        (
            StorageUrl::S3 {
                bucket: own,
                prefix,
            },
            Some(bucket),
        ) if own == bucket => whole.strip_prefix(prefix.as_slice()),
        (StorageUrl::Local { root }, None) => {
            let written = draft.folder.as_deref().map(folder_segments);
            written
                .and_then(|written| whole.strip_prefix(written.as_slice()))
                .or_else(|| whole.strip_prefix(folder_segments(root).as_slice()))
        }
        (StorageUrl::S3 { .. } | StorageUrl::Local { .. }, _) => None,
    }
}

fn folder_segments(folder: &Path) -> Vec<String> {
    folder
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => None,
        })
        .collect()
}
