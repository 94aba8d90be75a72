//! Puts a viewer's session values into a predicate and folds what has
//! become constant, in Kleene's logic.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what has not become constant stays as it is"
)]

use datafusion_common::ScalarValue;
use weft_mesh::{Purpose, TableId};

use super::{Entitlement, Operand, RowPredicate};
use crate::{Viewer, literal::text_of};

impl RowPredicate {
    /// The predicate for one viewer: `session.user`, `session.purpose`,
    /// `session.attr` and `session.in_group` become literals, what is missing
    /// NULL. The
    /// result has the same value on every row as the original has in the
    /// principal's session.
    pub fn bind(&self, viewer: &Viewer) -> Self {
        match self {
            Self::Literal(value) => Self::Literal(*value),
            Self::InGroup(group) => Self::Literal(Some(viewer.principal.is_in(group))),
            Self::Bool(operand) => Self::Bool(operand.bind(viewer)),
            Self::Compare { left, op, right } => {
                let (left, right) = (left.bind(viewer), right.bind(viewer));
                match (left.constant(), right.constant()) {
                    (Some(None), _) | (_, Some(None)) => Self::Literal(None),
                    (Some(Some(a)), Some(Some(b))) => Self::Literal(Some(op.holds(a.cmp(b)))),
                    (None, _) | (_, None) => Self::Compare {
                        left,
                        op: *op,
                        right,
                    },
                }
            }
            Self::InList {
                operand,
                list,
                negated,
            } => {
                let operand = operand.bind(viewer);
                match operand.constant() {
                    Some(None) => Self::Literal(None),
                    Some(Some(text)) => {
                        let found = list.iter().any(|value| text_of(value) == Some(Some(text)));
                        Self::Literal(Some(found != *negated))
                    }
                    None => Self::InList {
                        operand,
                        list: list.clone(),
                        negated: *negated,
                    },
                }
            }
            Self::IsNull { operand, negated } => {
                let operand = operand.bind(viewer);
                match operand.constant() {
                    Some(value) => Self::Literal(Some(value.is_none() != *negated)),
                    None => Self::IsNull {
                        operand,
                        negated: *negated,
                    },
                }
            }
            Self::IsTruth {
                predicate,
                truth,
                negated,
            } => match predicate.bind(viewer) {
                Self::Literal(value) => Self::Literal(Some((value == *truth) != *negated)),
                bound => Self::IsTruth {
                    predicate: Box::new(bound),
                    truth: *truth,
                    negated: *negated,
                },
            },
            Self::Like {
                operand,
                pattern,
                case_insensitive,
                negated,
            } => {
                let operand = operand.bind(viewer);
                match operand.constant() {
                    Some(None) => Self::Literal(None),
                    Some(Some(_)) | None => Self::Like {
                        operand,
                        pattern: pattern.clone(),
                        case_insensitive: *case_insensitive,
                        negated: *negated,
                    },
                }
            }
            Self::StartsWith { operand, prefix } => {
                let (operand, prefix) = (operand.bind(viewer), prefix.bind(viewer));
                match (operand.constant(), prefix.constant()) {
                    (Some(None), _) | (_, Some(None)) => Self::Literal(None),
                    (Some(Some(text)), Some(Some(prefix))) => {
                        Self::Literal(Some(text.starts_with(prefix)))
                    }
                    (None, _) | (_, None) => Self::StartsWith { operand, prefix },
                }
            }
            Self::InEntitlement {
                operand,
                entitlement,
            } => match entitlement.rows.bind(viewer).where_true() {
                Self::Literal(Some(false) | None) => Self::Literal(Some(false)),
                rows => Self::InEntitlement {
                    operand: operand.bind(viewer),
                    entitlement: Box::new(Entitlement {
                        table: entitlement.table.clone(),
                        key: entitlement.key.clone(),
                        rows: Box::new(rows),
                    }),
                },
            },
            Self::Not(inner) => match inner.bind(viewer) {
                Self::Literal(value) => Self::Literal(value.map(|value| !value)),
                bound => Self::Not(Box::new(bound)),
            },
            Self::And(parts) => join(parts.iter().map(|part| part.bind(viewer)), false),
            Self::Or(parts) => join(parts.iter().map(|part| part.bind(viewer)), true),
        }
    }

