//! The mesh as it changes: loaded, reloaded and refreshed, one snapshot at a time.
//!
//! A reload reads the manifests and builds one new snapshot or keeps the old; a
//! refresh lists files and replaces the tables whose files have changed. Both
//! swap a whole [`MeshSnapshot`]: a query holds the one it began with.

mod background;
mod counts;
mod footers;
mod load;
mod refresh;
mod still;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use datafusion::execution::cache::cache_manager::{
    CacheManager, CacheManagerConfig, FileMetadataCache,
};
use tokio::sync::{Notify, watch};
use weft_mesh::Fault;

pub use self::background::Background;
use self::counts::Reloads;
pub use self::counts::{KeptCounts, MeshCounts, ReloadCounts};
use self::footers::FooterCache;
pub use self::footers::FooterCounts;
use self::load::Known;
use crate::error::{Error, Result};
use crate::mesh_snapshot::{Epoch, MeshSnapshot};
use crate::store::{BlockCache, BlockCacheConfig};

/// How a mesh is kept up to date.
#[derive(Clone, Debug)]
pub struct CatalogConfig {
    /// Between two listings of a storage; about, so that storages do not keep step.
    pub refresh: Duration,
    /// How long new tables may take to be listed before they are served
    /// unlisted; they are then listed in the background. Zero waits for none.
    pub start_wait: Duration,
    /// How often manifests are looked at where the system reports no changes.
    pub manifest_poll: Duration,
    /// Bytes of Parquet footers that are kept.
    pub footer_cache: usize,
    /// Where blocks of files are kept that lie elsewhere; nowhere unless it is said.
    pub block_cache: Option<BlockCacheConfig>,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(30),
            start_wait: Duration::from_secs(10),
            manifest_poll: Duration::from_secs(3),
            footer_cache: 256 * 1024 * 1024,
            block_cache: None,
        }
    }
}

/// What came of a reload.
#[derive(Clone, Debug)]
pub struct ReloadReport {
    /// Of the snapshot that is served now.
    pub epoch: Epoch,
    /// False where `mesh.yaml` or the secret is at fault and everything stays as it was.
    pub applied: bool,
    /// Every fault, warnings too, sorted by place.
    pub faults: Vec<Fault>,
    /// Domains with a fault that are served as they were last without one.
    pub kept: Vec<String>,
    /// Manifests of domains with a fault that were never without one: not served.
    pub absent: Vec<PathBuf>,
}

impl ReloadReport {
    /// Nothing has changed.
    fn kept(snapshot: &MeshSnapshot, faults: Vec<Fault>) -> Self {
        Self {
            epoch: snapshot.epoch(),
            applied: false,
            faults,
            kept: Vec::new(),
            absent: Vec::new(),
        }
    }
}

/// A mesh that follows its manifests and its data.
pub struct LiveMesh {
    /// None where it is held still.
    manifest: Option<PathBuf>,
    config: CatalogConfig,
    caches: Caches,
    reload_counts: Reloads,
    current: ArcSwap<MeshSnapshot>,
    /// One reload at a time.
    known: tokio::sync::Mutex<Known>,
    /// Held while a snapshot is derived from the current one and swapped in.
    swap: Mutex<()>,
    /// A reload has been applied.
    reloaded: Notify,
    /// Told after each reload, by when its snapshot is in force.
    reloads: watch::Sender<()>,
}

impl LiveMesh {
    /// Opens the mesh whose manifest is at `mesh_yaml`.
    ///
    /// # Errors
    /// [`Error::Manifests`] with every fault where `mesh.yaml` itself has one. A
    /// domain with a fault is left out, and said in the log.
    pub async fn open(mesh_yaml: &Path, config: CatalogConfig) -> Result<Arc<Self>> {
        let caches = Caches::open(&config).await?;
        let mut known = Known::default();
        let assembled = load::assemble(mesh_yaml, &config, &caches, &mut known, None);
        let (snapshot, _) = assembled.await?;
        let manifest = Some(mesh_yaml.to_owned());
        Ok(Self::new(manifest, config, caches, snapshot, known))
    }

