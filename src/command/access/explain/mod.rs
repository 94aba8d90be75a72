//! `weft access explain`: why somebody sees of a table what they see.

mod json;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use weft_engine::{OfflineTable, Read};
use weft_mesh::{Domain, Table, TableId};
use weft_policy::{Access, Explanation, ForbiddenCombination, Viewer};

use crate::error::{Error, Result};
use crate::offline::{AsWhom, OfflineMesh};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  weft access explain --mesh mesh.yaml --as user:ana sales.orders
  weft access explain --mesh mesh.yaml --as user:ana --purpose fraud \"SELECT amount FROM sales.orders\"
  weft access explain --mesh mesh.yaml --as user:new --group partners --attribute region=EU sales.orders
  weft access explain --mesh mesh.yaml --as service:bi --format json sales.orders

Exit codes:
  0  all that was asked about is there for them
  1  some of it is not, or the mesh has faults
  2  the command line cannot be";

/// Why somebody sees of a table what they see, column by column
///
/// For a table, or for every table that a query reads: what is clear, masked, conditional or hidden;
/// which grants made it so and which did not count and why; what guardrails took; whom to ask.
/// It reads the files of the mesh and nothing else: no server, no storage, no secrets.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The mesh's file
    #[arg(long, value_name = "MESH")]
    mesh: PathBuf,
    #[command(flatten)]
    whom: AsWhom,
    /// For people, or for programs (one JSON document)
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// A table (`sales.orders`, `sales.orders@1`), or a query
    #[arg(value_name = "TABLE | SQL")]
    what: String,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// All that is said of what was asked.
struct Findings {
    mesh: String,
    viewer: Viewer,
    tables: Vec<Finding>,
    /// Why the query is not answered, as the server says it.
    refused: Option<String>,
    /// Tables that one query must not read together.
    apart: Option<ForbiddenCombination>,
}

/// One table.
struct Finding {
    /// As it was asked for: `sales.orders`.
    name: String,
    explanation: Explanation,
    /// The columns that the query reads; all of them where a table was asked for.
    read: BTreeSet<String>,
}

impl Finding {
    /// Columns that the query reads and that do not exist for the viewer.
    fn missing(&self) -> Vec<&str> {
        let columns = self.explanation.columns.iter();
        columns
            .filter(|it| self.read.contains(&it.name) && !it.outcome.is_visible())
            .map(|it| it.name.as_str())
            .collect()
    }
}

pub(crate) async fn run(args: ExplainArgs) -> Result<ExitCode> {
    let mesh = OfflineMesh::load(&args.mesh)?;
    let viewer = args.whom.viewer(&mesh.policy)?;
    let what = args.what.trim();
    let is_query = what.split_whitespace().nth(1).is_some();
    let (read, refused) = if is_query {
        read_by(&mesh, &viewer, what).await?
    } else {
        (vec![whole_table(&mesh, what)?], None)
    };
    let mut tables = Vec::new();
    for read in read {
        let (domain, table) = find(&mesh, &read.domain, &read.name)
            .ok_or_else(|| Error::Failed(format!("no `{}.{}`", read.domain, read.name)))?;
        let explanation = mesh.policy.explain(&viewer, &table.id(&domain.name));
        if let Some(explanation) = explanation {
            tables.push(Finding {
                name: format!("{}.{}", read.domain, read.name),
                explanation,
                read: read.columns.into_iter().collect(),
            });
        }
    }
    let ids: BTreeSet<TableId> = tables
        .iter()
        .map(|it| it.explanation.table.clone())
        .collect();
    let findings = Findings {
        mesh: mesh.mesh.name.to_string(),
        apart: mesh.policy.forbidden_combination(&viewer, &ids),
        refused,
        viewer,
        tables,
    };
    output::line(match args.format {
        Format::Text => text::page(&findings, is_query),
        Format::Json => json::document(&findings, is_query),
    })?;
    let all_there = findings.apart.is_none()
        && findings.refused.is_none()
        && findings.tables.iter().all(|it| {
            matches!(it.explanation.access, Access::Granted(_))
                && (!is_query || it.missing().is_empty())
        });
    Ok(if all_there {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `sales.orders`, or `acme.sales.orders`.
fn whole_table(mesh: &OfflineMesh, text: &str) -> Result<Read> {
    let name = text
        .strip_prefix(&format!("{}.", mesh.mesh.name))
        .filter(|rest| rest.contains('.'))
        .unwrap_or(text);
    let (domain, table) = name.split_once('.').ok_or_else(|| {
        Error::Usage(format!(
            "`{text}` names no table: write `domain.table`, or a query"
        ))
    })?;
    let Some((_, found)) = find(mesh, domain, table) else {
        let all = mesh.domains.iter().flat_map(|domain| {
            let names = domain.tables.iter().flat_map(Table::sql_names);
            names.map(move |name| format!("{}.{name}", domain.name))
        });
        let all: Vec<String> = all.collect();
        let near = weft_mesh::did_you_mean(name, all.iter().map(String::as_str));
        let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(Error::Failed(format!(
            "no domain of the mesh has a table `{name}`{help}"
        )));
    };
    Ok(Read {
        domain: domain.to_owned(),
        name: table.to_owned(),
        columns: found.columns.iter().map(|it| it.name.clone()).collect(),
    })
}

fn find<'a>(mesh: &'a OfflineMesh, domain: &str, table: &str) -> Option<(&'a Domain, &'a Table)> {
    let domain = mesh.domains.iter().find(|it| it.name.as_str() == domain)?;
    Some((domain, domain.table(table)?))
}

/// The tables and columns that a query of the viewer reads, or that it would
/// read, with the reason for which it is refused.
async fn read_by(
    mesh: &OfflineMesh,
    viewer: &Viewer,
    sql: &str,
) -> Result<(Vec<Read>, Option<String>)> {
    let domains = || mesh.domains.iter().map(AsRef::as_ref);
    let theirs = OfflineTable::seen_by(viewer, &mesh.policy, domains());
    let all = OfflineTable::of(domains(), |_, table| Some(table.arrow_schema()));
    weft_engine::reads_as(sql, mesh.mesh.name.as_str(), &theirs, &all)
        .await
        .map_err(|error| Error::Failed(format!("the query cannot be planned: {error}")))
}
