//! What decides what a statement means.

use std::sync::Arc;

use weft_policy::{Allowance, Owner, PolicySnapshot, Viewer};

/// All that a statement depends on but its own words and the snapshot of the mesh.
#[derive(Clone)]
pub(crate) struct Meaning {
    pub(crate) viewer: Viewer,
    pub(crate) owner: Owner,
    /// No domain is called by an empty name: without a session schema an
    /// unqualified table is found nowhere.
    pub(crate) schema: String,
    pub(crate) time_zone: String,
    /// The limits of the mesh that bind the principal.
    pub(crate) allowance: Arc<Allowance>,
}

impl Meaning {
    /// Whether a statement that was planned for this means the same in `later`, where `policy`
    /// holds for both.
    pub(crate) fn is_still(&self, later: &Self, policy: &PolicySnapshot) -> bool {
        self.owner == later.owner
            && self.viewer.principal == later.viewer.principal
            && self.viewer.purpose == later.viewer.purpose
            && self.schema == later.schema
            && self.time_zone == later.time_zone
            && self.allowance == later.allowance
            && policy.is_the_same(self.viewer.now, later.viewer.now)
    }
}
