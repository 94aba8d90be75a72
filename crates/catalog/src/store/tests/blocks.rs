//! What is kept of remote files, and what is read in its place.

use std::fs;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
};
use tempfile::TempDir;
use weft_mesh::{Credentials, StorageName, StorageUrl};

use super::super::blocks::{BlockCache, BlockCacheConfig, Object};
use super::super::{PinnedStore, ReadOnly, Storage, StorageKey};

const MIB: usize = 1024 * 1024;

/// A bucket, and what is kept of it.
struct Lake {
    bucket: Arc<InMemory>,
    blocks: Arc<BlockCache>,
    folder: TempDir,
}

impl Lake {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let config = BlockCacheConfig {
            folder: folder.path().join("not/there"),
            size: BlockCacheConfig::LEAST,
        };
        Self {
            bucket: Arc::default(),
            blocks: Arc::new(BlockCache::open(&config).await.unwrap()),
            folder,
        }
    }

    async fn put(&self, key: &str, bytes: &[u8]) {
        let body = PutPayload::from(bytes.to_vec());
        self.bucket.put(&Path::from(key), body).await.unwrap();
    }

    fn storage(&self, manifest: &weft_mesh::Storage, domain: &str) -> Arc<Storage> {
        let key = StorageKey {
            domain: domain.to_owned(),
            storage: "lake".to_owned(),
        };
        let bucket = Arc::<InMemory>::clone(&self.bucket);
        let storage = Storage::over(key, manifest, bucket, "");
        Arc::new(storage.cached_in(Some(Arc::clone(&self.blocks))))
    }

    /// All files of `storage` as they are now.
    async fn pinned(&self, storage: &Arc<Storage>) -> ReadOnly<PinnedStore> {
        let route = storage.key().route();
        let listed = storage.list(&Path::default(), None);
        let listed: Vec<ObjectMeta> = listed
            .map_ok(|object| ObjectMeta {
                location: Path::from(format!("{route}/{}", object.location)),
                ..object
            })
            .try_collect()
            .await
            .unwrap();
        ReadOnly::new(PinnedStore::new(storage, listed))
    }
}

fn manifest() -> weft_mesh::Storage {
    weft_mesh::Storage {
        name: StorageName::parse("lake").unwrap(),
        url: StorageUrl::S3 {
            bucket: "acme".to_owned(),
            prefix: Vec::new(),
        },
        options: Default::default(),
        credentials: Credentials::Anonymous,
        cache: true,
    }
}

