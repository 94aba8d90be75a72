//! A mesh, a server and clients for integration tests.
//!
//! ```ignore
//! let mesh = MeshDir::new("acme")
//!     .user("ana", "pw", &["analysts"], &[])
//!     .domain("sales", GRANTS, &[&contract("orders", "parquet", "data/orders/**/*.parquet", COLUMNS)]);
//! parquet(&mesh.data("sales").join("orders/0.parquet"), &batches, 100);
//! let server = TestServer::start(&mesh).await;
//! let rows = server.client("ana", "pw").await.query("SELECT …").await.unwrap();
//! assert_eq!(pretty(&rows), "…");
//! ```

mod client;
mod files;
mod mesh_dir;
mod process;
mod s3;
mod server;

pub(crate) use self::client::{TestClient, cells, pretty, status};
pub(crate) use self::files::{copy_folder, csv, json_lines, parquet};
pub(crate) use self::mesh_dir::{MeshDir, contract};
pub(crate) use self::process::{WeftProcess, weft};
pub(crate) use self::s3::{Fault, Key, OWNER, Operation, TestS3};
pub(crate) use self::server::{TestServer, TestServerConfig};

/// Installs the process's one TLS provider; every harness constructor calls it.
pub(crate) fn setup() {
    // An error means that another test was first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
