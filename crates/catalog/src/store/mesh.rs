//! The store that the engine sees, see the module documentation above.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetResult, ObjectMeta, Result};

use super::read_only::{Reads, failed};
use super::storage::{Storage, StorageKey, join, relocate};
use super::traffic::DomainTraffic;

/// Routes `<domain>/<storage>/<key>` to that storage's client.
///
/// Read-only. A path is taken apart as it is written: no decoding, no encoding,
/// no `.` or `..`, and no storage is ever reached by a prefix of its name.
pub(crate) struct MeshStore {
    /// By `<domain>/<storage>`.
    storages: BTreeMap<String, Arc<Storage>>,
    /// Where the storages count, of this mesh and of those that it follows.
    traffic: Arc<DomainTraffic>,
}

impl MeshStore {
    pub(crate) fn new(storages: impl IntoIterator<Item = Arc<Storage>>) -> Self {
        Self {
            storages: storages.into_iter().map(|s| (s.key().route(), s)).collect(),
            traffic: Arc::default(),
        }
    }

    /// The same, told where its storages count.
    pub(crate) fn counted_in(mut self, traffic: Arc<DomainTraffic>) -> Self {
        self.traffic = traffic;
        self
    }

    pub(crate) fn traffic(&self) -> &Arc<DomainTraffic> {
        &self.traffic
    }

    pub(crate) fn storages(&self) -> impl Iterator<Item = &Arc<Storage>> {
        self.storages.values()
    }

    pub(crate) fn storage(&self, key: &StorageKey) -> Option<&Arc<Storage>> {
        self.storages.get(&key.route())
    }

    /// The storage that `location` lies in, its route and the key there.
    fn route<'a>(&self, location: &'a Path) -> Result<(&Arc<Storage>, &'a str, Path)> {
        let raw = location.as_ref();
        let end = raw
            .match_indices('/')
            .nth(1)
            .map_or(raw.len(), |(at, _)| at);
        let (route, key) = raw.split_at(end);
        match self.storages.get(route) {
            Some(storage) => Ok((storage, route, Path::parse(key)?)),
            None => Err(Error::NotFound {
                path: raw.to_owned(),
                source: "no such storage".into(),
            }),
        }
    }
}

impl fmt::Debug for MeshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.storages.keys()).finish()
    }
}

#[async_trait]
impl Reads for MeshStore {
    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (storage, _, key) = self.route(location)?;
        let mut result = storage
            .get(&key, options)
            .await
            .map_err(|e| relocate(e, location))?;
        result.meta.location = location.clone();
        Ok(result)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
        offset: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = prefix.ok_or_else(whole_mesh).and_then(|prefix| {
            let (storage, route, key) = self.route(prefix)?;
            let offset = offset
                .map(|offset| Ok::<_, Error>(self.route(offset)?.2))
                .transpose()?;
            Ok((
                storage.list(&key, offset.as_ref()),
                route.to_owned(),
                prefix.clone(),
            ))
        });
        match listed {
            Ok((objects, route, prefix)) => objects
                .map(move |object| {
                    let object = object.map_err(|e| relocate(e, &prefix))?;
                    let location = Path::parse(join(&route, object.location.as_ref()))?;
                    Ok(ObjectMeta { location, ..object })
                })
                .boxed(),
            Err(e) => failed(e),
        }
    }
}

fn whole_mesh() -> Error {
    Error::NotSupported {
        source: "the mesh as a whole is not listed".into(),
    }
}
