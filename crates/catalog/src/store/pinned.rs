//! The files of one listing, exactly as they were when they were listed.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, Result,
};

use super::mesh::MeshStore;
use super::read_only::{Reads, UNREACHABLE, failed};
use super::storage::Storage;

/// A whole file, and all that goes through blocks, is read in parts of this size: a slow query holds no connection
/// open meanwhile, and no timeout of a request ends it.
pub(super) const PART: u64 = 8 * 1024 * 1024;

/// Parts that are fetched ahead of the reader.
const PARTS_AHEAD: usize = 2;

/// Reads the files it was made with and nothing else.
///
/// A file that was overwritten since is a precondition error, on every read of
/// it: a query never mixes two versions of a file. A store that ignores the
/// condition is caught by comparing its answer.
#[derive(Clone)]
pub(crate) struct PinnedStore {
    /// With this one storage: no path leads to another.
    mesh: Arc<MeshStore>,
    storage: Arc<Storage>,
    files: Arc<HashMap<Path, ObjectMeta>>,
}

impl PinnedStore {
    /// `storage` is where all of `files` lie.
    pub(crate) fn new(storage: &Arc<Storage>, files: impl IntoIterator<Item = ObjectMeta>) -> Self {
        let files: HashMap<_, _> = files
            .into_iter()
            .map(|file| (file.location.clone(), file))
            .collect();
        Self {
            mesh: Arc::new(MeshStore::new([Arc::clone(storage)])),
            storage: Arc::clone(storage),
            files: Arc::new(files),
        }
    }

    pub(crate) fn contains(&self, location: &Path) -> bool {
        self.files.contains_key(location)
    }

    fn pin(&self, location: &Path) -> Result<&ObjectMeta> {
        self.files
            .get(location)
            .ok_or_else(|| Error::PermissionDenied {
                path: location.to_string(),
                source: "not a file of the planned snapshot".into(),
            })
    }

    async fn get_pinned(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let pin = self.pin(location)?;
        let result = self
            .mesh
            .get(location, options.with_if_match(pin.e_tag.clone()))
            .await;
        let result = result.and_then(|result| {
            if is_same(pin, &result.meta) {
                Ok(result)
            } else {
                Err(changed(location))
            }
        });
        match result {
            Err(Error::NotFound { source, path }) => {
                self.storage.report_stale();
                Err(Error::Precondition { path, source })
            }
            Err(e @ Error::Precondition { .. }) => {
                self.storage.report_stale();
                Err(e)
            }
            // The reader of footers passes errors on as text: this one is known by its first words.
            Err(e) => Err(Error::Generic {
                store: UNREACHABLE,
                source: Box::new(e),
            }),
            ok => ok,
        }
    }

    async fn get_range(&self, location: &Path, range: Range<u64>) -> Result<Bytes> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let pin = self.pin(location)?;
        self.get_part(pin, options).await?.bytes().await
    }

    /// Block by block, where blocks of the file are kept: those that are there need no answer of
    /// the storage.
    async fn get_part(&self, pin: &ObjectMeta, options: GetOptions) -> Result<GetResult> {
        let kept = self.storage.blocks_of(pin).filter(|_| !options.head);
        let Some((blocks, object)) = kept else {
            return self.get_pinned(&pin.location, options).await;
        };
        let range = match &options.range {
            Some(range) => range.as_range(pin.size).map_err(|error| Error::Generic {
                store: UNREACHABLE,
                source: Box::new(error),
            })?,
            None => 0..pin.size,
        };
        if range.end - range.start > PART {
            return Ok(self.get_in_parts(pin, range));
        }
        let fetch = |range| async {
            let options = GetOptions {
                range: Some(GetRange::Bounded(range)),
                ..GetOptions::default()
            };
            let result = self.get_pinned(&pin.location, options).await?;
            // Without a tag it may be what the file was before.
            let may_be_kept = result.meta.e_tag.is_some();
            Ok((result.bytes().await?, may_be_kept))
        };
        let read = blocks.read(&object, range.clone(), fetch).await?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(read.into_iter().map(Ok)).boxed()),
            meta: pin.clone(),
            range,
            attributes: Attributes::default(),
        })
    }

    fn get_in_parts(&self, pin: &ObjectMeta, range: Range<u64>) -> GetResult {
        let location = pin.location.clone();
        let this = self.clone();
        let Range { start, end } = range;
        let parts = (start / PART..end.div_ceil(PART))
            .map(move |n| start.max(n * PART)..end.min(n.saturating_add(1).saturating_mul(PART)));
        let body = stream::iter(parts)
            .map(move |range| {
                let (this, location) = (this.clone(), location.clone());
                async move { this.get_range(&location, range).await }
            })
            .buffered(PARTS_AHEAD);
        GetResult {
            payload: GetResultPayload::Stream(body.boxed()),
            meta: pin.clone(),
            range,
            attributes: Attributes::default(),
        }
    }
}

fn is_same(pin: &ObjectMeta, now: &ObjectMeta) -> bool {
    let same_tag = match (&pin.e_tag, &now.e_tag) {
        (Some(then), Some(now)) => then.trim_matches('"') == now.trim_matches('"'),
        // Not every listing names tags: the size has to do.
        _ => true,
    };
    same_tag && pin.size == now.size
}

fn changed(location: &Path) -> Error {
    Error::Precondition {
        path: location.to_string(),
        source: "the file is not the one that was listed".into(),
    }
}

impl fmt::Debug for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PinnedStore({} files of {})",
            self.files.len(),
            self.storage.key()
        )
    }
}

#[async_trait]
impl Reads for PinnedStore {
    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let pin = self.pin(location)?;
        if options.range.is_none() && !options.head && pin.size > PART {
            return Ok(self.get_in_parts(pin, 0..pin.size));
        }
        self.get_part(pin, options).await
    }

    /// A query never lists.
    fn list(
        &self,
        _prefix: Option<&Path>,
        _offset: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        failed(Error::NotSupported {
            source: "a planned snapshot is not listed again".into(),
        })
    }
}
