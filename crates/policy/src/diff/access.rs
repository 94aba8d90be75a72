//! Two decisions about one table, held against each other.

use std::collections::BTreeSet;

use weft_mesh::{Purpose, Table, TableId};

use super::{
    ground::{Ground, Pair},
    implication::{Conditions, Names, Side},
    masks::tells_no_more,
    report::{ColumnChange, ColumnView, Direction, Presence, RowsChange, TableChange},
};
use crate::{Access, CellRule, ColumnAccess, Exposure, Reveal, RowPredicate, TableAccess};

/// What one viewer has of a table on one side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) access: Access,
    /// The positions of the columns that can be known by a grant that lets the
    /// table be found, whatever else is seen of it.
    pub(super) found: Option<Vec<usize>>,
}

/// What predicates and columns of both sides mean.
#[derive(Clone, Copy)]
pub(super) struct Meaning<'a> {
    pub(super) ground: &'a Ground<'a>,
    /// The tables whose content is not the same on both sides.
    pub(super) others: &'a BTreeSet<TableId>,
    /// The purposes that have a name.
    pub(super) purposes: &'a BTreeSet<Purpose>,
}

/// What a viewer sees otherwise; `None` where it is shown to be the same.
pub(super) fn compare(
    old: Option<&View>,
    new: Option<&View>,
    meaning: Meaning<'_>,
) -> Option<TableChange> {
    let ground = meaning.ground;
    let (before, after) = (granted(old), granted(new));
    let presence = (presence(old), presence(new));
    let sides = Sides {
        meaning,
        rows: (
            before.and_then(|it| it.rows.as_ref()),
            after.and_then(|it| it.rows.as_ref()),
        ),
    };
    let columns: Vec<ColumnChange> = ground
        .columns
        .iter()
        .filter_map(|pair| {
            let one = before.and_then(|it| column(it, pair.old));
            let other = after.and_then(|it| column(it, pair.new));
            sides.column(*pair, one, other)
        })
        .collect();
    let rows = match (before, after) {
        (None, None) => None,
        (Some(_), Some(_)) => sides.rows(),
        (one, other) => Some(RowsChange {
            direction: Direction {
                gain: other.is_some(),
                loss: one.is_some(),
            },
            old: one.map(|it| text(it.rows.as_ref())),
            new: other.map(|it| text(it.rows.as_ref())),
        }),
    };
    let both = before.is_some() && after.is_some();
    let change = TableChange {
        presence,
        found: found(old, new, &columns, ground),
        moved: ground.moved.clone().filter(|_| both),
        rows,
        columns,
    };
    let nothing = change.presence.0 == change.presence.1
        && change.found.0.is_empty()
        && change.found.1.is_empty()
        && change.moved.is_none()
        && change.rows.is_none()
        && change.columns.is_empty();
    (!nothing).then_some(change)
}

fn granted(view: Option<&View>) -> Option<&TableAccess> {
    match &view?.access {
        Access::Granted(access) => Some(access),
        Access::Denied(_) => None,
    }
}

fn presence(view: Option<&View>) -> Presence {
    match view {
        Some(view) if matches!(view.access, Access::Granted(_)) => Presence::Granted,
        Some(view) if view.found.is_some() => Presence::Found,
        Some(_) | None => Presence::Hidden,
    }
}

fn column(access: &TableAccess, at: Option<usize>) -> Option<&ColumnAccess> {
    access
        .columns
        .iter()
        .find(|column| Some(column.index) == at)
}

