//! Guardrails as their manifest states them: not yet held against the contracts.

use std::fmt;

use crate::error::{Error, Result};
use crate::fault::{Span, Spanned};
use crate::grant::Grantee;
use crate::name::{DomainName, TableId, TableName};

/// One guardrail of `guardrails.yaml`: a limit of the mesh that no domain can
/// remove.
#[derive(Debug, Clone)]
pub struct GuardrailManifest {
    /// Unique in the mesh.
    pub name: Spanned<String>,
    /// Whom it does not bind.
    pub except: Vec<Spanned<Grantee>>,
    pub effect: GuardrailEffect,
}

/// What a guardrail takes away.
#[derive(Debug, Clone)]
pub enum GuardrailEffect {
    /// Rows where the predicate, as text, is not TRUE.
    Rows {
        on: GuardrailTarget,
        rows: Spanned<String>,
    },
    /// Whatever of the columns is more revealing than the mask, as text.
    Mask {
        on: GuardrailTarget,
        mask: Spanned<String>,
    },
    /// The columns.
    Deny { on: GuardrailTarget },
    /// The columns, from a session that states no purpose.
    RequirePurpose { on: GuardrailTarget },
    /// Queries that read tables of two sides.
    ForbidCombine { sides: Vec<Spanned<TablePattern>> },
}

/// What a guardrail is on: every key that is given has to match, a list by any
/// of its values; keys that are not given are empty.
#[derive(Debug, Clone)]
pub struct GuardrailTarget {
    /// Columns so tagged: themselves, a property inside, or their table.
    pub tags: Vec<Spanned<String>>,
    /// Columns so classified: themselves, or a property inside.
    pub classification: Vec<Spanned<String>>,
    pub domains: Vec<Spanned<String>>,
    pub tables: Vec<Spanned<TablePattern>>,
    pub columns: Vec<Spanned<String>>,
    /// Where `on` stands.
    pub span: Span,
}

impl GuardrailTarget {
    /// Whether the guardrail picks columns, not whole tables.
    pub fn picks_columns(&self) -> bool {
        !(self.tags.is_empty() && self.classification.is_empty() && self.columns.is_empty())
    }
}

/// Tables by name: `hr.people`, in every version, `hr.people@2`, or `hr.*`.
///
/// ```
/// use weft_mesh::TablePattern;
///
/// assert_eq!(TablePattern::parse("hr.*").unwrap().to_string(), "hr.*");
/// assert!(TablePattern::parse("people").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TablePattern {
    pub domain: DomainName,
    /// `None` is every table of the domain.
    pub table: Option<TableName>,
    /// `None` is every major version.
    pub major: Option<u64>,
}

impl TablePattern {
    /// Reads `domain.table`, `domain.table@2` or `domain.*`.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::TablePattern(text.to_owned());
        let (domain, rest) = text.split_once('.').ok_or_else(wrong)?;
        let domain = DomainName::parse(domain).map_err(|_| wrong())?;
        if rest == "*" {
            return Ok(Self {
                domain,
                table: None,
                major: None,
            });
        }
        let (table, major) = match rest.split_once('@') {
            None => (rest, None),
            Some((table, major)) if major.bytes().all(|byte| byte.is_ascii_digit()) => {
                (table, Some(major.parse().map_err(|_| wrong())?))
            }
            Some(_) => return Err(wrong()),
        };
        Ok(Self {
            domain,
            table: Some(TableName::parse(table).map_err(|_| wrong())?),
            major,
        })
    }

    /// Whether the table is one of them.
    pub fn matches(&self, table: &TableId) -> bool {
        self.domain == table.domain
            && self.table.as_ref().is_none_or(|name| *name == table.table)
            && self.major.is_none_or(|major| major == table.major)
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.table, self.major) {
            (None, _) => write!(f, "{}.*", self.domain),
            (Some(table), None) => write!(f, "{}.{table}", self.domain),
            (Some(table), Some(major)) => write!(f, "{}.{table}@{major}", self.domain),
        }
    }
}
