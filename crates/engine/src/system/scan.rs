//! The operator that makes the rows of a system table.

use std::{fmt, ptr, sync::Arc};

use datafusion::{
    arrow::{datatypes::SchemaRef, record_batch::RecordBatch},
    common::tree_node::TreeNodeRecursion,
    error::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType, SchedulingType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;
use weft_catalog::MeshSnapshot;
use weft_policy::Viewer;

use super::{Look, SYSTEM, SystemTable};

/// Makes the rows of a system table for one viewer on one snapshot, when it
/// runs. It has no input, no filter and no statistics.
pub(crate) struct SystemScanExec {
    table: Arc<dyn SystemTable>,
    snapshot: Arc<MeshSnapshot>,
    viewer: Viewer,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl SystemScanExec {
    pub(super) fn new(
        table: Arc<dyn SystemTable>,
        snapshot: Arc<MeshSnapshot>,
        viewer: Viewer,
        schema: &SchemaRef,
        projection: Option<Vec<usize>>,
    ) -> Result<Self> {
        let schema = match &projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => Arc::clone(schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::NonCooperative);
        Ok(Self {
            table,
            snapshot,
            viewer,
            projection,
            properties: Arc::new(properties),
        })
    }

    /// Whether its rows are made for `viewer` on `snapshot`; if not, why: for the
    /// log.
    pub(crate) fn verify(&self, snapshot: &MeshSnapshot, viewer: &Viewer) -> Result<(), String> {
        let name = self.table.name();
        if !ptr::eq(&raw const *self.snapshot, snapshot) {
            return Err(format!("`{SYSTEM}.{name}` is of another snapshot"));
        }
        if self.viewer != *viewer {
            return Err(format!("`{SYSTEM}.{name}` is of another viewer"));
        }
        Ok(())
    }
}

/// Whether `plan` reads a table of the schema.
pub(crate) fn reads_system(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let mut children = plan.children().into_iter();
    plan.is::<SystemScanExec>() || children.any(reads_system)
}

/// Our own error, in the engine's.
fn made(batch: crate::Result<RecordBatch>) -> Result<RecordBatch> {
    batch.map_err(|error| DataFusionError::External(Box::new(error)))
}

/// Hand-written: neither policy nor identities.
impl fmt::Debug for SystemScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemScanExec")
            .field("table", &self.table.name())
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SystemScanExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.properties.eq_properties.schema();
        let columns: Vec<&str> = schema
            .fields()
            .iter()
            .map(|it| it.name().as_str())
            .collect();
        let (name, columns) = (self.table.name(), columns.join(", "));
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(
                f,
                "SystemScanExec: table={SYSTEM}.{name}, projection=[{columns}]"
            ),
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={SYSTEM}.{name}")?;
                writeln!(f, "columns={columns}")
            }
        }
    }
}

impl ExecutionPlan for SystemScanExec {
    fn name(&self) -> &'static str {
        "SystemScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            let text = format!("a system table has no partition {partition}");
            return Err(DataFusionError::Internal(text));
        }
        let rows = self.table.rows(Look {
            snapshot: Arc::clone(&self.snapshot),
            viewer: self.viewer.clone(),
            batch_size: context.session_config().batch_size().max(1),
        });
        let projection = self.projection.clone();
        let rows = rows.map(move |batch| match &projection {
            Some(columns) => Ok(made(batch)?.project(columns)?),
            None => made(batch),
        });
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
