//! DataFusion's own SQL tests, over the wire: what a file asks of its tables is
//! asked of weft, where the same tables are data products of which everybody is
//! granted everything, and of a bare DataFusion on the same files.
//!
//! Where the two differ, `differences.txt` says so and why. `WEFT_SLT=update`
//! writes that list again; a difference that no rule explains is never in it.
//! `WEFT_SLT_FILES` is a pattern of the files to ask, all of them with `.`;
//! without it a part is asked, so that the tests stay quick: `make slt` is all.

#![expect(
    clippy::disallowed_methods,
    reason = "a DataFusion without weft is what is compared with"
)]

mod corpus;
mod difference;
mod replay;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use regex::Regex;
use tempfile::TempDir;

use self::difference::Difference;
use self::replay::Question;
use crate::support::{MeshDir, TestClient, TestServer, cells, copy_folder};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_datafusions_own_tests_answer_as_they_do_without_weft() {
    let files = match corpus::files() {
        Ok(files) => files,
        Err(why) => {
            eprintln!("slt: passed over, the test files are not here: {why}");
            return;
        }
    };
    let wanted = std::env::var("WEFT_SLT_FILES").unwrap_or_else(|_| QUICK.to_owned());
    let wanted = Regex::new(&wanted).unwrap();
    let names = names(&files, &wanted);
    assert!(!names.is_empty(), "no test file is called that");
    let scratch = TempDir::new().unwrap();
    copy_folder(&files, &scratch.path().join("test_files"));

    let mut mesh = MeshDir::new("upstream").user("ana", "pw", &[], &[]);
    let mut moments = Vec::new();
    let mut asked: Vec<(usize, Question)> = Vec::new();
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    for name in &names {
        let replay = replay::replay(&files, name, scratch.path()).await;
        let before = moments.len();
        moments.extend(replay.moments);
        asked.extend(
            replay
                .questions
                .into_iter()
                .map(|question| (before + question.moment, question)),
        );
        for (_, why) in replay.left_out {
            *left_out.entry(why).or_default() += 1;
        }
    }
    for moment in moments.iter().filter(|moment| !moment.is_empty()) {
        mesh = moment.write(mesh);
    }
    let server = TestServer::start(&mesh).await;
    let mut bare = Vec::new();
    for moment in &moments {
        bare.push(moment.bare(&mesh).await);
    }
    let client = server.client("ana", "pw").await;
    client.value("SELECT 1").await;

    let outcomes = futures::stream::iter(&asked).map(|(moment, question)| {
        let (context, moment) = (&bare[*moment], &moments[*moment]);
        let client = if moment.is_empty() {
            client.clone()
        } else {
            client.clone().with_header("schema", &moment.name)
        };
        async move { (question, ask(context, &client, question).await) }
    });
    let outcomes: Vec<_> = outcomes.buffered(4).collect().await;

    let mut equal = 0;
    let mut found = BTreeMap::new();
    let mut unexplained = String::new();
    for (question, outcome) in outcomes {
        match outcome {
            Outcome::Equal => equal += 1,
            Outcome::NotMeant => {
                *left_out
                    .entry("not what the file expects, without weft".to_owned())
                    .or_default() += 1
            }
            Outcome::Differs(difference) => match difference.reason(&question.sql) {
                Some(difference::OPEN) => {
                    *left_out.entry(difference::OPEN.to_owned()).or_default() += 1;
                }
                Some(reason) => {
                    found.insert(question.place.clone(), reason);
                }
                None => writeln!(
                    unexplained,
                    "{}\n{}\n{difference}\n",
                    question.place, question.sql
                )
                .unwrap(),
            },
        }
    }
    eprintln!(
        "slt: {} files, {} queries: {equal} equal, {} differ",
        names.len(),
        asked.len(),
        found.len()
    );
    for (why, count) in &left_out {
        eprintln!("slt: {count} not asked: {why}");
    }
    assert!(
        unexplained.is_empty(),
        "differences that nothing explains:\n{unexplained}"
    );
    difference::compare(&found, &wanted);
}

/// The files that are asked by `make test`.
const QUICK: &str = r"^(cte|decimal|joins|order|subquery|union|window)\.slt$";

enum Outcome {
    Equal,
    /// The bare DataFusion fails where the file expects rows, or the other way:
    /// what the file needs is not here.
    NotMeant,
    Differs(Difference),
}

async fn ask(context: &SessionContext, client: &TestClient, question: &Question) -> Outcome {
    let bare = tokio::time::timeout(PATIENCE, async {
        let frame = context.sql(&question.sql).await?;
        let schema = frame.schema().as_arrow().clone();
        let batches = frame.collect().await?;
        Ok::<_, datafusion::error::DataFusionError>((schema, batches))
    });
    let Ok(bare) = bare.await else {
        return Outcome::NotMeant;
    };
    if bare.is_err() != question.fails {
        return Outcome::NotMeant;
    }
    let weft = tokio::time::timeout(PATIENCE, client.query(&question.sql)).await;
    let Ok(weft) = weft else {
        return Outcome::Differs(Difference::Late);
    };
    match (bare, weft) {
        (Err(_), Err(_)) => Outcome::Equal,
        (Err(bare), Ok(_)) => Outcome::Differs(Difference::Answered(bare.strip_backtrace())),
        (Ok(_), Err(weft)) => Outcome::Differs(Difference::Refused(weft.message().to_owned())),
        (Ok((schema, bare)), Ok(weft)) => {
            let names: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            let theirs = weft[0].schema();
            let theirs: Vec<_> = theirs
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            if names != theirs {
                return Outcome::Differs(Difference::Names(names, theirs));
            }
            difference::rows(sorted(&bare), sorted(&weft)).map_or(Outcome::Equal, Outcome::Differs)
        }
    }
}

fn sorted(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = cells(batches);
    rows.sort_unstable();
    rows
}

/// The files whose names match, in order.
fn names(files: &Path, wanted: &Regex) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(files.join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            let name = path.to_str().unwrap().to_owned();
            if files.join(&path).is_dir() {
                folders.push(path);
            } else if name.ends_with(".slt") && wanted.is_match(&name) && !foreign(&name) {
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    names
}

/// Files about functions that DataFusion has in a package apart.
fn foreign(name: &str) -> bool {
    name.starts_with("spark/")
}
