//! Whether one condition on rows implies another.
//!
//! Three-valued logic becomes two-valued where it is asked: a predicate is
//! TRUE or not, FALSE or not ([`mod@formula`]). What it reads become variables
//! ([`variables`]), each of which is in a set of values ([`values`]). That no
//! row makes all of some conditions hold is shown by narrowing the sets, a
//! disjunction at a time, until one is empty. It is sound and not complete:
//! what is not shown may still be so. Columns are compared with constants,
//! lists and prefixes exactly; anything else is only equal to itself.

mod formula;
mod patterns;
mod values;
mod variables;

use std::{collections::BTreeSet, sync::Arc};

use weft_mesh::{Purpose, TableId};

use self::{
    formula::{Formula, formula},
    values::{Value, ValueSet},
    variables::Variables,
};
use crate::RowPredicate;

/// How much is tried before a question is left open, in conditions looked at.
const EFFORT: usize = 400_000;

/// How many values of one variable are tried one by one.
const FEW: usize = 64;

/// How often what follows from each other is looked at again.
const ROUNDS: usize = 4;

/// One of the two states that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Old,
    New,
}

/// What the names in a predicate of one side mean on both.
pub(super) struct Names<'a> {
    pub(super) side: Side,
    /// The number of a column, by its position in the contract of the side;
    /// equal numbers are equal columns.
    pub(super) column: &'a dyn Fn(usize) -> usize,
    /// The tables that are looked up in and are not the same on both sides.
    pub(super) others: &'a BTreeSet<TableId>,
    /// The purposes that have a name; one that is left open is none of them.
    pub(super) purposes: &'a BTreeSet<Purpose>,
}

/// Conditions that are to hold on one row.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    variables: Variables,
    formulas: Vec<Formula>,
}

impl Conditions {
    /// And the predicate is TRUE.
    #[must_use]
    pub(super) fn holds(mut self, predicate: Option<&RowPredicate>, names: &Names<'_>) -> Self {
        if let Some(predicate) = predicate {
            let formula = formula(predicate, formula::Truth::True, names, &mut self.variables);
            self.formulas.push(formula);
        }
        self
    }

    /// And the predicate is FALSE or NULL; `None` is TRUE.
    #[must_use]
    pub(super) fn fails(mut self, predicate: Option<&RowPredicate>, names: &Names<'_>) -> Self {
        let formula = self.failing(predicate, names);
        self.formulas.push(formula);
        self
    }

    /// And the first fails, or one of the others holds.
    #[must_use]
    pub(super) fn fails_unless(
        mut self,
        predicate: Option<&RowPredicate>,
        others: &[Option<&RowPredicate>],
        names: &Names<'_>,
    ) -> Self {
        let mut ways = vec![self.failing(predicate, names)];
        for other in others {
            ways.push(match other {
                Some(other) => formula(other, formula::Truth::True, names, &mut self.variables),
                None => Formula::Always,
            });
        }
        self.formulas.push(Formula::Any(ways));
        self
    }

    /// Whether it is shown that no row meets all of them.
    pub(super) fn never_meet(&self) -> bool {
        let mut search = Search {
            variables: &self.variables,
            effort: EFFORT,
        };
        let todo: Vec<&Formula> = self.formulas.iter().collect();
        search.refutes(self.variables.ranges(), todo, Vec::new())
    }

    fn failing(&mut self, predicate: Option<&RowPredicate>, names: &Names<'_>) -> Formula {
        match predicate {
            Some(predicate) => formula(
                predicate,
                formula::Truth::NotTrue,
                names,
                &mut self.variables,
            ),
            None => Formula::Never,
        }
    }
}

/// What every variable can still be.
type Ranges = Vec<Arc<ValueSet>>;

struct Search<'a> {
    variables: &'a Variables,
    effort: usize,
}

/// What is known of a formula under some ranges.
enum Status {
    Holds,
    Fails,
    Open,
}

/// No value of all variables meets the conditions.
struct Conflict;

impl<'a> Search<'a> {
    /// Whether no values within `ranges` meet `todo` and one of each of `choices`.
    fn refutes(
        &mut self,
        mut ranges: Ranges,
        mut todo: Vec<&'a Formula>,
        mut choices: Vec<Vec<&'a Formula>>,
    ) -> bool {
        loop {
            while let Some(formula) = todo.pop() {
                if !self.spend() {
                    return false;
                }
                match formula {
                    Formula::Always => {}
                    Formula::Never => return true,
                    Formula::In(id, set) => {
                        if narrow(&mut ranges, *id, set).is_err() {
                            return true;
                        }
                    }
                    Formula::All(parts) => todo.extend(parts),
                    Formula::Any(parts) => choices.push(parts.iter().collect()),
                }
            }
            if self.follow(&mut ranges).is_err() {
                return true;
            }
            let mut open: Vec<Vec<&'a Formula>> = Vec::new();
            for choice in choices {
                match self.left_of(choice, &ranges).as_deref() {
                    None => {}
                    Some([]) => return true,
                    Some([only]) => todo.push(only),
                    Some(several) => open.push(several.to_vec()),
                }
            }
            choices = open;
            if todo.is_empty() {
                break;
            }
        }
        let least = (0..choices.len()).min_by_key(|at| choices.get(*at).map(Vec::len));
        let Some(least) = least else {
            return false;
        };
        let choice = choices.swap_remove(least);
        choice
            .into_iter()
            .all(|way| self.refutes(ranges.clone(), vec![way], choices.clone()))
    }