    /// A predicate that is TRUE on the same rows, where it does not matter
    /// whether it is FALSE or NULL on the others.
    pub(crate) fn where_true(self) -> Self {
        match self {
            Self::Literal(None) => Self::Literal(Some(false)),
            Self::And(parts) => {
                let parts: Vec<_> = parts.into_iter().map(Self::where_true).collect();
                join(parts, false)
            }
            Self::Or(parts) => {
                let parts: Vec<_> = parts.into_iter().map(Self::where_true).collect();
                join(parts, true)
            }
            other @ (Self::Literal(Some(_))
            | Self::Bool(_)
            | Self::Compare { .. }
            | Self::InList { .. }
            | Self::IsNull { .. }
            | Self::IsTruth { .. }
            | Self::Like { .. }
            | Self::StartsWith { .. }
            | Self::InGroup(_)
            | Self::InEntitlement { .. }
            | Self::Not(_)) => other,
        }
    }

    /// The predicate without the tables that may not be asked: they have no
    /// members. Lookups stand below AND and OR only.
    pub(crate) fn asking(self, allowed: &impl Fn(&TableId) -> bool) -> Self {
        match self {
            Self::InEntitlement { entitlement, .. } if !allowed(&entitlement.table) => {
                Self::Literal(Some(false))
            }
            Self::And(parts) => join(parts.into_iter().map(|part| part.asking(allowed)), false),
            Self::Or(parts) => join(parts.into_iter().map(|part| part.asking(allowed)), true),
            other @ (Self::Literal(_)
            | Self::Bool(_)
            | Self::Compare { .. }
            | Self::InList { .. }
            | Self::IsNull { .. }
            | Self::IsTruth { .. }
            | Self::Like { .. }
            | Self::StartsWith { .. }
            | Self::InGroup(_)
            | Self::InEntitlement { .. }
            | Self::Not(_)) => other,
        }
    }

    /// The conjunction of predicates without duplicates, in the order of their
    /// canonical bytes; `None` where there are none.
    pub(crate) fn all(predicates: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts: Vec<_> = predicates.into_iter().map(BoundPredicate::new).collect();
        parts.sort_by(|a, b| a.canonical.cmp(&b.canonical));
        parts.dedup_by(|a, b| a.canonical == b.canonical);
        let parts: Vec<_> = parts.into_iter().map(|part| part.predicate).collect();
        (!parts.is_empty()).then(|| join(parts, false))
    }

    /// The disjunction of predicates without duplicates, in the order of their
    /// canonical bytes. `None` stands for TRUE; no predicate at all is FALSE.
    pub(crate) fn any<'a>(
        predicates: impl IntoIterator<Item = Option<&'a BoundPredicate>>,
    ) -> Option<Self> {
        let mut parts = Vec::new();
        for predicate in predicates {
            parts.push(predicate?);
        }
        parts.sort_by(|a, b| a.canonical.cmp(&b.canonical));
        parts.dedup_by(|a, b| a.canonical == b.canonical);
        Some(match parts.as_slice() {
            [] => Self::Literal(Some(false)),
            [only] => only.predicate.clone(),
            several => Self::Or(several.iter().map(|part| part.predicate.clone()).collect()),
        })
    }
}

/// A predicate after binding, with its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundPredicate {
    pub(crate) predicate: RowPredicate,
    pub(crate) canonical: Vec<u8>,
}

impl BoundPredicate {
    pub(crate) fn new(predicate: RowPredicate) -> Self {
        let canonical = predicate.canonical();
        Self {
            predicate,
            canonical,
        }
    }
}

