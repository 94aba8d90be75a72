//! One statement, from its text to a [`PlannedQuery`].

use std::sync::Arc;

use datafusion::{
    execution::context::{SQLOptions, SessionState},
    logical_expr::LogicalPlan,
};
use uuid::Uuid;

use super::{
    Deep, Lineage, Plan, PlannedQuery, cell_hidden, combination, explain_access,
    logical::logical_plan,
    parameters::Parameters,
    physical::{self, physical_query},
    recent::Known,
    refuse_too_large,
    shape::{self, is_ordered},
};
use crate::{
    error::{Error, Result, classify, with_references},
    footprint::{self, Footprint},
    functions::Caps,
    session::{GovernedSession, described},
    sql::{self, ExplainAccess},
};

pub(super) async fn plan_statement(
    session: GovernedSession,
    sql: String,
    query_id: Uuid,
) -> Result<PlannedQuery> {
    let shared = Arc::clone(session.shared());
    if let Some(known) = shared.recent.find(&session, &sql) {
        return planned_again(&known, session, query_id).await;
    }
    let parsed = sql::parse(&sql, session.mesh_name())?;
    let caps = Arc::new(Caps::new(session.shared().config.plan_timeout));
    let (mut state, registry) = session.state(&caps);
    let references = state
        .resolve_table_references(&parsed.statement)
        .map_err(classify)?;
    session.note_names(|schema| footprint::named(&references, schema));
    let (statement, explains) = (parsed.statement, parsed.explains_access);
    if let Some(ExplainAccess::Of { principal, purpose }) = explains {
        let lines = explain_access::of_other(&session, &statement, &principal, purpose).await?;
        return explanation(session, query_id, state, caps, lines).await;
    }
    let logical = logical_plan(&mut state, &registry, &references, statement).await;
    let logical = logical.map_err(|error| {
        let names = (session.mesh_name(), session.default_schema());
        with_references(error, &references, names, |table| {
            session.whom_to_ask(table)
        })
    })?;
    read_only(&logical)?;
    let mut tables = combination::refuse_forbidden(&logical, &session)?;
    let logical = cell_hidden::with_hidden_flags(in_described_types(logical))?;
    refuse_too_large(&logical)?;
    let lineage = Arc::new(Lineage::of(&logical)?);
    let (logical, parameters) = Parameters::infer(logical, parsed.parameters)?;
    if explains.is_some() {
        let optimized = state.optimize(&logical).map_err(classify)?;
        footprint::add_columns(&mut tables, &optimized)?;
        let lines = explain_access::own(&session, &tables)?;
        return explanation(session, query_id, state, caps, lines).await;
    }
    let schema = physical::declared_schema(&state, &logical)?;
    let physical = match parameters.count() {
        0 => Some(physical_query(&mut state, &session, &logical, &schema, &mut tables).await?),
        _ => None,
    };
    let is_ordered = is_ordered(&logical);
    // With parameters it is analysed and optimised when they have values.
    let optimized = physical.as_ref().and_then(|it| it.optimized.as_ref());
    let settled = optimized.unwrap_or(&logical);
    let lasts = shape::lasts(&logical, settled)?;
    let is_explained = physical.is_some() && optimized.is_none();
    if lasts && !is_explained && shape::may_be_known(&logical, settled, &tables)? {
        let known = Known {
            meaning: Arc::clone(session.meaning()),
            caps: Arc::clone(&caps),
            names: session.named_tables().to_vec(),
            schema: Arc::clone(&schema),
            parameters: parameters.clone(),
            is_ordered,
            tables: tables.clone(),
            lineage: Arc::clone(&lineage),
            plan: settled.clone(),
        };
        shared.recent.keep(&session, &sql, known)?;
    }
    let plan = Deep::new(
        Plan {
            state,
            viewer: session.viewer().clone(),
            caps,
            may_wait: lasts && shape::has_few_files(&logical)?,
            open: physical.is_none().then_some(logical),
            physical,
        },
        &session,
    );
    Ok(PlannedQuery {
        session,
        query_id,
        schema,
        parameters,
        is_ordered,
        tables,
        lineage,
        plan,
        kept: None,
    })
}

/// What is `known` of a statement, planned to its end for another run of it.
async fn planned_again(
    known: &Known,
    session: GovernedSession,
    query_id: Uuid,
) -> Result<PlannedQuery> {
    session.note_names(|_| known.names.clone());
    let caps = Arc::new(Caps::new(session.shared().config.plan_timeout));
    let (mut state, _) = session.state(&caps);
    let (physical, caps) = match known.parameters.count() {
        0 => {
            let optimized = known.plan.clone();
            let physical =
                physical::of_optimized(&mut state, &session, optimized, &known.schema).await?;
            // Its functions have those of the first run.
            (Some(physical), Arc::clone(&known.caps))
        }
        _ => (None, caps),
    };
    let plan = Plan {
        state,
        viewer: session.viewer().clone(),
        caps,
        open: physical.is_none().then(|| known.plan.clone()),
        physical,
        may_wait: shape::has_few_files(&known.plan)?,
    };
    Ok(PlannedQuery {
        query_id,
        schema: Arc::clone(&known.schema),
        parameters: known.parameters.clone(),
        is_ordered: known.is_ordered,
        tables: known.tables.clone(),
        lineage: Arc::clone(&known.lineage),
        plan: Deep::new(plan, &session),
        kept: None,
        session,
    })
}

/// The query that returns an explanation and reads nothing.
async fn explanation(
    session: GovernedSession,
    query_id: Uuid,
    mut state: SessionState,
    caps: Arc<Caps>,
    logical: LogicalPlan,
) -> Result<PlannedQuery> {
    let schema = physical::declared_schema(&state, &logical)?;
    let mut tables = Footprint::new();
    let physical = physical_query(&mut state, &session, &logical, &schema, &mut tables).await?;
    let plan = Plan {
        state,
        viewer: session.viewer().clone(),
        caps,
        open: None,
        physical: Some(physical),
        may_wait: false,
    };
    Ok(PlannedQuery {
        query_id,
        schema,
        parameters: Parameters::none(),
        is_ordered: true,
        tables,
        lineage: Arc::default(),
        plan: Deep::new(plan, &session),
        kept: None,
        session,
    })
}

/// The allow-list once more, on the plan.
fn read_only(plan: &LogicalPlan) -> Result<()> {
    let options = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    options.verify_plan(plan).map_err(|_| Error::ReadOnly)
}

/// `DESCRIBE` prints a schema as it finds it.
fn in_described_types(plan: LogicalPlan) -> LogicalPlan {
    let LogicalPlan::DescribeTable(mut describe) = plan else {
        return plan;
    };
    describe.schema = described(&describe.schema);
    LogicalPlan::DescribeTable(describe)
}
