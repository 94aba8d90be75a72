//! What a table of the schema `system` is.

use std::{fmt, sync::Arc};

use datafusion::arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use weft_catalog::MeshSnapshot;
use weft_policy::Viewer;

use crate::error::{Error, Result};

/// A table of the schema `system`.
pub trait SystemTable: fmt::Debug + Send + Sync {
    /// The name in the schema, lower case.
    fn name(&self) -> &'static str;

    /// What its rows are.
    fn description(&self) -> &'static str;

    /// Its columns, which are the same for everybody.
    fn columns(&self) -> Vec<SystemColumn>;

    /// The rows that the viewer of `look` may see and no others, in batches of
    /// [`schema`](SystemColumn::schema) with at most [`Look::batch_size`] rows.
    /// Nothing is made before the stream is polled.
    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>>;
}

/// A column of a [`SystemTable`].
#[derive(Clone, Debug)]
pub struct SystemColumn {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    data_type: DataType,
    nullable: bool,
}

impl SystemColumn {
    /// A column without NULL, of a type that clients read.
    pub fn new(name: &'static str, data_type: DataType, description: &'static str) -> Self {
        Self {
            name,
            description,
            data_type,
            nullable: false,
        }
    }

    /// The same, where a cell may be NULL.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The schema of all columns of a table.
    pub fn schema(columns: &[Self]) -> SchemaRef {
        let field = |it: &Self| Field::new(it.name, it.data_type.clone(), it.nullable);
        Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
    }
}

/// Whose look at what.
#[derive(Clone)]
pub struct Look {
    pub snapshot: Arc<MeshSnapshot>,
    pub viewer: Viewer,
    /// The most rows that a batch may have; at least 1.
    pub batch_size: usize,
}

/// Hand-written: neither policy nor identities.
impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

/// Batches that `make` makes when the first is asked for.
pub(super) fn lazily(
    make: impl FnOnce() -> Result<Vec<RecordBatch>> + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    let made = stream::once(async move {
        let batches = make()?.into_iter().map(Ok);
        Ok::<_, Error>(stream::iter(batches))
    });
    made.try_flatten().boxed()
}

/// A batch of our own making: if it cannot be, the fault is ours.
pub(super) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::internal(&error))
}
