//! A difference as it goes on: grants begin and end.

use chrono::{DateTime, Utc};

use super::{
    access::{Meaning, View, compare},
    report::TableChange,
};
use crate::{Access, PolicySnapshot, Viewer};
use weft_mesh::TableId;

/// What differs from a moment on, until the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Period {
    /// `None` is from now on.
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
    pub(super) change: TableChange,
}

/// One side of a comparison for one viewer.
pub(super) struct Look<'a> {
    pub(super) policy: &'a PolicySnapshot,
    /// `None` where there is nobody of that name.
    pub(super) viewer: Option<Viewer>,
}

/// All periods in which a table is not the same for a viewer.
pub(super) fn periods(
    table: &TableId,
    old: &Look<'_>,
    new: &Look<'_>,
    now: DateTime<Utc>,
    meaning: Meaning<'_>,
) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    let mut last: Option<TableChange> = None;
    let mut at = now;
    loop {
        let (before, after) = (old.at(table, at), new.at(table, at));
        let change = compare(before.as_ref(), after.as_ref(), meaning);
        if change != last {
            if let (Some(period), Some(_)) = (periods.last_mut(), &last) {
                period.until = Some(at);
            }
            if let Some(change) = &change {
                periods.push(Period {
                    from: (at > now).then_some(at),
                    until: None,
                    change: change.clone(),
                });
            }
            last = change;
        }
        let ends = [before, after].into_iter().flatten();
        match ends.filter_map(|it| it.valid_until()).min() {
            // Each is later than the moment that was looked at.
            Some(next) if next > at => at = next,
            Some(_) | None => return periods,
        }
    }
}

impl Look<'_> {
    fn at(&self, table: &TableId, now: DateTime<Utc>) -> Option<View> {
        let mut viewer = self.viewer.clone()?;
        viewer.now = now;
        Some(View {
            access: self.policy.decide(&viewer, table),
            found: self.policy.discover(&viewer, table).map(|it| it.columns),
        })
    }
}

impl View {
    fn valid_until(&self) -> Option<DateTime<Utc>> {
        match &self.access {
            Access::Granted(access) => access.valid_until,
            Access::Denied(denial) => denial.valid_until,
        }
    }
}
