//! Running access tests: the engine and the seal as they serve, in this process.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use weft_catalog::{LiveMesh, MeshSnapshot};
use weft_engine::{Caller, Engine, EngineConfig, PlannedQuery, SessionOptions, named_tables};
use weft_mesh::{
    AccessTest, AccessTestFile, Domain, DomainName, Secret, Span, Spanned, TableId,
    TestExpectation, TestShown, TestSubject,
};
use weft_policy::{Access, PolicySnapshot, Viewer};

use super::check::{find, tables_of};
use super::compare::{self, Found, count_of};
use super::problem::Problem;
use super::shown;
use super::typed::batch;
use super::viewer::viewer;
use crate::error::{Error, Result};
use crate::offline::OfflineMesh;

/// So many rows are held against expectations.
const MOST_ROWS: usize = 100_000;

/// How long the files of sources may take to be listed.
const LISTING: Duration = Duration::from_secs(30);

/// Masks are keyed with this and never with the mesh's secret: a test has the
/// same outcome wherever it runs, and shows no digest of production.
const SECRET: &str = "the secret of access tests, which is none";

/// What came of one test.
#[derive(Debug)]
pub(crate) struct TestResult {
    pub(crate) domain: DomainName,
    pub(crate) name: String,
    /// Where the test is written.
    pub(crate) span: Span,
    pub(crate) took: Duration,
    /// Nothing where it passed.
    pub(crate) problems: Vec<Problem>,
}

/// Runs the tests of `files`, file by file.
pub(crate) async fn run(mesh: OfflineMesh, files: &[AccessTestFile]) -> Result<Vec<TestResult>> {
    let OfflineMesh {
        mesh,
        domains,
        policy,
    } = mesh;
    let now = Utc::now();
    let sources = sources(files, &domains, &policy, mesh.name.as_str(), now);
    let secret = Secret::new(SECRET.to_owned());
    let live = LiveMesh::still(&mesh, domains.clone(), policy, secret)
        .await
        .map_err(failed)?;
    let mut unread = BTreeSet::new();
    if !sources.is_empty() {
        unread = live.list(&sources, LISTING).await;
    }
    let engine = Engine::new(Arc::clone(&live), EngineConfig::default()).map_err(failed)?;
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let mut results = Vec::new();
    for file in files {
        let mut rows = Vec::new();
        for fixture in &file.fixtures {
            let id = &fixture.table.value;
            if let Some(table) = find(&domains, id)
                && let Ok(batch) = batch(fixture, table)
            {
                rows.push((id.clone(), batch));
            }
        }
        let run = Run {
            snapshot: live.with_rows(rows).await.map_err(failed)?,
            engine: &engine,
            domains: &domains,
            mesh: mesh.name.as_str(),
            unread: &unread,
            now,
        };
        let tests = file.tests.iter();
        let looks = stream::iter(tests.map(|test| run.result(test, file)));
        results.extend(looks.buffered(at_once).collect::<Vec<_>>().await);
    }
    Ok(results)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

/// The tables whose sources the tests read: those that they name and that these
/// ask membership in, without those that have a fixture.
fn sources(
    files: &[AccessTestFile],
    domains: &[Arc<Domain>],
    policy: &PolicySnapshot,
    mesh: &str,
    now: DateTime<Utc>,
) -> BTreeSet<TableId> {
    let mut sources = BTreeSet::new();
    for file in files {
        for test in &file.tests {
            sources.extend(read_by(test, file, domains, policy, mesh, now));
        }
    }
    sources
}

/// The same of one test.
fn read_by(
    test: &AccessTest,
    file: &AccessTestFile,
    domains: &[Arc<Domain>],
    policy: &PolicySnapshot,
    mesh: &str,
    now: DateTime<Utc>,
) -> BTreeSet<TableId> {
    let mut needed = BTreeSet::new();
    let viewer = viewer(test, policy, now);
    for table in tables_of(&test.subject, domains, mesh) {
        if let Some(viewer) = &viewer
            && let Access::Granted(access) = policy.decide(viewer, &table)
        {
            needed.extend(access.lookups());
        }
        needed.insert(table);
    }
    for fixture in &file.fixtures {
        needed.remove(&fixture.table.value);
    }
    needed
}

/// One file's tests on their rows.
struct Run<'a> {
    snapshot: Arc<MeshSnapshot>,
    engine: &'a Engine,
    domains: &'a [Arc<Domain>],
    mesh: &'a str,
    /// Tables whose sources have no file, or could not be listed.
    unread: &'a BTreeSet<TableId>,
    now: DateTime<Utc>,
}

