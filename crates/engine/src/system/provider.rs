//! A system table as the planner sees it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider},
    datasource::TableType,
    error::Result,
    logical_expr::Expr,
    physical_plan::ExecutionPlan,
};
use weft_catalog::MeshSnapshot;
use weft_policy::Viewer;

use super::{SystemScanExec, SystemTable};

/// One table for one viewer on one snapshot. It takes no filter and no limit in:
/// those of a user run above the scan, on rows that are the viewer's.
pub(super) struct SystemTableProvider {
    table: Arc<dyn SystemTable>,
    schema: SchemaRef,
    snapshot: Arc<MeshSnapshot>,
    viewer: Viewer,
}

impl SystemTableProvider {
    pub(super) fn new(
        table: Arc<dyn SystemTable>,
        schema: SchemaRef,
        snapshot: Arc<MeshSnapshot>,
        viewer: Viewer,
    ) -> Self {
        Self {
            table,
            schema,
            snapshot,
            viewer,
        }
    }
}

/// Hand-written: neither policy nor identities.
impl fmt::Debug for SystemTableProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemTableProvider")
            .field("table", &self.table.name())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SystemTableProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(SystemScanExec::new(
            Arc::clone(&self.table),
            Arc::clone(&self.snapshot),
            self.viewer.clone(),
            &self.schema,
            projection.cloned(),
        )?))
    }
}