    fn new(
        manifest: Option<PathBuf>,
        config: CatalogConfig,
        caches: Caches,
        snapshot: MeshSnapshot,
        known: Known,
    ) -> Arc<Self> {
        Arc::new(Self {
            manifest,
            config,
            caches,
            reload_counts: Reloads::default(),
            current: ArcSwap::from_pointee(snapshot),
            known: tokio::sync::Mutex::new(known),
            swap: Mutex::new(()),
            reloaded: Notify::new(),
            reloads: watch::Sender::default(),
        })
    }

    /// The mesh now. Take one for a statement and use nothing else.
    pub fn snapshot(&self) -> Arc<MeshSnapshot> {
        self.current.load_full()
    }

    /// Tells when manifests were reloaded: by then [`Self::snapshot`] has them.
    pub fn reloads(&self) -> watch::Receiver<()> {
        self.reloads.subscribe()
    }

    /// Reads the manifests again. One reload runs at a time.
    pub async fn reload(&self) -> ReloadReport {
        let mut known = self.known.lock().await;
        let before = self.snapshot();
        let Some(manifest) = &self.manifest else {
            return ReloadReport::kept(&before, Vec::new());
        };
        let assembled = load::assemble(
            manifest,
            &self.config,
            &self.caches,
            &mut known,
            Some(&before),
        );
        let report = match assembled.await {
            Ok((snapshot, report)) => {
                self.swap(|now| Some(refresh::carried_over(&before, now, &snapshot)));
                self.reloaded.notify_one();
                self.reloads.send_replace(());
                tracing::info!(epoch = %report.epoch, kept = ?report.kept, "manifests reloaded");
                report
            }
            Err(error) => {
                tracing::error!(%error, "reload refused, the last good manifests stay in force");
                let faults = match error {
                    Error::Manifests(faults) => faults,
                    Error::Secret(_) | Error::BlockCache(_) | Error::Engine(_) => Vec::new(),
                };
                ReloadReport::kept(&before, faults)
            }
        };
        self.reload_counts.count(&report);
        report
    }

    /// Lists every storage now.
    pub async fn refresh(&self) {
        let snapshot = self.snapshot();
        futures::future::join_all(
            snapshot
                .store()
                .storages()
                .map(|storage| self.refresh_storage(storage)),
        )
        .await;
    }

    /// Keeps the mesh up to date until the answer is dropped: watches the
    /// manifests, and lists every storage in turn.
    pub fn spawn_background(self: &Arc<Self>) -> Background {
        Background::spawn(self)
    }

    /// Replaces the current snapshot by what `derive` makes of it.
    fn swap(&self, derive: impl FnOnce(&MeshSnapshot) -> Option<MeshSnapshot>) {
        let _one_at_a_time = self.swap.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = derive(&self.current.load()) {
            self.current.store(Arc::new(next));
        }
    }
}

/// The caches of a mesh.
struct Caches {
    all: Arc<CacheManager>,
    /// One of them.
    footers: Arc<FooterCache>,
    /// Below all tables.
    blocks: Option<Arc<BlockCache>>,
}

impl Caches {
    async fn open(config: &CatalogConfig) -> Result<Self> {
        let blocks = match &config.block_cache {
            Some(config) => Some(Arc::new(
                BlockCache::open(config).await.map_err(Error::BlockCache)?,
            )),
            None => None,
        };
        let footers = Arc::new(FooterCache::new(config.footer_cache));
        let counted: Arc<FileMetadataCache> = Arc::<FooterCache>::clone(&footers);
        let all = CacheManager::try_new(&CacheManagerConfig {
            file_metadata_cache: Some(counted),
            // Keys of these two hold no version of a file, and nothing here needs them.
            file_statistics_cache: None,
            file_statistics_cache_limit: 0,
            list_files_cache: None,
            list_files_cache_limit: 0,
            list_files_cache_ttl: None,
            metadata_cache_limit: config.footer_cache,
        })?;
        Ok(Self {
            all,
            footers,
            blocks,
        })
    }
}

impl std::fmt::Debug for LiveMesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveMesh")
            .field("current", &self.current.load())
            .finish_non_exhaustive()
    }
}
