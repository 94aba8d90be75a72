//! A user's session has no object store: nothing can be read by URL.

use std::sync::Arc;

use datafusion::{common::plan_err, error::Result, execution::object_store::ObjectStoreRegistry};
use object_store::ObjectStore;
use url::Url;

/// Refuses every URL.
#[derive(Debug)]
pub(crate) struct NoObjectStores;

impl ObjectStoreRegistry for NoObjectStores {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, _: &Url) -> Result<Arc<dyn ObjectStore>> {
        plan_err!("tables are read by name, not by URL")
    }
}
