//! The composition of several grants, cell by cell.

use arrow_schema::DataType;
use weft_mesh::TableId;

use crate::{
    CellRule, ColumnAccess, ColumnMask, Exposure, Reveal, RowPredicate, Viewer,
    domain_policy::{PolicyColumn, TableGrant, TablePolicy},
    guardrails::Limits,
    predicate::BoundPredicate,
};

/// A grant that is active for a principal.
pub(super) struct Active<'a> {
    pub(super) grant: &'a TableGrant,
    pub(super) rows: Rows,
}

impl Active<'_> {
    /// Whether the grant can be TRUE on some row.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.rows, Rows::Never)
    }
}

/// Where a grant's predicate is TRUE, once it is bound.
pub(super) enum Rows {
    Every,
    Some(Box<BoundPredicate>),
    Never,
}

impl Rows {
    /// `may_ask` says which tables a predicate may look membership up in.
    pub(super) fn of(
        grant: &TableGrant,
        viewer: &Viewer,
        may_ask: &impl Fn(&TableId) -> bool,
    ) -> Self {
        let Some(rows) = &grant.rows else {
            return Self::Every;
        };
        let bound = rows.bind(viewer).asking(may_ask).where_true();
        if let RowPredicate::Literal(value) = bound {
            return if value == Some(true) {
                Self::Every
            } else {
                Self::Never
            };
        }
        Self::Some(Box::new(BoundPredicate::new(bound)))
    }

    /// The predicate of a live grant; `None` is TRUE.
    pub(super) fn predicate(&self) -> Option<&BoundPredicate> {
        match self {
            Self::Some(predicate) => Some(predicate),
            Self::Every | Self::Never => None,
        }
    }
}

/// The visible columns in the order of the contract. A column that is given
/// only by grants which are TRUE on no row is there, and empty.
pub(super) fn columns(
    policy: &TablePolicy,
    active: &[Active<'_>],
    limits: &Limits,
) -> Vec<ColumnAccess> {
    let mut givers: Vec<Vec<&Active<'_>>> = vec![Vec::new(); policy.columns.len()];
    for giver in active {
        for column in giver.grant.columns.iter() {
            if let Some(givers) = givers.get_mut(*column) {
                givers.push(giver);
            }
        }
    }
    let live = active.iter().filter(|giver| giver.is_live()).count();
    let columns = policy.columns.iter().zip(givers).enumerate();
    columns
        .filter(|(index, (_, givers))| !givers.is_empty() && !limits.is_denied(*index))
        .map(|(index, (column, givers))| {
            let floor = limits.floor(index);
            let visible: Vec<_> = givers.iter().copied().filter(|it| it.is_live()).collect();
            if visible.is_empty() {
                let data_type = cell_type(column, &arms(index, &givers, floor));
                return access(column, index, data_type, Exposure::Cells(Vec::new()));
            }
            let mut rules = arms(index, &visible, floor);
            // Where every grant gives the column, one of the arms is TRUE on
            // every visible row: the last needs no condition.
            if visible.len() == live
                && let Some(last) = rules.last_mut()
            {
                last.when = None;
            }
            let data_type = cell_type(column, &rules);
            let exposure = match rules.as_slice() {
                [
                    CellRule {
                        when: None,
                        reveal: Reveal::Clear,
                    },
                ] => Exposure::Clear,
                _ => Exposure::Cells(rules),
            };
            access(column, index, data_type, exposure)
        })
        .collect()
}

/// One arm for the grants in clear, then one for each mask, most revealing
/// first, up to the first that is unconditional. No arm shows more than the
/// floor.
fn arms(column: usize, givers: &[&Active<'_>], floor: Option<&ColumnMask>) -> Vec<CellRule> {
    let shown = |giver: &&Active<'_>| match (giver.grant.mask(column), floor) {
        (Some(mask), Some(floor)) if mask.cmp_revealing(floor).is_lt() => Some(floor.clone()),
        (Some(mask), _) => Some(mask.clone()),
        (None, floor) => floor.cloned(),
    };
    let given: Vec<(Option<ColumnMask>, &&Active<'_>)> =
        givers.iter().map(|giver| (shown(giver), giver)).collect();
    let mut masks: Vec<&ColumnMask> = given.iter().filter_map(|(mask, _)| mask.as_ref()).collect();
    masks.sort_by(|a, b| a.cmp_revealing(b));
    masks.dedup();
    let clear = given.iter().any(|(mask, _)| mask.is_none()).then_some(None);
    let mut rules = Vec::new();
    for mask in clear.into_iter().chain(masks.into_iter().map(Some)) {
        let with_it = given
            .iter()
            .filter(|(given, _)| given.as_ref() == mask)
            .map(|(_, giver)| giver);
        let when = RowPredicate::any(with_it.map(|giver| giver.rows.predicate()));
        let unconditional = when.is_none();
        let reveal = mask.map_or(Reveal::Clear, |mask| Reveal::Masked(mask.clone()));
        rules.push(CellRule { when, reveal });
        if unconditional {
            break;
        }
    }
    rules
}

/// The type that all arms have, or text where they differ: an integer in
/// clear on some rows and hashed on others. NULL has every type.
fn cell_type(column: &PolicyColumn, rules: &[CellRule]) -> DataType {
    let mut types = rules.iter().filter_map(|rule| match &rule.reveal {
        Reveal::Clear => Some(column.data_type.clone()),
        Reveal::Masked(ColumnMask::Nullify) => None,
        Reveal::Masked(mask) => mask.output_type(&column.data_type),
    });
    match types.next() {
        None => column.data_type.clone(),
        Some(first) if types.all(|other| other == first) => first,
        Some(_) => DataType::Utf8,
    }
}

fn access(
    column: &PolicyColumn,
    index: usize,
    data_type: DataType,
    exposure: Exposure,
) -> ColumnAccess {
    let nullable = column.nullable || exposure != Exposure::Clear;
    ColumnAccess {
        name: column.name.clone(),
        index,
        data_type,
        nullable,
        exposure,
    }
}
