//! Names: what a mesh, its domains, storages and tables may be called.

use std::borrow::Borrow;
use std::fmt;

use crate::error::{Error, Result};

/// Schemas that the engine itself fills, which no domain may be called.
const RESERVED: [&str; 2] = ["information_schema", "system"];

/// The longest name, in characters: what every SQL client can show.
const MAX_LENGTH: usize = 128;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads a name; an error says which rule it breaks.
            pub fn parse(text: &str) -> Result<Self> {
                match $check(text) {
                    Ok(()) => Ok(Self(text.to_owned())),
                    Err(reason) => Err(Error::Name {
                        what: $what,
                        name: text.to_owned(),
                        reason: reason.to_owned(),
                    }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a mesh, which is the SQL catalog: `[a-z][a-z0-9_]*`.
    ///
    /// ```
    /// use weft_mesh::MeshName;
    /// assert_eq!(MeshName::parse("acme").unwrap().as_str(), "acme");
    /// assert!(MeshName::parse("Acme Inc").is_err());
    /// ```
    MeshName, "mesh", check_lower
);
name!(
    /// The name of a domain, which is a SQL schema: `[a-z][a-z0-9_]*`, and none
    /// of the schemas that the engine fills itself.
    ///
    /// ```
    /// use weft_mesh::DomainName;
    /// assert!(DomainName::parse("sales").is_ok());
    /// assert!(DomainName::parse("information_schema").is_err());
    /// ```
    DomainName, "domain", check_domain
);
name!(
    /// The name of a storage within its domain: `[a-z][a-z0-9_]*`.
    StorageName, "storage", check_lower
);
name!(
    /// The name of a table: `[A-Za-z_][A-Za-z0-9_]*`, so that SQL needs no quotes
    /// but those that keep upper case.
    TableName, "table", check_table
);

name!(
    /// What data is used for, as a session states it and a grant asks it:
    /// letters, digits, `-`, `_` and `.`.
    ///
    /// ```
    /// use weft_mesh::Purpose;
    /// assert!(Purpose::parse("fulfilment").is_ok());
    /// assert!(Purpose::parse("just looking").is_err());
    /// ```
    Purpose, "purpose", check_purpose
);

/// A table of the mesh: one schema object of one major version of a contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId {
    pub domain: DomainName,
    pub table: TableName,
    /// The major version of the contract.
    pub major: u64,
}

/// Without the version: `sales.orders`.
impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.table)
    }
}

fn check_lower(text: &str) -> Result<(), &'static str> {
    let mut chars = text.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let goes_on = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !(begins && goes_on) {
        return Err("use a lower-case letter, then lower-case letters, digits and `_`");
    }
    check_length(text)
}

fn check_domain(text: &str) -> Result<(), &'static str> {
    check_lower(text)?;
    if RESERVED.contains(&text) {
        return Err("the engine has a schema of that name");
    }
    Ok(())
}

fn check_purpose(text: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(plain) {
        return Err("use letters, digits, `-`, `_` and `.`");
    }
    check_length(text)
}

fn check_table(text: &str) -> Result<(), &'static str> {
    let mut chars = text.chars();
    let begins = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !(begins && goes_on) {
        return Err("use a letter or `_`, then letters, digits and `_`");
    }
    check_length(text)
}

fn check_length(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_LENGTH {
        return Err("it is longer than 128 characters");
    }
    Ok(())
}
