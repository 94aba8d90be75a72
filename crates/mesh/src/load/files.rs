//! Files of the mesh: read within limits, found by glob, never outside their folder.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::location::{Location, check_segments};

/// The largest manifest.
const MAX_MANIFEST_BYTES: u64 = 8 * 1024 * 1024;

/// How many entries of a domain's folder are looked at for its products.
const MAX_ENTRIES: usize = 50_000;

/// How deep below a domain's folder products are looked for.
const MAX_FOLDER_DEPTH: usize = 16;

/// Every file that was read and every folder that was searched.
#[derive(Debug, Default)]
pub(crate) struct Files(BTreeSet<PathBuf>);

/// Why a file is not read: a rule, and words that follow the file's name.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) rule: &'static str,
    pub(crate) reason: String,
}

impl Unreadable {
    fn new(rule: &'static str, reason: impl Into<String>) -> Self {
        Self {
            rule,
            reason: reason.into(),
        }
    }

    fn io(error: &std::io::Error) -> Self {
        if error.kind() == ErrorKind::NotFound {
            Self::new("missing-file", "does not exist")
        } else {
            Self::new("unreadable-file", format!("cannot be read: {error}"))
        }
    }
}

impl Files {
    pub(crate) fn into_paths(self) -> Vec<PathBuf> {
        self.0.into_iter().collect()
    }

    /// Reads a manifest, or says why not.
    pub(crate) fn read(&mut self, path: &Path) -> Result<String, Unreadable> {
        self.0.insert(path.to_owned());
        String::from_utf8(bytes_of(path)?)
            .map_err(|_| Unreadable::new("unreadable-file", "is not UTF-8 text"))
    }

    /// Finds the file that a manifest in `folder` (canonical) names by a
    /// relative path; gives its place within the folder.
    pub(crate) fn locate(&mut self, folder: &Path, text: &str) -> Result<PathBuf, Unreadable> {
        let relative = PathBuf::from(relative_to_folder(text)?);
        // A watcher wants to hear of the file once it comes.
        self.0.insert(folder.join(&relative));
        check_inside(folder, &relative)?;
        Ok(relative)
    }

    /// Finds the files that a glob in a manifest in `folder` (canonical)
    /// matches: relative to the folder, sorted, with those that may not be read.
    pub(crate) fn glob(&mut self, folder: &Path, text: &str) -> Result<Globbed, Unreadable> {
        let text = relative_to_folder(text)?;
        let location = Location::parse(text)
            .map_err(|error| Unreadable::new("unsafe-path", error.to_string()))?;
        let prefix: PathBuf = location.prefix().iter().collect();
        let mut globbed = Globbed::default();
        if !location.is_pattern() {
            self.0.insert(folder.join(&prefix));
            check_inside(folder, &prefix)?;
            globbed.found.push(prefix);
            return Ok(globbed);
        }
        let mut entries = 0;
        let mut folders = vec![(prefix, 0)];
        while let Some((relative, depth)) = folders.pop() {
            let path = folder.join(&relative);
            self.0.insert(path.clone());
            match check_inside(folder, &relative) {
                Ok(()) => {}
                Err(reason) if reason.rule == "missing-file" => continue,
                Err(reason) => return Err(reason),
            }
            let Ok(listing) = fs::read_dir(&path) else {
                continue;
            };
            for entry in listing.flatten() {
                entries += 1;
                if entries > MAX_ENTRIES {
                    return Err(Unreadable::new(
                        "too-many-files",
                        format!("would look at more than {MAX_ENTRIES} files"),
                    ));
                }
                let child = relative.join(entry.file_name());
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    if depth < MAX_FOLDER_DEPTH {
                        folders.push((child, depth + 1));
                    }
                } else if child.to_str().is_some_and(|path| location.matches(path)) {
                    match check_inside(folder, &child) {
                        Ok(()) => globbed.found.push(child),
                        Err(reason) => globbed.refused.push((child, reason)),
                    }
                }
            }
        }
        globbed.found.sort();
        globbed.refused.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(globbed)
    }
}

/// What a glob matches.
#[derive(Debug, Default)]
pub(crate) struct Globbed {
    pub(crate) found: Vec<PathBuf>,
    pub(crate) refused: Vec<(PathBuf, Unreadable)>,
}

fn relative_to_folder(text: &str) -> Result<&str, Unreadable> {
    if text.starts_with('/') {
        return Err(Unreadable::new(
            "unsafe-path",
            "is absolute; name it relative to this file",
        ));
    }
    let text = text.strip_prefix("./").unwrap_or(text);
    check_segments(text).map_err(|reason| Unreadable::new("unsafe-path", reason))?;
    Ok(text)
}

/// `path` without the symlinks in what there is of it.
pub(crate) fn settled(path: &Path) -> PathBuf {
    let mut there = path;
    let mut missing: Vec<OsString> = Vec::new();
    loop {
        if let Ok(mut real) = fs::canonicalize(there) {
            real.extend(missing.iter().rev());
            return real;
        }
        match (there.parent(), there.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                there = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

/// The content of a regular file that is not too large for a manifest.
fn bytes_of(path: &Path) -> Result<Vec<u8>, Unreadable> {
    // Before it is opened: opening a pipe waits for its writer.
    let metadata = fs::metadata(path).map_err(|error| Unreadable::io(&error))?;
    if !metadata.is_file() {
        return Err(Unreadable::new("unreadable-file", "is not a file"));
    }
    let file = fs::File::open(path).map_err(|error| Unreadable::io(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Unreadable::io(&error))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Unreadable::new("file-too-large", "is larger than 8 MiB"));
    }
    Ok(bytes)
}

/// A number that is equal for equal contents of these files. What is no
/// manifest, such as a pipe or a device, counts as if it were not there.
pub fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files.iter().filter(|file| !file.is_dir()) {
        file.hash(&mut hasher);
        bytes_of(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether `folder/relative` exists and, symlinks followed, lies in `folder`.
fn check_inside(folder: &Path, relative: &Path) -> Result<(), Unreadable> {
    let real = fs::canonicalize(folder.join(relative)).map_err(|error| Unreadable::io(&error))?;
    if real.starts_with(folder) {
        Ok(())
    } else {
        Err(Unreadable::new(
            "symlink-escape",
            "is reached by a symlink that leads out of its folder",
        ))
    }
}
