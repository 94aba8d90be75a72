//! What one principal sees of a mesh's data, as providers of the engine.
//!
//! | room | holds |
//! |---|---|
//! | `store` | one read-only object store over every domain's storages |
//! | `product` | data products as raw tables: files, formats, partitions; they never leave this crate |
//! | `mesh_snapshot`, `live` | manifests, policy and data as one immutable value, and how it is renewed |
//! | `mask` | column masks as functions |
//! | `governed` | the seal: the only scan of raw data |

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

mod error;
mod governed;
mod live;
mod mask;
mod mesh_snapshot;
mod pace;
mod product;
mod store;
mod trace;

pub use error::{Error, Result, SourceError, SourceErrorKind};
pub use governed::{
    Freshness, GovernedCatalog, GovernedScanExec, GovernedTable, KnownColumn, KnownTable,
    QuietFilters, Reading, SealRefused, Shown, UserPushdown, VisibleColumn, VisibleTable,
    known_tables,
};
pub use live::{
    Background, CatalogConfig, FooterCounts, KeptCounts, LiveMesh, MeshCounts, ReloadCounts,
    ReloadReport,
};
pub use mesh_snapshot::{Epoch, MeshSnapshot};
pub use pace::{Gate, Paced};
pub use store::{BlockCacheConfig, BlockCounts, DomainReads, StorageRequests};
pub use trace::{StatementSpan, TRACES, counted};
