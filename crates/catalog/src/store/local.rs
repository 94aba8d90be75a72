//! A folder of the server's disk as an object store that nothing leads out of.
//!
//! `object_store`'s own `LocalFileSystem` follows symlinks out of its root.
//! Here a link is followed only as long as its target stays inside: checked
//! when the folder is listed, and again right before a file is opened, or when it was opened within
//! the last second.

mod at_once;

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use datafusion::common::runtime::SpawnedTask;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, Result,
};

use self::at_once::{Recent, read_at_once};
use super::read_only::Reads;

/// Bytes read from disk at a time, and the largest range read in one go.
const CHUNK: u64 = 4 * 1024 * 1024;

/// Nested folders below the root; deeper is a loop of links.
const MAX_DEPTH: usize = 64;

/// A read-only object store over the files under one folder.
#[derive(Clone, Debug)]
pub(crate) struct LocalFolder {
    /// Canonical.
    root: PathBuf,
    /// Files that were opened just now.
    recent: Recent,
}

impl LocalFolder {
    /// The folder at `root`, which is canonical and may come later: nothing is
    /// listed before it is there.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            recent: Recent::default(),
        }
    }

    fn to_disk(&self, location: &Path) -> PathBuf {
        location
            .as_ref()
            .split('/')
            .filter(|s| !s.is_empty())
            .fold(self.root.clone(), |path, s| path.join(s))
    }

    /// The canonical path, if it is inside of the root.
    fn resolve(&self, path: &FsPath) -> io::Result<PathBuf> {
        let target = fs::canonicalize(path)?;
        if target.starts_with(&self.root) {
            Ok(target)
        } else {
            Err(leaves_root())
        }
    }

    /// Opens a regular file, after a look at where its path leads.
    fn open_file(&self, location: &Path) -> io::Result<(File, Metadata)> {
        let path = self.resolve(&self.to_disk(location))?;
        // Before opening: opening a pipe would wait for its other end.
        let kind = fs::symlink_metadata(&path)?.file_type();
        if !kind.is_file() {
            // A folder is no object, as in any other object store.
            let error = if kind.is_dir() {
                ErrorKind::NotFound
            } else {
                ErrorKind::InvalidInput
            };
            return Err(io::Error::new(error, "not a regular file"));
        }
        let file = File::open(&path)?;
        self.check_opened(&file)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    }

    /// The path may have been another one when the file was opened.
    #[cfg(target_os = "linux")]
    fn check_opened(&self, file: &File) -> io::Result<()> {
        use std::os::fd::AsRawFd;

        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        // Without /proc it was looked at before.
        match path {
            Ok(path) if !path.starts_with(&self.root) => Err(leaves_root()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn check_opened(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, location: &Path, options: &GetOptions) -> Result<Opened> {
        let failed = |e| io_error(location.as_ref(), e);
        let since = Instant::now();
        let (mut file, metadata) = self.open_file(location).map_err(failed)?;
        let meta = object_meta(location.clone(), &metadata).map_err(failed)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|e| Error::Generic {
                store: "local",
                source: Box::new(e),
            })?,
            None => 0..meta.size,
        };
        file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        let first = if options.head {
            Bytes::new()
        } else {
            read_chunk(&mut file, &range).map_err(failed)?
        };
        if !options.head {
            self.recent.keep(location, &file, since);
        }
        Ok(Opened {
            file,
            meta,
            range,
            first,
        })
    }

    /// A range of a file that was opened just now, without waiting for the disk; `None` where that
    /// cannot be.
    fn read_now(&self, location: &Path, options: &GetOptions) -> Option<GetResult> {
        let Some(GetRange::Bounded(range)) = &options.range else {
            return None;
        };
        let is_small = range.end.saturating_sub(range.start) <= CHUNK;
        let file = self
            .recent
            .find(location)
            .filter(|_| is_small && !options.head)?;
        let meta = at_once::meta(&file, location)?;
        if range.start >= range.end || range.end > meta.size {
            return None;
        }
        // Another may have taken its place.
        options.check_preconditions(&meta).ok()?;
        let bytes = read_at_once(&file, range).ok().flatten()?;
        Some(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta,
            range: range.clone(),
            attributes: Attributes::default(),
        })
    }

    /// Every regular file below `prefix`, depth first, in the order of the disk.
    fn walk(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let mut found = Vec::new();
        let start = self.to_disk(prefix);
        let failed = |e| io_error(prefix.as_ref(), e);
        // Without its folder a storage is not empty, it is out of reach.
        if !self.root.is_dir() {
            return Err(failed(io::Error::from(ErrorKind::NotADirectory)));
        }
        match self.resolve(&start) {
            Ok(target) if target.is_dir() => {
                self.walk_folder(
                    &start,
                    prefix.as_ref(),
                    &mut BTreeSet::from([target]),
                    &mut found,
                )?;
            }
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        Ok(found)
    }

    /// `above` holds the canonical folders on the way here: a link back to one
    /// of them would never end.
    fn walk_folder(
        &self,
        folder: &FsPath,
        key: &str,
        above: &mut BTreeSet<PathBuf>,
        found: &mut Vec<ObjectMeta>,
    ) -> Result<()> {
        let failed = |e| io_error(key, e);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            // A name that is no path of an object store (not UTF-8, control characters) is no data file.
            let Some(child) = name.to_str().and_then(|name| child_key(key, name)) else {
                continue;
            };
            let failed = |e| io_error(child.as_ref(), e);
            let path = entry.path();
            let mut kind = entry.file_type().map_err(failed)?;
            let mut target = None;
            if kind.is_symlink() {
                let resolved = match self.resolve(&path) {
                    Ok(resolved) => resolved,
                    // A link to nothing is not a file.
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    Err(e) => return Err(failed(e)),
                };
                kind = fs::symlink_metadata(&resolved).map_err(failed)?.file_type();
                target = Some(resolved);
            }
            if kind.is_dir() {
                let canonical = target
                    .map_or_else(|| self.resolve(&path), Ok)
                    .map_err(failed)?;
                if above.len() >= MAX_DEPTH || !above.insert(canonical.clone()) {
                    return Err(failed(io::Error::other("the folders form a loop")));
                }
                self.walk_folder(&path, child.as_ref(), above, found)?;
                above.remove(&canonical);
            } else if kind.is_file() {
                match fs::metadata(&path).and_then(|metadata| object_meta(child.clone(), &metadata))
                {
                    Ok(meta) => found.push(meta),
                    // Deleted while we looked.
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(failed(e)),
                }
            }
        }
        Ok(())
    }
}

