//! A whole trail, on disks that behave and on one that does not.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use tempfile::TempDir;
use weft_mesh::{AuditManifest, Credentials, StorageUrl, WhenUnwritable};

use crate::archive::batches;
use crate::columns::from_batch;
use crate::journal::{Disk, JournalFile, Spool};
use crate::name::Name;
use crate::{AuditRecord, Kind, Outcome, Trail};

fn manifest(folder: &Path) -> AuditManifest {
    AuditManifest {
        url: StorageUrl::Local {
            root: folder.to_owned(),
        },
        spool: folder.to_owned(),
        options: BTreeMap::new(),
        credentials: Credentials::None,
        retention: None,
        rotate_every: Duration::from_secs(3600),
        rotate_size: 64 << 20,
        when_unwritable: WhenUnwritable::Refuse,
    }
}

fn statement(sql: &str) -> AuditRecord {
    let mut record = AuditRecord::new(Kind::Statement);
    record.sql = Some(sql.to_owned());
    record
}

/// `SQL outcome` of every record, sorted.
fn told(records: &[AuditRecord]) -> Vec<String> {
    let mut told: Vec<String> = records
        .iter()
        .filter(|record| record.kind != Kind::Trail)
        .map(|record| format!("{} {}", record.sql.as_deref().unwrap(), record.outcome))
        .collect();
    told.sort();
    told
}

async fn read(trail: &Trail) -> Vec<AuditRecord> {
    let reader = trail.reader().unwrap();
    reader.records().try_concat().await.unwrap()
}

