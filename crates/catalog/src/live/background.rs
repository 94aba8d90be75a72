//! What runs beside the queries: the watch over manifests, a poller a storage.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use datafusion::common::runtime::SpawnedTask;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::LiveMesh;
use crate::store::{Storage, StorageKey};

/// Changes of manifests are taken together: an editor writes more than once.
const QUIET: Duration = Duration::from_millis(200);

/// A folder that never becomes quiet is read all the same.
const AT_MOST: Duration = Duration::from_secs(2);

/// Between two listings that queries or failures ask for.
const BREATH: Duration = Duration::from_secs(1);

/// The background work of a [`LiveMesh`]; it ends when this is dropped.
#[derive(Debug)]
pub struct Background {
    _manifests: SpawnedTask<()>,
    _storages: SpawnedTask<()>,
}

impl Background {
    pub(super) fn spawn(live: &Arc<LiveMesh>) -> Self {
        Self {
            _manifests: SpawnedTask::spawn(watch_manifests(Arc::downgrade(live))),
            _storages: SpawnedTask::spawn(poll_storages(Arc::downgrade(live))),
        }
    }
}

/// Reloads when a manifest looks different from the last time. The system's
/// events only say when to look, so a lost one costs a poll and nothing else.
async fn watch_manifests(live: Weak<LiveMesh>) {
    let woken = Arc::new(Notify::new());
    let mut watch = Watch::new(&woken);
    let mut seen = None;
    let mut loaded = Instant::now();
    loop {
        let Some(mesh) = live.upgrade() else { return };
        let (files, may_heal) = {
            let known = mesh.known.lock().await;
            (known.files.clone(), known.may_heal())
        };
        watch.follow(&files);
        let looks = looks_of(&files).await;
        // At first: what changed since the mesh was opened. Asked after the
        // look, or a change between the two would count as seen.
        let missed = seen.is_none() && mesh.known.lock().await.is_outdated();
        let changed = missed || seen.as_ref().is_some_and(|seen| *seen != looks);
        let again = may_heal && loaded.elapsed() >= mesh.config.refresh;
        if changed || again {
            settle(&woken).await;
            // Looked at before the load: what changes while it runs is seen next time.
            let looks = looks_of(&files).await;
            let _ = mesh.reload().await;
            loaded = Instant::now();
            let followed = mesh.known.lock().await.files.clone();
            seen = Some(if followed == files {
                looks
            } else {
                looks_of(&followed).await
            });
            continue;
        }
        seen = Some(looks);
        let poll = mesh.config.manifest_poll;
        drop(mesh);
        let _ = timeout(poll, woken.notified()).await;
    }
}

/// Waits until nothing has happened for a moment.
async fn settle(woken: &Notify) {
    let begun = Instant::now();
    while begun.elapsed() < AT_MOST && timeout(QUIET, woken.notified()).await.is_ok() {}
}

/// Size and time of each file; what cannot be read is absent.
async fn looks_of(files: &[PathBuf]) -> Vec<Option<(u64, SystemTime)>> {
    let files = files.to_vec();
    let looks = move || {
        files
            .iter()
            .map(|file| {
                std::fs::metadata(file)
                    .and_then(|m| Ok((m.len(), m.modified()?)))
                    .ok()
            })
            .collect()
    };
    SpawnedTask::spawn_blocking(looks).await.unwrap_or_default()
}

/// The system's watch over the folders of all manifests.
struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: HashSet<PathBuf>,
}

impl Watch {
    fn new(woken: &Arc<Notify>) -> Self {
        let woken = Arc::clone(woken);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                woken.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "manifests are polled, not watched"))
            .ok();
        Self {
            watcher,
            folders: HashSet::new(),
        }
    }

    /// Folders rather than files: an editor replaces a file by another of its name.
    fn follow(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let folder = |file: &PathBuf| {
            if file.is_dir() {
                Some(file.clone())
            } else {
                file.parent().map(Path::to_owned)
            }
        };
        let wanted: HashSet<PathBuf> = files.iter().filter_map(folder).collect();
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        for new in wanted.difference(&self.folders) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %new.display(), %error, "folder is polled, not watched");
            }
        }
        self.folders = wanted;
    }
}

/// Keeps one poller for each storage of the current snapshot.
async fn poll_storages(live: Weak<LiveMesh>) {
    let mut pollers: BTreeMap<StorageKey, (Arc<Storage>, SpawnedTask<()>)> = BTreeMap::new();
    loop {
        let Some(mesh) = live.upgrade() else { return };
        let snapshot = mesh.snapshot();
        let mut next = BTreeMap::new();
        for storage in snapshot.store().storages() {
            let poller = match pollers.remove(storage.key()) {
                Some(poller) if Arc::ptr_eq(&poller.0, storage) => poller,
                _ => (
                    Arc::clone(storage),
                    SpawnedTask::spawn(poll(Weak::clone(&live), Arc::clone(storage))),
                ),
            };
            next.insert(storage.key().clone(), poller);
        }
        // Those left are of storages that are gone, and end here.
        pollers = next;
        drop(snapshot);
        // Wakes up now and then to see whether the mesh is still there.
        let _ = timeout(AT_MOST, mesh.reloaded.notified()).await;
    }
}

async fn poll(live: Weak<LiveMesh>, storage: Arc<Storage>) {
    let mut pause = BREATH;
    loop {
        let Some(mesh) = live.upgrade() else { return };
        let waiting = mesh
            .snapshot()
            .products()
            .iter()
            .any(|t| Arc::ptr_eq(t.storage(), &storage) && t.data().is_err());
        let refresh = mesh.config.refresh;
        drop(mesh);
        // A table that was never listed is tried again sooner, but less and less often.
        let wait = if waiting {
            pause.min(refresh)
        } else {
            jittered(refresh)
        };
        pause = if waiting { pause * 2 } else { BREATH };
        if timeout(wait, storage.reported_stale()).await.is_ok() {
            sleep(BREATH.min(refresh)).await;
        }
        let Some(mesh) = live.upgrade() else { return };
        mesh.refresh_storage(&storage).await;
    }
}

/// Between 80 and 120 percent.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.8 + 0.4 * rand::random::<f64>())
}
