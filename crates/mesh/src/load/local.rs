//! Local files of a table, looked at when the mesh is loaded: are they there,
//! and does no symlink lead out of their storage?

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::location::Location;
use crate::yaml::{Node, Source};

/// How many entries are looked at. The store checks every file again when it is read.
const MAX_ENTRIES: usize = 20_000;

/// How deep below the location's prefix.
const MAX_DEPTH: usize = 32;

/// Warns of what is wrong with the files of a location. None of it is an error:
/// whoever writes the data must not keep the manifests, which may revoke access,
/// from being applied.
pub(crate) fn check_local(
    source: &Source,
    node: &Node,
    text: &str,
    root: &Path,
    location: &Location,
) {
    let warn = |rule, message: String, help: &str| {
        source.warning(node, rule, message).help(help).report();
    };
    let prefix: PathBuf = location.prefix().iter().collect();
    let start = root.join(&prefix);
    // A storage that is not there is told of where it is declared.
    if !root.is_dir() {
        return;
    }
    let escapes = |link: &Path| {
        let message = format!(
            "`{}` is a symlink that leads out of its storage: tables of `{text}` cannot be read",
            link.display()
        );
        let help = "copy the data into the storage, or declare a storage where it lies";
        warn("symlink-escape", message, help);
    };
    if let Some(link) = escaping_link(root, &prefix) {
        return escapes(&link);
    }
    if !start.exists() {
        let missing = prefix.display();
        let message = format!("location `{text}` is missing: there is no `{missing}`");
        let help = "create it, or correct the path; it is relative to the folder of `domain.yaml`";
        return warn("missing-file", message, help);
    }
    let mut walk = Walk {
        root,
        location,
        entries: 0,
        matches: false,
        escapes: Vec::new(),
        seen: HashSet::new(),
    };
    if start.is_dir() {
        walk.folder(&prefix, 0);
    } else {
        walk.matches = location.prefix().is_empty() || matches(location, &prefix);
    }
    for link in &walk.escapes {
        escapes(link);
    }
    if walk.escapes.is_empty() && !walk.matches && walk.entries < MAX_ENTRIES {
        let message = format!("location `{text}` matches no file yet");
        warn("no-files", message, "the table is empty until there is one");
    }
}

/// The first symlink along `relative` whose target lies outside `root`.
fn escaping_link(root: &Path, relative: &Path) -> Option<PathBuf> {
    let mut walked = PathBuf::new();
    for component in relative.components() {
        walked.push(component);
        if leads_out(root, &root.join(&walked)) {
            return Some(walked);
        }
    }
    None
}

fn leads_out(root: &Path, path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|real| !real.starts_with(root))
}

fn matches(location: &Location, relative: &Path) -> bool {
    relative
        .to_str()
        .is_some_and(|relative| location.matches(relative))
}

struct Walk<'a> {
    root: &'a Path,
    location: &'a Location,
    entries: usize,
    matches: bool,
    escapes: Vec<PathBuf>,
    /// Canonical folders, so that a symlink to a parent ends.
    seen: HashSet<PathBuf>,
}

impl Walk<'_> {
    fn folder(&mut self, relative: &Path, depth: usize) {
        let path = self.root.join(relative);
        let fresh = fs::canonicalize(&path).is_ok_and(|real| self.seen.insert(real));
        let Ok(listing) = fs::read_dir(&path) else {
            return;
        };
        if !fresh || depth > MAX_DEPTH {
            return;
        }
        for entry in listing.flatten() {
            self.entries += 1;
            if self.entries >= MAX_ENTRIES {
                return;
            }
            let child = relative.join(entry.file_name());
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_symlink() && leads_out(self.root, &path) {
                self.escapes.push(child);
            } else if path.is_dir() {
                self.folder(&child, depth + 1);
            } else if !self.matches {
                self.matches = matches(self.location, &child);
            }
        }
    }
}