/// A file at the start of the wanted range, with the first chunk of it.
struct Opened {
    file: File,
    meta: ObjectMeta,
    range: Range<u64>,
    first: Bytes,
}

#[async_trait]
impl Reads for LocalFolder {
    async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(read) = self.read_now(location, &options) {
            return Ok(read);
        }
        let (folder, at) = (self.clone(), location.clone());
        let Opened {
            file,
            meta,
            range,
            first,
        } = blocking(move || folder.read(&at, &options)).await?;
        let rest = range.start.saturating_add(first.len() as u64)..range.end;
        let head = stream::once(async { Ok(first) });
        let payload = if rest.is_empty() {
            head.boxed()
        } else {
            head.chain(chunks(file, rest, location.to_string())).boxed()
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    fn list(
        &self,
        prefix: Option<&Path>,
        offset: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (folder, prefix, offset) = (
            self.clone(),
            prefix.cloned().unwrap_or_default(),
            offset.cloned(),
        );
        let after = move |object: &ObjectMeta| {
            offset
                .as_ref()
                .is_none_or(|offset| object.location > *offset)
        };
        stream::once(blocking(move || folder.walk(&prefix)))
            .map_ok(move |found| {
                stream::iter(found.into_iter().filter(&after).map(Ok).collect::<Vec<_>>())
            })
            .try_flatten()
            .boxed()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match SpawnedTask::spawn_blocking(work).await {
        Ok(result) => result,
        Err(source) => Err(Error::Generic {
            store: "local",
            source: Box::new(source),
        }),
    }
}

fn chunks(
    file: File,
    range: Range<u64>,
    location: String,
) -> impl futures::Stream<Item = Result<Bytes>> {
    stream::try_unfold(
        (file, range, location),
        |(mut file, range, location)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            blocking(move || {
                let chunk = read_chunk(&mut file, &range).map_err(|e| io_error(&location, e))?;
                let rest = range.start + chunk.len() as u64..range.end;
                Ok(Some((chunk, (file, rest, location))))
            })
            .await
        },
    )
}

/// The next bytes of `range`; a file that has become shorter is an error, never a short read.
fn read_chunk(file: &mut File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = range.end.saturating_sub(range.start).min(CHUNK);
    let mut buffer = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    if file.take(length).read_to_end(&mut buffer)? as u64 != length {
        return Err(io::Error::from(ErrorKind::UnexpectedEof));
    }
    Ok(buffer.into())
}

fn child_key(parent: &str, name: &str) -> Option<Path> {
    let key = if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}/{name}")
    };
    Path::parse(key).ok()
}

fn object_meta(location: Path, metadata: &Metadata) -> io::Result<ObjectMeta> {
    let modified = metadata.modified()?;
    let nanos = modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let last_modified: DateTime<Utc> = modified.into();
    let size = metadata.len();
    let e_tag = Some(e_tag(file_id(metadata), nanos, size));
    Ok(ObjectMeta {
        location,
        last_modified,
        size,
        e_tag,
        version: None,
    })
}

fn e_tag(id: u64, nanos: u128, size: u64) -> String {
    format!("{id:x}-{nanos:x}-{size:x}")
}

/// Tells a file apart from one that was renamed over it with equal size and time.
#[cfg(unix)]
fn file_id(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn file_id(_metadata: &Metadata) -> u64 {
    0
}

fn leaves_root() -> io::Error {
    io::Error::new(
        ErrorKind::PermissionDenied,
        "the path leaves the storage's folder through a symlink",
    )
}

fn io_error(path: &str, error: io::Error) -> Error {
    let (path, source) = (path.to_owned(), Box::new(error));
    if source.kind() == ErrorKind::NotFound {
        Error::NotFound { path, source }
    } else if source.kind() == ErrorKind::PermissionDenied {
        Error::PermissionDenied { path, source }
    } else {
        Error::Generic {
            store: "local",
            source: format!("{path}: {source}").into(),
        }
    }
}