impl Operand {
    fn bind(&self, viewer: &Viewer) -> Self {
        match self {
            Self::Column { .. } | Self::Literal(_) => self.clone(),
            Self::User | Self::Attr(_) if viewer.principal.open().identity => self.clone(),
            Self::Purpose if viewer.principal.open().purpose => self.clone(),
            Self::User => text(Some(viewer.principal.name())),
            Self::Purpose => text(viewer.purpose.as_ref().map(Purpose::as_str)),
            Self::Attr(name) => text(viewer.principal.attribute(name)),
            Self::Lower(inner) => fold_text(inner.bind(viewer), str::to_lowercase, |it| {
                Self::Lower(Box::new(it))
            }),
            Self::Upper(inner) => fold_text(inner.bind(viewer), str::to_uppercase, |it| {
                Self::Upper(Box::new(it))
            }),
            Self::Widen(inner, data_type) => match inner.bind(viewer) {
                // Only session values are widened as literals, so the cast is
                // from text to text and cannot fail; the original stays if it
                // ever does.
                Self::Literal(value) => match value.cast_to(data_type) {
                    Ok(cast) => Self::Literal(cast),
                    Err(_) => Self::Widen(Box::new(Self::Literal(value)), data_type.clone()),
                },
                bound => Self::Widen(Box::new(bound), data_type.clone()),
            },
        }
    }

    /// The text of a constant operand, `Some(None)` where it is NULL of any
    /// type; `None` where the operand is not constant, or not text: the
    /// language has no constants of other types but next to a column.
    fn constant(&self) -> Option<Option<&str>> {
        match self {
            Self::Literal(value) => text_of(value),
            Self::Column { .. }
            | Self::User
            | Self::Purpose
            | Self::Attr(_)
            | Self::Lower(_)
            | Self::Upper(_)
            | Self::Widen(..) => None,
        }
    }
}

fn text(value: Option<&str>) -> Operand {
    Operand::Literal(ScalarValue::Utf8(value.map(str::to_owned)))
}

/// Applies a change of case to a constant, or leaves it to the row.
fn fold_text(
    operand: Operand,
    change: impl Fn(&str) -> String,
    otherwise: impl Fn(Operand) -> Operand,
) -> Operand {
    match operand {
        Operand::Literal(ScalarValue::Utf8(text)) => {
            Operand::Literal(ScalarValue::Utf8(text.as_deref().map(change)))
        }
        Operand::Literal(ScalarValue::LargeUtf8(text)) => {
            Operand::Literal(ScalarValue::LargeUtf8(text.as_deref().map(change)))
        }
        Operand::Literal(ScalarValue::Utf8View(text)) => {
            Operand::Literal(ScalarValue::Utf8View(text.as_deref().map(change)))
        }
        operand => otherwise(operand),
    }
}

/// The parts of an AND (`decisive` FALSE) or an OR (`decisive` TRUE): one
/// decisive part decides, its opposite drops out, a NULL stays.
fn join(parts: impl IntoIterator<Item = RowPredicate>, decisive: bool) -> RowPredicate {
    let mut open = Vec::new();
    let mut unknown = false;
    for part in parts {
        match part {
            RowPredicate::Literal(Some(value)) if value == decisive => {
                return RowPredicate::Literal(Some(decisive));
            }
            RowPredicate::Literal(Some(_)) => {}
            RowPredicate::Literal(None) => unknown = true,
            part => open.push(part),
        }
    }
    if unknown {
        if open.is_empty() {
            return RowPredicate::Literal(None);
        }
        open.push(RowPredicate::Literal(None));
    }
    if open.len() == 1 {
        return open.remove(0);
    }
    match (open.is_empty(), decisive) {
        (true, _) => RowPredicate::Literal(Some(!decisive)),
        (false, true) => RowPredicate::Or(open),
        (false, false) => RowPredicate::And(open),
    }
}
