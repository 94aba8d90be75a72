//! Reads that do not wait: of files that were opened just now, what the system has in memory.
//!
//! A scan reads a file a row group at a time. Each read by a thread that may block is a thread to
//! be woken and one that waits for it, and cores that do nothing meanwhile; most of them find all
//! of it in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path;

/// For so long nobody looks again where the path of a file leads.
const LONGEST: Duration = Duration::from_secs(1);

/// Files that are held open; the oldest go.
const MOST: usize = 32;

/// Files that were opened just now.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<VecDeque<Opened>>>);

#[derive(Debug)]
struct Opened {
    location: Path,
    file: Arc<File>,
    since: Instant,
}

impl Recent {
    pub(super) fn keep(&self, location: &Path, file: File) {
        let opened = Opened {
            location: location.clone(),
            file: Arc::new(file),
            since: Instant::now(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| it.location != *location && it.since.elapsed() < LONGEST);
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(opened);
    }

    pub(super) fn find(&self, location: &Path) -> Option<Arc<File>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_late = all.iter().filter(|it| it.since.elapsed() < LONGEST);
        let opened = of_late.find(|it| it.location == *location)?;
        Some(Arc::clone(&opened.file))
    }
}

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
pub(super) fn read_at_once(file: &File, range: &Range<u64>) -> Option<Bytes> {
    use std::io::IoSliceMut;

    use rustix::io::{ReadWriteFlags, preadv2};

    let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let mut rest = [IoSliceMut::new(rest)];
        let at = range.start + filled as u64;
        match preadv2(file, &mut rest, at, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(_) => return None,
            Ok(more) => filled += more,
        }
    }
    Some(buffer.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_at_once(_file: &File, _range: &Range<u64>) -> Option<Bytes> {
    None
}
