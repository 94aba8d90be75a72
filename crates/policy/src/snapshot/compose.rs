//! The composition of several grants, cell by cell.

use arrow_schema::DataType;

use crate::{
    CellRule, ColumnAccess, ColumnMask, Exposure, Principal, Reveal, RowPredicate,
    domain_policy::{PolicyColumn, TableGrant, TablePolicy},
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
    pub(super) fn of(grant: &TableGrant, principal: &Principal) -> Self {
        let Some(rows) = &grant.rows else {
            return Self::Every;
        };
        let bound = rows.bind(principal).where_true();
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
pub(super) fn columns(policy: &TablePolicy, active: &[Active<'_>]) -> Vec<ColumnAccess> {
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
        .filter(|(_, (_, givers))| !givers.is_empty())
        .map(|(index, (column, givers))| {
            let visible: Vec<_> = givers.iter().copied().filter(|it| it.is_live()).collect();
            if visible.is_empty() {
                let data_type = cell_type(column, &arms(index, &givers));
                return access(column, index, data_type, Exposure::Cells(Vec::new()));
            }
            let mut rules = arms(index, &visible);
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
/// first, up to the first that is unconditional.
fn arms(column: usize, givers: &[&Active<'_>]) -> Vec<CellRule> {
    let masks = givers.iter().filter_map(|giver| giver.grant.mask(column));
    let mut masks: Vec<&ColumnMask> = masks.collect();
    masks.sort_by(|a, b| a.cmp_revealing(b));
    masks.dedup();
    let clear = givers
        .iter()
        .any(|giver| giver.grant.mask(column).is_none())
        .then_some(None);
    let mut rules = Vec::new();
    for mask in clear.into_iter().chain(masks.into_iter().map(Some)) {
        let with_it = givers
            .iter()
            .filter(|giver| giver.grant.mask(column) == mask);
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
