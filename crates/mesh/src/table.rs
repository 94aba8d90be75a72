//! Tables: what a contract promises, as Arrow sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::fault::Span;
use crate::location::Location;
use crate::name::{DomainName, StorageName, TableId, TableName};

/// One schema object of a served contract.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: TableName,
    /// What its contract calls the data product: `dataProduct`, else its name.
    pub product: String,
    /// The version of its contract, as written.
    pub version: String,
    /// The major version of its contract.
    pub major: u64,
    /// Whether this is the version that the bare name means.
    pub newest: bool,
    pub status: TableStatus,
    pub description: Option<String>,
    /// The service levels that its contract promises for it: `freshness`, …
    pub service_levels: BTreeSet<String>,
    /// The tags of the schema object and of its contract.
    pub tags: BTreeSet<String>,
    /// In declared order.
    pub columns: Vec<Column>,
    pub source: TableSource,
    /// Where the contract declares it.
    pub span: Span,
}

impl Table {
    /// What SQL calls the table: `orders` and `orders@2`, or `orders@1` alone
    /// where a newer major version has the bare name.
    pub fn sql_names(&self) -> Vec<String> {
        let versioned = format!("{}@{}", self.name, self.major);
        if self.newest {
            vec![self.name.to_string(), versioned]
        } else {
            vec![versioned]
        }
    }

    /// Whether `name` is one of [`Self::sql_names`].
    pub fn is_called(&self, name: &str) -> bool {
        match name.split_once('@') {
            None => self.newest && name == self.name.as_str(),
            Some((table, major)) => {
                table == self.name.as_str() && major == self.major.to_string().as_str()
            }
        }
    }

    /// The table's name in the whole mesh.
    pub fn id(&self, domain: &DomainName) -> TableId {
        TableId {
            domain: domain.clone(),
            table: self.name.clone(),
            major: self.major,
        }
    }

    /// The column of exactly that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns in declared order, by their contract names; optional ones are nullable.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), !column.required))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// The columns that the folders of the files give (`month=2026-01`), outermost first.
    pub fn partition_columns(&self) -> Vec<&Column> {
        let mut columns: Vec<(u32, &Column)> = self
            .columns
            .iter()
            .filter_map(|column| Some((column.partition?, column)))
            .collect();
        columns.sort_by_key(|(position, _)| *position);
        columns.into_iter().map(|(_, column)| column).collect()
    }

    /// The primary key's columns in key order; empty where the contract names none.
    pub fn primary_key(&self) -> Vec<&Column> {
        let mut columns: Vec<(u32, &Column)> = self
            .columns
            .iter()
            .filter_map(|column| Some((column.primary_key?, column)))
            .collect();
        columns.sort_by_key(|(position, _)| *position);
        columns.into_iter().map(|(_, column)| column).collect()
    }
}

/// How far a served contract is in its life. Draft and retired ones are not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableStatus {
    Active,
    Deprecated,
}

/// One property of a schema object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Its name in the files.
    pub physical_name: String,
    /// One of the types that every Flight SQL client reads.
    pub data_type: DataType,
    /// Never NULL, and present in every file.
    pub required: bool,
    /// Its place among the partition columns, counted from 1.
    pub partition: Option<u32>,
    /// Its place in the primary key, counted from 1.
    pub primary_key: Option<u32>,
    pub description: Option<String>,
    pub tags: BTreeSet<String>,
    pub classification: Option<String>,
    /// What the properties inside it are marked with.
    pub inside: InsideMarks,
    /// Where the contract declares it.
    pub span: Span,
}

/// Tags and classifications of the properties inside a nested column, at any
/// depth. A guardrail on one of them is on the whole column; a grant never
/// gives a column by them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InsideMarks {
    pub tags: BTreeSet<String>,
    pub classifications: BTreeSet<String>,
}

/// Where a table's rows are.
#[derive(Debug, Clone)]
pub struct TableSource {
    pub storage: StorageName,
    pub format: Format,
    /// Relative to the storage's root.
    pub location: Location,
    /// The place in the contract that gives the location.
    pub span: Span,
}

/// How the files of a table are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Parquet,
    Csv(CsvFormat),
    Json(JsonFormat),
}

/// How CSV files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// Whether the first line names the columns; without it they stand in contract order.
    pub header: bool,
    pub delimiter: u8,
    pub quote: u8,
    /// The text that means NULL; without it the empty field does.
    pub null: Option<String>,
    pub compression: Compression,
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: b',',
            quote: b'"',
            null: None,
            compression: Compression::None,
        }
    }
}

/// How JSON files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFormat {
    pub layout: JsonLayout,
    pub compression: Compression,
}

/// How the rows of a JSON file follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonLayout {
    /// One object a line.
    NewLine,
    /// One array of objects.
    Array,
}

/// How whole text files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}
