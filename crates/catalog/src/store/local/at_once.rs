//! Reads that do not wait: of files that were opened just now, what the system has in memory.
//!
//! A scan reads a file a row group at a time. Each read by a thread that may block is a thread to
//! be woken and one that waits for it, and cores that do nothing meanwhile; most of them find all
//! of it in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// For so long nobody looks again where the path of a file leads.
const LONGEST: Duration = Duration::from_secs(1);

/// Files that are held open; the oldest go.
const MOST: usize = 32;

/// Files that were opened just now.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Files>);

#[derive(Debug, Default)]
struct Files {
    opened: Mutex<VecDeque<Opened>>,
    /// Lets go of them.
    closer: Mutex<Option<JoinHandle<()>>>,
    /// Their file system does not say whether it would wait.
    are_silent: AtomicBool,
}

#[derive(Debug)]
struct Opened {
    location: Path,
    file: Arc<File>,
    since: Instant,
}

impl Recent {
    /// Keeps `file`, whose path was looked at `since`, for a while. Called where one may wait.
    pub(super) fn keep(&self, location: &Path, file: &File, since: Instant) {
        if !cfg!(target_os = "linux") || self.0.are_silent.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(runtime), Ok(file)) = (Handle::try_current(), file.try_clone()) else {
            return;
        };
        // A file system that may keep whoever closes a file waiting does not say whether it would.
        if read_at_once(&file, &(0..1)).is_err() {
            self.0.are_silent.store(true, Ordering::Relaxed);
            return;
        }
        let opened = Opened {
            location: location.clone(),
            file: Arc::new(file),
            since,
        };
        let mut past: Vec<_>;
        {
            let mut all = self.0.opened();
            past = past_of(&mut all);
            let before = all.iter().position(|it| it.location == *location);
            past.extend(before.and_then(|at| all.remove(at)));
            if all.len() == MOST {
                past.extend(all.pop_front());
            }
            all.push_back(opened);
        }
        drop(past);
        // The place of a file that is deleted is free when nobody has it open.
        let mut closer = self.0.closer.lock().unwrap_or_else(PoisonError::into_inner);
        if closer.as_ref().is_none_or(JoinHandle::is_finished) {
            *closer = Some(runtime.spawn(close_in_time(Arc::downgrade(&self.0))));
        }
    }

    pub(super) fn find(&self, location: &Path) -> Option<Arc<File>> {
        let all = self.0.opened();
        let mut recent = all.iter().filter(|it| it.is_recent());
        let opened = recent.find(|it| it.location == *location)?;
        Some(Arc::clone(&opened.file))
    }
}

impl Files {
    fn opened(&self) -> MutexGuard<'_, VecDeque<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn is_recent(&self) -> bool {
        self.since.elapsed() < LONGEST
    }
}

/// Takes out what is not recent: to close the last of a deleted file takes a while.
fn past_of(all: &mut VecDeque<Opened>) -> Vec<Opened> {
    let (recent, past) = all.drain(..).partition::<Vec<_>, _>(Opened::is_recent);
    all.extend(recent);
    past
}

/// Lets go of what is not recent, as long as there is any.
async fn close_in_time(files: Weak<Files>) {
    loop {
        tokio::time::sleep(LONGEST).await;
        let Some(files) = files.upgrade() else {
            return;
        };
        let (past, is_last) = {
            let mut all = files.opened();
            (past_of(&mut all), all.is_empty())
        };
        drop(files);
        // Where it does not come to that, the runtime is gone.
        let _ = tokio::task::spawn_blocking(move || drop(past)).await;
        if is_last {
            return;
        }
    }
}

/// By the file system.
pub(super) struct NotSupported;

