//! Why a test failed.

use super::difference::Difference;

/// One expectation that did not hold.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) difference: Option<Difference>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            difference: None,
        }
    }

    pub(crate) fn with(mut self, difference: Difference) -> Self {
        self.difference = Some(difference);
        self
    }

    /// The message, and the rows below it.
    pub(crate) fn text(&self) -> String {
        match &self.difference {
            None => self.message.clone(),
            Some(difference) => format!("{}\n{}", self.message, difference.render().trim_end()),
        }
    }
}
