//! What one principal may take of the server: of all limits of the mesh that
//! bind them, the smallest of each kind.

use std::{sync::Arc, time::Duration};

use weft_mesh::{ByteSize, LimitManifest};

use crate::Principal;

/// The limits of one principal. They say nothing of what there is to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Statements of the principal that run at a time.
    pub concurrency: Option<Limit<usize>>,
    /// What the operators of one statement may hold.
    pub memory: Option<Limit<ByteSize>>,
    /// How long one statement may take.
    pub time: Option<Limit<Duration>>,
    /// Rows that one statement may return.
    pub rows: Option<Limit<u64>>,
    /// What the values that one statement returns may weigh.
    pub bytes: Option<Limit<ByteSize>>,
}

/// The most of something, and the limit of the mesh that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit<T> {
    /// As the manifest names it.
    pub name: Arc<str>,
    /// This much is allowed, and no more.
    pub most: T,
}

impl Allowance {
    pub(crate) fn of(limits: &[LimitManifest], principal: &Principal) -> Self {
        let binding = limits
            .iter()
            .filter(|limit| limit.whom.iter().any(|it| principal.is(&it.value)));
        let binding: Vec<&LimitManifest> = binding.collect();
        Self {
            concurrency: smallest(&binding, |limit| limit.concurrency),
            memory: smallest(&binding, |limit| limit.memory),
            time: smallest(&binding, |limit| limit.time),
            rows: smallest(&binding, |limit| limit.rows),
            bytes: smallest(&binding, |limit| limit.bytes),
        }
    }
}

/// Of equal limits the one that the manifest has first.
fn smallest<T: Ord>(
    binding: &[&LimitManifest],
    most: impl Fn(&LimitManifest) -> Option<T>,
) -> Option<Limit<T>> {
    let limits = binding.iter().copied().filter_map(|limit| {
        Some(Limit {
            name: Arc::from(limit.name.value.as_str()),
            most: most(limit)?,
        })
    });
    limits.min_by(|one, other| one.most.cmp(&other.most))
}
