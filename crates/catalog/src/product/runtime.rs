//! The only store that a scan inside a seal can resolve.
//!
//! Files of the mesh have one path each, so that of several listings the one
//! that holds a path reads it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{Result, exec_err};
use datafusion::execution::cache::cache_manager::CacheManager;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore};
use url::Url;

use crate::store::{MESH_URL, PinnedStore, ReadOnly, Reads, failed};

/// A runtime with the memory and the disk of `base`, the mesh's caches, and
/// the files of `listings` behind [`MESH_URL`]; without any it resolves
/// nothing.
pub(crate) fn private_runtime(
    base: &RuntimeEnv,
    caches: &Arc<CacheManager>,
    listings: Vec<Arc<PinnedStore>>,
) -> Arc<RuntimeEnv> {
    Arc::new(RuntimeEnv {
        cache_manager: Arc::clone(caches),
        object_store_registry: Arc::new(PlannedFiles(listings)),
        ..base.clone()
    })
}

#[derive(Clone)]
struct PlannedFiles(Vec<Arc<PinnedStore>>);

impl fmt::Debug for PlannedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlannedFiles")
    }
}

#[async_trait]
impl Reads for PlannedFiles {
    async fn get(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        match self.0.iter().find(|listing| listing.contains(location)) {
            Some(listing) => listing.get(location, options).await,
            None => Err(not_planned(location)),
        }
    }

    fn list(
        &self,
        prefix: Option<&Path>,
        _offset: Option<&Path>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        failed(not_planned(&prefix.cloned().unwrap_or_default()))
    }
}

fn not_planned(path: &Path) -> object_store::Error {
    object_store::Error::PermissionDenied {
        path: path.to_string(),
        source: "not a file of the planned snapshots".into(),
    }
}

impl ObjectStoreRegistry for PlannedFiles {
    /// Refused: the store given is handed back.
    fn register_store(
        &self,
        _url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        Some(store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match self.0.as_slice() {
            [] => exec_err!("no such object store"),
            _ if url.as_str().trim_end_matches('/') != MESH_URL => {
                exec_err!("no such object store")
            }
            [only] => Ok(Arc::new(ReadOnly(Arc::clone(only)))),
            _ => Ok(Arc::new(ReadOnly::new(self.clone()))),
        }
    }
}
