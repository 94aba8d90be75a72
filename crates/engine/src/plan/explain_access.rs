//! `EXPLAIN ACCESS`: which grants and guardrails decide what a query shows.
//!
//! Everybody may ask for themselves, and learns what they may know: what is
//! visible, by which of their grants, taken of by which guardrails; no
//! conditions, nothing of what is hidden. Stewards may ask for others about
//! queries on their domains, auditors about any, and learn all of the policy.

use std::collections::BTreeSet;

use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit},
    sql::parser::Statement,
};
use weft_mesh::{Domain, Purpose, TableId};
use weft_policy::{Access, Explanation, PrincipalId, Standing, Stands, Viewer};

use crate::{
    error::{Error, Result, classify},
    footprint::Footprint,
    offline::{OfflineTable, statement_reads_as},
    session::GovernedSession,
};

/// The names of the columns, all of type Utf8.
const COLUMNS: [&str; 6] = ["table_name", "kind", "name", "result", "detail", "because"];

/// The lines of one explanation: each is a part of the plan that returns it.
const MAX_LINES: usize = 10_000;

/// One line of the explanation.
#[derive(Default)]
struct Line {
    /// As in a query: `sales.orders`; none for what is about the query.
    table: Option<String>,
    /// `query`, `table`, `column`, `grant`, `guardrail` or `ask`.
    kind: &'static str,
    /// Of the column, grant or guardrail.
    name: Option<String>,
    result: Option<String>,
    detail: Option<String>,
    because: Option<String>,
}

/// What the session's principal sees of the tables that a query of theirs reads.
pub(super) fn own(session: &GovernedSession, tables: &Footprint) -> Result<LogicalPlan> {
    let snapshot = session.snapshot();
    let mut lines = Vec::new();
    for (id, read) in tables {
        let Some(explained) = snapshot.policy().explain(session.viewer(), id) else {
            continue;
        };
        let name = name_of(snapshot.domains(), id);
        own_table(&mut lines, &name, &explained, &read.columns);
    }
    listing(lines)
}

fn own_table(lines: &mut Vec<Line>, table: &str, explained: &Explanation, read: &BTreeSet<String>) {
    let mut line = |kind, name: Option<&String>, result: String, detail, because| {
        lines.push(Line {
            table: Some(table.to_owned()),
            kind,
            name: name.cloned(),
            result: Some(result),
            detail,
            because,
        });
    };
    let Access::Granted(access) = &explained.access else {
        return;
    };
    let rows = match &access.rows {
        None => "every row",
        Some(rows) if rows.to_string() == "FALSE" => "no row",
        Some(_) => "some rows",
    };
    let all = format!("sees {rows}");
    line(
        "table",
        None,
        explained.access_name().to_owned(),
        Some(all),
        None,
    );
    let is_told = |name: &str| access.columns.iter().any(|it| it.name == name);
    let columns = explained.columns.iter();
    for column in columns.filter(|it| is_told(&it.name) && read.contains(&it.name)) {
        let shown = column.outcome.words_without_conditions();
        let name = column.outcome.name().to_owned();
        line(
            "column",
            Some(&column.name),
            name,
            Some(shown),
            Some(column.because()),
        );
    }
    let grants = explained.grants.iter();
    for grant in grants.filter(|it| it.standing == Standing::Active) {
        let gives = if grant.only_discovers() {
            grant.gives_words()
        } else {
            grant.columns_words(is_told)
        };
        line(
            "grant",
            Some(&grant.name),
            grant.standing_words(),
            Some(gives),
            None,
        );
    }
    let guardrails = explained.guardrails.iter();
    for guardrail in guardrails.filter(|it| it.stands == Stands::Binding) {
        if let Some(takes) = guardrail.takes_words_of(is_told) {
            let name = Some(&guardrail.name);
            line(
                "guardrail",
                name,
                guardrail.binds_words(),
                Some(takes),
                None,
            );
        }
    }
    lines.push(ask(table, explained));
}

