//! Journals as files: appended to, cut back, read while they grow.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::line::{self, Mark};
use crate::name::Name;
use crate::record::{AuditRecord, Outcome};

/// Records are nobody's business but the server's.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// What the writer needs of a file.
pub(crate) trait JournalFile: Send + Sync + fmt::Debug {
    /// Adds to the end. After an error a part may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Forgets what is behind `length`.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Returns when everything is on disk.
    fn sync(&self) -> io::Result<()>;
}

/// Where the writer's files come from.
pub(crate) trait Disk: Send + fmt::Debug {
    fn create(&self, name: &Name) -> io::Result<Arc<dyn JournalFile>>;
}

/// A local folder.
#[derive(Debug, Clone)]
pub(crate) struct Spool(pub(crate) PathBuf);

impl Disk for Spool {
    fn create(&self, name: &Name) -> io::Result<Arc<dyn JournalFile>> {
        let path = self.0.join(name.journal());
        let file = OpenOptions::new()
            .append(true)
            .read(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)?;
        // As long as it is held no other server takes it for one that was left behind.
        file.try_lock().map_err(io::Error::from)?;
        sync_folder(&self.0)?;
        Ok(Arc::new(Held(file)))
    }
}

impl Spool {
    pub(crate) fn path(&self, name: &Name) -> PathBuf {
        self.0.join(name.journal())
    }
}

/// A file that this process holds.
#[derive(Debug)]
struct Held(File);

impl JournalFile for Held {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()?;
        // On disk, and nowhere that anybody finds it.
        if self.0.metadata()?.nlink() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the journal was removed while it was written; start weft again",
            ));
        }
        Ok(())
    }
}

/// Makes a folder that only the server reads.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

/// Returns when the names in a folder are on disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A new file for one writer, in place of whatever has its name.
pub(crate) fn overwrite(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Takes a journal that no living server holds; `None` if one does, or if it is gone.
pub(crate) fn take(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Its server may have archived it between the two steps.
    let is_there = std::fs::metadata(path)
        .and_then(|found| Ok((found.dev(), found.ino()) == id(&file)?))
        .unwrap_or(false);
    Ok(is_there.then_some(file))
}

fn id(file: &File) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// A file taken from a server that is no more.
pub(crate) fn taken(file: File) -> Arc<dyn JournalFile> {
    Arc::new(Held(file))
}

/// The first `length` bytes of a journal, whatever becomes of its name.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    length: u64,
    at: u64,
}

impl Part {
    pub(crate) fn open(path: &Path, length: Option<u64>) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = match length {
            Some(length) => length,
            None => file.metadata()?.len(),
        };
        Ok(Self {
            file,
            length,
            at: 0,
        })
    }

    fn rewind(&mut self) {
        self.at = 0;
    }
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
        let room = out.len().min(left);
        let read = self
            .file
            .read_at(out.get_mut(..room).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What there is in a journal, by number.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) begun: HashSet<u64>,
    pub(crate) ended: HashSet<u64>,
    /// Whole lines with a wrong checksum. The last line of a server that was killed may be
    /// half; that is not counted.
    pub(crate) damaged: usize,
}

/// Looks through a journal.
pub(crate) fn contents(part: &mut Part) -> io::Result<Contents> {
    let mut contents = Contents::default();
    each_line(part, |text| match line::parse(text) {
        Some(line) => {
            match line.mark {
                Mark::Begin => contents.begun.insert(line.number),
                Mark::End => contents.ended.insert(line.number),
            };
            Ok(())
        }
        None => {
            contents.damaged += 1;
            Ok(())
        }
    })?;
    Ok(contents)
}

