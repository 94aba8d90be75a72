//! Data files of a fixture.

use std::fs::{self, File};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::json::LineDelimitedWriter;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Writes Parquet with row groups of `row_group` rows.
pub(crate) fn parquet(path: &Path, batches: &[RecordBatch], row_group: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .build();
    let schema = batches.first().expect("a batch").schema();
    let mut writer = ArrowWriter::try_new(create(path), schema, Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

/// Writes CSV with a header.
pub(crate) fn csv(path: &Path, batches: &[RecordBatch]) {
    let mut writer = WriterBuilder::new().with_header(true).build(create(path));
    for batch in batches {
        writer.write(batch).unwrap();
    }
}

/// Writes one JSON object a line.
pub(crate) fn json_lines(path: &Path, batches: &[RecordBatch]) {
    let mut writer = LineDelimitedWriter::new(create(path));
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn create(path: &Path) -> File {
    fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    File::create(path).unwrap()
}
