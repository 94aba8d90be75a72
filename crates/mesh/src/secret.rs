//! Secrets: named by reference in manifests, read when they are needed.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

/// The largest secret file: a key or a token, not a keystore.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where a secret is to be found. Manifests hold this, never the secret.
///
/// ```
/// use weft_mesh::SecretRef;
///
/// assert_eq!(SecretRef::parse("env:BI_TOKEN").unwrap(), SecretRef::Env("BI_TOKEN".into()));
/// let literal = SecretRef::parse("hunter2").unwrap_err();
/// assert!(!literal.to_string().contains("hunter2"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// An environment variable of the server.
    Env(String),
    /// A file on the server.
    File(PathBuf),
}

impl SecretRef {
    /// Reads `env:NAME` or `file:PATH`; anything else is [`Error::LiteralSecret`].
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let mut chars = name.chars();
            let begins = chars
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if begins && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Ok(Self::Env(name.to_owned()));
            }
        }
        if let Some(path) = text.strip_prefix("file:")
            && !path.is_empty()
            && !path.contains(['\0', '\n'])
        {
            return Ok(Self::File(PathBuf::from(path)));
        }
        Err(Error::LiteralSecret)
    }

    /// The same reference with a relative file taken from `folder`.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::Env(name) => Self::Env(name),
            Self::File(path) => Self::File(folder.join(path)),
        }
    }

    /// Reads the secret. One line break at the end of a file is dropped.
    ///
    /// # Errors
    /// The variable is not set, the file cannot be read, or the secret is empty.
    pub fn resolve(&self) -> Result<Secret> {
        let mut text = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| Error::MissingVariable(name.clone()))?
            }
            Self::File(path) => read(path)?,
        };
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(Error::EmptySecret(self.to_string()));
        }
        Ok(Secret::new(text))
    }
}

/// The reference as a manifest writes it.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A secret in memory: wiped when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself, for the one who hands it on.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn read(path: &Path) -> Result<String> {
    let unreadable = |reason: String| Error::UnreadableFile {
        path: path.to_owned(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("not a file".to_owned()));
    }
    if metadata.len() > MAX_SECRET_BYTES {
        return Err(unreadable(format!("more than {MAX_SECRET_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let mut bytes = error.into_bytes();
        bytes.zeroize();
        unreadable("not UTF-8".to_owned())
    })
}
