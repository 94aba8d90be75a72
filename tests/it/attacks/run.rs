//! Runs the table, and says of every failure what was asked, where, and what
//! came.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Instant;

use futures::{StreamExt, stream};

use super::cases::{Case, Compare, Expectation, Rows, cases};
use super::expected;
use super::fixture::{Format, Share, World};
use super::observe::{Answer, Kind, observe};

/// What no answer may hold, unless the statement does: traps, what is not
/// granted, the policy, and where the data lies.
const SECRETS: [&str; 12] = [
    "secret",
    "margin",
    "people",
    "hr.",
    "'EU'",
    "E%",
    ".parquet",
    ".csv",
    "/tmp",
    "domains/",
    "pruning",
    "9223372036854775",
];

/// Statements that wait on one engine at a time.
const AT_ONCE: usize = 8;

/// Everything that was seen of one case on one mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    answer: Answer,
    /// Of the name that never existed.
    absent: Option<Answer>,
    /// The text of EXPLAIN, once the answer was given: of what the planner has learnt by it.
    plan: Option<Answer>,
    /// The answer of that plan, where it depends on sizes.
    again: Option<Answer>,
}

/// Failures by case, each with the first combination that showed it.
#[derive(Default)]
struct Report {
    failures: BTreeMap<String, Vec<(String, String)>>,
    runs: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attack_sees_more_than_the_authorised_copy() {
    let started = Instant::now();
    let cases: &'static [Case] = cases().leak();
    let mut report = Report::default();
    let mut combinations = 0;
    for format in [Format::Parquet, Format::Csv] {
        let applicable: Vec<&Case> = cases.iter().filter(|c| c.runs_on(format)).collect();
        for siblings in Share::SIBLINGS {
            let expected = expected::answers(cases, format, siblings[0].visible()).await;
            for partitions in [1, 8] {
                let mut first: Option<(String, Vec<Seen>)> = None;
                for share in siblings {
                    let place = format!("{format:?}, {partitions} partitions, {share:?} hidden");
                    let world = World::open(format, *share, partitions).await;
                    // Many partitions show more in a plan than one.
                    let seen = all(&world, &applicable, partitions > 1).await;
                    combinations += 1;
                    report.runs += seen.len();
                    for (case, seen) in applicable.iter().zip(&seen) {
                        let faults = judge(case, seen, &expected, *share);
                        report.add(case, &place, faults);
                    }
                    if let Some((other, before)) = &first {
                        for ((case, seen), before) in applicable.iter().zip(&seen).zip(before) {
                            let difference = differ(case, before, seen);
                            let difference = difference.map(|d| format!("unlike {other}: {d}"));
                            report.add(case, &place, difference.into_iter().collect());
                        }
                    } else {
                        first = Some((place, seen));
                    }
                }
            }
        }
    }
    report.finish(cases, combinations, started);
}

/// What every case sees of `world`.
async fn all(world: &World, cases: &[&Case], plans: bool) -> Vec<Seen> {
    // The planner's estimate becomes the number of visible rows.
    observe(world, "SELECT * FROM orders", &[]).await.unwrap();
    stream::iter(cases)
        .map(|case| look(world, case, plans))
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn look(world: &World, case: &Case, plans: bool) -> Seen {
    let (sql, absent) = case.statements();
    let answer = observe(world, &sql, &case.parameters).await;
    let absent = match absent {
        Some((sql, absent)) => {
            let Expectation::NotFound(hidden) = &case.expectation else {
                unreachable!("only NF has an absent name");
            };
            let answer = observe(world, &sql, &case.parameters).await;
            Some(renamed(answer, &absent, hidden))
        }
        None => None,
    };
    let (plan, again) = match (&case.expectation, &answer) {
        (Expectation::Equal(_) | Expectation::Empty, Ok(_))
            if plans && case.parameters.is_empty() =>
        {
            let plan = observe(world, &format!("EXPLAIN {sql}"), &[]).await;
            let again = match &plan {
                Ok((_, rows)) if rows.join("\n").contains("JoinExec") => {
                    Some(observe(world, &sql, &[]).await)
                }
                _ => None,
            };
            (Some(plan), again)
        }
        _ => (None, None),
    };
    Seen {
        answer,
        absent,
        plan,
        again,
    }
}

/// The answer about `absent` as it would be about `hidden`.
fn renamed(answer: Answer, absent: &str, hidden: &str) -> Answer {
    let bare = |name: &str| name.replace(['"', '`', '\''], "");
    let (bare_absent, bare_hidden) = (bare(absent), bare(hidden));
    let rename = |text: &str| {
        text.replace(absent, hidden)
            .replace(&bare_absent, &bare_hidden)
            .replace(&bare_absent.to_lowercase(), &bare_hidden.to_lowercase())
    };
    match answer {
        Ok((schema, rows)) => Ok((
            rename(&schema),
            rows.iter().map(|row| rename(row)).collect(),
        )),
        Err(mut failure) => {
            failure.text = rename(&failure.text);
            Err(failure)
        }
    }
}

/// What is wrong with what was seen, on its own.
fn judge(
    case: &Case,
    seen: &Seen,
    expected: &HashMap<String, Answer>,
    share: Share,
) -> Vec<String> {
    let mut faults = secrets(case, seen);
    let answer = &seen.answer;
    match &case.expectation {
        Expectation::Equal(compare) => {
            let expected = &expected[&case.name];
            if !equal(*compare, answer, expected) {
                faults.push(format!("the copy says {}", shown(expected)));
            }
            let scans = |plan: &Answer| matches!(plan, Ok((_, rows)) if rows.join("\n").contains("GovernedScanExec"));
            if compare.scan && !seen.plan.as_ref().is_none_or(scans) {
                faults.push("the plan does not read the table".to_owned());
            }
            if let Some(Err(failure)) = &seen.plan {
                faults.push(format!("EXPLAIN fails: {failure:?}"));
            }
            if let Some(again) = &seen.again
                && !equal(*compare, again, expected)
            {
                faults.push(format!("asked again it says {}", shown(again)));
            }
        }
        Expectation::NotFound(_) => {
            if let Some(absent) = &seen.absent
                && !alike(Compare::default(), absent, answer)
            {
                faults.push(format!("an absent name says {}", shown(absent)));
            }
        }
        Expectation::Denied { text, whole } => {
            let refused = answer.as_ref().is_err_and(|failure| {
                failure.kind != Kind::Internal
                    && if *whole {
                        failure.text == *text
                    } else {
                        failure.text.starts_with(text)
                    }
            });
            if !refused {
                faults.push(format!("should be refused with `{text}`"));
            }
        }
        Expectation::Empty => {
            if !matches!(answer, Ok((_, rows)) if rows.is_empty()) {
                faults.push("should have no rows".to_owned());
            }
        }
        Expectation::Rows(rows) => {
            let mut rows = rows.clone();
            rows.sort();
            if !matches!(answer, Ok((_, found)) if sorted(found) == rows) {
                faults.push(format!("should have the rows {rows:?}"));
            }
        }
        Expectation::Same => {
            if share.visible() > 0
                && let Err(failure) = answer
                && failure.kind == Kind::Internal
            {
                faults.push("fails".to_owned());
            }
        }
    }
    for fault in &mut faults {
        let _ = write!(fault, "\n      got {}", shown(answer));
    }
    faults
}

/// Whether a client can tell two meshes apart that differ in hidden data alone.
fn differ(case: &Case, before: &Seen, seen: &Seen) -> Option<String> {
    let compare = match &case.expectation {
        Expectation::Equal(compare) => *compare,
        // Its text is a matter of the table; what is beyond may be a guess at a name.
        Expectation::Denied { .. } => return None,
        _ => Compare::default(),
    };
    if !alike(compare, &before.answer, &seen.answer) {
        return Some(format!(
            "{}\n      got {}",
            shown(&before.answer),
            shown(&seen.answer)
        ));
    }
    if let (Some(a), Some(b)) = (&before.again, &seen.again)
        && !alike(compare, a, b)
    {
        let (a, b) = (shown(a), shown(b));
        return Some(format!("asked again {a}\n      got {b}"));
    }
    match (&before.plan, &seen.plan) {
        (Some(a), Some(b)) if a != b && !compare.any_plan => {
            Some(format!("the plan is {}\n      got {}", shown(a), shown(b)))
        }
        _ => None,
    }
}

/// To the letter, but for the order of rows where none was asked for.
fn alike(compare: Compare, a: &Answer, b: &Answer) -> bool {
    match (a, b) {
        (Ok((schema, a)), Ok((other, b))) => schema == other && same_rows(compare.rows, a, b),
        (Err(a), Err(b)) if compare.any_error => a.kind == b.kind,
        (a, b) => a == b,
    }
}

fn equal(compare: Compare, seen: &Answer, expected: &Answer) -> bool {
    match (seen, expected) {
        (Ok((schema, seen)), Ok((other, expected))) => {
            !compare.fails
                && told(compare, schema, other)
                && same_rows(compare.rows, seen, expected)
        }
        (Err(seen), Err(expected)) => compare.fails || seen.kind == expected.kind,
        _ => false,
    }
}

/// Whether the columns are those of the copy; to the letter, but for what the case says.
fn told(compare: Compare, schema: &str, copy: &str) -> bool {
    if compare.nullable {
        let plain = |schema: &str| schema.replace('?', "");
        let nullable = |schema: &str| schema.matches('?').count();
        return plain(schema) == plain(copy) && nullable(schema) == nullable(copy) + 1;
    }
    schema == copy
}

fn same_rows(how: Rows, a: &[String], b: &[String]) -> bool {
    match how {
        Rows::AsMultiset => sorted(a) == sorted(b),
        Rows::InOrder => a == b,
        Rows::CountOnly => a.len() == b.len(),
        Rows::Nearly => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| nearly(a, b)),
    }
}

fn nearly(a: &str, b: &str) -> bool {
    let close = |(a, b): (&str, &str)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b || (a - b).abs() <= 1e-6 * (a.abs() + b.abs()),
        _ => a == b,
    };
    a.split('|').count() == b.split('|').count() && a.split('|').zip(b.split('|')).all(close)
}