/// The names of columns that are known on one side only; those that are seen
/// or no longer seen are told with what is seen of them.
fn found(
    old: Option<&View>,
    new: Option<&View>,
    told: &[ColumnChange],
    ground: &Ground<'_>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let known = |view: Option<&View>, table: Option<&Table>| -> BTreeSet<String> {
        let Some(view) = view else {
            return BTreeSet::new();
        };
        let read = match &view.access {
            Access::Granted(access) => access.columns.as_slice(),
            Access::Denied(_) => &[],
        };
        let positions = view.found.iter().flatten();
        let found = positions.filter_map(|at| table?.columns.get(*at));
        let read = read.iter().map(|it| it.name.clone());
        read.chain(found.map(|it| it.name.clone())).collect()
    };
    let (before, after) = (known(old, ground.old), known(new, ground.new));
    let seen = |side: fn(&ColumnChange) -> Option<&ColumnView>| -> BTreeSet<String> {
        told.iter()
            .filter_map(side)
            .map(|it| it.name.clone())
            .collect()
    };
    let (gone, come) = (seen(|it| it.old.as_ref()), seen(|it| it.new.as_ref()));
    let gained = after
        .difference(&before)
        .filter(|name| !come.contains(*name));
    let lost = before
        .difference(&after)
        .filter(|name| !gone.contains(*name));
    (gained.cloned().collect(), lost.cloned().collect())
}

/// Both decisions, and what their predicates mean.
struct Sides<'a> {
    meaning: Meaning<'a>,
    rows: (Option<&'a RowPredicate>, Option<&'a RowPredicate>),
}

impl Sides<'_> {
    fn rows(&self) -> Option<RowsChange> {
        let (old, new) = self.rows;
        if old == new && self.is_plain([old]) {
            return None;
        }
        let direction = Direction {
            gain: !self.implied(new, Side::New, old, Side::Old),
            loss: !self.implied(old, Side::Old, new, Side::New),
        };
        (direction != Direction::NEITHER).then(|| RowsChange {
            direction,
            old: Some(text(old)),
            new: Some(text(new)),
        })
    }

    fn column(
        &self,
        pair: Pair,
        old: Option<&ColumnAccess>,
        new: Option<&ColumnAccess>,
    ) -> Option<ColumnChange> {
        let direction = match (old, new) {
            (None, None) => return None,
            (None, Some(_)) => Direction::GAIN,
            (Some(_), None) => Direction::LOSS,
            (Some(old), Some(new))
                if old.exposure == new.exposure
                    && self.is_plain(arms(old).iter().map(|arm| arm.when)) =>
            {
                Direction::NEITHER
            }
            (Some(_), Some(_)) if self.is_retyped(pair) => Direction::BOTH,
            (Some(old), Some(new)) => {
                let (before, after) = (arms(old), arms(new));
                Direction {
                    gain: self.tells_more(&after, Side::New, &before, Side::Old),
                    loss: self.tells_more(&before, Side::Old, &after, Side::New),
                }
            }
        };
        let (old, new) = (old.map(view), new.map(view));
        let same_form = match (&old, &new) {
            (Some(old), Some(new)) => {
                (&old.name, &old.data_type, old.nullable)
                    == (&new.name, &new.data_type, new.nullable)
            }
            _ => false,
        };
        (direction != Direction::NEITHER || !same_form).then_some(ColumnChange {
            direction,
            old,
            new,
        })
    }

    /// Whether some cell, of a row that is seen on both sides, is not shown to
    /// tell no more in `these` than in `those`.
    fn tells_more(&self, these: &[Arm<'_>], side: Side, those: &[Arm<'_>], other: Side) -> bool {
        (0..these.len()).any(|at| !self.is_covered(these, at, side, those, other))
    }

    /// Whether wherever the arm at `at` is what is shown, the other side shows
    /// all of it.
    fn is_covered(
        &self,
        these: &[Arm<'_>],
        at: usize,
        side: Side,
        those: &[Arm<'_>],
        other: Side,
    ) -> bool {
        let Some(arm) = these.get(at) else {
            return true;
        };
        let (this_column, that_column) = (self.columns(side), self.columns(other));
        let (this, that) = (
            self.names(side, &this_column),
            self.names(other, &that_column),
        );
        let rows = |side: Side| match side {
            Side::Old => self.rows.0,
            Side::New => self.rows.1,
        };
        let mut conditions = Conditions::default()
            .holds(rows(side), &this)
            .holds(rows(other), &that)
            .holds(arm.when, &this);
        for earlier in these.iter().take(at) {
            conditions = conditions.fails(earlier.when, &this);
        }
        // The other side shows enough where an arm that does holds, and none
        // before it that does not.
        let mut short: Vec<Option<&RowPredicate>> = Vec::new();
        for theirs in those {
            if tells_no_more(arm.reveal, theirs.reveal) {
                conditions = conditions.fails_unless(theirs.when, &short, &that);
            } else {
                short.push(theirs.when);
            }
        }
        conditions.never_meet()
    }

    fn implied(
        &self,
        one: Option<&RowPredicate>,
        one_side: Side,
        other: Option<&RowPredicate>,
        other_side: Side,
    ) -> bool {
        let (one_column, other_column) = (self.columns(one_side), self.columns(other_side));
        let one_names = self.names(one_side, &one_column);
        let other_names = self.names(other_side, &other_column);
        Conditions::default()
            .holds(one, &one_names)
            .fails(other, &other_names)
            .never_meet()
    }

    fn columns(&self, side: Side) -> impl Fn(usize) -> usize {
        let ground = self.meaning.ground;
        move |at| match side {
            Side::Old => ground.old_number(at),
            Side::New => ground.new_number(at),
        }
    }

    fn names<'a>(&'a self, side: Side, column: &'a dyn Fn(usize) -> usize) -> Names<'a> {
        Names {
            side,
            column,
            others: self.meaning.others,
            purposes: self.meaning.purposes,
        }
    }

    /// Whether these predicates, equal on both sides, mean the same.
    fn is_plain<'p>(&self, predicates: impl IntoIterator<Item = Option<&'p RowPredicate>>) -> bool {
        let mut plain = self.meaning.ground.is_same;
        for predicate in predicates.into_iter().flatten() {
            predicate.for_each_entitlement(&mut |_, it| {
                plain &= !self.meaning.others.contains(&it.table);
            });
        }
        plain
    }

    fn is_retyped(&self, pair: Pair) -> bool {
        let type_of = |table: Option<&Table>, at: Option<usize>| {
            let column = table?.columns.get(at?)?;
            Some(column.data_type.clone())
        };
        type_of(self.meaning.ground.old, pair.old) != type_of(self.meaning.ground.new, pair.new)
    }
}

