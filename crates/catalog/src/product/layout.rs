//! From a contract's columns to where they stand: in the files, or in folder names.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use weft_mesh::{Format, Table};

/// What the names of markers begin with.
pub(super) const MARKER: &str = "weft:unparsed:";

/// The name of the marker of a column: TRUE where a cell of it in a text file
/// does not parse, and is NULL for that reason.
pub(crate) fn marker_of(column: &str) -> String {
    format!("{MARKER}{column}")
}

/// The columns, by their names in the files, that a file must have.
pub(crate) type RequiredColumns = BTreeSet<String>;

/// The columns of a table under their contract names and under their file names.
///
/// A table of text files has a marker behind its columns for each that stands
/// in the files, see [`marker_of`].
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    schema: SchemaRef,
    stored: TableSchema,
    required: Arc<RequiredColumns>,
    /// For each field of `schema` its place in the stored schema.
    places: Vec<usize>,
    /// For each partition column, outermost folder first, its place in the contract.
    partitions: Vec<usize>,
}

impl Layout {
    pub(crate) fn of(table: &Table) -> Self {
        let contract = table.arrow_schema();
        let mut columns: Vec<Field> = contract.fields().iter().map(|f| in_memory(f)).collect();
        let required = table
            .columns
            .iter()
            .filter(|column| column.required && column.partition.is_none())
            .map(|column| column.physical_name.clone());

        let mut by_position: Vec<(u32, usize)> = table
            .columns
            .iter()
            .enumerate()
            .filter_map(|(place, c)| Some((c.partition?, place)))
            .collect();
        by_position.sort_unstable();
        let partitions: Vec<usize> = by_position.into_iter().map(|(_, place)| place).collect();
        let in_files: Vec<usize> = (0..table.columns.len())
            .filter(|place| !partitions.contains(place))
            .collect();

        let marked: &[usize] = match table.source.format {
            Format::Csv(_) | Format::Json(_) => &in_files,
            Format::Parquet => &[],
        };
        // Where each stored column stands in `columns`.
        let markers = table.columns.len()..table.columns.len() + marked.len();
        let in_store: Vec<usize> = in_files
            .iter()
            .copied()
            .chain(markers)
            .chain(partitions.iter().copied())
            .collect();
        for place in marked {
            let column = table.columns.get(*place);
            columns.extend(column.map(|column| marker(&column.name)));
        }
        let field = |place: &usize| {
            let field = columns.get(*place)?;
            let column = table.columns.get(*place);
            let name = column.map_or_else(|| field.name(), |column| &column.physical_name);
            Some(Arc::new(field.clone().with_name(name)))
        };
        let (file, folder) = in_store.split_at(in_store.len() - partitions.len());
        let stored = TableSchema::builder(Arc::new(Schema::new(
            file.iter().filter_map(field).collect::<Vec<_>>(),
        )))
        .with_table_partition_cols(folder.iter().filter_map(field).collect::<Vec<_>>())
        .build();
        let places = (0..columns.len())
            .filter_map(|place| in_store.iter().position(|stored| *stored == place))
            .collect();
        Self {
            schema: Arc::new(Schema::new(columns)),
            stored,
            required: Arc::new(required.collect()),
            places,
            partitions,
        }
    }

    /// Contract order, contract names, strings as views: what the table shows.
    /// Behind that are the markers.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Names in the files, then markers in the same order, partition columns
    /// last: what readers work with.
    pub(crate) fn stored(&self) -> &TableSchema {
        &self.stored
    }

    /// The column at `place` in the contract as files have it; `None` for a partition column.
    pub(crate) fn stored_field(&self, place: usize) -> Option<&Field> {
        let place = *self.places.get(place)?;
        let in_files = self.stored.file_schema().fields();
        in_files.get(place).map(AsRef::as_ref)
    }

    /// The columns that every file must have.
    pub(crate) fn required(&self) -> &Arc<RequiredColumns> {
        &self.required
    }

    /// The partition columns under their folder names, outermost first.
    pub(crate) fn partition_fields(&self) -> impl Iterator<Item = &Field> {
        self.stored.table_partition_cols().iter().map(AsRef::as_ref)
    }

    /// The partition columns as contract columns, outermost first.
    pub(crate) fn partition_schema(&self) -> SchemaRef {
        let fields = self
            .partitions
            .iter()
            .filter_map(|place| self.schema.fields().get(*place).cloned());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// From the stored schema to the contract columns `wanted`, renamed and in that order.
    pub(crate) fn projection(&self, wanted: &[usize]) -> ProjectionExprs {
        let stored = self.stored.table_schema();
        ProjectionExprs::new(wanted.iter().filter_map(|column| {
            let place = *self.places.get(*column)?;
            let name = self.schema.fields().get(*column)?.name();
            let expr = Arc::new(PhysicalColumn::new(
                stored.fields().get(place)?.name(),
                place,
            )) as Arc<dyn PhysicalExpr>;
            Some(ProjectionExpr::new(expr, name))
        }))
    }
}

fn marker(column: &str) -> Field {
    Field::new(marker_of(column), DataType::Boolean, false)
}

/// Strings are read as views, which saves a copy of every value. Strings inside
/// of structs and lists stay as they are declared.
///
/// Every column may be NULL in a file, and in the name of a folder, required or
/// not: a reader that refused it would let a row that nobody may see disturb
/// those who see others. The seal refuses it in the rows that are left.
fn in_memory(field: &Field) -> Field {
    let field = field.clone().with_nullable(true);
    if field.data_type().is_string() {
        field.with_data_type(DataType::Utf8View)
    } else {
        field
    }
}