/// What somebody else sees of the tables that a query reads, for those who
/// answer for them.
///
/// # Errors
/// [`Error::PermissionDenied`] for those who answer for no domain; a table of
/// a domain that they do not answer for does not exist.
pub(super) async fn of_other(
    session: &GovernedSession,
    statement: &Statement,
    principal: &PrincipalId,
    purpose: Option<Purpose>,
) -> Result<LogicalPlan> {
    let snapshot = session.snapshot();
    let policy = snapshot.policy();
    let asking = session.principal();
    let is_auditor = policy.is_auditor(asking);
    let stewarded = policy.stewarded(asking);
    if !is_auditor && stewarded.is_empty() {
        return Err(Error::PermissionDenied(
            "only the stewards of a domain and the auditors of the mesh may ask what others see; \
             for yourself leave `AS` out"
                .to_owned(),
        ));
    }
    let somebody = policy.authenticator().principal(principal).ok_or_else(|| {
        Error::invalid(format!(
            "there is no {principal} in the mesh's identity file"
        ))
    })?;
    let viewer = Viewer::new(somebody, session.viewer().now).with_purpose(purpose);
    let domains: Vec<&Domain> = snapshot
        .domains()
        .filter(|domain| is_auditor || stewarded.contains(&domain.name))
        .collect();
    let theirs = OfflineTable::seen_by(&viewer, policy, domains.iter().copied());
    let all = OfflineTable::of(domains.iter().copied(), |_, it| Some(it.arrow_schema()));
    let (read, refused) =
        statement_reads_as(statement, snapshot.mesh_name(), &theirs, &all).await?;
    let mut lines = Vec::new();
    let mut ids = BTreeSet::new();
    for read in read {
        let mut found = domains.iter().filter(|it| it.name.as_str() == read.domain);
        let id = found.find_map(|domain| Some(domain.table(&read.name)?.id(&domain.name)));
        let Some(explained) = id.as_ref().and_then(|id| policy.explain(&viewer, id)) else {
            continue;
        };
        ids.extend(id);
        let columns = read.columns.iter().cloned().collect();
        let name = format!("{}.{}", read.domain, read.name);
        table(&mut lines, &name, &explained, &columns);
    }
    let apart = policy.forbidden_combination(&viewer, &ids);
    let refusals = refused.into_iter().chain(apart.map(|it| it.to_string()));
    let refusals = refusals.map(|reason| Line {
        kind: "query",
        result: Some("refused".to_owned()),
        detail: Some(reason),
        ..Line::default()
    });
    listing(refusals.chain(lines).collect())
}

fn table(lines: &mut Vec<Line>, table: &str, explained: &Explanation, read: &BTreeSet<String>) {
    let mut line = |kind, name: Option<&String>, result: String, detail, because| {
        lines.push(Line {
            table: Some(table.to_owned()),
            kind,
            name: name.cloned(),
            result: Some(result),
            detail: Some(detail),
            because,
        });
    };
    let access = explained.access_name().to_owned();
    line("table", None, access, explained.access_words(), None);
    for column in explained
        .columns
        .iter()
        .filter(|it| read.contains(&it.name))
    {
        let (name, words) = (column.outcome.name().to_owned(), column.outcome.words());
        line(
            "column",
            Some(&column.name),
            name,
            words,
            Some(column.because()),
        );
    }
    for grant in &explained.grants {
        let (stands, gives) = (grant.standing_words(), grant.gives_words());
        line("grant", Some(&grant.name), stands, gives, None);
    }
    for guardrail in &explained.guardrails {
        let (binds, takes) = (guardrail.binds_words(), guardrail.takes_words());
        line("guardrail", Some(&guardrail.name), binds, takes, None);
    }
    lines.push(ask(table, explained));
}

fn ask(table: &str, explained: &Explanation) -> Line {
    Line {
        table: Some(table.to_owned()),
        kind: "ask",
        detail: Some(explained.whom_to_ask()),
        ..Line::default()
    }
}

/// The name that queries have for a table.
fn name_of<'a>(mut domains: impl Iterator<Item = &'a Domain>, id: &TableId) -> String {
    let domain = domains.find(|domain| domain.name == id.domain);
    let mut tables = domain.into_iter().flat_map(|it| &it.tables);
    let table = tables.find(|table| table.id(&id.domain) == *id);
    let name = table.and_then(|table| table.sql_names().into_iter().next());
    let name = name.unwrap_or_else(|| id.table.to_string());
    format!("{}.{name}", id.domain)
}

/// A plan of nothing but these lines.
fn listing(lines: Vec<Line>) -> Result<LogicalPlan> {
    if lines.len() > MAX_LINES {
        return Err(Error::invalid(format!(
            "the explanation has more than {MAX_LINES} lines: explain a query on fewer tables, or read `system.grants`"
        )));
    }
    let is_empty = lines.is_empty();
    let text = |it: Option<String>| lit(ScalarValue::Utf8(it.filter(|it| !it.is_empty())));
    let mut rows: Vec<Vec<Expr>> = lines
        .into_iter()
        .map(|line| {
            vec![
                text(line.table),
                text(Some(line.kind.to_owned())),
                text(line.name),
                text(line.result),
                text(line.detail),
                text(line.because),
            ]
        })
        .collect();
    if is_empty {
        rows.push(COLUMNS.map(|_| text(None)).to_vec());
    }
    let columns = COLUMNS
        .iter()
        .zip(1..)
        .map(|(name, at)| col(format!("column{at}")).alias(*name));
    let plan = LogicalPlanBuilder::values(rows)
        .and_then(|plan| {
            if is_empty {
                plan.limit(0, Some(0))
            } else {
                Ok(plan)
            }
        })
        .and_then(|plan| plan.project(columns))
        .and_then(LogicalPlanBuilder::build);
    plan.map_err(classify)
}
