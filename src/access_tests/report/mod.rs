//! Outcomes for people and for machines.

mod json;
mod junit;
mod text;

use std::time::Duration;

pub(crate) use json::json;
pub(crate) use junit::junit;
pub(crate) use text::text;

use super::TestResult;

/// All that was tested.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) results: Vec<TestResult>,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn failed(&self) -> usize {
        let failed = self.results.iter().filter(|it| !it.problems.is_empty());
        failed.count()
    }
}
