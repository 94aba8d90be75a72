//! Columns as numbers, and sets of them that nodes of a plan share.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::SourceColumn;

/// A column that values come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Product(SourceColumn),
    /// A column of the rows that a recursive query has made so far: the query,
    /// and the position. It is put in place when the query is known to its end.
    Recursive(usize, usize),
}

/// The sources of one value.
pub(super) type Set = Arc<BTreeSet<u32>>;

/// Every source that was met, by number.
#[derive(Debug, Default)]
pub(super) struct Sources {
    numbers: HashMap<Source, u32>,
    sources: Vec<Source>,
}

impl Sources {
    pub(super) fn number(&mut self, source: Source) -> u32 {
        if let Some(number) = self.numbers.get(&source) {
            return *number;
        }
        let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(source.clone());
        self.numbers.insert(source, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&Source> {
        self.sources.get(usize::try_from(number).ok()?)
    }

    /// The columns of products among `numbers`.
    pub(super) fn columns<'a>(
        &self,
        numbers: impl IntoIterator<Item = &'a u32>,
    ) -> BTreeSet<SourceColumn> {
        let sources = numbers.into_iter().filter_map(|number| self.get(*number));
        sources
            .filter_map(|source| match source {
                Source::Product(column) => Some(column.clone()),
                Source::Recursive(..) => None,
            })
            .collect()
    }
}

/// All of `sets`; where one holds the others it is shared.
pub(super) fn union<'a>(sets: impl IntoIterator<Item = &'a Set>) -> Set {
    let mut all: Option<Set> = None;
    for set in sets {
        match &mut all {
            None => all = Some(Arc::clone(set)),
            Some(all) if Arc::ptr_eq(all, set) || set.is_empty() => {}
            Some(all) => Arc::make_mut(all).extend(set.iter().copied()),
        }
    }
    all.unwrap_or_default()
}