impl Run<'_> {
    async fn result(&self, test: &AccessTest, file: &AccessTestFile) -> TestResult {
        let started = Instant::now();
        let mut problems = self.without_rows(test, file);
        problems.extend(Box::pin(self.problems(test)).await);
        TestResult {
            domain: file.domain.clone(),
            name: test.name.value.clone(),
            span: test.name.span.clone(),
            took: started.elapsed(),
            problems,
        }
    }

    /// The tables that a test reads and of which there is nothing to read: whoever may see them
    /// sees nothing, and that proves nothing.
    fn without_rows(&self, test: &AccessTest, file: &AccessTestFile) -> Vec<Problem> {
        if matches!(test.expect, TestExpectation::Denied(_)) {
            return Vec::new();
        }
        let policy = self.snapshot.policy();
        let read = read_by(test, file, self.domains, policy, self.mesh, self.now);
        let empty = read.iter().filter(|table| self.unread.contains(table));
        let problem = |table: &TableId| {
            Problem::new(format!(
                "there is no file of `{table}` to read; give it a fixture"
            ))
        };
        empty.map(problem).collect()
    }

    async fn problems(&self, test: &AccessTest) -> Vec<Problem> {
        let Some(viewer) = viewer(test, self.snapshot.policy(), self.now) else {
            return vec![Problem::new("the mesh's identity file does not know them")];
        };
        let sql = match &test.subject {
            TestSubject::Table {
                table, sql_name, ..
            } => select("*", table, sql_name),
            TestSubject::Sql(sql) => sql.value.clone(),
        };
        let planned = self.plan(&viewer, &sql).await;
        match (&test.expect, planned) {
            (TestExpectation::Denied(words), planned) => {
                let mut problems = self.names_nothing(&test.subject);
                problems.extend(denied(words.as_ref(), planned));
                problems
            }
            (TestExpectation::Shown(_), Err(error)) => {
                vec![Problem::new(format!(
                    "something should be shown, and it is refused: {error}"
                ))]
            }
            (TestExpectation::Shown(expected), Ok(planned)) => {
                Box::pin(self.shown(test, expected, planned, &viewer)).await
            }
        }
    }

    async fn plan(&self, viewer: &Viewer, sql: &str) -> weft_engine::Result<PlannedQuery> {
        let options = SessionOptions {
            purpose: viewer.purpose.clone(),
            ..SessionOptions::default()
        };
        let caller = Caller::from(Arc::clone(&viewer.principal));
        let snapshot = Arc::clone(&self.snapshot);
        let session = self
            .engine
            .session_at(snapshot, caller, options, viewer.now)?;
        session.plan(sql).await
    }

    /// A name that nobody has a table for is refused to everybody: that proves nothing.
    fn names_nothing(&self, subject: &TestSubject) -> Vec<Problem> {
        let TestSubject::Sql(sql) = subject else {
            return Vec::new();
        };
        let named = named_tables(&sql.value, self.snapshot.mesh_name()).unwrap_or_default();
        let mut problems = Vec::new();
        for (schema, table) in named {
            let domain = |it: &&Arc<Domain>| Some(it.name.as_str()) == schema.as_deref();
            let domain = self.domains.iter().find(domain);
            if domain.is_none_or(|domain| domain.table(&table).is_none()) {
                let name =
                    schema.map_or_else(|| table.clone(), |schema| format!("{schema}.{table}"));
                problems.push(Problem::new(format!(
                    "no domain has a table `{name}`, so that it is refused proves nothing; write `domain.table`"
                )));
            }
        }
        problems
    }

    async fn shown(
        &self,
        test: &AccessTest,
        expected: &TestShown,
        planned: PlannedQuery,
        viewer: &Viewer,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let schema = planned.schema();
        if let Some(wanted) = &expected.columns {
            problems.extend(columns(wanted, &schema));
        }
        if let TestSubject::Table { table: id, .. } = &test.subject
            && let Some(table) = find(self.domains, id)
        {
            let access = self.snapshot.policy().decide(viewer, id);
            problems.extend(shown::compare(&expected.masked, table, &access));
        }
        let looks_at_rows = expected.rows.is_some()
            || !expected.contains.is_empty()
            || !expected.without.is_empty();
        let ordered = planned.is_ordered();
        let count = if looks_at_rows {
            match collect(planned).await {
                Ok(batches) => {
                    let found = Found {
                        schema,
                        batches,
                        ordered,
                        of_table: matches!(test.subject, TestSubject::Table { .. }),
                    };
                    problems.extend(compare::rows(expected, &found));
                    let rows = found.batches.iter().map(RecordBatch::num_rows);
                    Some(rows.sum())
                }
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            }
        } else if expected.count.is_some() {
            let counted = Box::pin(self.count(test, planned, viewer)).await;
            counted.map_err(|problem| problems.push(problem)).ok()
        } else {
            None
        };
        if let (Some(wanted), Some(found)) = (&expected.count, count)
            && u64::try_from(found) != Ok(wanted.value)
        {
            let wanted = count_of(usize::try_from(wanted.value).unwrap_or(usize::MAX));
            problems.push(Problem::new(format!("{wanted} expected, {found} found")));
        }
        problems
    }

    /// The rows alone: of a table, the engine counts them.
    async fn count(
        &self,
        test: &AccessTest,
        planned: PlannedQuery,
        viewer: &Viewer,
    ) -> Result<usize, Problem> {
        let TestSubject::Table {
            table, sql_name, ..
        } = &test.subject
        else {
            let mut rows = 0;
            let mut running = planned.execute().await.map_err(|error| unread(&error))?;
            while let Some(batch) = running.next().await {
                rows += batch.map_err(|error| unread(&error))?.num_rows();
            }
            return Ok(rows);
        };
        let counting = select("count(*)", table, sql_name);
        let planned = self
            .plan(viewer, &counting)
            .await
            .map_err(|error| unread(&error))?;
        let batches = collect(planned).await?;
        let count = batches.first().and_then(|batch| {
            let counts = batch.columns().first()?;
            let counts = counts.as_any().downcast_ref::<arrow::array::Int64Array>()?;
            usize::try_from(counts.iter().next()??).ok()
        });
        count.ok_or_else(|| Problem::new("the rows cannot be counted"))
    }
}

