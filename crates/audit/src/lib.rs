//! The audit trail: one record for every statement and every refusal, kept
//! where neither a crash nor a full disk loses it.
//!
//! ```text
//! Trail::begin   a statement starts   -> a line in the journal, before any of its rows leaves
//! Entry::end     and ends             -> a line in the journal, on disk before the last of them does
//! archive        a journal that is full or old becomes one Parquet file, and goes
//! ```
//!
//! The journal is a local file of lines with checksums. A process that is killed leaves it
//! behind; the next one archives it, and what had begun and not ended is `interrupted`.
//! While the journal cannot be written, nothing runs that it would have to hold.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::large_futures,
        clippy::print_stderr,
        reason = "tests may fail loudly"
    )
)]

mod columns;
mod error;
mod line;
mod record;

mod archive;
mod archiver;
mod commit;
mod journal;
mod name;
mod recover;
mod s3;
mod shared;
mod writer;

mod read;
mod sight;
#[cfg(test)]
mod tests;
mod trail;

pub use columns::{schema, to_batch};
pub use error::{Error, Result, Unwritable};
pub use read::TrailReader;
pub use record::{AuditRecord, Kind, LineageEdge, Outcome, TableUse};
pub use sight::Sight;
pub use trail::{Entry, Trail};
