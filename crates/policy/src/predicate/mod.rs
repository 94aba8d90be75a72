//! Row predicates: total, deterministic conditions over the raw row and the
//! session, in SQL's three-valued logic.
//!
//! [`RowPredicate::parse`] reads the closed language of grants and checks it
//! against a table, [`RowPredicate::bind`] puts one principal's session values
//! in. Nothing in the language can fail on a row: there is no arithmetic, no
//! narrowing cast and no function but those named in [`RowPredicate`].

mod bind;
mod encode;
mod entitlement;
mod names;
mod parse;
mod syntax;
mod values;

use std::fmt;

use arrow_schema::DataType;
use datafusion_common::ScalarValue;

pub(crate) use bind::BoundPredicate;
pub use entitlement::Entitlement;
pub(crate) use entitlement::Entitlements;
pub(crate) use syntax::parse_literal;

/// A condition that is TRUE, FALSE or NULL on every row, never an error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowPredicate {
    /// TRUE, FALSE, or NULL (`None`).
    Literal(Option<bool>),
    /// A column of type Boolean.
    Bool(Operand),
    /// A comparison of two operands of equal type. Floats compare as Arrow
    /// does, in IEEE 754 total order.
    Compare {
        /// The left side.
        left: Operand,
        /// The operator.
        op: CompareOp,
        /// The right side.
        right: Operand,
    },
    /// `operand [NOT] IN (list)`; the list holds no NULL and every value has
    /// the type of the operand.
    InList {
        /// What is looked for.
        operand: Operand,
        /// Where it is looked for.
        list: Vec<ScalarValue>,
        /// Whether it is NOT IN.
        negated: bool,
    },
    /// `operand IS [NOT] NULL`.
    IsNull {
        /// What is tested.
        operand: Operand,
        /// Whether it is IS NOT NULL.
        negated: bool,
    },
    /// `predicate IS [NOT] TRUE | FALSE | UNKNOWN`.
    IsTruth {
        /// What is tested.
        predicate: Box<RowPredicate>,
        /// The truth value it is compared with; `None` is UNKNOWN.
        truth: Option<bool>,
        /// Whether it is IS NOT.
        negated: bool,
    },
    /// `operand [NOT] LIKE pattern` on text.
    Like {
        /// What is matched, of a string type.
        operand: Operand,
        /// `%`, `_` and text; `\` escapes, whatever the author chose with
        /// ESCAPE, and is followed by `%`, `_` or `\` only.
        pattern: String,
        /// Whether it is ILIKE.
        case_insensitive: bool,
        /// Whether it is NOT LIKE.
        negated: bool,
    },
    /// `starts_with(operand, prefix)` on two operands of one string type; no
    /// column is in the prefix.
    StartsWith {
        /// What is looked at.
        operand: Operand,
        /// What it has to begin with.
        prefix: Operand,
    },
    /// `session.in_group('g')`; absent once bound.
    InGroup(String),
    /// `operand IN (SELECT key FROM table WHERE rows)`; the operand is of the
    /// key's type and reads the row. Never below NOT or IS, so that FALSE and
    /// NULL need not be told apart.
    InEntitlement {
        /// What is looked up.
        operand: Operand,
        /// Where.
        entitlement: Box<Entitlement>,
    },
    /// NOT.
    Not(Box<RowPredicate>),
    /// AND of two or more.
    And(Vec<RowPredicate>),
    /// OR of two or more.
    Or(Vec<RowPredicate>),
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

/// A value in a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A column of the table, granted or not.
    Column {
        /// The position in the contract's columns.
        index: usize,
        /// The name in the contract.
        name: String,
        /// The type in the contract.
        data_type: DataType,
    },
    /// A constant of the type that its place needs.
    Literal(ScalarValue),
    /// `session.user`, Utf8; absent once bound.
    User,
    /// `session.purpose`, Utf8, NULL where none is stated; absent once bound.
    Purpose,
    /// `session.attr('name')`, Utf8, NULL where missing; absent once bound.
    Attr(String),
    /// `lower(text)`, Unicode, of its argument's type.
    Lower(Box<Operand>),
    /// `upper(text)`, Unicode, of its argument's type.
    Upper(Box<Operand>),
    /// A cast to a type that holds every value of the operand's type: a wider
    /// integer, Float32 to Float64, or another string or binary layout.
    Widen(Box<Operand>, DataType),
}

impl RowPredicate {
    /// Calls `visit` with every operand that is a column, literal or session
    /// value; those inside of an entitlement are of another table and left out.
    pub fn for_each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a Operand)) {
        match self {
            Self::Literal(_) | Self::InGroup(_) => {}
            Self::Bool(operand)
            | Self::InList { operand, .. }
            | Self::IsNull { operand, .. }
            | Self::Like { operand, .. }
            | Self::InEntitlement { operand, .. } => operand.for_each_leaf(visit),
            Self::Compare { left, right, .. } => {
                left.for_each_leaf(visit);
                right.for_each_leaf(visit);
            }
            Self::StartsWith { operand, prefix } => {
                operand.for_each_leaf(visit);
                prefix.for_each_leaf(visit);
            }
            Self::IsTruth { predicate, .. } | Self::Not(predicate) => {
                predicate.for_each_leaf(visit);
            }
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.for_each_leaf(visit);
                }
            }
        }
    }
}

impl RowPredicate {
    /// Calls `visit` with every lookup of an entitlement: what is looked up,
    /// and where.
    pub fn for_each_entitlement<'a>(
        &'a self,
        visit: &mut impl FnMut(&'a Operand, &'a Entitlement),
    ) {
        match self {
            Self::InEntitlement {
                operand,
                entitlement,
            } => visit(operand, entitlement),
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.for_each_entitlement(visit);
                }
            }
            Self::IsTruth { predicate, .. } | Self::Not(predicate) => {
                predicate.for_each_entitlement(visit);
            }
            Self::Literal(_)
            | Self::Bool(_)
            | Self::Compare { .. }
            | Self::InList { .. }
            | Self::IsNull { .. }
            | Self::Like { .. }
            | Self::StartsWith { .. }
            | Self::InGroup(_) => {}
        }
    }
}

impl Operand {
    /// The Arrow type of the value.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Column { data_type, .. } | Self::Widen(_, data_type) => data_type.clone(),
            Self::Literal(value) => value.data_type(),
            Self::User | Self::Purpose | Self::Attr(_) => DataType::Utf8,
            Self::Lower(inner) | Self::Upper(inner) => inner.data_type(),
        }
    }

    fn for_each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a Operand)) {
        match self {
            Self::Column { .. } | Self::Literal(_) | Self::User | Self::Purpose | Self::Attr(_) => {
                visit(self)
            }
            Self::Lower(inner) | Self::Upper(inner) | Self::Widen(inner, _) => {
                inner.for_each_leaf(visit);
            }
        }
    }

    /// Whether the value depends on the row.
    fn reads_row(&self) -> bool {
        let mut reads = false;
        self.for_each_leaf(&mut |leaf| reads |= matches!(leaf, Self::Column { .. }));
        reads
    }
}

impl CompareOp {
    /// Whether the operator holds for this order of its sides.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::NotEq => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::LtEq => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::GtEq => ordering.is_ge(),
        }
    }
}

impl fmt::Display for CompareOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        })
    }
}
