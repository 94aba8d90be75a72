//! Blocks of remote files, kept on a disk of this machine.
//!
//! A block is found by which storage, object and version of it the bytes are of: never under
//! another name, and never those that an object had before it was overwritten. What is in blocks
//! is not governed: they lie below every seal, encrypted, in files that have no name.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use bytes::Bytes;
use foyer::{
    BlockEngineConfig, Code, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCachePolicy, PsyncIoEngineConfig, RecoverMode, Spawner,
};
use fs4::fs_std::FileExt;
use futures::future::join_all;
use object_store::{Error, ObjectMeta, Result};
use rand::RngCore;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use weft_mesh::StorageUrl;
use zeroize::Zeroizing;

use super::read_only::UNREACHABLE;

/// In bytes. As large as what a scan usually asks for, so that little is fetched that nobody
/// wanted.
const BLOCK: u64 = 1024 * 1024;

/// A disk that takes longer for a block is no help, and is left alone for a while.
const IN_TIME: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 5 });
const A_WHILE: Duration = Duration::from_secs(30);

/// Threads that wait for the disk.
const THREADS: usize = 16;

/// What is kept in memory of what the disk has, and what a small block counts there.
const IN_MEMORY: usize = 32 * 1024 * 1024;
const LEAST_WEIGHT: usize = 4096;

/// Of [`AES_256_GCM`].
const TAG_LEN: usize = 16;

/// What is beyond while the disk is slow is not kept.
const TO_BE_WRITTEN: usize = 32 * 1024 * 1024;

/// The disk is given back in parts, each of which is an open file. In larger ones the engine
/// cannot say where a block lies.
const PARTS: u64 = 64;
const LEAST_PART: u64 = 16 * 1024 * 1024;
const MOST_PART: u64 = 1024 * 1024 * 1024;

/// Where blocks of remote files are kept.
#[derive(Clone, Debug)]
pub struct BlockCacheConfig {
    /// It need not be there.
    pub folder: PathBuf,
    /// In bytes, at least [`Self::LEAST`].
    pub size: u64,
}

impl BlockCacheConfig {
    /// Enough for a part to be filled while another is given back.
    pub const LEAST: u64 = 8 * LEAST_PART;
}

/// How the cache of blocks does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// Blocks that were there when they were looked for, since the process began.
    pub hits: u64,
    /// Those that were not.
    pub misses: u64,
    /// What it may take of the disk, in bytes.
    pub most_bytes: u64,
}

/// The cache; it fails no read.
pub(crate) struct BlockCache {
    blocks: HybridCache<Key, Sealed>,
    /// Of this process alone.
    seal: RandomizedNonceKey,
    _threads: Threads,
    /// Until when the disk is left alone.
    paused: Mutex<Option<Instant>>,
    hits: AtomicU64,
    misses: AtomicU64,
    most_bytes: u64,
}

/// A digest of where a block is from.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

/// A block as it is kept: a nonce, what is sealed, and the tag that ties it to its key
/// (AES-256-GCM). The disk can neither tell nor change what is in it.
struct Sealed(Vec<u8>);

impl Sealed {
    const MOST: usize = NONCE_LEN + BLOCK as usize + TAG_LEN;
}

impl Code for Key {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        writer.write_all(&self.0).map_err(foyer::Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        let mut key = [0; 32];
        let read = reader.read_exact(&mut key);
        read.map_err(foyer::Error::io_error)?;
        Ok(Self(key))
    }

    fn estimated_size(&self) -> usize {
        self.0.len()
    }
}

impl Code for Sealed {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        self.0.encode(writer)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        let length = usize::decode(reader)?;
        if length > Self::MOST {
            let longer = io::Error::new(io::ErrorKind::InvalidData, "longer than a block");
            return Err(foyer::Error::io_error(longer));
        }
        let mut sealed = vec![0; length];
        let read = reader.read_exact(&mut sealed);
        read.map_err(foyer::Error::io_error)?;
        Ok(Self(sealed))
    }

    fn estimated_size(&self) -> usize {
        self.0.estimated_size()
    }
}

