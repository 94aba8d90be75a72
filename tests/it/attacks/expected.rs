//! The authorised copy: what the policy shows, made by plain code.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::FutureExt;

use super::cases::{Case, Expectation};
use super::fixture::{Columns, Format, Row};
use super::observe::{Answer, Failure, Kind, lines, schema_line};

/// What the mask functions and the grant make of a row, without the engine.
fn masked(mut row: Row) -> Row {
    let shown_last = |text: String| {
        let stars = text.chars().count() - 4;
        let last: String = text.chars().skip(stars).collect();
        "*".repeat(stars) + &last
    };
    row.ssn = row.ssn.map(shown_last);
    row.email = None;
    row.salary -= row.salary.rem_euclid(100_000);
    row.card = None;
    row
}

/// The rows that the policy shows, with the columns that the grant names.
fn authorised(format: Format, visible: i64) -> RecordBatch {
    let rows: Vec<_> = (0..visible).map(|n| masked(Row::visible(n, 0))).collect();
    let columns = Columns { format };
    let all = columns.batch(&rows);
    let granted: Vec<usize> = (0..all.num_columns() - 1).collect();
    with_views(&all.project(&granted).unwrap())
}

/// Texts in the layout that the readers of files hold them in.
fn with_views(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let view = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            other => other.clone(),
        };
        columns.push(cast(column, &view).unwrap());
        fields.push(field.as_ref().clone().with_data_type(view));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the authorised copy is the oracle"
)]
fn copy(format: Format, visible: i64) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(2)
        .with_default_catalog_and_schema("acme", "sales")
        .with_create_default_catalog_and_schema(false);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    config.options_mut().sql_parser.dialect = datafusion::common::config::Dialect::Generic;
    let ctx = SessionContext::new_with_config(config);
    let table = |batch: RecordBatch| {
        let schema = batch.schema();
        // No rows are no batch: functions meet none.
        let batches = if batch.num_rows() > 0 {
            vec![batch]
        } else {
            vec![]
        };
        Arc::new(MemTable::try_new(schema, vec![batches]).unwrap())
    };
    let regions = Schema::new(vec![
        Field::new("region", DataType::Utf8, true),
        Field::new("rank", DataType::Int64, true),
    ]);
    let regions = RecordBatch::try_new(
        Arc::new(regions),
        vec![
            Arc::new(StringArray::from(vec!["EU", "US", "ZZ"])),
            Arc::new(Int64Array::from(vec![1, 2, 3])),
        ],
    );
    let schema = Arc::new(MemorySchemaProvider::new());
    let orders = table(authorised(format, visible));
    schema.register_table("orders".into(), orders).unwrap();
    schema
        .register_table("regions".into(), table(regions.unwrap()))
        .unwrap();
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("sales", schema).unwrap();
    ctx.register_catalog("acme", Arc::new(catalog));
    ctx
}

/// The answers of the copy to every EQ case, by name.
pub(super) async fn answers(
    cases: &'static [Case],
    format: Format,
    visible: i64,
) -> HashMap<String, Answer> {
    let ctx = copy(format, visible);
    let asked = cases
        .iter()
        .filter(|case| matches!(case.expectation, Expectation::Equal(_)) && case.runs_on(format));
    let answer = |case: &'static Case| {
        let ctx = ctx.clone();
        async move {
            let answer = AssertUnwindSafe(ask(&ctx, case)).catch_unwind().await;
            let panic = |_| {
                Err(Failure {
                    kind: Kind::Internal,
                    text: "a panic".to_owned(),
                })
            };
            (case.name.clone(), answer.unwrap_or_else(panic))
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "planning takes a thread of its own"
    )]
    let tasks: Vec<_> = asked.map(|case| tokio::spawn(answer(case))).collect();
    let mut answers = HashMap::new();
    for task in tasks {
        let (name, answer) = task.await.unwrap();
        answers.insert(name, answer);
    }
    answers
}

#[expect(clippy::disallowed_methods, reason = "queries of the test itself")]
async fn ask(ctx: &SessionContext, case: &Case) -> Answer {
    let answered = async {
        let mut frame = ctx.sql(&case.sql).await?;
        if !case.parameters.is_empty() {
            frame = frame.with_param_values(case.parameters.clone())?;
        }
        let state = ctx.state();
        let plan = frame.logical_plan().clone();
        let plan = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})?;
        let schema = schema_line(plan.schema().as_arrow());
        Ok((schema, lines(&frame.collect().await?)))
    };
    answered.await.map_err(|error: DataFusionError| Failure {
        kind: kind(error.find_root()),
        text: error.to_string(),
    })
}

/// The class that a client would read.
fn kind(error: &DataFusionError) -> Kind {
    match error {
        DataFusionError::Plan(text) if text.contains("not found") && text.starts_with("table") => {
            Kind::NotFound
        }
        DataFusionError::NotImplemented(_) => Kind::Unimplemented,
        DataFusionError::ArrowError(inner, _)
            if matches!(**inner, ArrowError::NotYetImplemented(_)) =>
        {
            Kind::Unimplemented
        }
        DataFusionError::ResourcesExhausted(_) => Kind::Exhausted,
        DataFusionError::Plan(_)
        | DataFusionError::SQL(..)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Execution(_)
        | DataFusionError::ArrowError(..) => Kind::Invalid,
        DataFusionError::External(inner) if inner.to_string().starts_with("regex parse error") => {
            Kind::Invalid
        }
        _ => Kind::Internal,
    }
}
