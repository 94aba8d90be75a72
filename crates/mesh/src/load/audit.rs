//! `audit:` of `mesh.yaml`: where the trail is kept.

use std::time::Duration;

use super::files::settled;
use super::measures::{read_duration, read_size};
use super::storage::{Place, read_access, read_place};
use crate::audit::{AuditManifest, WhenUnwritable};
use crate::domain::{Domain, StorageUrl};
use crate::fault::{Fault, Span};
use crate::measure::ByteSize;
use crate::yaml::{Fields, Node, Source};

const ROTATE_EVERY: Duration = Duration::from_secs(15 * 60);
const ROTATE_SIZE: u64 = 64 << 20;

/// A trail, and where the manifest names its places.
#[derive(Debug)]
pub(crate) struct AuditDraft {
    pub(crate) manifest: AuditManifest,
    url: Span,
    spool: Span,
}

pub(crate) fn read_audit(source: &Source, node: &Node) -> Option<AuditDraft> {
    // Before anything is reported: no snippet of a secret, whatever else is wrong.
    if let Some(secrets) = node.child("secrets") {
        source.hide_if_secret(secrets);
    }
    let fields = Fields::open(source, node, "`audit`")?;
    let url = fields
        .required_text("url")
        .and_then(|(node, text)| Some((node, read_place(source, node, text)?)));
    let spool = fields.get("spool").map(|node| {
        let text = source.read_text(node, "spool")?;
        match read_place(source, node, text)? {
            Place::Folder(folder) => Some((node, folder)),
            Place::S3 { .. } => {
                source
                    .error(node, "wrong-value", "`spool` must be a local folder")
                    .help("records are written there before they are moved to `url`")
                    .report();
                None
            }
        }
    });
    let is_s3 = url.as_ref().map(|(_, place)| place.is_s3());
    let (options, credentials) = read_access(source, &fields, is_s3);
    let retention = fields
        .get("retention")
        .map(|node| read_duration(source, node, "retention"));
    let rotate = fields
        .get("rotate")
        .map_or(Some((ROTATE_EVERY, ROTATE_SIZE)), |node| {
            read_rotate(source, node)
        });
    let when_unwritable = read_when_unwritable(source, &fields);
    fields.finish();

    let (url_node, place) = url?;
    let (spool_node, spool) = match (spool, &place) {
        (Some(spool), _) => spool?,
        (None, Place::Folder(folder)) => (url_node, folder.clone()),
        (None, Place::S3 { .. }) => {
            source
                .error(node, "missing-key", "`audit` in S3 needs the key `spool`")
                .help(
                    "name a local folder: records are written there before they are moved to `url`",
                )
                .report();
            return None;
        }
    };
    let retention = match retention {
        Some(retention) => Some(retention?),
        None => None,
    };
    let (rotate_every, rotate_size) = rotate?;
    let url = match place {
        Place::S3 { bucket, prefix } => StorageUrl::S3 { bucket, prefix },
        Place::Folder(folder) => StorageUrl::Local {
            root: settled(&folder),
        },
    };
    Some(AuditDraft {
        manifest: AuditManifest {
            url,
            spool: settled(&spool),
            options,
            credentials: credentials?,
            retention,
            rotate_every,
            rotate_size,
            when_unwritable: when_unwritable?,
        },
        url: source.span(url_node),
        spool: source.span(spool_node),
    })
}

fn read_rotate(source: &Source, node: &Node) -> Option<(Duration, u64)> {
    let fields = Fields::open(source, node, "`rotate`")?;
    let every = fields.get("every").map_or(Some(ROTATE_EVERY), |node| {
        read_duration(source, node, "every")
    });
    let size = fields.get("size").map_or(Some(ROTATE_SIZE), |node| {
        read_size(source, node, "size").map(ByteSize::bytes)
    });
    fields.finish();
    every.zip(size)
}

fn read_when_unwritable(source: &Source, fields: &Fields<'_>) -> Option<WhenUnwritable> {
    let Some(node) = fields.get("whenUnwritable") else {
        return Some(WhenUnwritable::Refuse);
    };
    match source.read_text(node, "whenUnwritable")? {
        "refuse" => Some(WhenUnwritable::Refuse),
        "serve" => Some(WhenUnwritable::Serve),
        other => {
            source
                .error(
                    node,
                    "wrong-value",
                    format!("`whenUnwritable` has no value `{other}`"),
                )
                .help(
                    "write `refuse` (statements are refused) or `serve` (they run unrecorded, and are counted)",
                )
                .report();
            None
        }
    }
}

/// The faults of a domain whose storage holds the trail: it could serve it as a
/// data product, past all that governs who reads it. They are the domain's, so
/// that none can keep the mesh from being served.
pub(crate) fn refuse_shared_places(draft: &AuditDraft, domain: &Domain) -> Vec<Fault> {
    let mut faults = Vec::new();
    for storage in &domain.storages {
        let url = overlap(&draft.manifest.url, &storage.url).then_some(("url", &draft.url));
        let spool = StorageUrl::Local {
            root: draft.manifest.spool.clone(),
        };
        let spool = overlap(&spool, &storage.url).then_some(("spool", &draft.spool));
        if let Some((key, span)) = url.or(spool) {
            let message = format!(
                "storage `{}` of domain `{}` and `{key}` of the audit trail lie in one another",
                storage.name, domain.name
            );
            faults.push(
                Fault::error(span.clone(), "audit-in-storage", message)
                    .with_help("keep the trail where no domain can serve it as a data product"),
            );
        }
    }
    faults
}

/// Whether one place is below the other, or is it. Of S3 the endpoint is not looked at: one
/// server has many names.
fn overlap(one: &StorageUrl, other: &StorageUrl) -> bool {
    match (one, other) {
        (StorageUrl::Local { root: one }, StorageUrl::Local { root: other }) => {
            one.starts_with(other) || other.starts_with(one)
        }
        (
            StorageUrl::S3 { bucket, prefix },
            StorageUrl::S3 {
                bucket: other_bucket,
                prefix: other_prefix,
            },
        ) => {
            bucket == other_bucket
                && prefix
                    .iter()
                    .zip(other_prefix)
                    .all(|(one, other)| one == other)
        }
        (StorageUrl::Local { .. }, StorageUrl::S3 { .. })
        | (StorageUrl::S3 { .. }, StorageUrl::Local { .. }) => false,
    }
}