fn files(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

/// What finished files say, and nothing else.
fn archived(folder: &Path) -> Vec<AuditRecord> {
    let mut all = Vec::new();
    for file in files(folder, ".parquet") {
        let bytes = Bytes::from(fs::read(folder.join(file)).unwrap());
        for batch in batches(bytes).unwrap() {
            all.extend(from_batch(&batch.unwrap()).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn what_ends_is_kept_and_what_runs_is_seen() {
    let folder = TempDir::new().unwrap();
    let trail = Trail::open(&manifest(folder.path())).unwrap();
    let mut one = trail.begin(statement("one"));
    let mut two = trail.begin(statement("two"));
    one.begun().await.unwrap();
    one.record().rows = 5;
    one.end(Outcome::Ok).await.unwrap();
    two.begun().await.unwrap();
    assert_eq!(told(&read(&trail).await), ["one ok", "two running"]);
    drop(two);
    trail.record(statement("three")).await.unwrap();
    trail.close();
    let all = archived(folder.path());
    assert_eq!(told(&all), ["one ok", "three running", "two cancelled"]);
    assert!(
        all.iter()
            .any(|record| record.rows == 5 && record.ended_at.is_some())
    );
    assert!(files(folder.path(), ".journal").is_empty());
    assert!(trail.begin(statement("late")).begun().await.is_err());
}

#[tokio::test]
async fn a_statement_that_outlives_its_journal_is_in_the_next_once() {
    let folder = TempDir::new().unwrap();
    let trail = Trail::open(&manifest(folder.path())).unwrap();
    let mut long = trail.begin(statement("long"));
    long.begun().await.unwrap();
    trail
        .begin(statement("short"))
        .end(Outcome::Ok)
        .await
        .unwrap();
    trail.rotate();
    wait_for(|| files(folder.path(), ".parquet").len() == 1).await;
    assert_eq!(told(&archived(folder.path())), ["short ok"]);
    assert_eq!(told(&read(&trail).await), ["long running", "short ok"]);
    long.end(Outcome::Error).await.unwrap();
    trail.close();
    assert_eq!(told(&archived(folder.path())), ["long error", "short ok"]);
}

#[tokio::test]
async fn a_large_journal_is_rotated_by_itself() {
    let folder = TempDir::new().unwrap();
    let manifest = AuditManifest {
        rotate_size: 2000,
        ..manifest(folder.path())
    };
    let trail = Trail::open(&manifest).unwrap();
    for number in 0..40 {
        let record = statement(&format!("{number:02}"));
        trail.begin(record).end(Outcome::Ok).await.unwrap();
    }
    trail.close();
    assert!(files(folder.path(), ".parquet").len() > 3);
    let all = told(&archived(folder.path()));
    let expected: Vec<String> = (0..40).map(|number| format!("{number:02} ok")).collect();
    assert_eq!(all, expected);
}

/// A copy of a spool as a killed server would leave it.
fn copy(from: &Path, to: &Path) {
    for file in files(from, "") {
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

#[tokio::test]
async fn what_a_killed_server_leaves_is_archived_by_the_next() {
    let folder = TempDir::new().unwrap();
    let trail = Trail::open(&manifest(folder.path())).unwrap();
    trail
        .begin(statement("done"))
        .end(Outcome::Ok)
        .await
        .unwrap();
    let mut open = trail.begin(statement("open"));
    open.begun().await.unwrap();
    let (before, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    copy(folder.path(), before.path());
    // Killed after the next journal was begun, and before the last was archived.
    trail.rotate();
    wait_for(|| {
        files(folder.path(), ".journal").len() == 1 && !files(folder.path(), ".parquet").is_empty()
    })
    .await;
    copy(before.path(), after.path());
    copy(folder.path(), after.path());
    for left in [&before, &after] {
        let next = Trail::open(&manifest(left.path())).unwrap();
        assert_eq!(told(&read(&next).await), ["done ok", "open interrupted"]);
        next.close();
        assert_eq!(
            told(&archived(left.path())),
            ["done ok", "open interrupted"]
        );
        assert!(files(left.path(), ".journal").is_empty());
    }
    assert_eq!(files(after.path(), ".parquet").len(), 2);
    // A second server does not touch what the first holds.
    let second = Trail::open(&manifest(folder.path())).unwrap();
    second.close();
    open.end(Outcome::Ok).await.unwrap();
    trail.close();
    assert_eq!(told(&archived(folder.path())), ["done ok", "open ok"]);
}

#[tokio::test]
async fn old_files_are_deleted_and_young_ones_are_not() {
    let folder = TempDir::new().unwrap();
    for sql in ["old", "young"] {
        let trail = Trail::open(&manifest(folder.path())).unwrap();
        trail.record(statement(sql)).await.unwrap();
        trail.close();
    }
    fs::write(folder.path().join("other.parquet"), "not ours").unwrap();
    let old = fs::File::open(folder.path().join(&files(folder.path(), ".parquet")[0])).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    let manifest = AuditManifest {
        retention: Some(Duration::from_secs(1800)),
        ..manifest(folder.path())
    };
    let trail = Trail::open(&manifest).unwrap();
    trail.rotate();
    wait_for(|| files(folder.path(), ".parquet").len() == 2).await;
    trail.close();
    fs::remove_file(folder.path().join("other.parquet")).unwrap();
    assert_eq!(told(&archived(folder.path())), ["young running"]);
}

async fn wait_for(mut is_so: impl FnMut() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not happen");
}

/// A disk of a certain size, whose syncs can be counted and made to fail.
#[derive(Debug, Clone)]
struct SmallDisk {
    spool: Spool,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    syncs: Arc<AtomicUsize>,
    /// What was written of lines that did not fit.
    parts: Arc<Mutex<Vec<usize>>>,
}

impl SmallDisk {
    fn new(folder: &Path) -> Self {
        Self {
            spool: Spool(folder.to_owned()),
            full: Arc::default(),
            broken: Arc::default(),
            syncs: Arc::default(),
            parts: Arc::default(),
        }
    }
}

#[derive(Debug)]
struct SmallFile {
    disk: SmallDisk,
    file: Arc<dyn JournalFile>,
}

impl Disk for SmallDisk {
    fn create(&self, name: &Name) -> io::Result<Arc<dyn JournalFile>> {
        Ok(Arc::new(SmallFile {
            disk: self.clone(),
            file: self.spool.create(name)?,
        }))
    }
}

impl JournalFile for SmallFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.disk.full.load(Ordering::SeqCst) {
            let part = bytes.len() / 2;
            self.file.append(&bytes[..part])?;
            self.disk.parts.lock().unwrap().push(part);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.append(bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.syncs.fetch_add(1, Ordering::SeqCst);
        if self.disk.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync()
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_without_loss() {
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::new(folder.path());
    let trail = Trail::open_on(&manifest(folder.path()), disk.clone()).unwrap();
    let mut caught = trail.begin(statement("caught"));
    caught.begun().await.unwrap();
    disk.full.store(true, Ordering::SeqCst);
    let why = caught.end(Outcome::Ok).await.unwrap_err().to_string();
    assert!(
        why.starts_with("the audit trail cannot be written: no storage space"),
        "{why}"
    );
    caught.end_later(Outcome::Error);
    assert!(trail.check().is_err());
    assert!(trail.begin(statement("refused")).begun().await.is_err());
    assert!(trail.record(statement("refused too")).await.is_err());
    // Half a line has been forgotten.
    assert_eq!(told(&read(&trail).await), ["caught running"]);
    disk.full.store(false, Ordering::SeqCst);
    wait_for(|| trail.check().is_ok()).await;
    trail
        .begin(statement("after"))
        .end(Outcome::Ok)
        .await
        .unwrap();
    trail.close();
    let all = archived(folder.path());
    let told = told(&all);
    assert!(
        told.contains(&"caught error".to_owned()) && told.contains(&"after ok".to_owned()),
        "{told:?}"
    );
    assert!(
        !told
            .iter()
            .any(|it| it.ends_with("ok") && !it.starts_with("after")),
        "{told:?}"
    );
    let note = all
        .iter()
        .find(|record| record.kind == Kind::Trail)
        .unwrap();
    let text = note.error.as_deref().unwrap();
    assert!(
        text.contains("no storage space") && text.contains("statements were refused"),
        "{text}"
    );
    assert!(!disk.parts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_disk_that_does_not_sync_is_no_full_one() {
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::new(folder.path());
    let trail = Trail::open_on(&manifest(folder.path()), disk.clone()).unwrap();
    let mut caught = trail.begin(statement("caught"));
    caught.begun().await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    assert!(caught.end(Outcome::Ok).await.is_err());
    caught.end_later(Outcome::Error);
    assert!(trail.check().is_err());
    disk.broken.store(false, Ordering::SeqCst);
    wait_for(|| trail.check().is_ok()).await;
    // What was not known to be on disk went on in another journal.
    trail
        .begin(statement("after"))
        .end(Outcome::Ok)
        .await
        .unwrap();
    trail.close();
    let told = told(&archived(folder.path()));
    assert!(
        told.contains(&"after ok".to_owned()) && told.contains(&"caught error".to_owned()),
        "{told:?}"
    );
}

#[tokio::test]
async fn serving_on_counts_what_is_lost() {
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::new(folder.path());
    let manifest = AuditManifest {
        when_unwritable: WhenUnwritable::Serve,
        ..manifest(folder.path())
    };
    let trail = Trail::open_on(&manifest, disk.clone()).unwrap();
    disk.full.store(true, Ordering::SeqCst);
    for number in 0..10 {
        let mut entry = trail.begin(statement(&format!("{number} {}", "x".repeat(4 << 20))));
        entry.begun().await.unwrap();
        entry.end(Outcome::Ok).await.unwrap();
        trail.check().unwrap();
    }
    disk.full.store(false, Ordering::SeqCst);
    wait_for(|| trail.shared().failing().is_none()).await;
    trail.close();
    let all = archived(folder.path());
    let kept = told(&all).len() as u64;
    let lost: u64 = all.iter().map(|record| record.left_out).sum();
    assert!(lost > 0, "{kept} kept");
    assert_eq!(kept + lost, 10);
}

#[tokio::test]
async fn many_who_wait_share_a_sync() {
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::new(folder.path());
    let trail = Trail::open_on(&manifest(folder.path()), disk.clone()).unwrap();
    let records = (0..200).map(|number| trail.record(statement(&number.to_string())));
    let ended = futures::future::join_all(records).await;
    assert!(ended.into_iter().all(|ended| ended.is_ok()));
    assert!(disk.syncs.load(Ordering::SeqCst) < 50);
    trail.close();
    assert_eq!(archived(folder.path()).len(), 200);
}
