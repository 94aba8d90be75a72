//! Recursive queries: a column may come from what its own rows came from.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::logical_expr::RecursiveQuery;

use super::{
    flow::Flow,
    sources::{Set, Source, union},
};
use crate::error::Result;

impl Flow {
    /// The recursive term is walked once, with a source that stands for each
    /// column of the rows so far; then each is put in place of it.
    pub(super) fn of_recursive(&mut self, query: &RecursiveQuery) -> Result<Vec<Set>> {
        let first = self.of(&query.static_term)?;
        let number = self.recursions;
        self.recursions += 1;
        self.recursive.push((query.name.clone(), number));
        let next = self.of(&query.recursive_term);
        self.recursive.pop();
        let next = next?;
        let mut columns: Vec<Set> = first
            .iter()
            .zip(&next)
            .map(|(first, next)| union([first, next]))
            .collect();
        let open = columns.clone();
        for column in &mut columns {
            *column = Arc::new(self.closed(column, number, &open));
        }
        self.influences = self.closed(&self.influences, number, &columns);
        if query.is_distinct {
            self.influence(&columns);
        }
        Ok(columns)
    }

    /// `set` with the sources of a recursive query's columns in place of them.
    fn closed(&self, set: &BTreeSet<u32>, query: usize, columns: &[Set]) -> BTreeSet<u32> {
        let (mut closed, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut ahead: Vec<u32> = set.iter().copied().collect();
        while let Some(number) = ahead.pop() {
            match self.sources.get(number) {
                Some(Source::Recursive(of, at)) if *of == query => {
                    if seen.insert(number) {
                        ahead.extend(columns.get(*at).into_iter().flat_map(|set| set.iter()));
                    }
                }
                Some(_) | None => {
                    closed.insert(number);
                }
            }
        }
        closed
    }
}