/// What the system knows of an open file by now. `None` for one that is no longer in a folder.
#[cfg(target_os = "linux")]
pub(super) fn meta(file: &File, location: &Path) -> Option<ObjectMeta> {
    use chrono::DateTime;
    use rustix::fs::{AtFlags, StatxFlags, statx};

    // A file system of the network is not asked.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let told = statx(file, "", flags, StatxFlags::BASIC_STATS).ok()?;
    if told.stx_nlink == 0 {
        return None;
    }
    let (seconds, nanos) = (told.stx_mtime.tv_sec, told.stx_mtime.tv_nsec);
    let since_epoch = u64::try_from(seconds).map_or(0, |seconds| {
        u128::from(seconds) * 1_000_000_000 + u128::from(nanos)
    });
    Some(ObjectMeta {
        location: location.clone(),
        last_modified: DateTime::from_timestamp(seconds, nanos)?,
        size: told.stx_size,
        e_tag: Some(super::e_tag(told.stx_ino, since_epoch, told.stx_size)),
        version: None,
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn meta(_file: &File, _location: &Path) -> Option<ObjectMeta> {
    None
}

/// All of `range`, where the system has it in memory.
#[cfg(target_os = "linux")]
pub(super) fn read_at_once(file: &File, range: &Range<u64>) -> Result<Option<Bytes>, NotSupported> {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let length = range.end.saturating_sub(range.start);
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let mut rest = [IoSliceMut::new(rest)];
        let at = range.start + filled as u64;
        match preadv2(file, &mut rest, at, ReadWriteFlags::NOWAIT) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                return Err(NotSupported);
            }
            Ok(0) | Err(_) => return Ok(None),
            Ok(more) => filled += more,
        }
    }
    Ok(Some(buffer.into()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_at_once(
    _file: &File,
    _range: &Range<u64>,
) -> Result<Option<Bytes>, NotSupported> {
    Err(NotSupported)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::LocalFolder;
    use super::*;

    fn open(folder: &LocalFolder, name: &str) -> Option<Arc<File>> {
        folder.recent.find(&Path::from(name))
    }

    /// As in memory, or in layers.
    fn is_silent(folder: &LocalFolder) -> bool {
        folder.recent.0.are_silent.load(Ordering::Relaxed)
    }

    /// A range of a file, as a scan asks for it.
    async fn read(
        folder: &LocalFolder,
        name: &str,
        range: Range<u64>,
    ) -> object_store::Result<Bytes> {
        use object_store::{GetOptions, GetRange};

        use crate::store::Reads;

        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        folder.get(&Path::from(name), options).await?.bytes().await
    }

    fn folder() -> (tempfile::TempDir, LocalFolder) {
        let root = tempfile::tempdir().unwrap();
        let folder = LocalFolder::new(root.path().canonicalize().unwrap());
        (root, folder)
    }

    #[tokio::test]
    async fn a_second_read_says_what_the_first_did() {
        let (root, folder) = folder();
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(root.path().join("a"), &text).unwrap();
        for range in [0..1, 5..400_000, 0..400_000, 399_999..400_000] {
            let expected = &text[range.start as usize..range.end as usize];
            for _ in 0..2 {
                assert_eq!(read(&folder, "a", range.clone()).await.unwrap(), expected);
            }
        }
        // As much as there is.
        assert_eq!(
            read(&folder, "a", 399_990..500_000).await.unwrap(),
            &text[399_990..]
        );
        assert!(read(&folder, "a", 400_000..400_001).await.is_err());
        let Some(file) = open(&folder, "a") else {
            assert!(is_silent(&folder), "it was opened just now");
            return;
        };
        let first = meta(&file, &Path::from("a")).unwrap();
        let told = super::super::object_meta(Path::from("a"), &file.metadata().unwrap()).unwrap();
        assert_eq!(first, told);
    }

    #[tokio::test]
    async fn what_is_done_to_a_file_is_seen_at_once() {
        let (root, folder) = folder();
        let path = root.path().join("a");
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        fs::write(&path, "before").unwrap();
        assert_eq!(read(&folder, "a", 0..6).await.unwrap(), "before");
        fs::write(&path, "after!").unwrap();
        assert_eq!(read(&folder, "a", 0..6).await.unwrap(), "after!");
        fs::write(root.path().join("new"), "newer!").unwrap();
        fs::rename(root.path().join("new"), &path).unwrap();
        assert_eq!(read(&folder, "a", 0..6).await.unwrap(), "newer!");
        fs::remove_file(&path).unwrap();
        assert!(read(&folder, "a", 0..6).await.is_err());
        symlink(outside.path().join("secret"), &path).unwrap();
        assert!(read(&folder, "a", 0..6).await.is_err());
    }

    /// The version that is asked for is found, whichever is held open.
    #[tokio::test]
    async fn a_file_that_takes_the_place_of_another_is_read() {
        use object_store::{GetOptions, GetRange};

        use crate::store::Reads;

        let (root, folder) = folder();
        let path = root.path().join("a");
        for round in 0..3 {
            let (text, moved) = (format!("text {round}"), format!("old {round}"));
            if round > 0 {
                fs::rename(&path, root.path().join(&moved)).unwrap();
            }
            fs::write(&path, &text).unwrap();
            let now = super::super::object_meta(Path::from("a"), &fs::metadata(&path).unwrap());
            for _ in 0..2 {
                let options = GetOptions {
                    range: Some(GetRange::Bounded(0..6)),
                    if_match: now.as_ref().unwrap().e_tag.clone(),
                    ..GetOptions::default()
                };
                let read = folder.get(&Path::from("a"), options).await.unwrap();
                assert_eq!(read.bytes().await.unwrap(), text);
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_held_for_long_and_no_more_than_so_many() {
        let (root, folder) = folder();
        for number in 0..MOST + 10 {
            let name = format!("f{number}");
            fs::write(root.path().join(&name), "text").unwrap();
            assert_eq!(read(&folder, &name, 0..4).await.unwrap(), "text");
        }
        let held = || folder.recent.0.opened().len();
        let least = usize::from(!is_silent(&folder));
        assert!((least..=MOST).contains(&held()), "{}", held());
        let begun = Instant::now();
        while held() > 0 {
            assert!(begun.elapsed() < 10 * LONGEST, "{}", held());
            tokio::time::sleep(LONGEST / 10).await;
        }
        assert!(open(&folder, "f1").is_none());
    }
}
