//! Who looks, for what, and when: all that a decision knows of a session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use weft_mesh::Purpose;

use crate::Principal;

/// One look at the mesh. Two looks of one principal can differ: grants ask for
/// a purpose, and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Whose rights count. Where a service acts for somebody, it is that
    /// somebody.
    pub principal: Arc<Principal>,
    /// What the session has said that the data is for.
    pub purpose: Option<Purpose>,
    /// The instant that everything is decided at.
    pub now: DateTime<Utc>,
}

impl Viewer {
    /// A look without a purpose.
    pub fn new(principal: Arc<Principal>, now: DateTime<Utc>) -> Self {
        Self {
            principal,
            purpose: None,
            now,
        }
    }

    /// The same look for a purpose.
    #[must_use]
    pub fn with_purpose(mut self, purpose: Option<Purpose>) -> Self {
        self.purpose = purpose;
        self
    }
}
