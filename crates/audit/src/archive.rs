//! Finished files: where they are, how one is made, which there are.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use weft_mesh::{AuditManifest, StorageUrl};

use crate::columns::{schema, to_batch};
use crate::error::{Error, Result};
use crate::journal::{make_folder, overwrite, sync_folder};
use crate::name::{ARCHIVE, Name};
use crate::record::AuditRecord;
use crate::s3;

/// Where finished files go.
#[derive(Debug, Clone)]
pub(crate) enum Archive {
    Folder(PathBuf),
    Bucket {
        store: Arc<dyn ObjectStore>,
        prefix: Key,
        /// Where a file is made before it is sent.
        spool: PathBuf,
    },
}

/// A finished file, and when it became one.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) name: Name,
    pub(crate) since: DateTime<Utc>,
}

impl Archive {
    /// # Errors
    /// A folder that cannot be made, a bucket whose client cannot.
    pub(crate) fn open(manifest: &AuditManifest) -> Result<Self> {
        match &manifest.url {
            StorageUrl::Local { root } => {
                make_folder(root).map_err(|cause| Error::folder("make", root, &cause))?;
                Ok(Self::Folder(root.clone()))
            }
            StorageUrl::S3 { bucket, prefix } => {
                let store = s3::client(bucket, manifest).map_err(|reason| {
                    Error::Place(format!(
                        "cannot use the bucket `{bucket}` of the audit trail: {reason}; correct `audit` in mesh.yaml"
                    ))
                })?;
                Ok(Self::Bucket {
                    store: Arc::new(store),
                    prefix: Key::from_iter(prefix.iter().map(String::as_str)),
                    spool: manifest.spool.clone(),
                })
            }
        }
    }

    /// Makes the finished file of a journal; there is none before it is whole. Making it
    /// again replaces it by its equal. No records make no file.
    pub(crate) async fn put(
        &self,
        name: &Name,
        write: impl FnOnce(&mut Draft) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = match self {
            Self::Folder(folder) => folder,
            Self::Bucket { spool, .. } => spool,
        };
        let unfinished = folder.join(name.unfinished());
        let mut draft = Draft::new(unfinished.clone());
        let made = write(&mut draft).and_then(|()| draft.finish());
        match made {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let _ = fs::remove_file(&unfinished);
                return Err(error);
            }
        }
        match self {
            Self::Folder(folder) => {
                fs::rename(&unfinished, folder.join(name.archive()))?;
                sync_folder(folder)
            }
            Self::Bucket { store, prefix, .. } => {
                let body = fs::read(&unfinished)?;
                let key = prefix.clone().join(name.archive());
                let sent = store.put(&key, PutPayload::from(body)).await;
                let _ = fs::remove_file(&unfinished);
                sent.map(drop).map_err(io::Error::other)
            }
        }
    }

    /// All finished files, oldest first.
    pub(crate) async fn list(&self) -> io::Result<Vec<Finished>> {
        let mut found = match self {
            Self::Folder(folder) => list_folder(folder)?,
            Self::Bucket { store, prefix, .. } => {
                let objects = store
                    .list(Some(prefix))
                    .try_filter_map(|object| async move {
                        let file = object.location.filename();
                        let name = file.and_then(|file| Name::of_file(file, ARCHIVE));
                        let since = object.last_modified;
                        Ok(name.map(|name| Finished { name, since }))
                    });
                objects.try_collect().await.map_err(io::Error::other)?
            }
        };
        found.sort_by(|one: &Finished, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// The bytes of a finished file; `None` where it has gone meanwhile.
    pub(crate) async fn get(&self, name: &Name) -> io::Result<Option<Bytes>> {
        match self {
            Self::Folder(folder) => match fs::read(folder.join(name.archive())) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Self::Bucket { store, prefix, .. } => {
                let key = prefix.clone().join(name.archive());
                match store.get(&key).await {
                    Ok(found) => Ok(Some(found.bytes().await.map_err(io::Error::other)?)),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(io::Error::other(error)),
                }
            }
        }
    }

    pub(crate) async fn delete(&self, name: &Name) -> io::Result<()> {
        match self {
            Self::Folder(folder) => fs::remove_file(folder.join(name.archive())),
            Self::Bucket { store, prefix, .. } => {
                let key = prefix.clone().join(name.archive());
                store.delete(&key).await.map_err(io::Error::other)
            }
        }
    }
}

fn list_folder(folder: &Path) -> io::Result<Vec<Finished>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| Name::of_file(file, ARCHIVE));
        let Some(name) = name else {
            continue;
        };
        // It may have gone since.
        let Ok(changed) = entry.metadata().and_then(|found| found.modified()) else {
            continue;
        };
        found.push(Finished {
            name,
            since: changed.into(),
        });
    }
    Ok(found)
}

/// The batches of a finished file.
pub(crate) fn batches(file: Bytes) -> io::Result<ParquetRecordBatchReader> {
    ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(io::Error::other)
}

/// A file in the making.
pub(crate) struct Draft {
    path: PathBuf,
    writer: Option<ArrowWriter<File>>,
}

impl Draft {
    fn new(path: PathBuf) -> Self {
        Self { path, writer: None }
    }

    pub(crate) fn add(&mut self, records: &[AuditRecord]) -> io::Result<()> {
        let batch: RecordBatch = to_batch(records).map_err(io::Error::other)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let file = overwrite(&self.path)?;
                let writer = ArrowWriter::try_new(file, schema(), Some(properties))
                    .map_err(io::Error::other)?;
                self.writer.insert(writer)
            }
        };
        writer.write(&batch).map_err(io::Error::other)
    }

    /// Brings it to disk. Returns whether there is a file.
    fn finish(self) -> io::Result<bool> {
        let Some(writer) = self.writer else {
            return Ok(false);
        };
        let file = writer.into_inner().map_err(io::Error::other)?;
        file.sync_all()?;
        Ok(true)
    }
}

/// Whether nothing in a file is as young as `retention` says.
pub(crate) fn is_over(
    finished: &Finished,
    retention: std::time::Duration,
    now: SystemTime,
) -> bool {
    // A file is made after its last record.
    now.duration_since(finished.since.into())
        .is_ok_and(|age| age > retention)
}
