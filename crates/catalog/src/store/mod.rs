//! One object store for the whole mesh, every storage of every domain apart.
//!
//! The engine's own registry tells stores apart by scheme and host, and its
//! footer cache by path alone: two domains in one bucket would share
//! credentials, and equal keys in two buckets would share footers. So the
//! engine sees a single store at [`MESH_URL`] whose paths begin with domain and
//! storage: `mesh://data/<domain>/<storage>/<key>`.
//!
//! [`MeshStore`] routes a path to its [`Storage`]; [`PinnedStore`] lets one
//! table's scans read the files of one listing and nothing else, from [`BlockCache`] what was read
//! before.

mod blocks;
mod local;
mod mesh;
mod pinned;
mod read_only;
mod s3;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
mod traffic;

pub(crate) use blocks::BlockCache;
pub use blocks::{BlockCacheConfig, BlockCounts};
pub(crate) use mesh::MeshStore;
pub(crate) use pinned::PinnedStore;
pub(crate) use read_only::{ReadOnly, Reads, failed};
pub use storage::StorageRequests;
pub(crate) use storage::{Storage, StorageKey};
pub use traffic::DomainReads;

/// The only address that a scan inside a seal can resolve.
pub(crate) const MESH_URL: &str = "mesh://data";