fn sorted(rows: &[String]) -> Vec<String> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

fn secrets(case: &Case, seen: &Seen) -> Vec<String> {
    let (sql, _) = case.statements();
    let asked = sql.to_lowercase();
    let mut faults = Vec::new();
    let mut look = |what: &str, answer: &Answer| {
        let text = match answer {
            Ok((schema, rows)) => format!("{schema}\n{}", rows.join("\n")),
            Err(failure) => failure.text.clone(),
        };
        for secret in SECRETS {
            if text.contains(secret) && !asked.contains(&secret.to_lowercase()) {
                faults.push(format!("{what} says `{secret}`: {}", cut(&text)));
            }
        }
    };
    look("the answer", &seen.answer);
    if let Some(again) = &seen.again {
        look("the second answer", again);
    }
    if let Some(plan) = &seen.plan {
        look("the plan", plan);
    }
    faults
}

fn shown(answer: &Answer) -> String {
    match answer {
        Ok((schema, rows)) => cut(&format!("({schema}) {} rows: {rows:?}", rows.len())),
        Err(failure) => cut(&format!("{:?}: {}", failure.kind, failure.text)),
    }
}

fn cut(text: &str) -> String {
    let mut text = text.to_owned();
    if text.len() > 900 {
        text.truncate(text.floor_char_boundary(900));
        text.push('…');
    }
    text
}