    /// The ways of a choice that are still there; `None` where one holds anyhow.
    fn left_of(&mut self, ways: Vec<&'a Formula>, ranges: &Ranges) -> Option<Vec<&'a Formula>> {
        let mut left = Vec::new();
        for way in ways {
            match self.status(way, ranges) {
                Status::Holds => return None,
                Status::Fails => {}
                Status::Open => left.push(way),
            }
        }
        Some(left)
    }

    fn status(&mut self, formula: &Formula, ranges: &Ranges) -> Status {
        if !self.spend() {
            return Status::Open;
        }
        match formula {
            Formula::Always => Status::Holds,
            Formula::Never => Status::Fails,
            Formula::In(id, set) => match ranges.get(*id) {
                Some(range) if range.intersection(set).is_empty() => Status::Fails,
                Some(range) if range.is_within(set) => Status::Holds,
                Some(_) | None => Status::Open,
            },
            Formula::All(parts) => {
                let mut all = Status::Holds;
                for part in parts {
                    match self.status(part, ranges) {
                        Status::Holds => {}
                        Status::Fails => return Status::Fails,
                        Status::Open => all = Status::Open,
                    }
                }
                all
            }
            Formula::Any(parts) => {
                let mut any = Status::Fails;
                for part in parts {
                    match self.status(part, ranges) {
                        Status::Holds => return Status::Holds,
                        Status::Fails => {}
                        Status::Open => any = Status::Open,
                    }
                }
                any
            }
        }
    }

    /// Narrows what follows from other variables.
    fn follow(&self, ranges: &mut Ranges) -> Result<(), Conflict> {
        for _ in 0..ROUNDS {
            let before = ranges.clone();
            for id in 0..self.variables.len() {
                self.follow_nulls(id, ranges)?;
                self.follow_values(id, ranges)?;
            }
            let settled = before
                .iter()
                .zip(ranges.iter())
                .all(|(before, now)| Arc::ptr_eq(before, now) || before == now);
            if settled {
                break;
            }
        }
        Ok(())
    }

    /// A variable is NULL where one that it is made of is.
    fn follow_nulls(&self, id: usize, ranges: &mut Ranges) -> Result<(), Conflict> {
        let Some(known) = self.variables.get(id) else {
            return Ok(());
        };
        let made_of = known.expression.null_with();
        if made_of.is_empty() {
            return Ok(());
        }
        let of = |ranges: &Ranges, id: usize| ranges.get(id).cloned();
        let (null, not_null) = (ValueSet::only_null(), ValueSet::only_null().complement());
        let is_null = |ranges: &Ranges, id| of(ranges, id).is_some_and(|it| !it.has_values());
        let is_value = |ranges: &Ranges, id| of(ranges, id).is_some_and(|it| !it.has_null());
        if is_value(ranges, id) {
            for part in &made_of {
                narrow(ranges, *part, &not_null)?;
            }
        }
        if is_null(ranges, id)
            && let [only] = made_of.as_slice()
        {
            narrow(ranges, *only, &null)?;
        }
        if made_of.iter().any(|part| is_null(ranges, *part)) {
            narrow(ranges, id, &null)?;
        }
        if made_of.iter().all(|part| is_value(ranges, *part)) {
            narrow(ranges, id, &not_null)?;
        }
        Ok(())
    }

    /// Where few values are left of what a variable is made of, they say what
    /// it is, and the other way round.
    fn follow_values(&self, id: usize, ranges: &mut Ranges) -> Result<(), Conflict> {
        let Some(known) = self.variables.get(id) else {
            return Ok(());
        };
        let made_of = known.expression.null_with();
        let [base] = made_of.as_slice() else {
            return Ok(());
        };
        let (Some(values), Some(made)) = (ranges.get(*base), ranges.get(id)) else {
            return Ok(());
        };
        let null = values.has_null();
        let Some(few) = values.few(FEW) else {
            return Ok(());
        };
        let mut left: Vec<Value> = Vec::new();
        let mut results: Vec<Value> = Vec::new();
        for value in few {
            let Some(result) = known.expression.of_value(&value) else {
                return Ok(());
            };
            if ValueSet::point(result.clone()).is_within(made) {
                left.push(value);
                results.push(result);
            }
        }
        narrow(ranges, *base, &ValueSet::points(left).with_null(null))?;
        narrow(ranges, id, &ValueSet::points(results).with_null(null))
    }

    /// Whether there is effort left.
    fn spend(&mut self) -> bool {
        self.effort = self.effort.saturating_sub(1);
        self.effort > 0
    }
}

fn narrow(ranges: &mut Ranges, id: usize, set: &ValueSet) -> Result<(), Conflict> {
    let Some(range) = ranges.get_mut(id) else {
        return Ok(());
    };
    if range.is_within(set) {
        return Ok(());
    }
    let narrowed = range.intersection(set);
    if narrowed.is_empty() {
        return Err(Conflict);
    }
    *range = Arc::new(narrowed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{orders, parse, span};

    /// Whether it is shown that the first is TRUE only where the second is.
    fn implies(one: &str, other: &str) -> bool {
        let read = |text: &str| parse(text, &span(), &orders()).unwrap();
        let names = Names {
            side: Side::New,
            column: &|at| at,
            others: &BTreeSet::new(),
            purposes: &BTreeSet::new(),
        };
        Conditions::default()
            .holds(Some(&read(one)), &names)
            .fails(Some(&read(other)), &names)
            .never_meet()
    }

    #[test]
    fn what_follows_is_shown() {
        for (one, other) in [
            ("region = 'EU'", "region = 'EU'"),
            ("region = 'EU'", "region IN ('US', 'EU')"),
            ("region IN ('EU', 'US')", "region = 'US' OR region = 'EU'"),
            ("id > 5", "id >= 6"),
            ("id >= 6", "id > 5"),
            ("id BETWEEN 2 AND 3", "id > 1 AND id < 10"),
            ("id = 2 OR id = 3", "id BETWEEN 2 AND 3"),
            ("id BETWEEN 2 AND 3", "id IN (2, 3)"),
            (
                "NOT (id < 3 OR region = 'EU')",
                "id >= 3 AND region <> 'EU'",
            ),
            ("region = 'EU'", "region IS NOT NULL"),
            ("region <> 'EU'", "region IS NOT NULL"),
            ("region IS NULL", "region <> 'EU' IS UNKNOWN"),
            ("region LIKE 'E%'", "starts_with(region, 'E')"),
            ("region = 'EU'", "region LIKE 'E%'"),
            ("region = 'EU'", "region LIKE '%U'"),
            ("region IN ('EU', 'eU')", "lower(region) = 'eu'"),
            ("lower(region) = 'eu'", "region IS NOT NULL"),
            ("email LIKE 'a%b'", "email LIKE 'a%b' OR open"),
            ("open", "open IS TRUE"),
            ("NOT open", "open = false"),
            ("open AND id = 1", "id = 1"),
            ("region < email", "NOT (email <= region)"),
            ("region = email", "email = region AND region IS NOT NULL"),
            ("amount > 10.5", "amount >= 10.51"),
            ("open AND NOT open", "region = 'EU'"),
            ("region = session.attr('r')", "session.attr('r') = region"),
            (
                "region = session.attr('r')",
                "session.attr('r') IS NOT NULL",
            ),
            ("\"Mixed\" = id", "id IS NOT NULL"),
            ("id IS NOT NULL AND id < 3 IS NOT TRUE", "id >= 3"),
            ("(open OR region = 'EU') AND NOT open", "region = 'EU'"),
            (
                "ordered_at >= TIMESTAMP '2026-01-01'",
                "ordered_at > TIMESTAMP '2025-12-31'",
            ),
        ] {
            assert!(implies(one, other), "{one} => {other}");
        }
    }

    #[test]
    fn what_does_not_follow_is_not_shown() {
        for (one, other) in [
            ("true", "region = 'EU' OR region <> 'EU'"),
            ("region IN ('US', 'EU')", "region = 'EU'"),
            ("id >= 5", "id > 5"),
            ("region = 'EU' IS NOT TRUE", "region <> 'EU'"),
            ("NOT (id < 3)", "id > 3"),
            ("region = 'EU'", "region = session.attr('r')"),
            ("region = session.attr('r')", "region = 'EU'"),
            (
                "region = session.attr('r')",
                "region = session.attr('other')",
            ),
            ("lower(region) = 'eu'", "region = 'eu'"),
            ("region LIKE 'E_'", "region LIKE 'E%U'"),
            ("region ILIKE 'e%'", "region LIKE 'e%'"),
            ("region <= email", "region < email"),
            ("open IS NOT TRUE", "NOT open"),
            ("starts_with(region, 'E')", "region = 'E'"),
            ("open OR region = 'EU'", "open"),
        ] {
            assert!(!implies(one, other), "{one} => {other}");
        }
    }
}
