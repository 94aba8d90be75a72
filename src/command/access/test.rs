//! `weft access test`: the access tests of a mesh's owners.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use weft_mesh::{AccessTestFile, Fault};

use crate::access_tests::{self, Problem, TestResult, report, report::Outcome};
use crate::error::{Error, Result};
use crate::offline::OfflineMesh;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  weft access test mesh.yaml
  weft access test mesh.yaml --domain sales --filter partners
  weft access test mesh.yaml --junit access.xml      for the report of a pipeline

Exit codes:
  0  all passed
  1  at least one failed, or the report cannot be written
  2  the mesh or a test has a fault, or there is no such test; nothing was run";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line a test, and what is wrong below it
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// Run the access tests that domains keep beside their grants
///
/// `accessTests` in domain.yaml names files that say who should see what. Each test is answered by
/// the engine that serves, on the rows that the file gives for a table or else on the table's
/// source. The mesh's secret is not read: hashes are keyed with one that all tests share.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// The mesh's file
    #[arg(value_name = "MESH")]
    mesh: PathBuf,
    /// Only the tests of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only tests whose name contains this
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Write JUnit's XML to a file as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(args: TestArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let loaded = weft_mesh::load(&args.mesh);
    // A mesh that cannot be tested is no failed test.
    let mesh =
        OfflineMesh::of(&args.mesh, &loaded).map_err(|error| Error::Usage(error.to_string()))?;
    let tests = weft_mesh::load_access_tests(&loaded);
    let values = access_tests::faults_of_values(&tests, &mesh.domains, &mesh.mesh);
    let faults = tests.faults.iter().chain(&values);
    let mut faults: Vec<&Fault> = faults.filter(|fault| fault.is_error()).collect();
    faults.sort_by(|one, other| one.span.cmp(&other.span));
    if !faults.is_empty() {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(Error::Usage(format!(
            "access tests have faults, and none was run\n\n{}",
            texts.join("\n\n")
        )));
    }
    if let Some(domain) = &args.domain
        && !mesh.domains.iter().any(|it| it.name.as_str() == domain)
    {
        return Err(Error::Usage(format!("the mesh has no domain `{domain}`")));
    }
    let mut untested = access_tests::untested(&mesh.mesh, &mesh.domains, &tests.files);
    untested.retain(|it| args.is_of_domain(it.table.domain.as_str()) && args.filter.is_none());
    let files = args.chosen(tests.files);
    let chosen: usize = files.iter().map(|file| file.tests.len()).sum();
    if chosen == 0 && (args.filter.is_some() || args.domain.is_some()) && untested.is_empty() {
        return Err(Error::Usage("no access test is chosen".to_owned()));
    }
    let mut results = access_tests::run(mesh, &files).await?;
    results.extend(untested.into_iter().map(|it| TestResult {
        domain: it.table.domain.clone(),
        name: format!("{} is tested", it.table),
        span: it.fault.span,
        took: Duration::ZERO,
        problems: vec![Problem::new(it.fault.message)],
    }));
    let outcome = Outcome {
        results,
        took: started.elapsed(),
    };
    if let Some(file) = &args.junit {
        std::fs::write(file, report::junit(&outcome))
            .map_err(|cause| Error::file("write", file, &cause))?;
    }
    let printed = match args.format {
        Format::Text => output::line(report::text(&outcome).trim_end()),
        Format::Json => output::line(report::json(&outcome)),
    };
    // A reader that leaves early does not make a test pass.
    match printed {
        Ok(()) | Err(Error::OutputClosed) => {}
        Err(other) => return Err(other),
    }
    Ok(match outcome.failed() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl TestArgs {
    fn is_of_domain(&self, domain: &str) -> bool {
        self.domain.as_ref().is_none_or(|wanted| wanted == domain)
    }

    fn chosen(&self, files: Vec<AccessTestFile>) -> Vec<AccessTestFile> {
        let mut files = files;
        files.retain(|file| self.is_of_domain(file.domain.as_str()));
        for file in &mut files {
            file.tests.retain(|test| {
                let wanted = self.filter.as_ref();
                wanted.is_none_or(|wanted| test.name.value.contains(wanted))
            });
        }
        files.retain(|file| !file.tests.is_empty());
        files
    }
}
