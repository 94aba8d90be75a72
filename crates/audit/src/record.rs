//! One statement or one refusal, as it is kept.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything that is kept of one statement or refusal. There are no credentials in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// What the client was told; none for what never became a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_id: Option<Uuid>,
    /// The run of the server: epochs are counted anew in each.
    pub server: Uuid,
    pub started_at: DateTime<Utc>,
    /// None while it runs, and where the server ended first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    pub kind: Kind,
    /// Whose rights counted; none where nobody was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The service that acted for the principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<String>,
    /// Who a refused caller said to be, or to act for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// The address at the other end of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What the client says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The bound rows, as JSON: a list of lists of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// What was read, or what a refused statement named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableUse>,
    /// Which reading of the manifests decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Handed to the connection.
    #[serde(default)]
    pub rows: u64,
    /// Of encoded Arrow data, likewise.
    #[serde(default)]
    pub bytes: u64,
    pub outcome: Outcome,
    /// The gRPC code of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the client read of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many like this were left out before it, or were lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// Which columns fed which columns of the result, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One table of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableUse {
    /// Empty where a refused statement named none.
    pub domain: String,
    pub table: String,
    /// The major version of what was read; none for a name in a refused statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The columns that were read, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The grants that gave access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// The guardrails that took something of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<String>,
    /// Equal for equal files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A statement that was run, or was to be.
    Statement,
    /// The schema or the flight of a statement.
    Plan,
    /// A prepared statement.
    Prepare,
    /// A question about the catalog.
    Metadata,
    /// To be let in.
    Login,
    /// Anything else.
    Call,
    /// The trail itself speaks.
    Trail,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has not ended yet.
    Running,
    Ok,
    /// It failed while it ran.
    Error,
    /// It did not begin.
    Refused,
    /// The client cancelled it or went away.
    Cancelled,
    TimedOut,
    /// Access changed while it ran.
    Revoked,
    /// The server ended first.
    Interrupted,
}

/// A column of a data product, and what of a result comes from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageEdge {
    /// The column of the result; none for the result as a whole.
    pub output: Option<String>,
    /// `direct`: its values are copies of the column or computed from it.
    /// `influences`: the column decides about rows.
    pub part: String,
    /// The table, as `domain.table`.
    pub table: String,
    pub column: String,
}

impl AuditRecord {
    /// The record of something that begins now.
    pub fn new(kind: Kind) -> Self {
        Self {
            query_id: None,
            server: Uuid::nil(),
            started_at: Utc::now(),
            ended_at: None,
            kind,
            principal: None,
            acting: None,
            claimed: None,
            peer: None,
            client: None,
            purpose: None,
            sql: None,
            parameters: None,
            tables: Vec::new(),
            epoch: None,
            rows: 0,
            bytes: 0,
            outcome: Outcome::Running,
            code: None,
            error: None,
            left_out: 0,
            lineage: None,
        }
    }

    /// What was bound: texts, and NULLs.
    pub fn set_parameters(&mut self, rows: &[Vec<Option<String>>]) {
        // Texts are always JSON.
        self.parameters = serde_json::to_string(rows).ok();
    }

    /// Which columns fed which: the output column, or none for the result as a whole; how;
    /// the source's table and column.
    pub fn set_lineage<'a>(
        &mut self,
        edges: impl Iterator<Item = (Option<&'a str>, &'a str, String, &'a str)>,
    ) {
        let edges: Vec<LineageEdge> = edges
            .map(|(output, part, table, column)| LineageEdge {
                output: output.map(str::to_owned),
                part: part.to_owned(),
                table,
                column: column.to_owned(),
            })
            .collect();
        if !edges.is_empty() {
            // Texts are always JSON.
            self.lineage = serde_json::to_string(&edges).ok();
        }
    }

    /// What [`set_lineage`](Self::set_lineage) was given.
    pub fn lineage_edges(&self) -> Vec<LineageEdge> {
        let edges = self.lineage.as_deref().map(serde_json::from_str);
        edges.and_then(Result::ok).unwrap_or_default()
    }

    /// How long it took.
    pub fn duration(&self) -> Option<Duration> {
        (self.ended_at? - self.started_at).to_std().ok()
    }

    /// The domains that it touches, sorted.
    pub fn domains(&self) -> BTreeSet<&str> {
        let named = self.tables.iter().map(|table| table.domain.as_str());
        named.filter(|domain| !domain.is_empty()).collect()
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Statement,
        Self::Plan,
        Self::Prepare,
        Self::Metadata,
        Self::Login,
        Self::Call,
        Self::Trail,
    ];

    /// As it is written in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Plan => "plan",
            Self::Prepare => "prepare",
            Self::Metadata => "metadata",
            Self::Login => "login",
            Self::Call => "call",
            Self::Trail => "trail",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Outcome {
    pub(crate) const ALL: [Self; 8] = [
        Self::Running,
        Self::Ok,
        Self::Error,
        Self::Refused,
        Self::Cancelled,
        Self::TimedOut,
        Self::Revoked,
        Self::Interrupted,
    ];

    /// As it is written in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Revoked => "revoked",
            Self::Interrupted => "interrupted",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
