//! Batches in the schema that was declared.
//!
//! Operators disagree with the logical plan on nullability and metadata, and a
//! client that was told one schema must not be sent another.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, RecordBatchOptions},
    compute::cast,
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};

use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Declared(SchemaRef);

impl Declared {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self(Arc::clone(schema))
    }

    /// `batch` with the declared schema.
    pub(super) fn wrap(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self
            .0
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| {
                if column.data_type() == field.data_type() {
                    return Ok(Arc::clone(column));
                }
                cast(column, field.data_type())
            });
        let columns: Vec<ArrayRef> = columns
            .collect::<Result<_, _>>()
            .map_err(|error| Error::internal(&error))?;
        // A batch without columns still has rows.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.0), columns, &options).map_err(|error| {
            Error::internal(&format!(
                "a batch does not fit the declared schema: {error}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{Array, Int64Array},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    #[test]
    fn nullability_is_the_declared_one() {
        let column = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let physical = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
        let batch = RecordBatch::try_new(physical, vec![column()]).unwrap();
        let declared = Arc::new(Schema::new(vec![Field::new("b", DataType::Int64, true)]));
        let wrapped = Declared::new(&declared).wrap(&batch).unwrap();
        assert_eq!(wrapped.schema(), declared);
        assert_eq!(wrapped.column(0).len(), 2);
    }

    #[test]
    fn rows_without_columns_stay() {
        let none = Arc::new(Schema::empty());
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&none), vec![], &options).unwrap();
        assert_eq!(Declared::new(&none).wrap(&batch).unwrap().num_rows(), 3);
    }
}
