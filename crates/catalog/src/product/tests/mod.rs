//! Tables over folders in a temporary directory, scanned with plain SQL.

mod fixture;
mod parquet;
mod text;