impl BlockCache {
    /// An empty cache on a disk that is reserved for it. Its files have no name as soon as they are
    /// open, and end with the process.
    ///
    /// # Errors
    /// The reason why the folder cannot be used.
    pub(crate) async fn open(config: &BlockCacheConfig) -> std::result::Result<Self, String> {
        let cannot = |reason: &dyn fmt::Display| {
            let folder = config.folder.display();
            format!("the block cache cannot be kept in `{folder}`: {reason}")
        };
        let size = config.size.max(BlockCacheConfig::LEAST);
        let mut secret = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(secret.as_mut());
        let seal = RandomizedNonceKey::new(&AES_256_GCM, secret.as_ref());
        let seal = seal.map_err(|error| cannot(&error))?;
        let own = config
            .folder
            .join(format!("weft-blocks-{}", Uuid::new_v4()));
        private_folder(&own).map_err(|error| cannot(&error))?;
        let (threads, spawner) = Threads::start().map_err(|error| cannot(&error))?;
        let blocks = Self::in_folder(&own, size, spawner).await;
        // They are open by now.
        let files = open_files(&own);
        let removed = fs::remove_dir_all(&own);
        let blocks = blocks.map_err(|error| cannot(&error))?;
        removed.map_err(|error| cannot(&error))?;
        let reserved = files.and_then(|files| reserve(&files));
        reserved.map_err(|error| cannot(&format!("its disk cannot be reserved: {error}")))?;
        Ok(Self {
            blocks,
            seal,
            _threads: threads,
            paused: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            most_bytes: size,
        })
    }

    async fn in_folder(
        folder: &FsPath,
        size: u64,
        spawner: Spawner,
    ) -> foyer::Result<HybridCache<Key, Sealed>> {
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let device = FsDeviceBuilder::new(folder)
            .with_capacity(bytes(size))
            .build()?;
        let part = (size / PARTS).clamp(LEAST_PART, MOST_PART);
        let disk = BlockEngineConfig::new(device)
            .with_block_size(bytes(part))
            .with_buffer_pool_size(TO_BE_WRITTEN)
            .with_submit_queue_size_threshold(TO_BE_WRITTEN);
        HybridCacheBuilder::new()
            .with_name("blocks")
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .memory(IN_MEMORY)
            .with_weighter(|_: &Key, block: &Sealed| block.0.len().max(LEAST_WEIGHT))
            .storage()
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_engine_config(disk)
            .with_recover_mode(RecoverMode::None)
            .with_spawner(spawner)
            .build()
            .await
    }

    /// Waits until what was kept so far is on disk, or was dropped.
    #[cfg(test)]
    pub(super) async fn written(&self) {
        self.blocks.storage().wait().await;
    }

    pub(crate) fn counts(&self) -> BlockCounts {
        BlockCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            most_bytes: self.most_bytes,
        }
    }

    /// The bytes of `range` of `object`, block by block, all of them in memory: it is no longer
    /// than [`PART`](super::pinned::PART). What is not here comes from `fetch`, which says whether
    /// it may be kept.
    ///
    /// # Errors
    /// Those of `fetch`, and of a storage that answers with more or less than it was asked for.
    pub(crate) async fn read<F>(
        &self,
        object: &Object,
        range: Range<u64>,
        fetch: impl Fn(Range<u64>) -> F + Sync,
    ) -> Result<Vec<Bytes>>
    where
        F: Future<Output = Result<(Bytes, bool)>> + Send,
    {
        let numbers = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let found = numbers.clone().map(|number| self.find(object, number));
        let found = join_all(found).await;
        let here = found.iter().flatten().count();
        self.hits.fetch_add(here as u64, Ordering::Relaxed);
        let missing = (found.len() - here) as u64;
        self.misses.fetch_add(missing, Ordering::Relaxed);
        let mut read = Vec::with_capacity(found.len());
        for run in runs(numbers.zip(found)) {
            match run {
                Run::Found(number, block) => {
                    read.push(within(&block, &object.place(number), &range));
                }
                Run::Missing(numbers) => {
                    let wanted = numbers.start * BLOCK..object.place(numbers.end - 1).end;
                    let (bytes, may_be_kept) = fetch(wanted.clone()).await?;
                    if bytes.len() as u64 != wanted.end - wanted.start {
                        return Err(another_part());
                    }
                    for number in numbers.filter(|_| may_be_kept) {
                        let block = within(&bytes, &wanted, &object.place(number));
                        self.keep(object, number, &block);
                    }
                    read.push(within(&bytes, &wanted, &range));
                }
            }
        }
        Ok(read)
    }

    fn keep(&self, object: &Object, number: u64, block: &[u8]) {
        let key = object.key(number);
        let mut sealed = Vec::with_capacity(NONCE_LEN + block.len() + TAG_LEN);
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(block);
        let (nonce, text) = sealed.split_at_mut(NONCE_LEN);
        let Ok((made, tag)) = self.seal.seal_in_place_separate_tag(Aad::from(key.0), text) else {
            return;
        };
        nonce.copy_from_slice(made.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        self.blocks.insert(key, Sealed(sealed));
    }

    /// A block that is here in time, and is the one that was kept.
    async fn find(&self, object: &Object, number: u64) -> Option<Bytes> {
        if self.is_paused() {
            return None;
        }
        let key = object.key(number);
        let found = match timeout(IN_TIME, self.blocks.get(&key)).await {
            Ok(Ok(found)) => found?,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a block could not be read");
                return None;
            }
            Err(_) => {
                tracing::warn!(pause = ?A_WHILE, "the disk of the block cache does not answer");
                self.pause();
                return None;
            }
        };
        let (nonce, text) = found.value().0.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut block = text.to_vec();
        let opened = self.seal.open_in_place(nonce, Aad::from(key.0), &mut block);
        let length = opened.ok()?.len();
        block.truncate(length);
        let place = object.place(number);
        (length as u64 == place.end - place.start).then(|| block.into())
    }

    /// Leaves the disk alone for a while.
    pub(super) fn pause(&self) {
        *self.paused() = Some(Instant::now() + A_WHILE);
    }

    fn paused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_paused(&self) -> bool {
        self.paused().is_some_and(|until| Instant::now() < until)
    }
}

