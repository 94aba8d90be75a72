//! Grants as their manifest states them: not yet held against the contracts.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::fault::Spanned;
use crate::name::Purpose;
use crate::table::Table;

/// Whom a grant is for.
///
/// ```
/// use weft_mesh::Grantee;
///
/// assert_eq!(Grantee::parse("group:eu-analysts").unwrap(), Grantee::Group("eu-analysts".into()));
/// assert_eq!(Grantee::parse("everyone").unwrap(), Grantee::Everyone);
/// assert!(Grantee::parse("ana").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    User(String),
    Service(String),
    Group(String),
    /// Every authenticated principal.
    Everyone,
}

impl Grantee {
    /// Reads `user:ana`, `service:bi`, `group:eu-analysts` or `everyone`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::Grantee(text.to_owned());
        if text == "everyone" {
            return Ok(Self::Everyone);
        }
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        if !is_principal_name(name) {
            return Err(wrong());
        }
        match kind {
            "user" => Ok(Self::User(name.to_owned())),
            "service" => Ok(Self::Service(name.to_owned())),
            "group" => Ok(Self::Group(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Everyone => f.write_str("everyone"),
        }
    }
}

/// Whether a user, service or group may be called so: anything that can be seen, without
/// spaces and colons (Basic authentication ends the user at the first colon).
pub fn is_principal_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && !name
            .chars()
            .any(|c| c == ':' || c.is_whitespace() || c.is_control() || is_unseen(c))
}

/// Characters that nobody sees, or that move others: Unicode's category Cf and tags.
/// With them one name could be read as another.
pub fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// One grant of `grants.yaml`.
#[derive(Debug, Clone)]
pub struct GrantManifest {
    /// Unique in the domain.
    pub name: Spanned<String>,
    pub to: Vec<Spanned<Grantee>>,
    pub on: GrantTarget,
    pub columns: ColumnSelection,
    /// Column and mask, as text.
    pub masks: Vec<(Spanned<String>, Spanned<String>)>,
    /// The row predicate, as text.
    pub rows: Option<Spanned<String>>,
    /// From this moment on, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Up to this moment, exclusive.
    pub until: Option<DateTime<Utc>>,
    /// For a session that states one of these purposes; empty asks for none.
    pub purposes: Vec<Spanned<Purpose>>,
}

impl GrantManifest {
    /// Whether it only lets a table be found.
    pub fn only_discovers(&self) -> bool {
        matches!(self.columns, ColumnSelection::Nothing)
    }
}

/// What a grant is on.
#[derive(Debug, Clone)]
pub enum GrantTarget {
    /// Every table of the domain.
    All,
    /// These tables, by their SQL names (`orders`, `orders@1`).
    Tables(Vec<Spanned<String>>),
    /// Tables with any of these tags.
    Tags(Vec<Spanned<String>>),
}

impl GrantTarget {
    /// Whether a table of the grant's domain is among them.
    pub fn covers(&self, table: &Table) -> bool {
        match self {
            Self::All => true,
            Self::Tables(names) => names.iter().any(|name| table.is_called(&name.value)),
            Self::Tags(tags) => tags.iter().any(|tag| table.tags.contains(&tag.value)),
        }
    }
}

/// Which columns a grant gives.
#[derive(Debug, Clone)]
pub enum ColumnSelection {
    All,
    Only(Vec<Spanned<String>>),
    Except(Vec<Spanned<String>>),
    /// No data: the table can be found, described and asked for
    /// (`discover: true`).
    Nothing,
    /// Columns with any of these tags.
    Tags(Vec<Spanned<String>>),
}

impl ColumnSelection {
    /// The positions of the columns that it gives of a table, ascending.
    pub fn positions(&self, table: &Table) -> Vec<usize> {
        let names = |names: &[Spanned<String>], name: &str| names.iter().any(|it| it.value == name);
        let columns = table.columns.iter().enumerate();
        columns
            .filter(|(_, column)| match self {
                Self::All => true,
                Self::Nothing => false,
                Self::Only(only) => names(only, &column.name),
                Self::Except(except) => !names(except, &column.name),
                Self::Tags(tags) => tags.iter().any(|tag| column.tags.contains(&tag.value)),
            })
            .map(|(at, _)| at)
            .collect()
    }
}
