//! `weft check`: every fault of a mesh, offline.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use weft_mesh::{Fault, LoadReport};

use crate::error::{Error, Result};
use crate::offline::{Strictness, all_faults};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  weft check mesh.yaml           nothing but the files is needed: no network, no secrets
  weft check --strict mesh.yaml  what a good data product owes, too
  weft check mesh.yaml && git push

Exit codes:
  0  no errors (there may be warnings; with --strict there are none)
  1  at least one error, or with --strict one warning";

/// Find every fault in the files of a mesh
///
/// Reads mesh.yaml and all it names, and prints every fault with its file, line, column and rule,
/// and what to do about it: a contract that is malformed, a grant on a column that does not exist,
/// a row predicate that does not fit its types.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The mesh's file
    #[arg(value_name = "MESH")]
    mesh: PathBuf,
    /// Say as well what a good data product owes, and fail on warnings
    ///
    /// Descriptions, owners, service levels, keys of one type in all domains, marks beside personal
    /// data, nothing restricted for everyone, no grant that adds nothing or is to nobody. Each
    /// finding says why it matters. It looks at a mesh without errors.
    #[arg(long)]
    strict: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Every fault with its place and its line
    #[default]
    Text,
    /// One JSON object, for a pipeline
    Json,
}

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    let report = weft_mesh::load(&args.mesh);
    let strictness = if args.strict {
        Strictness::Owed
    } else {
        Strictness::Faults
    };
    let faults = all_faults(&report, strictness);
    // A reader that leaves early does not make a mesh sound.
    let printed = match args.format {
        Format::Text => print(&report, &faults),
        Format::Json => output::line(json(&faults)),
    };
    match printed {
        Ok(()) | Err(Error::OutputClosed) => {}
        Err(other) => return Err(other),
    }
    Ok(match count(&faults) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) if !args.strict => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn print(report: &LoadReport, faults: &[Fault]) -> Result<()> {
    for fault in faults {
        output::line(format_args!("{fault}\n"))?;
    }
    let (errors, warnings) = count(faults);
    if errors == 0 {
        return output::line(describe(report, warnings));
    }
    let files = report.files.iter().filter(|path| path.is_file()).count();
    let mut parts = vec![plural(errors, "error")];
    if warnings > 0 {
        parts.push(plural(warnings, "warning"));
    }
    output::line(format_args!(
        "{} in {}",
        parts.join(", "),
        plural(files, "file")
    ))
}

fn json(faults: &[Fault]) -> Value {
    let all: Vec<Value> = faults
        .iter()
        .map(|fault| {
            json!({
                "severity": if fault.is_error() { "error" } else { "warning" },
                "rule": fault.rule,
                "file": fault.span.file.display().to_string(),
                "line": fault.span.line,
                "column": fault.span.column,
                "message": fault.message,
                "help": fault.help,
            })
        })
        .collect();
    let (errors, warnings) = count(faults);
    json!({ "errors": errors, "warnings": warnings, "faults": all })
}

fn count(faults: &[Fault]) -> (usize, usize) {
    let errors = faults.iter().filter(|fault| fault.is_error()).count();
    (errors, faults.len() - errors)
}

fn describe(report: &LoadReport, warnings: usize) -> String {
    let domains: Vec<_> = report
        .domains
        .iter()
        .filter_map(|load| load.domain.as_deref())
        .collect();
    let tables = domains.iter().map(|domain| domain.tables.len()).sum();
    let grants = domains.iter().map(|domain| domain.grants.len()).sum();
    let guardrails = report.mesh.as_ref().map_or(0, |mesh| mesh.guardrails.len());
    let limits = report.mesh.as_ref().map_or(0, |mesh| mesh.limits.len());
    let name = report
        .mesh
        .as_ref()
        .map_or("mesh", |mesh| mesh.name.as_str());
    let outcome = if warnings == 0 {
        "no faults".to_owned()
    } else {
        plural(warnings, "warning")
    };
    let mut counts = vec![
        plural(domains.len(), "domain"),
        plural(tables, "table"),
        plural(grants, "grant"),
    ];
    if guardrails > 0 {
        counts.push(plural(guardrails, "guardrail"));
    }
    if limits > 0 {
        counts.push(plural(limits, "limit"));
    }
    format!("{name}: {}: {outcome}", counts.join(", "))
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
