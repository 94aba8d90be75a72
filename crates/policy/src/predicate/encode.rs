//! The two written forms of a predicate: SQL for people, bytes for digests.

use std::fmt;

use datafusion_common::ScalarValue;

use super::{Operand, RowPredicate};
use crate::canonical::Canonical;

/// The predicate as SQL that means the same, fully parenthesised.
impl fmt::Display for RowPredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(Some(true)) => f.write_str("TRUE"),
            Self::Literal(Some(false)) => f.write_str("FALSE"),
            Self::Literal(None) => f.write_str("NULL"),
            Self::Bool(operand) => operand.fmt(f),
            Self::Compare { left, op, right } => write!(f, "{left} {op} {right}"),
            Self::InList {
                operand,
                list,
                negated,
            } => {
                write!(f, "{operand} {}IN (", not(*negated))?;
                for (position, value) in list.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    f.write_str(comma)?;
                    write_literal(f, value)?;
                }
                f.write_str(")")
            }
            Self::IsNull { operand, negated } => write!(f, "{operand} IS {}NULL", not(*negated)),
            Self::IsTruth {
                predicate,
                truth,
                negated,
            } => {
                let truth = match truth {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                write!(f, "({predicate}) IS {}{truth}", not(*negated))
            }
            Self::Like {
                operand,
                pattern,
                case_insensitive,
                negated,
            } => {
                let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
                write!(
                    f,
                    "{operand} {}{like} '{}'",
                    not(*negated),
                    pattern.replace('\'', "''")
                )
            }
            Self::StartsWith { operand, prefix } => write!(f, "starts_with({operand}, {prefix})"),
            Self::InGroup(group) => {
                write!(f, "session.in_group('{}')", group.replace('\'', "''"))
            }
            Self::InEntitlement {
                operand,
                entitlement,
            } => write!(
                f,
                "{operand} IN (SELECT {} FROM {} WHERE {})",
                entitlement.key, entitlement.table, entitlement.rows
            ),
            Self::Not(inner) => write!(f, "NOT ({inner})"),
            Self::And(parts) => write_joined(f, parts, " AND "),
            Self::Or(parts) => write_joined(f, parts, " OR "),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column { name, .. } => {
                let plain = name.chars().next().is_some_and(|c| c.is_ascii_lowercase())
                    && name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
                if plain {
                    f.write_str(name)
                } else {
                    write!(f, "\"{}\"", name.replace('"', "\"\""))
                }
            }
            Self::Literal(value) => write_literal(f, value),
            Self::User => f.write_str("session.user"),
            Self::Purpose => f.write_str("session.purpose"),
            Self::Attr(name) => write!(f, "session.attr('{}')", name.replace('\'', "''")),
            Self::Lower(inner) => write!(f, "lower({inner})"),
            Self::Upper(inner) => write!(f, "upper({inner})"),
            Self::Widen(inner, _) => inner.fmt(f),
        }
    }
}

impl RowPredicate {
    /// Writes the predicate with the types of its columns.
    pub(crate) fn encode(&self, out: &mut Canonical) {
        match self {
            Self::Literal(value) => {
                out.tag("literal");
                out.optional(*value, Canonical::boolean);
            }
            Self::Bool(operand) => {
                out.tag("bool");
                operand.encode(out);
            }
            Self::Compare { left, op, right } => {
                out.tag("compare");
                left.encode(out);
                out.text(&op.to_string());
                right.encode(out);
            }
            Self::InList {
                operand,
                list,
                negated,
            } => {
                out.tag("in-list");
                operand.encode(out);
                out.list(list, Canonical::scalar);
                out.boolean(*negated);
            }
            Self::IsNull { operand, negated } => {
                out.tag("is-null");
                operand.encode(out);
                out.boolean(*negated);
            }
            Self::IsTruth {
                predicate,
                truth,
                negated,
            } => {
                out.tag("is-truth");
                predicate.encode(out);
                out.optional(*truth, Canonical::boolean);
                out.boolean(*negated);
            }
            Self::Like {
                operand,
                pattern,
                case_insensitive,
                negated,
            } => {
                out.tag("like");
                operand.encode(out);
                out.text(pattern);
                out.boolean(*case_insensitive);
                out.boolean(*negated);
            }
            Self::StartsWith { operand, prefix } => {
                out.tag("starts-with");
                operand.encode(out);
                prefix.encode(out);
            }
            Self::InGroup(group) => {
                out.tag("in-group");
                out.text(group);
            }
            Self::InEntitlement {
                operand,
                entitlement,
            } => {
                out.tag("in-entitlement");
                operand.encode(out);
                entitlement.encode(out);
            }
            Self::Not(inner) => {
                out.tag("not");
                inner.encode(out);
            }
            Self::And(parts) => {
                out.tag("and");
                out.list(parts, |out, part| part.encode(out));
            }
            Self::Or(parts) => {
                out.tag("or");
                out.list(parts, |out, part| part.encode(out));
            }
        }
    }

    /// The bytes by which predicates are ordered and told apart.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut out = Canonical::new("row predicate");
        self.encode(&mut out);
        out.into_bytes()
    }
}

impl Operand {
    pub(super) fn encode(&self, out: &mut Canonical) {
        match self {
            Self::Column {
                index,
                name,
                data_type,
            } => {
                out.tag("column");
                out.number(*index as u64);
                out.text(name);
                out.data_type(data_type);
            }
            Self::Literal(value) => {
                out.tag("literal");
                out.scalar(value);
            }
            Self::User => out.tag("user"),
            Self::Purpose => out.tag("purpose"),
            Self::Attr(name) => {
                out.tag("attr");
                out.text(name);
            }
            Self::Lower(inner) => {
                out.tag("lower");
                inner.encode(out);
            }
            Self::Upper(inner) => {
                out.tag("upper");
                inner.encode(out);
            }
            Self::Widen(inner, data_type) => {
                out.tag("widen");
                inner.encode(out);
                out.data_type(data_type);
            }
        }
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[RowPredicate],
    separator: &str,
) -> fmt::Result {
    for (position, part) in parts.iter().enumerate() {
        f.write_str(if position == 0 { "" } else { separator })?;
        write!(f, "({part})")?;
    }
    Ok(())
}

/// Numbers, truth values and NULL bare, all else quoted.
fn write_literal(f: &mut fmt::Formatter<'_>, value: &ScalarValue) -> fmt::Result {
    let data_type = value.data_type();
    if value.is_null() {
        f.write_str("NULL")
    } else if data_type.is_numeric() || data_type == arrow_schema::DataType::Boolean {
        write!(f, "{value}")
    } else {
        write!(f, "'{}'", value.to_string().replace('\'', "''"))
    }
}
