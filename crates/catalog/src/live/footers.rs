//! The cache of Parquet footers, which counts what is found in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::common::{HashMap, Result, TableReference};
use datafusion::execution::cache::cache_manager::CachedFileMetadataEntry;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use object_store::path::Path;

/// How the cache of footers does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FooterCounts {
    /// Footers that were there when they were looked for, since the process began.
    pub hits: u64,
    /// Those that were not.
    pub misses: u64,
    /// What it holds now, in bytes, and how much it may.
    pub bytes: u64,
    pub most_bytes: u64,
    /// Footers that it holds.
    pub entries: u64,
}

/// The engine's own cache, counted.
pub(super) struct FooterCache {
    cache: DefaultCache<Path, CachedFileMetadataEntry>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl FooterCache {
    /// A cache of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            cache: DefaultCache::new(limit).with_name("footers"),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> FooterCounts {
        FooterCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.cache.memory_used() as u64,
            most_bytes: self.cache.cache_limit() as u64,
            entries: self.cache.len() as u64,
        }
    }
}

impl Cache<Path, CachedFileMetadataEntry> for FooterCache {
    fn get(&self, key: &Path) -> Option<CachedFileMetadataEntry> {
        let found = self.cache.get(key);
        let counter = match found {
            Some(_) => &self.hits,
            None => &self.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn put(&self, key: &Path, value: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.cache.put(key, value)
    }

    fn remove(&self, key: &Path) -> Option<CachedFileMetadataEntry> {
        self.cache.remove(key)
    }

    fn contains_key(&self, key: &Path) -> bool {
        self.cache.contains_key(key)
    }

    fn len(&self) -> usize {
        self.cache.len()
    }

    fn clear(&self) {
        self.cache.clear();
    }

    fn name(&self) -> String {
        self.cache.name()
    }

    fn cache_limit(&self) -> usize {
        self.cache.cache_limit()
    }

    fn update_cache_limit(&self, limit: usize) {
        self.cache.update_cache_limit(limit);
    }

    fn cache_ttl(&self) -> Option<Duration> {
        self.cache.cache_ttl()
    }

    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.cache.update_cache_ttl(ttl);
    }

    fn drop_table_entries(&self, table: &TableReference) -> Result<()> {
        self.cache.drop_table_entries(table)
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.cache.list_entries()
    }
}
