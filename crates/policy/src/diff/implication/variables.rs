//! What a predicate reads, as variables: columns, session values that are left
//! open, and whatever is made of them and not looked into.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "only constants are looked into"
)]

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use datafusion_common::ScalarValue;

use super::{
    Names, Side,
    patterns::matches,
    values::{Value, ValueSet},
};
use crate::{CompareOp, Entitlement, Operand};

/// The position of a variable in [`Variables`].
pub(super) type Id = usize;

/// Equal expressions are one variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Expression {
    /// By what both contracts call one column; see [`Names`].
    Column(usize),
    User,
    Purpose,
    Attr(String),
    Constant(Option<Value>),
    Lower(Id),
    Upper(Id),
    /// -1, 0 or 1 as the first is less, equal or greater.
    Order(Id, Id),
    /// A truth value.
    Like {
        of: Id,
        pattern: String,
        case_insensitive: bool,
    },
    /// A truth value.
    StartsWith(Id, Id),
    /// A truth value; the digest is of the lookup.
    Member {
        of: Id,
        lookup: [u8; 32],
        /// Of a table that is not the same on both sides.
        apart: Option<Side>,
    },
}

/// All variables of one question.
#[derive(Debug, Default)]
pub(super) struct Variables {
    ids: HashMap<Expression, Id>,
    known: Vec<Known>,
}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) expression: Expression,
    /// What the variable can be at all.
    pub(super) range: Arc<ValueSet>,
}

impl Variables {
    pub(super) fn get(&self, id: Id) -> Option<&Known> {
        self.known.get(id)
    }

