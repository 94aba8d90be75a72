//! The trail as it is at one moment: finished files, and what is in journals still.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use futures::stream::{self, BoxStream, StreamExt};

use crate::archive::{self, Archive, Finished};
use crate::columns::{from_batch, to_batch};
use crate::error::{Error, Result};
use crate::journal::{self, Part, Spool};
use crate::name::Name;
use crate::record::{AuditRecord, Outcome};
use crate::shared::Shared;

/// Records in one answer.
const SOME: usize = 4096;

/// Reads a trail. Nothing is governed here: it is for who may see everything, or sees to it
/// that others do not.
#[derive(Debug)]
pub struct TrailReader {
    archive: Archive,
    /// Journals that were not finished files when the reading began, and are read first.
    journals: Vec<(Part, HashSet<u64>, Outcome)>,
    names: HashSet<Name>,
}

impl TrailReader {
    /// Every journal is opened before finished files are looked for, so that a record that
    /// moves meanwhile is seen, and once.
    pub(crate) fn new(shared: &Shared, archive: &Archive, spool: &Spool) -> io::Result<Self> {
        let mut journals = Vec::new();
        let mut names = HashSet::new();
        for journal in shared.journals().iter() {
            let path = spool.path(&journal.name);
            let length = journal.length.load(Ordering::Acquire);
            let part = match Part::open(&path, Some(length)) {
                Ok(part) => part,
                // Its finished file is there already.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let elsewhere = journal.elsewhere();
            let unended = match elsewhere {
                Some(_) => Outcome::Interrupted,
                None => Outcome::Running,
            };
            names.insert(journal.name.clone());
            journals.push((part, elsewhere.unwrap_or_default(), unended));
        }
        Ok(Self {
            archive: archive.clone(),
            journals,
            names,
        })
    }

    /// All records, some at a time: those of finished files, oldest first, then those of
    /// journals. What another server has in its journals is not among them.
    pub fn records(self) -> BoxStream<'static, Result<Vec<AuditRecord>>> {
        let Self {
            archive,
            journals,
            names,
        } = self;
        let finished = {
            let archive = archive.clone();
            async move { archive.list().await.map_err(Error::read) }
        };
        let files = stream::once(finished).flat_map(move |listed| {
            let (archive, names) = (archive.clone(), names.clone());
            match listed {
                Ok(files) => {
                    let files = files.into_iter();
                    let files: Vec<Finished> =
                        files.filter(|file| !names.contains(&file.name)).collect();
                    stream::iter(files)
                        .then(move |file| read_file(archive.clone(), file))
                        .flat_map(|batches| match batches {
                            Ok(batches) => stream::iter(batches).boxed(),
                            Err(error) => stream::iter([Err(error)]).boxed(),
                        })
                        .boxed()
                }
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        });
        let recent = stream::iter(journals).flat_map(|(part, elsewhere, unended)| {
            stream::iter(read_journal(part, &elsewhere, unended))
        });
        files.chain(recent).boxed()
    }

    /// The same as batches of [`schema`](crate::schema).
    pub fn batches(self) -> BoxStream<'static, Result<RecordBatch>> {
        let records = self.records();
        records
            .map(|records| to_batch(&records?).map_err(Error::read))
            .boxed()
    }
}

async fn read_file(
    archive: Archive,
    file: Finished,
) -> Result<impl Iterator<Item = Result<Vec<AuditRecord>>> + Send> {
    let name = file.name.archive();
    let unreadable = move |error: &dyn fmt::Display| Error::Read(format!("`{name}`: {error}"));
    let bytes = archive.get(&file.name).await;
    let bytes = bytes.map_err(|error| unreadable(&error))?;
    let batches = bytes.map(archive::batches).transpose();
    let batches = batches.map_err(|error| unreadable(&error))?;
    let batches = batches.into_iter().flatten();
    Ok(batches.map(move |batch| {
        let batch = batch.map_err(|error| unreadable(&error))?;
        from_batch(&batch).map_err(|error| unreadable(&error))
    }))
}

fn read_journal(
    mut part: Part,
    elsewhere: &HashSet<u64>,
    unended: Outcome,
) -> VecDeque<Result<Vec<AuditRecord>>> {
    let mut all = VecDeque::new();
    let read = journal::records(&mut part, elsewhere, unended, SOME, |some| {
        all.push_back(Ok(some));
        Ok(())
    });
    if let Err(error) = read {
        all.push_back(Err(Error::read(error)));
    }
    all
}