impl Report {
    fn add(&mut self, case: &Case, place: &str, faults: Vec<String>) {
        for fault in faults {
            let all = self.failures.entry(case.name.clone()).or_default();
            all.push((place.to_owned(), fault));
        }
    }

    fn finish(self, cases: &[Case], combinations: usize, started: Instant) {
        let of = |name: &String| cases.iter().find(|case| case.name == *name).unwrap();
        let mut text = String::new();
        let mut failing = 0;
        let mut known = 0;
        for (name, faults) in &self.failures {
            let case = of(name);
            let label = match &case.known {
                Some(why) => {
                    known += 1;
                    format!("known failure ({why})")
                }
                None => {
                    failing += 1;
                    "FAILURE".to_owned()
                }
            };
            let (place, fault) = &faults[0];
            let _ = writeln!(
                text,
                "{label}: {name}, in {} runs\n    {}\n    {place}: {fault}",
                faults.len(),
                case.statements().0
            );
        }
        for case in cases {
            if case.known.is_some() && !self.failures.contains_key(&case.name) {
                failing += 1;
                let _ = writeln!(text, "FAILURE: {} is marked known, and passes", case.name);
            }
        }
        eprintln!(
            "{text}{} attacks in {combinations} combinations, {} runs in {:.1} s: {failing} fail, {known} known failures",
            cases.len(),
            self.runs,
            started.elapsed().as_secs_f64()
        );
        assert!(failing == 0, "{failing} attacks succeed:\n{text}");
    }
}
