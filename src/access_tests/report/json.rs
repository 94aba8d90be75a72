//! One JSON object.

use serde_json::Value;

use super::Outcome;

pub(crate) fn json(outcome: &Outcome) -> Value {
    let failed = outcome.failed();
    let tests: Vec<Value> = outcome
        .results
        .iter()
        .map(|result| {
            let problems: Vec<String> = result.problems.iter().map(|it| it.text()).collect();
            serde_json::json!({
                "domain": result.domain.as_str(),
                "name": result.name,
                "file": result.span.file.display().to_string(),
                "line": result.span.line,
                "outcome": if problems.is_empty() { "passed" } else { "failed" },
                "seconds": result.took.as_secs_f64(),
                "problems": problems,
            })
        })
        .collect();
    serde_json::json!({
        "passed": outcome.results.len() - failed,
        "failed": failed,
        "seconds": outcome.took.as_secs_f64(),
        "tests": tests,
    })
}
