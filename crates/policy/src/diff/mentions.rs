//! What of a session a predicate reads.

use std::collections::BTreeSet;

use weft_mesh::Purpose;

use crate::{CompareOp, Operand, RowPredicate};

/// What of a session some predicates read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    pub(super) user: bool,
    pub(super) purpose: bool,
    pub(super) attributes: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    /// The purposes that the one stated is compared with.
    pub(super) purposes: BTreeSet<Purpose>,
}

impl Mentions {
    pub(super) fn of(predicate: &RowPredicate) -> Self {
        let mut mentions = Self::default();
        mentions.add(predicate);
        mentions
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.user |= other.user;
        self.purpose |= other.purpose;
        self.attributes.extend(other.attributes.iter().cloned());
        self.groups.extend(other.groups.iter().cloned());
        self.purposes.extend(other.purposes.iter().cloned());
    }

    fn add(&mut self, predicate: &RowPredicate) {
        predicate.for_each_leaf(&mut |leaf| match leaf {
            Operand::User => self.user = true,
            Operand::Purpose => self.purpose = true,
            Operand::Attr(name) => {
                self.attributes.insert(name.clone());
            }
            Operand::Column { .. }
            | Operand::Literal(_)
            | Operand::Lower(_)
            | Operand::Upper(_)
            | Operand::Widen(..) => {}
        });
        match predicate {
            RowPredicate::InGroup(group) => {
                self.groups.insert(group.clone());
            }
            RowPredicate::InEntitlement { entitlement, .. } => self.add(&entitlement.rows),
            RowPredicate::Compare {
                left: Operand::Purpose,
                op: CompareOp::Eq | CompareOp::NotEq,
                right: Operand::Literal(value),
            }
            | RowPredicate::Compare {
                left: Operand::Literal(value),
                op: CompareOp::Eq | CompareOp::NotEq,
                right: Operand::Purpose,
            } => self.purposes.extend(purpose(value)),
            RowPredicate::InList {
                operand: Operand::Purpose,
                list,
                ..
            } => self.purposes.extend(list.iter().filter_map(purpose)),
            RowPredicate::IsTruth { predicate, .. } | RowPredicate::Not(predicate) => {
                self.add(predicate);
            }
            RowPredicate::And(parts) | RowPredicate::Or(parts) => {
                for part in parts {
                    self.add(part);
                }
            }
            RowPredicate::Literal(_)
            | RowPredicate::Bool(_)
            | RowPredicate::Compare { .. }
            | RowPredicate::InList { .. }
            | RowPredicate::IsNull { .. }
            | RowPredicate::Like { .. }
            | RowPredicate::StartsWith { .. } => {}
        }
    }
}

fn purpose(value: &datafusion_common::ScalarValue) -> Option<Purpose> {
    Purpose::parse(value.try_as_str()??).ok()
}
