//! One storage of one domain: its client, its limits, its counters.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, Result,
};
use tokio::sync::{Mutex, MutexGuard, Notify, Semaphore};
use tokio::time::timeout;
use weft_mesh::{Secret, StorageUrl};

use super::blocks::{BlockCache, Object};
use super::local::LocalFolder;
use super::read_only::{ReadOnly, failed};
use super::s3;
use super::traffic::Traffic;

/// Requests that one storage answers at a time.
const CONCURRENT_REQUESTS: usize = 64;

/// Answers up to this size are read while the request still counts against the limit.
const SMALL: u64 = 16 * 1024 * 1024;

/// Until an answer begins, retries included. A request may take longer than that, but only while
/// its body is under way.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Which storage of which domain; displayed as `sales.lake`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StorageKey {
    pub(crate) domain: String,
    pub(crate) storage: String,
}

impl StorageKey {
    /// The first two segments of every path of this storage: `sales/lake`.
    pub(crate) fn route(&self) -> String {
        format!("{}/{}", self.domain, self.storage)
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.storage)
    }
}

/// Requests that one storage was asked for since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageRequests {
    /// Reads of objects or of parts of them, and heads.
    pub get: u64,
    pub list: u64,
}

/// A client of one storage with its own credentials and limits.
///
/// Locations in and out are those of the mesh without domain and storage.
pub(crate) struct Storage {
    key: StorageKey,
    manifest: weft_mesh::Storage,
    /// The values that the client was built with, to notice when one is rotated.
    secrets: Vec<(String, Secret)>,
    client: std::result::Result<Client, String>,
    permits: Semaphore,
    gets: AtomicU64,
    lists: AtomicU64,
    /// Counted for the domain as well.
    traffic: Arc<Traffic>,
    /// Where blocks of its objects are kept.
    blocks: Option<Arc<BlockCache>>,
    /// Whether all of it could be listed the last time.
    is_listed: AtomicBool,
    /// Somebody saw data that is not as listed.
    stale: Notify,
    refreshing: Mutex<()>,
}

struct Client {
    store: Arc<dyn ObjectStore>,
    /// Segments in front of every key, inside the bucket or folder.
    prefix: String,
}

impl Storage {
    /// Never fails: a storage that cannot be opened answers with the reason.
    pub(crate) fn open(key: StorageKey, manifest: &weft_mesh::Storage) -> Self {
        let secrets = s3::resolve(&manifest.credentials);
        let (secrets, client) = match secrets {
            Ok(secrets) => {
                let client = connect(manifest, &secrets);
                (secrets, client)
            }
            Err(reason) => (Vec::new(), Err(reason)),
        };
        Self {
            secrets,
            ..Self::with_client(key, manifest, client)
        }
    }

    /// A storage as `manifest` describes it whose objects lie in `store`, below `prefix`.
    pub(crate) fn over(
        key: StorageKey,
        manifest: &weft_mesh::Storage,
        store: Arc<dyn ObjectStore>,
        prefix: &str,
    ) -> Self {
        let prefix = prefix.to_owned();
        Self::with_client(key, manifest, Ok(Client { store, prefix }))
    }

    fn with_client(
        key: StorageKey,
        manifest: &weft_mesh::Storage,
        client: std::result::Result<Client, String>,
    ) -> Self {
        Self {
            key,
            manifest: manifest.clone(),
            secrets: Vec::new(),
            client,
            permits: Semaphore::new(CONCURRENT_REQUESTS),
            gets: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            traffic: Arc::default(),
            blocks: None,
            is_listed: AtomicBool::new(true),
            stale: Notify::new(),
            refreshing: Mutex::new(()),
        }
    }

    /// The same storage, which counts for its domain there.
    pub(crate) fn counted_in(mut self, traffic: Arc<Traffic>) -> Self {
        self.traffic = traffic;
        self
    }

    /// The same storage, of whose objects blocks are kept there.
    pub(crate) fn cached_in(mut self, blocks: Option<Arc<BlockCache>>) -> Self {
        self.blocks = blocks;
        self
    }

    /// Says whether it could be listed just now: no, where a part of it could not.
    pub(crate) fn note_listed(&self, is_listed: bool) {
        self.is_listed.store(is_listed, Ordering::Relaxed);
    }

    /// Where blocks of `object` may be, and what it is called there. Of a storage that cannot be
    /// listed, as one whose domain has withdrawn the key, nothing is read that was kept.
    pub(crate) fn blocks_of(&self, object: &ObjectMeta) -> Option<(&BlockCache, Object)> {
        let blocks = self.blocks.as_deref();
        let blocks = blocks.filter(|_| self.is_listed.load(Ordering::Relaxed))?;
        Some((blocks, Object::of(&self.manifest, object)?))
    }

    #[cfg(test)]
    pub(crate) fn why_closed(&self) -> Option<&str> {
        self.client.as_ref().err().map(String::as_str)
    }

    /// Whether opening `manifest` now would give this very storage.
    pub(crate) fn is_current(&self, manifest: &weft_mesh::Storage) -> bool {
        self.client.is_ok()
            && self.manifest == *manifest
            && s3::resolve(&manifest.credentials).is_ok_and(|secrets| {
                secrets.len() == self.secrets.len()
                    && secrets
                        .iter()
                        .zip(&self.secrets)
                        .all(|((k, v), (l, w))| k == l && v.expose() == w.expose())
            })
    }

    pub(crate) fn manifest(&self) -> &weft_mesh::Storage {
        &self.manifest
    }