fn numbers(length: usize, seed: u32) -> Vec<u8> {
    let number = |n: usize| (u32::try_from(n).unwrap().wrapping_mul(2_654_435_761) ^ seed) >> 13;
    (0..length).map(|n| number(n).to_le_bytes()[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_part_is_what_the_file_has_and_is_fetched_once() {
    let lake = Lake::new().await;
    let bytes = numbers(5 * MIB + 321, 7);
    lake.put("a", &bytes).await;
    let storage = lake.storage(&manifest(), "sales");
    let pinned = lake.pinned(&storage).await;
    let a = Path::from("sales/lake/a");
    let end = bytes.len();
    for (part, fetches) in [
        (10..20, 1),
        (0..MIB, 0),
        (MIB - 1..MIB + 1, 1),
        (4 * MIB..4 * MIB + 1, 1),
        // Around what is there, and the last block, which is short.
        (1..end, 2),
        (end - 1..end, 0),
        (0..end, 0),
    ] {
        let before = storage.requests().get;
        let range = part.start as u64..part.end as u64;
        let read = pinned.get_ranges(&a, std::slice::from_ref(&range)).await;
        let [read] = &read.unwrap()[..] else {
            panic!("one range, one answer");
        };
        assert!(read == &bytes[part.clone()], "{part:?}");
        assert_eq!(storage.requests().get - before, fetches, "{part:?}");
    }
    let before = storage.requests().get;
    let suffix = GetOptions {
        range: Some(GetRange::Suffix(8)),
        ..GetOptions::default()
    };
    let read = pinned.get_opts(&a, suffix).await.unwrap();
    assert_eq!(read.range, end as u64 - 8..end as u64);
    assert_eq!(read.bytes().await.unwrap(), &bytes[end - 8..]);
    let whole = pinned.get(&a).await.unwrap();
    assert!(whole.bytes().await.unwrap() == bytes);
    assert_eq!(storage.requests().get, before);
    let beyond = pinned.get_range(&a, end as u64..end as u64 + 1).await;
    assert!(matches!(beyond, Err(Error::Generic { .. })), "{beyond:?}");
    let counts = lake.blocks.counts();
    assert_eq!(counts.misses, 6);
    assert!(counts.hits > 6, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_overwritten_is_never_read_for_what_is_there_now() {
    let lake = Lake::new().await;
    let (one, other) = (numbers(3 * MIB, 1), numbers(3 * MIB, 2));
    lake.put("a", &one).await;
    let storage = lake.storage(&manifest(), "sales");
    let before = lake.pinned(&storage).await;
    let a = Path::from("sales/lake/a");
    before.get_range(&a, 0..10).await.unwrap();
    lake.put("a", &other).await;
    // One version or an error, never both.
    assert_eq!(before.get_range(&a, 0..10).await.unwrap(), &one[..10]);
    for part in [2 * MIB as u64..3 * MIB as u64, 0..3 * MIB as u64] {
        let mixed = before.get_range(&a, part).await;
        assert!(
            matches!(mixed, Err(Error::Precondition { .. })),
            "{mixed:?}"
        );
    }
    let after = lake.pinned(&storage).await;
    assert_eq!(after.get_range(&a, 0..10).await.unwrap(), &other[..10]);
    assert!(after.get(&a).await.unwrap().bytes().await.unwrap() == other);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_storage_reads_for_itself() {
    let lake = Lake::new().await;
    lake.put("a", b"of everybody").await;
    let elsewhere = weft_mesh::Storage {
        options: [("endpoint".to_owned(), "http://elsewhere".to_owned())].into(),
        ..manifest()
    };
    let another_bucket = weft_mesh::Storage {
        url: StorageUrl::S3 {
            bucket: "other".to_owned(),
            prefix: Vec::new(),
        },
        ..manifest()
    };
    for (manifest, domain) in [
        (manifest(), "sales"),
        (manifest(), "crm"),
        (elsewhere, "sales"),
        (another_bucket, "sales"),
    ] {
        let storage = lake.storage(&manifest, domain);
        let pinned = lake.pinned(&storage).await;
        let a = Path::from(format!("{domain}/lake/a"));
        for gets in [1, 1] {
            let read = pinned.get(&a).await.unwrap().bytes().await.unwrap();
            assert_eq!(read, "of everybody");
            assert_eq!(storage.requests().get, gets);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_where_it_may_not_or_cannot_be_told_apart() {
    let lake = Lake::new().await;
    lake.put("a", b"once").await;
    let not_here = weft_mesh::Storage {
        cache: false,
        ..manifest()
    };
    let storage = lake.storage(&not_here, "sales");
    let pinned = lake.pinned(&storage).await;
    let a = Path::from("sales/lake/a");
    for gets in [1, 2] {
        pinned.get(&a).await.unwrap();
        assert_eq!(storage.requests().get, gets);
    }
    assert_eq!(lake.blocks.counts().misses, 0);

    let object = |e_tag: Option<&str>| ObjectMeta {
        location: a.clone(),
        last_modified: Default::default(),
        size: 4,
        e_tag: e_tag.map(str::to_owned),
        version: None,
    };
    let local = weft_mesh::Storage {
        url: StorageUrl::Local {
            root: lake.folder.path().to_owned(),
        },
        ..manifest()
    };
    assert!(Object::of(&manifest(), &object(Some("\"1\""))).is_some());
    for (storage, tag) in [
        (&manifest(), None),
        (&manifest(), Some("")),
        (&manifest(), Some("\"\"")),
        (&manifest(), Some("W/\"1\"")),
        (&not_here, Some("\"1\"")),
        (&local, Some("\"1\"")),
    ] {
        assert!(Object::of(storage, &object(tag)).is_none(), "{tag:?}");
    }
}

/// More than memory holds of it, and more than the disk may.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_disk_that_keeps() {
    let lake = Lake::new().await;
    let files: Vec<_> = (0..20).map(|n| vec![n; 8 * MIB]).collect();
    for (n, bytes) in files.iter().enumerate() {
        lake.put(&n.to_string(), bytes).await;
    }
    let storage = lake.storage(&manifest(), "sales");
    let pinned = lake.pinned(&storage).await;
    let read = async |n: usize| {
        let file = Path::from(format!("sales/lake/{n}"));
        let read = pinned.get(&file).await.unwrap().bytes().await.unwrap();
        assert!(read == files[n], "{n}");
        lake.blocks.written().await;
    };
    for n in 0..8 {
        read(n).await;
    }
    let before = storage.requests().get;
    assert_eq!(before, 8);
    // The first are no longer in memory.
    for n in 0..4 {
        read(n).await;
    }
    assert_eq!(storage.requests().get, before);
    assert_eq!(lake.blocks.counts().hits, 32);
    for n in (0..20).chain((0..20).rev()) {
        read(n).await;
    }
}

/// A statement may read far less of a range than it has asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_range_comes_in_parts() {
    let lake = Lake::new().await;
    let bytes = numbers(20 * MIB, 5);
    lake.put("a", &bytes).await;
    let storage = lake.storage(&manifest(), "sales");
    let pinned = lake.pinned(&storage).await;
    let long = GetOptions {
        range: Some(GetRange::Bounded(MIB as u64 + 1..20 * MIB as u64 - 1)),
        ..GetOptions::default()
    };
    let a = Path::from("sales/lake/a");
    let answer = pinned.get_opts(&a, long.clone()).await.unwrap();
    assert_eq!(storage.requests().get, 0);
    let mut body = answer.into_stream();
    assert!(body.try_next().await.unwrap().is_some());
    assert!(storage.requests().get <= 2);
    drop(body);
    let answer = pinned.get_opts(&a, long).await.unwrap().bytes().await;
    assert!(answer.unwrap() == bytes[MIB + 1..20 * MIB - 1]);
}

/// As one that does not answer is.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_left_alone_is_not_missed() {
    let lake = Lake::new().await;
    lake.put("a", b"of the storage").await;
    let storage = lake.storage(&manifest(), "sales");
    let pinned = lake.pinned(&storage).await;
    let a = Path::from("sales/lake/a");
    pinned.get(&a).await.unwrap();
    lake.blocks.pause();
    let read = pinned.get(&a).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, "of the storage");
    assert_eq!(storage.requests().get, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_have_no_name_and_its_folder_says_why_not() {
    let lake = Lake::new().await;
    let folder = lake.folder.path().join("not/there");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let file = lake.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let config = BlockCacheConfig {
        folder: file.clone(),
        size: BlockCacheConfig::LEAST,
    };
    let error = BlockCache::open(&config).await.unwrap_err();
    let begin = format!("the block cache cannot be kept in `{}`: ", file.display());
    assert!(error.starts_with(&begin), "{error}");
}
