//! Tables over folders in a temporary directory, scanned with plain SQL.

mod fixture;
mod many_files;
mod parquet;
mod text;
