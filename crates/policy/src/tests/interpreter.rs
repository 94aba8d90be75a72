//! A row at a time, by the book: what the decision has to mean.

use datafusion_common::ScalarValue;

use crate::{CellRule, ColumnMask, Exposure, Operand, Reveal, RowPredicate, TableAccess, Viewer};

/// What a principal sees of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Clear,
    Masked(ColumnMask),
    Hidden,
}

/// `members(who, area)`, the table that predicates look membership up in. One
/// is in it twice.
const MEMBERS: [(Option<&str>, Option<&str>); 6] = [
    (Some("ana"), Some("EU")),
    (Some("ana"), Some("EU")),
    (Some("ana"), None),
    (Some("ben"), Some("US")),
    (None, Some("eu")),
    (Some("audit"), Some("")),
];

fn member((who, area): &(Option<&str>, Option<&str>)) -> Vec<ScalarValue> {
    vec![utf8(*who), utf8(*area)]
}

/// The truth of a predicate, bound or not, on a row in a session.
pub(crate) fn eval(
    predicate: &RowPredicate,
    row: &[ScalarValue],
    session: &Viewer,
) -> Option<bool> {
    let value = |operand: &Operand| value(operand, row, session);
    match predicate {
        RowPredicate::Literal(value) => *value,
        RowPredicate::Bool(operand) => match value(operand) {
            ScalarValue::Boolean(value) => value,
            other => panic!("{other:?} is not a truth value"),
        },
        RowPredicate::Compare { left, op, right } => {
            let (left, right) = (value(left), value(right));
            if left.is_null() || right.is_null() {
                return None;
            }
            assert_eq!(left.data_type(), right.data_type());
            Some(op.holds(left.partial_cmp(&right).unwrap()))
        }
        RowPredicate::InList {
            operand,
            list,
            negated,
        } => {
            let operand = value(operand);
            assert!(
                list.iter()
                    .all(|item| item.data_type() == operand.data_type())
            );
            (!operand.is_null()).then(|| list.contains(&operand) != *negated)
        }
        RowPredicate::IsNull { operand, negated } => Some(value(operand).is_null() != *negated),
        RowPredicate::IsTruth {
            predicate,
            truth,
            negated,
        } => Some((eval(predicate, row, session) == *truth) != *negated),
        RowPredicate::Like {
            operand,
            pattern,
            case_insensitive,
            negated,
        } => {
            let text = text(&value(operand))?;
            let (text, pattern) = if *case_insensitive {
                (text.to_lowercase(), pattern.to_lowercase())
            } else {
                (text, pattern.clone())
            };
            let (text, pattern): (Vec<char>, Vec<char>) =
                (text.chars().collect(), pattern.chars().collect());
            Some(like(&text, &pattern) != *negated)
        }
        RowPredicate::StartsWith { operand, prefix } => {
            Some(text(&value(operand))?.starts_with(&text(&value(prefix))?))
        }
        RowPredicate::InEntitlement {
            operand,
            entitlement,
        } => {
            let wanted = value(operand);
            let is_it = |member: &Vec<ScalarValue>| {
                eval(&entitlement.rows, member, session) == Some(true)
                    && self::value(&entitlement.key, member, session) == wanted
            };
            Some(!wanted.is_null() && MEMBERS.iter().map(member).any(|row| is_it(&row)))
        }
        RowPredicate::InGroup(group) => Some(session.principal.is_in(group)),
        RowPredicate::Not(inner) => eval(inner, row, session).map(|value| !value),
        RowPredicate::And(parts) => kleene(parts, row, session, false),
        RowPredicate::Or(parts) => kleene(parts, row, session, true),
    }
}

/// Whether a row is visible.
pub(crate) fn visible(access: &TableAccess, row: &[ScalarValue], session: &Viewer) -> bool {
    access
        .rows
        .as_ref()
        .is_none_or(|rows| eval(rows, row, session) == Some(true))
}

/// What is seen of a column on a visible row; `None` where it does not exist.
pub(crate) fn cell(
    access: &TableAccess,
    index: usize,
    row: &[ScalarValue],
    session: &Viewer,
) -> Option<Cell> {
    let column = access.columns.iter().find(|column| column.index == index)?;
    Some(match &column.exposure {
        Exposure::Clear => Cell::Clear,
        Exposure::Cells(rules) => {
            let matches = |rule: &&CellRule| {
                rule.when
                    .as_ref()
                    .is_none_or(|when| eval(when, row, session) == Some(true))
            };
            match rules.iter().find(matches).map(|rule| &rule.reveal) {
                Some(Reveal::Clear) => Cell::Clear,
                Some(Reveal::Masked(mask)) => Cell::Masked(mask.clone()),
                None => Cell::Hidden,
            }
        }
    })
}

fn value(operand: &Operand, row: &[ScalarValue], session: &Viewer) -> ScalarValue {
    let cased = |inner: &Operand, change: fn(&str) -> String| {
        let inner = value(inner, row, session);
        let changed = text(&inner).map(|text| change(&text));
        ScalarValue::Utf8(changed)
            .cast_to(&inner.data_type())
            .unwrap()
    };
    match operand {
        Operand::Column {
            index, data_type, ..
        } => {
            assert_eq!(row[*index].data_type(), *data_type);
            row[*index].clone()
        }
        Operand::Literal(value) => value.clone(),
        Operand::Purpose => utf8(session.purpose.as_ref().map(|it| it.as_str())),
        Operand::User => utf8(Some(session.principal.name())),
        Operand::Attr(name) => utf8(session.principal.attribute(name)),
        Operand::Lower(inner) => cased(inner, str::to_lowercase),
        Operand::Upper(inner) => cased(inner, str::to_uppercase),
        Operand::Widen(inner, data_type) => value(inner, row, session).cast_to(data_type).unwrap(),
    }
}

fn utf8(text: Option<&str>) -> ScalarValue {
    ScalarValue::Utf8(text.map(str::to_owned))
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().unwrap().map(str::to_owned)
}

fn kleene(
    parts: &[RowPredicate],
    row: &[ScalarValue],
    session: &Viewer,
    decisive: bool,
) -> Option<bool> {
    let values: Vec<_> = parts.iter().map(|part| eval(part, row, session)).collect();
    if values.contains(&Some(decisive)) {
        Some(decisive)
    } else if values.contains(&None) {
        None
    } else {
        Some(!decisive)
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', escaped, rest @ ..] => text.first() == Some(escaped) && like(&text[1..], rest),
        [plain, rest @ ..] => text.first() == Some(plain) && like(&text[1..], rest),
    }
}