    pub(crate) fn key(&self) -> &StorageKey {
        &self.key
    }

    pub(crate) fn requests(&self) -> StorageRequests {
        StorageRequests {
            get: self.gets.load(Ordering::Relaxed),
            list: self.lists.load(Ordering::Relaxed),
        }
    }

    /// Asks for a listing soon, not at the next turn of the poller.
    pub(crate) fn report_stale(&self) {
        self.stale.notify_one();
    }

    /// Waits for [`Self::report_stale`].
    pub(crate) async fn reported_stale(&self) {
        self.stale.notified().await;
    }

    /// Held by the one refresh that runs.
    pub(crate) async fn refreshing(&self) -> MutexGuard<'_, ()> {
        self.refreshing.lock().await
    }

    fn client(&self) -> Result<&Client> {
        self.client.as_ref().map_err(|reason| Error::Generic {
            store: "mesh",
            source: format!("{}: {reason}", self.key).into(),
        })
    }

    pub(crate) async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let client = self.client()?;
        let inner = client.inward(location)?;
        // Closed never: nobody calls `close`.
        let permit = self.permits.acquire().await.map_err(|e| Error::Generic {
            store: "mesh",
            source: Box::new(e),
        })?;
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.traffic.got();
        let answer = timeout(ANSWER_TIMEOUT, client.store.get_opts(&inner, options)).await;
        let answer = answer.unwrap_or_else(|silence| {
            Err(Error::Generic {
                store: "mesh",
                source: Box::new(silence),
            })
        });
        let mut result = answer.map_err(|e| relocate(e, location))?;
        result.meta.location = location.clone();
        let length = result.range.end.saturating_sub(result.range.start);
        if let GetResultPayload::Stream(body) = result.payload {
            let traffic = Arc::clone(&self.traffic);
            let body = body.inspect_ok(move |chunk| traffic.gave(chunk.len()));
            result.payload = GetResultPayload::Stream(if length <= SMALL {
                let chunks: Vec<_> = body
                    .try_collect()
                    .await
                    .map_err(|e| relocate(e, location))?;
                futures::stream::iter(chunks.into_iter().map(Ok)).boxed()
            } else {
                body.boxed()
            });
        }
        // A larger body streams at the pace of the query, which may wait for
        // another request of its own: it must not hold a permit meanwhile.
        drop(permit);
        Ok(result)
    }

    /// Every object below `prefix`, segment by segment.
    pub(crate) fn list(
        &self,
        prefix: &Path,
        offset: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.client().and_then(|client| {
            let within = client.inward(prefix)?;
            let within = (!within.is_root()).then_some(&within);
            self.lists.fetch_add(1, Ordering::Relaxed);
            self.traffic.listed();
            let objects = match offset {
                Some(offset) => client
                    .store
                    .list_with_offset(within, &client.inward(offset)?),
                None => client.store.list(within),
            };
            Ok((objects, client.prefix.clone()))
        });
        match listed {
            Ok((objects, own)) => {
                let listed = prefix.clone();
                objects
                    .map(move |object| {
                        let object = object.map_err(|e| relocate(e, &listed))?;
                        // What consoles put where a folder is: `lake/`, for a storage at `lake/`.
                        if !own.is_empty() && object.location.as_ref() == own {
                            return Ok(None);
                        }
                        let location = outward(&own, &object.location)?;
                        Ok(Some(ObjectMeta { location, ..object }))
                    })
                    .try_filter_map(|object| std::future::ready(Ok(object)))
                    .boxed()
            }
            Err(e) => failed(e),
        }
    }
}

/// Hand-written: no options, no secrets.
impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.key)
    }
}

impl Client {
    fn inward(&self, location: &Path) -> Result<Path> {
        Ok(Path::parse(join(&self.prefix, location.as_ref()))?)
    }
}

fn connect(
    manifest: &weft_mesh::Storage,
    secrets: &[(String, Secret)],
) -> std::result::Result<Client, String> {
    Ok(match &manifest.url {
        StorageUrl::Local { root } => Client {
            store: Arc::new(ReadOnly::new(LocalFolder::new(root.clone()))),
            prefix: String::new(),
        },
        StorageUrl::S3 { bucket, prefix } => {
            let store = s3::client(bucket, manifest, secrets)?;
            Client {
                store: Arc::new(store),
                prefix: prefix.join("/"),
            }
        }
    })
}

/// The key inside of the storage, if the object is there at all.
fn outward(prefix: &str, location: &Path) -> Result<Path> {
    let raw = location.as_ref();
    let key = if prefix.is_empty() {
        Some(raw)
    } else {
        raw.strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('/'))
    };
    match key {
        Some(key) => Ok(Path::parse(key)?),
        None => Err(Error::Generic {
            store: "mesh",
            source: format!("`{raw}` was listed outside of the storage's prefix `{prefix}`").into(),
        }),
    }
}

pub(crate) fn join(front: &str, back: &str) -> String {
    match (front.is_empty(), back.is_empty()) {
        (true, _) => back.to_owned(),
        (_, true) => front.to_owned(),
        _ => format!("{front}/{back}"),
    }
}

/// The same error at the place where the caller asked.
pub(crate) fn relocate(mut error: Error, location: &Path) -> Error {
    if let Error::NotFound { path, .. }
    | Error::AlreadyExists { path, .. }
    | Error::Precondition { path, .. }
    | Error::NotModified { path, .. }
    | Error::PermissionDenied { path, .. }
    | Error::Unauthenticated { path, .. } = &mut error
    {
        *path = location.to_string();
    }
    error
}
