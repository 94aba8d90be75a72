//! A line a test; what is wrong below it.

use std::fmt::Write as _;

use super::Outcome;

pub(crate) fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    let names = outcome.results.iter().map(|it| it.domain.as_str().len());
    let widest = names.max().unwrap_or_default();
    for result in &outcome.results {
        let sign = if result.problems.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        let domain = result.domain.as_str();
        let name = result.name.replace(char::is_control, " ");
        let _ = writeln!(text, "{sign}  {domain:<widest$}  {name}");
        if result.problems.is_empty() {
            continue;
        }
        let _ = writeln!(text, "      {}", result.span);
        for problem in &result.problems {
            for line in problem.text().lines() {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
    let (all, failed) = (outcome.results.len(), outcome.failed());
    if all == 0 {
        return "0 tests: no domain names any; `accessTests` in domain.yaml says where they are\n"
            .to_owned();
    }
    let _ = writeln!(
        text,
        "{all} {}: {} passed, {failed} failed, in {:.2} s",
        if all == 1 { "test" } else { "tests" },
        all - failed,
        outcome.took.as_secs_f64()
    );
    text
}
