#![allow(dead_code, unreachable_pub, unused_imports, missing_docs, clippy::all, reason = "scratch")]
#[path = "../src/error.rs"]
pub mod error;
#[path = "../src/live/mod.rs"]
pub mod live;
#[path = "../src/mesh_snapshot.rs"]
pub mod mesh_snapshot;
#[path = "../src/product/mod.rs"]
pub mod product;
#[path = "../src/store/mod.rs"]
pub mod store;
mod mask {
    #[derive(Debug)]
    pub(crate) struct MaskKeys;
    impl MaskKeys {
        pub(crate) fn new(_: &[u8]) -> Self { Self }
    }
}
mod governed {
    #[derive(Clone, Debug, Default)]
    pub(crate) struct VisibleCounts(u8);
}
fn main() {}
