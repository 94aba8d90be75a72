//! How the files of each format are read in the contract's types.
//!
//! | format | columns by | a column the file lacks | more in the file |
//! |---|---|---|---|
//! | Parquet | name | NULL, or an error where required | not read |
//! | CSV with a header | name | NULL, or an error where required | not read |
//! | CSV without | position in the contract | an error | an error |
//! | JSON | name | NULL | not read |
//!
//! Names are compared by case. Types may be narrower in a file than in the
//! contract; see [`fit`] for Parquet. Text formats are parsed as the contract's
//! type, see [`text`]. A NULL where the contract requires a value is read as it
//! is: the seal refuses it in visible rows.

mod fit;
mod parquet;
mod text;

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::execution::cache::cache_manager::CacheManager;
use weft_mesh::{Compression, Format, JsonLayout};

pub(crate) use self::fit::FitFactory;
pub(crate) use self::parquet::{
    bounds_by_footer, columns_by_footer, ranges_by_footer, rows_by_footer,
};
use self::text::TextFiles;
use super::layout::Layout;
use crate::store::PinnedStore;

/// A reader of whole tables in one format, before projection.
pub(crate) struct Reader {
    pub(crate) source: Arc<dyn FileSource>,
    pub(crate) compression: FileCompressionType,
    /// Whether one file may be read as several byte ranges.
    pub(crate) splits: bool,
}

/// The reader of `format` for files with the columns of `layout`.
pub(crate) fn reader(
    format: &Format,
    layout: &Layout,
    state: &dyn Session,
    store: &Arc<PinnedStore>,
    caches: &CacheManager,
) -> Reader {
    match format {
        Format::Parquet => Reader {
            source: parquet::source(layout.stored(), state, store, caches),
            compression: FileCompressionType::UNCOMPRESSED,
            splits: true,
        },
        Format::Csv(csv) => Reader {
            source: Arc::new(TextFiles::csv(csv, layout)),
            compression: compression(csv.compression),
            splits: false,
        },
        Format::Json(json) => Reader {
            source: Arc::new(TextFiles::json(json.layout, layout)),
            compression: compression(json.compression),
            splits: matches!(json.layout, JsonLayout::NewLine),
        },
    }
}

/// Whether files of `format` can hold columns of this type at all.
pub(crate) fn can_hold(format: &Format, data_type: &DataType) -> bool {
    match format {
        Format::Parquet | Format::Json(_) => true,
        Format::Csv(_) => !data_type.is_nested() && !data_type.is_binary(),
    }
}

fn compression(compression: Compression) -> FileCompressionType {
    match compression {
        Compression::None => FileCompressionType::UNCOMPRESSED,
        Compression::Gzip => FileCompressionType::GZIP,
        Compression::Bzip2 => FileCompressionType::BZIP2,
        Compression::Xz => FileCompressionType::XZ,
        Compression::Zstd => FileCompressionType::ZSTD,
    }
}