fn select(what: &str, table: &TableId, sql_name: &str) -> String {
    format!("SELECT {what} FROM \"{}\".\"{sql_name}\"", table.domain)
}

fn unread(error: &weft_engine::Error) -> Problem {
    Problem::new(format!("the rows cannot be read: {error}"))
}

async fn collect(planned: PlannedQuery) -> Result<Vec<RecordBatch>, Problem> {
    let mut running = planned.execute().await.map_err(|error| unread(&error))?;
    let (mut batches, mut rows) = (Vec::new(), 0);
    while let Some(batch) = running.next().await {
        let batch = batch.map_err(|error| unread(&error))?;
        rows += batch.num_rows();
        if rows > MOST_ROWS {
            return Err(Problem::new(format!(
                "there are more than {MOST_ROWS} rows, which are too many to compare; give the table a fixture, or test `sql` that reads less"
            )));
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// What is wrong with a refusal, or that there is none.
fn denied(
    words: Option<&Spanned<String>>,
    planned: weft_engine::Result<PlannedQuery>,
) -> Option<Problem> {
    use weft_engine::Error as Refusal;
    let error = match planned {
        Ok(planned) => {
            let schema = planned.schema();
            let names = schema
                .fields()
                .iter()
                .map(|field| format!("`{}`", field.name()));
            let names: Vec<String> = names.collect();
            return Some(Problem::new(format!(
                "a refusal is expected, and it is shown with {}",
                names.join(", ")
            )));
        }
        Err(error) => error,
    };
    let text = error.to_string();
    match (&error, words) {
        (Refusal::NotFound(_) | Refusal::PermissionDenied(_), None) => None,
        (
            Refusal::NotFound(_)
            | Refusal::PermissionDenied(_)
            | Refusal::InvalidArgument { .. }
            | Refusal::ReadOnly
            | Refusal::FailedPrecondition(_)
            | Refusal::Unimplemented(_),
            Some(words),
        ) => (!text.contains(&words.value)).then(|| {
            Problem::new(format!(
                "a refusal with `{}` is expected, and it is: {text}",
                words.value
            ))
        }),
        (
            Refusal::InvalidArgument { .. }
            | Refusal::ReadOnly
            | Refusal::FailedPrecondition(_)
            | Refusal::Unimplemented(_),
            None,
        ) => Some(Problem::new(format!(
            "it is refused, but not because it is not granted: {text}; write words of the refusal after `denied:` if it is meant"
        ))),
        (
            Refusal::ResourceExhausted(_)
            | Refusal::Unavailable(_)
            | Refusal::Cancelled
            | Refusal::DeadlineExceeded(_)
            | Refusal::Internal { .. },
            _,
        ) => Some(Problem::new(format!(
            "a refusal is expected, and it failed: {text}"
        ))),
    }
}

/// Columns that are missing, too many, or in another order.
fn columns(wanted: &Spanned<Vec<String>>, schema: &Schema) -> Option<Problem> {
    let found: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    if found.iter().eq(wanted.value.iter()) {
        return None;
    }
    let list = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let missing: Vec<&str> = wanted
        .value
        .iter()
        .map(String::as_str)
        .filter(|name| !found.contains(name))
        .collect();
    let surplus: Vec<&str> = found
        .iter()
        .copied()
        .filter(|name| !wanted.value.iter().any(|it| it == name))
        .collect();
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!("not shown: {}", list(&missing)));
    }
    if !surplus.is_empty() {
        wrong.push(format!("shown, not expected: {}", list(&surplus)));
    }
    if wrong.is_empty() {
        wrong.push(format!("the order is {}", list(&found)));
    }
    Some(Problem::new(format!(
        "the columns differ; {}",
        wrong.join("; ")
    )))
}
