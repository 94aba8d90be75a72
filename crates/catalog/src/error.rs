//! What goes wrong in the catalog, as two texts: one for the client, one for the log.

use std::error::Error as StdError;
use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use object_store::Error as StoreError;
use parquet::errors::ParquetError;
use uuid::Uuid;
use weft_mesh::{Fault, TableId};

/// Why a mesh could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Every fault of the load, warnings too.
    #[error("the mesh cannot be served:\n{}", lines(.0))]
    Manifests(Vec<Fault>),
    #[error("the mesh secret cannot be resolved: {0}")]
    Secret(String),
    #[error("{0}")]
    BlockCache(String),
    #[error("the engine cannot be set up: {0}")]
    Engine(#[from] DataFusionError),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

fn lines(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is wrong with a data source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// It cannot be reached, or refuses the credentials. Trying again may help.
    Unavailable,
    /// A file is not what its format or its contract's types say.
    Invalid,
    /// A file was overwritten or removed under the query. The next query sees the new one.
    Changed,
    /// A file lacks a required column or a value of it, or holds it in a type that
    /// does not fit, or a value that does not parse.
    Schema,
}

/// A data source failed, as a client may read it: the table, and a reference to
/// the server's log. Paths, values and causes stand there alone.
#[derive(Debug)]
pub struct SourceError {
    table: String,
    /// A visible column, of which a visible cell is the cause.
    column: Option<String>,
    kind: SourceErrorKind,
    reference: Uuid,
}

impl SourceError {
    /// Logs `detail` under a new reference.
    pub(crate) fn report(
        table: &TableId,
        kind: SourceErrorKind,
        detail: &dyn fmt::Display,
    ) -> Self {
        let reference = Uuid::new_v4();
        tracing::error!(%reference, %table, ?kind, %detail, "data source failed");
        Self {
            table: table.to_string(),
            column: None,
            kind,
            reference,
        }
    }

    /// A visible row shows a cell of `column` in clear that does not parse.
    pub(crate) fn unparsed(table: &TableId, column: &str) -> Self {
        let detail = format!("a cell of `{column}` in a visible row does not parse");
        Self {
            column: Some(column.to_owned()),
            ..Self::report(table, SourceErrorKind::Schema, &detail)
        }
    }

    /// The source error that `error` carries, however deeply.
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }

    pub fn kind(&self) -> SourceErrorKind {
        self.kind
    }

    /// What the log calls this failure.
    pub fn reference(&self) -> Uuid {
        self.reference
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data source of `{}` failed", self.table)?;
        if let Some(column) = &self.column {
            write!(f, ": a value of `{column}` does not parse")?;
        }
        write!(f, ", ref {}", self.reference)
    }
}

impl StdError for SourceError {}

/// A file that does not fit its contract. For the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SchemaMismatch(pub(crate) String);

impl From<SchemaMismatch> for DataFusionError {
    fn from(mismatch: SchemaMismatch) -> Self {
        Self::External(Box::new(mismatch))
    }
}

/// The error of an operator inside the seal, as the outside may see it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an error ends here: nothing of it goes on"
)]
pub(crate) fn redact(table: &TableId, error: DataFusionError) -> DataFusionError {
    if let DataFusionError::ResourcesExhausted(_) = error.find_root() {
        // Its text lists the operators of others.
        tracing::warn!(%table, %error, "no memory left for a scan");
        return DataFusionError::ResourcesExhausted(format!(
            "no memory left while reading `{table}`"
        ));
    }
    if let Some(found) = SourceError::find(&error) {
        // Without the context that operators put around it, and named as the
        // table that is read: an entitlement's name is not for the reader.
        return DataFusionError::External(Box::new(SourceError {
            table: table.to_string(),
            column: found.column.clone(),
            kind: found.kind,
            reference: found.reference,
        }));
    }
    let report = SourceError::report(table, classify(&error), &error);
    DataFusionError::External(Box::new(report))
}

fn classify(error: &DataFusionError) -> SourceErrorKind {
    // An error while reading a footer arrives as text alone.
    const CONDITION: &str = "Request precondition failure";
    const UNREACHABLE: &str = "Generic data source error";
    for cause in causes(error) {
        if cause.is::<SchemaMismatch>() {
            return SourceErrorKind::Schema;
        }
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            let changed = matches!(
                store,
                StoreError::Precondition { .. } | StoreError::NotFound { .. }
            );
            return if changed {
                SourceErrorKind::Changed
            } else {
                SourceErrorKind::Unavailable
            };
        }
    }
    let text = error.to_string();
    if text.contains(CONDITION) {
        SourceErrorKind::Changed
    } else if text.contains(UNREACHABLE) {
        SourceErrorKind::Unavailable
    } else {
        SourceErrorKind::Invalid
    }
}

/// `error` and what it wraps, outermost first.
fn causes<'a>(error: &'a DataFusionError) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |cause| {
        inner(*cause)
    })
}

fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // What these wrap they do not call their source, or the source of it is skipped.
    match error.downcast_ref() {
        Some(DataFusionError::External(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::ArrowError(inner, _)) => return Some(inner.as_ref()),
        Some(DataFusionError::ParquetError(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::ObjectStore(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => {
            return Some(inner.as_ref());
        }
        Some(DataFusionError::Shared(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::Collection(all)) => return all.first().map(|first| first as _),
        Some(_) | None => {}
    }
    if let Some(ArrowError::ExternalError(inner)) = error.downcast_ref() {
        return Some(inner.as_ref());
    }
    if let Some(ParquetError::External(inner)) = error.downcast_ref() {
        return Some(inner.as_ref());
    }
    error.source()
}