    /// What each variable can be.
    pub(super) fn ranges(&self) -> Vec<Arc<ValueSet>> {
        self.known.iter().map(|it| Arc::clone(&it.range)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn id(&mut self, expression: Expression, range: ValueSet) -> Id {
        if let Some(id) = self.ids.get(&expression) {
            return *id;
        }
        let id = self.known.len();
        self.ids.insert(expression.clone(), id);
        self.known.push(Known {
            expression,
            range: Arc::new(range),
        });
        id
    }

    /// The variable of an operand.
    pub(super) fn operand(&mut self, operand: &Operand, names: &Names<'_>) -> Id {
        match operand {
            Operand::Column {
                index, data_type, ..
            } => {
                let range = ValueSet::of_type(data_type);
                self.id(Expression::Column((names.column)(*index)), range)
            }
            Operand::Literal(value) => self.constant(value),
            Operand::User => self.id(Expression::User, ValueSet::all().with_null(false)),
            // Left open only where one is stated that nothing names.
            Operand::Purpose => {
                let named = names.purposes.iter();
                let named = ValueSet::points(named.map(|it| Value::text(it.as_str())));
                self.id(Expression::Purpose, named.with_null(true).complement())
            }
            Operand::Attr(name) => self.id(Expression::Attr(name.clone()), ValueSet::all()),
            Operand::Lower(inner) => {
                let inner = self.operand(inner, names);
                self.id(Expression::Lower(inner), ValueSet::all())
            }
            Operand::Upper(inner) => {
                let inner = self.operand(inner, names);
                self.id(Expression::Upper(inner), ValueSet::all())
            }
            // A value is the same in the wider type.
            Operand::Widen(inner, _) => self.operand(inner, names),
        }
    }

    fn constant(&mut self, value: &ScalarValue) -> Id {
        match Value::of(value) {
            Some(value) => {
                let range = ValueSet::point(value.clone());
                self.id(Expression::Constant(Some(value)), range)
            }
            None if value.is_null() => self.id(Expression::Constant(None), ValueSet::only_null()),
            // Of no type that a predicate reads; it may be anything.
            None => self.id(Expression::Attr(format!("\0{value:?}")), ValueSet::all()),
        }
    }

    /// Where `left op right` is TRUE: a variable, and the values of it.
    pub(super) fn comparison(&mut self, left: Id, op: CompareOp, right: Id) -> (Id, ValueSet) {
        let constant = |id: Id| match self.get(id).map(|it| &it.expression) {
            Some(Expression::Constant(Some(value))) => Some(value.clone()),
            _ => None,
        };
        match (constant(left), constant(right)) {
            (_, Some(value)) => (left, compared(op, value)),
            (Some(value), None) => (right, compared(turned(op), value)),
            (None, None) => {
                let (first, op, second) = if left <= right {
                    (left, op, right)
                } else {
                    (right, turned(op), left)
                };
                let orders = [
                    (-1, Ordering::Less),
                    (0, Ordering::Equal),
                    (1, Ordering::Greater),
                ];
                let holding = orders.into_iter().filter(|(_, order)| op.holds(*order));
                let set = ValueSet::points(holding.map(|(at, _)| Value::Int(at)));
                let range = if first == second {
                    ValueSet::point(Value::Int(0)).with_null(true)
                } else {
                    ValueSet::orders()
                };
                (self.id(Expression::Order(first, second), range), set)
            }
        }
    }

    pub(super) fn like(&mut self, of: Id, pattern: &str, case_insensitive: bool) -> Id {
        let expression = Expression::Like {
            of,
            pattern: pattern.to_owned(),
            case_insensitive,
        };
        self.id(expression, ValueSet::truths())
    }

    pub(super) fn starts_with(&mut self, of: Id, prefix: Id) -> Id {
        self.id(Expression::StartsWith(of, prefix), ValueSet::truths())
    }

    pub(super) fn member(&mut self, of: Id, entitlement: &Entitlement, apart: Option<Side>) -> Id {
        let expression = Expression::Member {
            of,
            // The key stands for what is looked up, which is `of`.
            lookup: entitlement.digest(&entitlement.key),
            apart,
        };
        self.id(expression, ValueSet::truths())
    }

    /// The text of a constant.
    pub(super) fn constant_text(&self, id: Id) -> Option<&str> {
        match &self.get(id)?.expression {
            Expression::Constant(Some(value)) => value.as_text(),
            _ => None,
        }
    }
}

impl Expression {
    /// The variables that it is NULL with: where one of them is, and only there.
    pub(super) fn null_with(&self) -> Vec<Id> {
        match self {
            Self::Column(_) | Self::User | Self::Purpose | Self::Attr(_) | Self::Constant(_) => {
                Vec::new()
            }
            Self::Lower(of) | Self::Upper(of) | Self::Like { of, .. } => vec![*of],
            Self::Order(one, other) | Self::StartsWith(one, other) => vec![*one, *other],
            // FALSE and NULL are one for it.
            Self::Member { .. } => Vec::new(),
        }
    }

    /// What it is for a value of the one variable that it is made of.
    pub(super) fn of_value(&self, value: &Value) -> Option<Value> {
        let text = value.as_text()?;
        match self {
            Self::Lower(_) => Some(Value::text(&text.to_lowercase())),
            Self::Upper(_) => Some(Value::text(&text.to_uppercase())),
            Self::Like {
                pattern,
                case_insensitive,
                ..
            } => {
                // Beyond ASCII, letters fold in more than one way.
                if *case_insensitive && !(text.is_ascii() && pattern.is_ascii()) {
                    return None;
                }
                let found = if *case_insensitive {
                    matches(&text.to_lowercase(), &pattern.to_lowercase())
                } else {
                    matches(text, pattern)
                };
                Some(Value::Int(i128::from(found)))
            }
            Self::Column(_)
            | Self::User
            | Self::Purpose
            | Self::Attr(_)
            | Self::Constant(_)
            | Self::Order(..)
            | Self::StartsWith(..)
            | Self::Member { .. } => None,
        }
    }
}

fn compared(op: CompareOp, value: Value) -> ValueSet {
    match op {
        CompareOp::Eq => ValueSet::point(value),
        CompareOp::NotEq => ValueSet::point(value).complement().with_null(false),
        CompareOp::Lt => ValueSet::below(value),
        CompareOp::LtEq => ValueSet::above(&value).complement().with_null(false),
        CompareOp::Gt => ValueSet::above(&value),
        CompareOp::GtEq => ValueSet::below(value).complement().with_null(false),
    }
}

/// The operator with its sides changed over.
fn turned(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq | CompareOp::NotEq => op,
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::LtEq => CompareOp::GtEq,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::GtEq => CompareOp::LtEq,
    }
}