/// What is shown where.
#[derive(Clone, Copy)]
struct Arm<'a> {
    when: Option<&'a RowPredicate>,
    reveal: &'a Reveal,
}

fn arms(column: &ColumnAccess) -> Vec<Arm<'_>> {
    match &column.exposure {
        Exposure::Clear => vec![Arm {
            when: None,
            reveal: &Reveal::Clear,
        }],
        Exposure::Cells(rules) => rules
            .iter()
            .map(|CellRule { when, reveal }| Arm {
                when: when.as_ref(),
                reveal,
            })
            .collect(),
    }
}

fn view(column: &ColumnAccess) -> ColumnView {
    let arm = |arm: Arm<'_>| {
        let reveal = match arm.reveal {
            Reveal::Clear => "clear".to_owned(),
            Reveal::Masked(mask) => mask.to_string(),
        };
        match arm.when {
            Some(when) => format!("{reveal} where {when}"),
            None => reveal,
        }
    };
    let arms: Vec<String> = arms(column).into_iter().map(arm).collect();
    ColumnView {
        name: column.name.clone(),
        data_type: column.data_type.to_string(),
        nullable: column.nullable,
        shown: if arms.is_empty() {
            "on no row".to_owned()
        } else {
            arms.join("; ")
        },
    }
}

fn text(rows: Option<&RowPredicate>) -> String {
    rows.map_or_else(|| "TRUE".to_owned(), ToString::to_string)
}
