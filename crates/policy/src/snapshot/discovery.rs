//! What may be known of a table by those who may find it.

use weft_mesh::TableId;

use super::{Claims, PolicySnapshot};
use crate::{GrantReason, Viewer};

/// A table that a viewer may find, whether or not they may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The grants that let it be found, in a stable order; at least one.
    pub by: Vec<GrantReason>,
    /// The positions of the contract's columns that may be known, ascending: all
    /// but those that a guardrail denies the viewer, which do not exist.
    pub columns: Vec<usize>,
}

impl PolicySnapshot {
    /// Whether `viewer` may find `table` by a grant that says `discover`, and
    /// which of its columns. It gives no data: what can be read is
    /// [`decide`](Self::decide)d apart from it.
    pub fn discover(&self, viewer: &Viewer, table: &TableId) -> Option<Discovery> {
        let policy = self.domains.get(&table.domain)?.table(table)?;
        let claims = Claims::of(policy, viewer, &|asked| self.may_ask(&table.domain, asked));
        if claims.discovered_by.is_empty() {
            return None;
        }
        let limits = self.guardrails.limits(table, viewer, |_| String::new());
        let positions = 0..policy.columns.len();
        Some(Discovery {
            by: claims.discovered_by,
            columns: positions.filter(|at| !limits.is_denied(*at)).collect(),
        })
    }
}
