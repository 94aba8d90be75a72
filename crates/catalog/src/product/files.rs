//! The files of a table at one moment, with what their folders say.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use object_store::ObjectMeta;
use percent_encoding::percent_decode_str;

use super::file_bounds::FileBounds;
use super::layout::Layout;
use crate::store::{PinnedStore, Storage, StorageKey};

/// Hive's folder name for NULL.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// An immutable listing: what every query that starts now reads.
pub(crate) struct DataSnapshot {
    /// As listed, sorted by location.
    listed: Vec<ObjectMeta>,
    files: Vec<PartitionedFile>,
    /// The partition values of all files, a row each, under contract names.
    partitions: Option<RecordBatch>,
    total_bytes: u64,
    last_modified: Option<DateTime<Utc>>,
    /// Equal for equal listings.
    id: u64,
    store: Arc<PinnedStore>,
    bounds: FileBounds,
}

impl DataSnapshot {
    /// `listed` are the table's files in the mesh's paths, sorted. The reason
    /// for a failure is for the log.
    pub(crate) fn new(
        layout: &Layout,
        storage: &Arc<Storage>,
        listed: Vec<ObjectMeta>,
    ) -> Result<Self, String> {
        let files = listed
            .iter()
            .map(|meta| {
                let values = partition_values(layout, storage.key(), meta)?;
                Ok(PartitionedFile::new_from_meta(stamped(meta)).with_partition_values(values))
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self {
            partitions: partition_batch(layout, &files).map_err(|e| e.to_string())?,
            total_bytes: listed.iter().map(|f| f.size).sum(),
            last_modified: listed.iter().map(|f| f.last_modified).max(),
            id: identity(&listed),
            store: Arc::new(PinnedStore::new(storage, listed.iter().cloned())),
            listed,
            files,
            bounds: FileBounds::default(),
        })
    }

    /// Equal for equal listings.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn listed(&self) -> &[ObjectMeta] {
        &self.listed
    }

    pub(crate) fn files(&self) -> &[PartitionedFile] {
        &self.files
    }

    pub(crate) fn partitions(&self) -> Option<&RecordBatch> {
        self.partitions.as_ref()
    }

    /// What their footers have said of them so far.
    pub(super) fn bounds(&self) -> &FileBounds {
        &self.bounds
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(crate) fn last_modified(&self) -> Option<DateTime<Utc>> {
        self.last_modified
    }

    pub(crate) fn store(&self) -> &Arc<PinnedStore> {
        &self.store
    }
}

impl fmt::Debug for DataSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DataSnapshot({:016x}, {} files)",
            self.id,
            self.files.len()
        )
    }
}

/// The engine's footer cache compares size and time of a file. A time that
/// stands for the tag as well tells apart two versions of one second.
fn stamped(meta: &ObjectMeta) -> ObjectMeta {
    let mut hasher = DefaultHasher::new();
    (&meta.e_tag, meta.last_modified).hash(&mut hasher);
    let stamp = hasher.finish().cast_signed();
    ObjectMeta {
        last_modified: DateTime::from_timestamp_nanos(stamp),
        ..meta.clone()
    }
}

fn identity(listed: &[ObjectMeta]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in listed {
        (
            file.location.as_ref(),
            file.size,
            &file.e_tag,
            file.last_modified,
        )
            .hash(&mut hasher);
    }
    hasher.finish()
}

/// The values that the folders of a file name, in the order of the partition columns.
fn partition_values(
    layout: &Layout,
    key: &StorageKey,
    meta: &ObjectMeta,
) -> Result<Vec<ScalarValue>, String> {
    // Behind domain and storage, before the file's own name.
    let route = key.route();
    let path = meta.location.as_ref();
    let folders = path
        .get(route.len()..)
        .and_then(|path| path.rsplit_once('/'))
        .map_or("", |(folders, _)| folders);
    layout
        .partition_fields()
        .map(|field| {
            let mut values = folders
                .split('/')
                .filter_map(|folder| folder.split_once('='))
                .filter(|(name, _)| decoded(name).as_deref() == Some(field.name()))
                .map(|(_, value)| value);
            let wrong =
                |reason: &str| format!("partition column `{}` {reason} in `{path}`", field.name());
            let value = values.next().ok_or_else(|| wrong("has no folder"))?;
            if values.any(|other| other != value) {
                return Err(wrong("has two values"));
            }
            if value == HIVE_NULL {
                return ScalarValue::try_from(field.data_type()).map_err(|e| e.to_string());
            }
            let text = decoded(value).ok_or_else(|| wrong("is not UTF-8"))?;
            let parsed = ScalarValue::try_from_string(text, field.data_type());
            // A cast that finds nothing to parse may answer NULL.
            parsed
                .ok()
                .filter(|v| !v.is_null())
                .ok_or_else(|| wrong(&format!("is not a {}", field.data_type())))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

fn partition_batch(layout: &Layout, files: &[PartitionedFile]) -> Result<Option<RecordBatch>> {
    let schema = layout.partition_schema();
    if schema.fields().is_empty() || files.is_empty() {
        return Ok(None);
    }
    let columns = (0..schema.fields().len())
        .map(|at| {
            ScalarValue::iter_to_array(
                files
                    .iter()
                    .filter_map(|file| file.partition_values.get(at).cloned()),
            )
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Some(RecordBatch::try_new(schema, columns)?))
}
