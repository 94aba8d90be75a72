//! The only store that a scan inside a seal can resolve.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{Result, exec_err};
use datafusion::execution::cache::cache_manager::CacheManager;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::ObjectStore;
use url::Url;

use crate::store::{MESH_URL, PinnedStore, ReadOnly};

/// A runtime with the memory and the disk of `base`, the mesh's caches, and
/// `store` behind [`MESH_URL`]; without a store it resolves nothing.
pub(crate) fn private_runtime(
    base: &RuntimeEnv,
    caches: &Arc<CacheManager>,
    store: Option<&Arc<PinnedStore>>,
) -> Arc<RuntimeEnv> {
    Arc::new(RuntimeEnv {
        cache_manager: Arc::clone(caches),
        object_store_registry: Arc::new(OneStore(store.cloned())),
        ..base.clone()
    })
}

struct OneStore(Option<Arc<PinnedStore>>);

impl fmt::Debug for OneStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneStore")
    }
}

impl ObjectStoreRegistry for OneStore {
    /// Refused: the store given is handed back.
    fn register_store(
        &self,
        _url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        Some(store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match &self.0 {
            Some(store) if url.as_str().trim_end_matches('/') == MESH_URL => {
                Ok(Arc::new(ReadOnly(Arc::clone(store))))
            }
            _ => exec_err!("no such object store"),
        }
    }
}