/// Every record of a journal, `some` at a time: those that ended, then those that did not and
/// are not in `elsewhere`, with the outcome `unended`.
pub(crate) fn records(
    part: &mut Part,
    elsewhere: &HashSet<u64>,
    unended: Outcome,
    some: usize,
    mut take: impl FnMut(Vec<AuditRecord>) -> io::Result<()>,
) -> io::Result<()> {
    let Contents { ended, .. } = contents(part)?;
    let mut left: HashMap<u64, AuditRecord> = HashMap::new();
    let mut found = Vec::new();
    each_line(part, |text| {
        let Some(line) = line::parse(text) else {
            return Ok(());
        };
        match line.mark {
            Mark::End => found.extend(line.record()),
            Mark::Begin if ended.contains(&line.number) || elsewhere.contains(&line.number) => {}
            Mark::Begin => {
                if let Some(record) = line.record() {
                    left.insert(line.number, record);
                }
            }
        }
        if found.len() >= some {
            take(std::mem::take(&mut found))?;
        }
        Ok(())
    })?;
    let mut left: Vec<_> = left.into_iter().collect();
    left.sort_by_key(|(number, _)| *number);
    found.extend(left.into_iter().map(|(_, mut record)| {
        record.outcome = unended;
        record
    }));
    if found.is_empty() {
        return Ok(());
    }
    take(found)
}

/// Calls `see` with every whole line that is not empty, without its line break.
fn each_line(part: &mut Part, mut see: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    part.rewind();
    let mut reader = BufReader::with_capacity(1 << 16, part);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.split_last() {
            Some((b'\n', [])) => {}
            Some((b'\n', whole)) => see(whole)?,
            // What a killed server did not finish.
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kind;

    fn line(mark: Mark, number: u64) -> Vec<u8> {
        let mut record = AuditRecord::new(Kind::Statement);
        record.sql = Some(format!("SELECT {number}"));
        if mark == Mark::End {
            record.outcome = Outcome::Ok;
        }
        let mut out = Vec::new();
        line::append(&mut out, mark, number, &record).unwrap();
        out
    }

    fn read(path: &Path, elsewhere: &[u64]) -> Vec<String> {
        let mut part = Part::open(path, None).unwrap();
        let mut all = Vec::new();
        let elsewhere = elsewhere.iter().copied().collect();
        records(&mut part, &elsewhere, Outcome::Interrupted, 2, |some| {
            all.extend(some);
            Ok(())
        })
        .unwrap();
        all.iter()
            .map(|record| format!("{} {}", record.sql.as_deref().unwrap(), record.outcome))
            .collect()
    }

    #[test]
    fn a_begin_without_an_end_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let lines = [
            line(Mark::Begin, 1),
            line(Mark::Begin, 2),
            line(Mark::Begin, 3),
            line(Mark::End, 2),
            line(Mark::End, 4),
        ];
        std::fs::write(&path, lines.concat()).unwrap();
        let all = [
            "SELECT 2 ok",
            "SELECT 4 ok",
            "SELECT 1 interrupted",
            "SELECT 3 interrupted",
        ];
        assert_eq!(read(&path, &[]), all);
        assert_eq!(read(&path, &[1]), [all[0], all[1], all[3]]);
    }

    #[test]
    fn a_journal_that_is_torn_at_any_byte_keeps_every_line_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let whole = [line(Mark::Begin, 1), line(Mark::End, 1)].concat();
        let last = line(Mark::End, 2);
        for end in 0..last.len() {
            let torn = [&whole[..], &last[..end]].concat();
            std::fs::write(&path, torn).unwrap();
            assert_eq!(read(&path, &[]), ["SELECT 1 ok"], "{end}");
            let found = contents(&mut Part::open(&path, None).unwrap()).unwrap();
            assert_eq!(found.damaged, 0, "{end}");
        }
    }

    #[test]
    fn a_damaged_line_is_counted_and_the_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut damaged = line(Mark::End, 2);
        damaged[40] ^= 1;
        let lines = [
            line(Mark::End, 1),
            damaged,
            b"\n\n".to_vec(),
            line(Mark::End, 3),
        ];
        std::fs::write(&path, lines.concat()).unwrap();
        assert_eq!(read(&path, &[]), ["SELECT 1 ok", "SELECT 3 ok"]);
        let found = contents(&mut Part::open(&path, None).unwrap()).unwrap();
        assert_eq!(found.damaged, 1);
    }

    #[test]
    fn a_held_journal_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool(folder.path().to_owned());
        let name = Name::new(chrono::Utc::now(), uuid::Uuid::new_v4(), 1);
        let held = spool.create(&name).unwrap();
        assert!(take(&spool.path(&name)).unwrap().is_none());
        drop(held);
        assert!(take(&spool.path(&name)).unwrap().is_some());
        assert!(take(&folder.path().join("none")).unwrap().is_none());
    }
}
