//! A test file, run on a bare DataFusion for what it does to tables, and read
//! for what it asks of them.

use std::path::Path;
use std::time::Duration;

use datafusion::common::TableReference;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use sqllogictest::{Condition, DefaultColumnType, Location, QueryExpect, Record, StatementExpect};

use super::tables::{Moment, storable};

/// One query of a file.
#[derive(Debug)]
pub(super) struct Question {
    /// `joins.slt:120`.
    pub(super) place: String,
    pub(super) sql: String,
    /// The domain that has its tables, by its place among the moments.
    pub(super) moment: usize,
    /// The file expects that it fails.
    pub(super) fails: bool,
}

/// What a file asks; the tables that it asks for are among `moments`.
pub(super) struct Replay {
    pub(super) moments: Vec<Moment>,
    pub(super) questions: Vec<Question>,
    /// Queries that are not asked, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// Longest time for a statement; some files are about running out of something.
const PATIENCE: Duration = Duration::from_secs(20);

/// Replays the file `name` in the folder `files`. What a file writes goes below
/// `scratch`.
pub(super) async fn replay(files: &Path, name: &str, scratch: &Path) -> Replay {
    let context = SessionContext::new_with_config(
        SessionConfig::new()
            .with_target_partitions(2)
            .with_information_schema(true),
    );
    let records = sqllogictest::parse_file::<DefaultColumnType>(files.join(name));
    let mut replay = Replay {
        moments: Vec::new(),
        questions: Vec::new(),
        left_out: Vec::new(),
    };
    let records = match records {
        Ok(records) => records,
        Err(error) => panic!("{name}: {error}"),
    };
    for record in records {
        let (loc, conditions, sql, fails) = match record {
            Record::Statement {
                loc,
                conditions,
                sql,
                expected,
                ..
            } => (
                loc,
                conditions,
                sql,
                matches!(expected, StatementExpect::Error(_)),
            ),
            Record::Query {
                loc,
                conditions,
                sql,
                expected,
                ..
            } => (
                loc,
                conditions,
                sql,
                matches!(expected, QueryExpect::Error(_)),
            ),
            Record::Halt { .. } => break,
            _ => continue,
        };
        let skipped = conditions.iter().any(|condition| match condition {
            Condition::OnlyIf { label } => label != "datafusion",
            Condition::SkipIf { label } => label == "datafusion",
        });
        if skipped {
            continue;
        }
        let sql = sql.replace("test_files/", &format!("{}/test_files/", scratch.display()));
        let statement = context
            .state()
            .sql_to_statement(&sql, &datafusion::common::config::Dialect::Generic);
        match statement {
            Ok(Statement::Statement(statement))
                if matches!(*statement, ast::Statement::Query(_)) =>
            {
                let place = place(&loc, name);
                let statement = Statement::Statement(statement);
                match replay.moment_of(&context, name, &statement, &sql).await {
                    Ok(moment) => replay.questions.push(Question {
                        place,
                        sql,
                        moment,
                        fails,
                    }),
                    Err(why) => replay.left_out.push((place, why)),
                }
            }
            Ok(statement) => run(&context, statement, &sql).await,
            Err(_) => {}
        }
    }
    replay
}

impl Replay {
    /// The moment that has the tables of a query as they are now.
    async fn moment_of(
        &mut self,
        context: &SessionContext,
        file: &str,
        statement: &Statement,
        sql: &str,
    ) -> Result<usize, String> {
        let lower = sql.to_lowercase();
        if lower.contains("information_schema") {
            return Err("information_schema".to_owned());
        }
        if ["random(", "uuid(", "now(", "current_", "today(", "version("]
            .iter()
            .any(|word| lower.contains(word))
        {
            return Err("another answer each time".to_owned());
        }
        let references = context
            .state()
            .resolve_table_references(statement)
            .map_err(|error| error.to_string())?;
        let mut tables = Vec::new();
        for reference in references {
            let Ok(provider) = context.table_provider(reference.clone()).await else {
                continue;
            };
            let TableReference::Bare { table } = &reference else {
                return Err("a schema or catalog of its own".to_owned());
            };
            let rows = tokio::time::timeout(PATIENCE, async {
                context.table(reference.clone()).await?.collect().await
            });
            let rows = match rows.await {
                Ok(Ok(rows)) => rows,
                Ok(Err(_)) | Err(_) => return Err("a table that cannot be read".to_owned()),
            };
            let contents = storable(table, &provider.schema(), &rows)
                .map_err(|what| format!("a table with what no contract declares: {what}"))?;
            tables.push((table.to_string(), contents));
        }
        let fits = self.moments.last().is_some_and(|last| {
            tables
                .iter()
                .all(|(name, contents)| last.fits(name, contents))
        });
        if !fits {
            self.moments.push(Moment::new(file, self.moments.len()));
        }
        let at = self.moments.len() - 1;
        for (name, contents) in tables {
            self.moments[at].add(&name, contents);
        }
        Ok(at)
    }
}

/// Runs what may change tables; a failure is the file's own affair.
async fn run(context: &SessionContext, statement: Statement, sql: &str) {
    let Ok(plan) = context.state().statement_to_plan(statement).await else {
        return;
    };
    match &plan {
        LogicalPlan::Ddl(DdlStatement::CreateExternalTable(_)) | LogicalPlan::Copy(_)
            if !sql.contains("/test_files/") =>
        {
            return;
        }
        LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) => {}
        _ => return,
    }
    let _ = tokio::time::timeout(PATIENCE, async {
        context.execute_logical_plan(plan).await?.collect().await
    })
    .await;
}

/// Where a record is; one of an included file says both.
fn place(loc: &Location, file: &str) -> String {
    let own = Path::new(loc.file())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if file.ends_with(&own) {
        format!("{file}:{}", loc.line())
    } else {
        format!("{file} {own}:{}", loc.line())
    }
}
