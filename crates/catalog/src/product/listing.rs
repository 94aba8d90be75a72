//! Which files of a storage are a table's.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, Result};
use weft_mesh::Location;

use crate::store::{MeshStore, Reads, StorageKey};

/// Everything below one prefix of a storage, as the mesh's paths, sorted.
///
/// Tables with one prefix share it.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    route: String,
    objects: Arc<Vec<ObjectMeta>>,
}

impl Listing {
    /// Lists `prefix`, the literal segments of a location.
    pub(crate) async fn fetch(
        store: &MeshStore,
        key: &StorageKey,
        prefix: &[String],
    ) -> Result<Self> {
        let route = key.route();
        let raw = prefix
            .iter()
            .fold(route.clone(), |path, segment| format!("{path}/{segment}"));
        let path = Path::parse(raw)?;
        let mut objects: Vec<ObjectMeta> = store.list(Some(&path), None).try_collect().await?;
        // A prefix lists what is below it as a folder; it may be a file itself.
        if objects.is_empty() && !prefix.is_empty() {
            match store
                .get(
                    &path,
                    GetOptions {
                        head: true,
                        ..GetOptions::default()
                    },
                )
                .await
            {
                Ok(file) => objects.push(file.meta),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(Self {
            route,
            objects: Arc::new(objects),
        })
    }

    /// The files of a table: no folder markers, nothing empty, nothing hidden.
    pub(crate) fn select(&self, location: &Location) -> Vec<ObjectMeta> {
        let depth = location.prefix().len();
        self.objects
            .iter()
            .filter(|object| object.size > 0)
            .filter(|object| {
                let key = object
                    .location
                    .as_ref()
                    .strip_prefix(&self.route)
                    .and_then(|key| key.strip_prefix('/'));
                key.is_some_and(|key| !is_hidden(key, depth) && location.matches(key))
            })
            .cloned()
            .collect()
    }
}

/// Names that begin with `_` or `.` are notes of the writer (`_SUCCESS`,
/// `_temporary/`), but not folders of a partition column.
fn is_hidden(key: &str, depth: usize) -> bool {
    key.split('/')
        .skip(depth)
        .any(|segment| segment.starts_with(['_', '.']) && !segment.contains('='))
}

/// A folder asked for as a file is no file either.
fn is_absent(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. })
}
