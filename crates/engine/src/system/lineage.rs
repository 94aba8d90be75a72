//! `system.lineage`: which columns of data products the columns of results
//! came from.

use std::sync::Arc;

use datafusion::arrow::{datatypes::DataType, record_batch::RecordBatch};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use weft_audit::{AuditRecord, LineageEdge, Trail};

use super::{
    Look, SystemColumn, SystemTable,
    arrays::{moment, moments, text, text_or_null},
    audit::seen,
    table::batch_of,
};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Lineage(pub(super) Arc<Trail>);

impl SystemTable for Lineage {
    fn name(&self) -> &'static str {
        "lineage"
    }

    fn description(&self) -> &'static str {
        "Which columns of data products the results of statements came from, for those who may see the statement"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let text = |name, description| SystemColumn::new(name, DataType::Utf8, description);
        vec![
            text("query_id", "the statement, as in `system.audit`").nullable(),
            SystemColumn::new("started_at", moment(), "when it began").nullable(),
            text("principal", "whose rights counted").nullable(),
            text(
                "output_column",
                "the column of the result; NULL for the result as a whole",
            )
            .nullable(),
            text(
                "part",
                "direct: its values are copies or computed from the source; influences: the source decides which rows there are",
            ),
            text("domain", "the domain of the source"),
            text("table_name", "the table of the source"),
            text("column_name", "the source, by its name in the contract"),
        ]
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let schema = SystemColumn::schema(&self.columns());
        let some = look.batch_size.max(1);
        let batches = seen(&self.0, &look).map_ok(move |records| {
            let edges = records.iter().map(|it| (it, it.lineage_edges()));
            let edges: Vec<_> = edges.collect();
            let rows: Vec<(&AuditRecord, &LineageEdge)> = edges
                .iter()
                .flat_map(|(record, edges)| edges.iter().map(move |edge| (*record, edge)))
                .collect();
            let batch = |rows: &[(&AuditRecord, &LineageEdge)]| {
                let records = || rows.iter().map(|(record, _)| *record);
                let edges = || rows.iter().map(|(_, edge)| *edge);
                let source = |edge: &LineageEdge| {
                    let (domain, table) = edge.table.split_once('.').unwrap_or_default();
                    (domain.to_owned(), table.to_owned())
                };
                let columns = vec![
                    text_or_null(records().map(|it| it.query_id.map(|id| id.to_string()))),
                    moments(records().map(|it| Some(it.started_at))),
                    text_or_null(records().map(|it| it.principal.as_deref())),
                    text_or_null(edges().map(|it| it.output.as_deref())),
                    text(edges().map(|it| &it.part)),
                    text(edges().map(|it| source(it).0)),
                    text(edges().map(|it| source(it).1)),
                    text(edges().map(|it| &it.column)),
                ];
                batch_of(&schema, columns)
            };
            let batches: Vec<Result<RecordBatch>> = rows.chunks(some).map(batch).collect();
            stream::iter(batches)
        });
        batches.try_flatten().boxed()
    }
}