/// Threads of the cache alone: a disk that hangs holds nobody else's, nor the end of the process.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> io::Result<(Self, Spawner)> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(THREADS)
            .thread_name("weft-blocks")
            .enable_all()
            .build()?;
        let spawner = runtime.handle().clone().into();
        Ok((Self(Some(runtime)), spawner))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockCache")
    }
}

/// One version of one object.
pub(crate) struct Object {
    digest: Sha256,
    size: u64,
}

impl Object {
    /// What is known by a strong tag can be told from what it was before; `None` for the rest,
    /// for what lies in a folder of this machine, and where its domain wants nothing kept.
    pub(crate) fn of(storage: &weft_mesh::Storage, object: &ObjectMeta) -> Option<Self> {
        let StorageUrl::S3 { bucket, prefix } = &storage.url else {
            return None;
        };
        let tag = object.e_tag.as_deref().filter(|it| !it.starts_with("W/"));
        let tag = tag.filter(|it| !it.trim_matches('"').is_empty())?;
        if !storage.cache {
            return None;
        }
        let mut digest = Sha256::new();
        let mut add = |part: &str| {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        };
        // The location begins with the names of domain and storage.
        add(object.location.as_ref());
        add(tag.trim_matches('"'));
        add(bucket);
        add(&prefix.join("/"));
        for (key, value) in &storage.options {
            add(key);
            add(value);
        }
        digest.update(object.size.to_le_bytes());
        Some(Self {
            digest,
            size: object.size,
        })
    }

    fn key(&self, number: u64) -> Key {
        let mut digest = self.digest.clone();
        digest.update(number.to_le_bytes());
        Key(digest.finalize().into())
    }

    /// Where a block lies; the last is short.
    fn place(&self, number: u64) -> Range<u64> {
        let start = number.saturating_mul(BLOCK);
        start..self.size.min(start.saturating_add(BLOCK))
    }
}

/// Blocks that are read alike.
enum Run {
    Found(u64, Bytes),
    Missing(Range<u64>),
}

fn runs(found: impl Iterator<Item = (u64, Option<Bytes>)>) -> Vec<Run> {
    let mut runs = Vec::new();
    for (number, block) in found {
        match (block, runs.last_mut()) {
            (Some(block), _) => runs.push(Run::Found(number, block)),
            (None, Some(Run::Missing(run))) => run.end = number + 1,
            (None, _) => runs.push(Run::Missing(number..number + 1)),
        }
    }
    runs
}

/// What `bytes`, which lie at `place`, have of `wanted`.
fn within(bytes: &Bytes, place: &Range<u64>, wanted: &Range<u64>) -> Bytes {
    let at = |position: u64| {
        let position = position.clamp(place.start, place.end) - place.start;
        usize::try_from(position).map_or(bytes.len(), |it| it.min(bytes.len()))
    };
    bytes.slice(at(wanted.start)..at(wanted.end))
}

fn another_part() -> Error {
    Error::Generic {
        store: UNREACHABLE,
        source: "the storage answered with another part of the file than was asked for".into(),
    }
}

fn open_files(folder: &FsPath) -> io::Result<Vec<File>> {
    let files = fs::read_dir(folder)?.map(|file| File::options().write(true).open(file?.path()));
    files.collect()
}

/// Takes the disk for `files`: where it is full later, the engine's writers end.
fn reserve(files: &[File]) -> io::Result<()> {
    for file in files {
        file.allocate(file.metadata()?.len())?;
    }
    Ok(())
}

/// Only its owner may enter it.
fn private_folder(folder: &FsPath) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
