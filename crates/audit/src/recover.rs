//! Journals that servers left behind.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::journal::{self, Part, Spool, taken};
use crate::name::{JOURNAL, Name};
use crate::shared::Journal;

/// The journals in the spool that no living server holds, each with what a later one of the
/// same server tells of.
pub(crate) fn left_behind(spool: &Spool) -> io::Result<Vec<Arc<Journal>>> {
    let mut servers: BTreeMap<String, Vec<Name>> = BTreeMap::new();
    for entry in fs::read_dir(&spool.0)? {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|file| Name::of_file(file, JOURNAL));
        if let Some(name) = name {
            servers.entry(name.run().to_owned()).or_default().push(name);
        }
    }
    let mut left = Vec::new();
    for mut names in servers.into_values() {
        names.sort_by_key(Name::sequence);
        let mut later: HashSet<u64> = HashSet::new();
        // Of a server that lives all journals are held.
        for name in names.into_iter().rev() {
            let path = spool.path(&name);
            let Some(file) = journal::take(&path)? else {
                continue;
            };
            let length = file.metadata()?.len();
            let journal = Journal::new(name, taken(file));
            journal.length.store(length, Ordering::Release);
            journal.close(later.clone());
            let contents = journal::contents(&mut Part::open(&path, Some(length))?)?;
            later.extend(contents.begun);
            later.extend(contents.ended);
            left.push(Arc::new(journal));
        }
    }
    left.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(left)
}
