//! Predicates in two-valued logic: where one is TRUE, FALSE, or not.

use std::sync::Arc;

use super::{
    Names,
    patterns::{Simple, simple},
    values::{Value, ValueSet},
    variables::{Id, Variables},
};
use crate::RowPredicate;

/// A condition on variables that either holds or does not.
#[derive(Debug, Clone)]
pub(super) enum Formula {
    Always,
    Never,
    /// The variable is one of these.
    In(Id, Arc<ValueSet>),
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

/// What is asked of a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    NotTrue,
    NotFalse,
}

impl Truth {
    /// The same question, asked of its negation.
    fn turned(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::NotTrue => Self::NotFalse,
            Self::NotFalse => Self::NotTrue,
        }
    }

    fn of_constant(self, value: Option<bool>) -> Formula {
        let holds = match self {
            Self::True => value == Some(true),
            Self::False => value == Some(false),
            Self::NotTrue => value != Some(true),
            Self::NotFalse => value != Some(false),
        };
        if holds {
            Formula::Always
        } else {
            Formula::Never
        }
    }

    /// Of an atom that is TRUE where the variable is in `set`, and NULL where
    /// it is NULL.
    fn of_atom(self, id: Id, set: &ValueSet) -> Formula {
        let set = match self {
            Self::True => set.clone(),
            Self::False => set.complement().with_null(false),
            Self::NotTrue => set.complement(),
            Self::NotFalse => set.clone().with_null(true),
        };
        Formula::In(id, Arc::new(set))
    }
}

/// Where `truth` holds of a predicate that is bound.
pub(super) fn formula(
    predicate: &RowPredicate,
    truth: Truth,
    names: &Names<'_>,
    variables: &mut Variables,
) -> Formula {
    let mut several = |parts: &[RowPredicate]| -> Vec<Formula> {
        let parts = parts.iter();
        parts
            .map(|part| formula(part, truth, names, variables))
            .collect()
    };
    match predicate {
        RowPredicate::Literal(value) => truth.of_constant(*value),
        RowPredicate::Bool(operand) => {
            let id = variables.operand(operand, names);
            truth.of_atom(id, &ValueSet::point(Value::Int(1)))
        }
        RowPredicate::Compare { left, op, right } => {
            let left = variables.operand(left, names);
            let right = variables.operand(right, names);
            let (id, set) = variables.comparison(left, *op, right);
            truth.of_atom(id, &set)
        }
        RowPredicate::InList {
            operand,
            list,
            negated,
        } => {
            let id = variables.operand(operand, names);
            let values: Option<Vec<Value>> = list.iter().map(Value::of).collect();
            match values {
                Some(values) => truth
                    .negated_if(*negated)
                    .of_atom(id, &ValueSet::points(values)),
                // What cannot be read may hold.
                None => Formula::Always,
            }
        }
        RowPredicate::IsNull { operand, negated } => {
            let id = variables.operand(operand, names);
            // It is never NULL itself.
            let is_null = matches!(truth, Truth::True | Truth::NotFalse) != *negated;
            let set = if is_null {
                ValueSet::only_null()
            } else {
                ValueSet::only_null().complement()
            };
            Formula::In(id, Arc::new(set))
        }
        RowPredicate::IsTruth {
            predicate,
            truth: asked,
            negated,
        } => {
            let holds = matches!(truth, Truth::True | Truth::NotFalse) != *negated;
            let mut inner = |truth| formula(predicate, truth, names, variables);
            match (asked, holds) {
                (Some(true), true) => inner(Truth::True),
                (Some(true), false) => inner(Truth::NotTrue),
                (Some(false), true) => inner(Truth::False),
                (Some(false), false) => inner(Truth::NotFalse),
                (None, true) => Formula::All(vec![inner(Truth::NotTrue), inner(Truth::NotFalse)]),
                (None, false) => Formula::Any(vec![inner(Truth::True), inner(Truth::False)]),
            }
        }
        RowPredicate::Like {
            operand,
            pattern,
            case_insensitive,
            negated,
        } => {
            let truth = truth.negated_if(*negated);
            let id = variables.operand(operand, names);
            match simple(pattern) {
                Some(Simple::Text(text)) if !case_insensitive => {
                    truth.of_atom(id, &ValueSet::point(Value::text(&text)))
                }
                Some(Simple::Prefix(prefix)) if !case_insensitive => {
                    truth.of_atom(id, &ValueSet::beginning_with(&prefix))
                }
                Some(_) | None => {
                    let like = variables.like(id, pattern, *case_insensitive);
                    truth.of_atom(like, &ValueSet::point(Value::Int(1)))
                }
            }
        }
        RowPredicate::StartsWith { operand, prefix } => {
            let id = variables.operand(operand, names);
            let prefix = variables.operand(prefix, names);
            match variables.constant_text(prefix).map(str::to_owned) {
                Some(prefix) => truth.of_atom(id, &ValueSet::beginning_with(&prefix)),
                None => {
                    let begins = variables.starts_with(id, prefix);
                    truth.of_atom(begins, &ValueSet::point(Value::Int(1)))
                }
            }
        }
        // Bound away.
        RowPredicate::InGroup(_) => Formula::Always,
        RowPredicate::InEntitlement {
            operand,
            entitlement,
        } => {
            let id = variables.operand(operand, names);
            let apart = names
                .others
                .contains(&entitlement.table)
                .then_some(names.side);
            let member = variables.member(id, entitlement, apart);
            truth.of_atom(member, &ValueSet::point(Value::Int(1)))
        }
        RowPredicate::Not(inner) => formula(inner, truth.turned(), names, variables),
        RowPredicate::And(parts) => match truth {
            Truth::True | Truth::NotFalse => Formula::All(several(parts)),
            Truth::False | Truth::NotTrue => Formula::Any(several(parts)),
        },
        RowPredicate::Or(parts) => match truth {
            Truth::True | Truth::NotFalse => Formula::Any(several(parts)),
            Truth::False | Truth::NotTrue => Formula::All(several(parts)),
        },
    }
}

impl Truth {
    fn negated_if(self, negated: bool) -> Self {
        if negated { self.turned() } else { self }
    }
}
