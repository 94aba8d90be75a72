//! The access model, a row at a time: what the one who looks sees of a world.
//!
//! Written from the model's text alone. It shares no code with the product,
//! and is small enough to be checked by eye.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::model::{
    Column, Effect, GROUP, Grant, Guardrail, MEMBERS, Mask, On, Op, Pred, REGION, Table, Type,
    USER, Value, World,
};

/// The authorised copy of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Copy {
    pub(super) columns: Vec<(&'static str, Type)>,
    pub(super) rows: Vec<Vec<Value>>,
    /// For each cell, whether policy left nothing of it.
    pub(super) hidden: Vec<Vec<bool>>,
}

/// What a grant shows of a cell; `None` is all of it.
type Shown = Option<Mask>;

/// How a table is seen.
pub(super) struct Lens<'a> {
    world: &'a World,
    table: &'a Table,
    grants: Vec<&'a Grant>,
    rails: Vec<&'a Guardrail>,
    columns: Vec<&'a Column>,
    shown: Vec<(&'static str, Type)>,
}

/// What is visible of a table; `None` where it does not exist.
pub(super) fn authorised(world: &World, table: &Table) -> Option<Copy> {
    let lens = lens(world, table)?;
    let seen: Vec<_> = table.rows.iter().filter_map(|row| lens.row(row)).collect();
    let part = |cells: &Vec<(Value, bool)>| cells.iter().map(|(_, hidden)| *hidden).collect();
    let value = |cells: &Vec<(Value, bool)>| cells.iter().map(|(it, _)| it.clone()).collect();
    Some(Copy {
        rows: seen.iter().map(value).collect(),
        hidden: seen.iter().map(part).collect(),
        columns: lens.shown,
    })
}

/// How a table is seen; `None` where it does not exist.
pub(super) fn lens<'a>(world: &'a World, table: &'a Table) -> Option<Lens<'a>> {
    let grants: Vec<&Grant> = world
        .grants
        .iter()
        .filter(|it| is_active(world, table, it))
        .collect();
    let rails: Vec<&Guardrail> = world
        .guardrails
        .iter()
        .filter(|it| !is_excepted(it))
        .collect();
    let columns: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| {
            grants
                .iter()
                .any(|grant| grant.columns.contains(&column.name))
        })
        .filter(|column| {
            !rails
                .iter()
                .any(|rail| takes_column(world, rail, table, column))
        })
        .collect();
    if columns.is_empty() {
        return None;
    }
    let shown = columns
        .iter()
        .map(|it| (it.name, shown_type(&grants, &rails, table, it, world)))
        .collect();
    Some(Lens {
        world,
        table,
        grants,
        rails,
        columns,
        shown,
    })
}

impl Lens<'_> {
    pub(super) fn grants(&self) -> &[&Grant] {
        &self.grants
    }

    pub(super) fn shown(&self) -> &[(&'static str, Type)] {
        &self.shown
    }

    /// The guardrails that may be on its rows.
    pub(super) fn row_rails(&self) -> impl Iterator<Item = &&Guardrail> {
        let rails = self.rails.iter();
        rails.filter(|rail| touches_table(rail, self.table))
    }

    /// The grants that show a column in clear.
    pub(super) fn clear_grants(&self, column: &str) -> Vec<&Grant> {
        let Some(column) = self.columns.iter().find(|it| it.name == column) else {
            return vec![];
        };
        let mut clear = self.grants.clone();
        clear.retain(|grant| {
            grant.columns.contains(&column.name)
                && shown(grant, column)
                    .max(floor(&self.rails, self.table, column))
                    .is_none()
        });
        clear
    }

    /// What is seen of a row, and of each cell whether policy left nothing of
    /// it; `None` where the row is hidden.
    pub(super) fn row(&self, row: &[Value]) -> Option<Vec<(Value, bool)>> {
        let Self {
            world,
            table,
            rails,
            ..
        } = self;
        let holds = |pred: &Pred| truth(world, table, row, pred) == Some(true);
        let givers: Vec<&&Grant> = self
            .grants
            .iter()
            .filter(|it| it.rows.as_ref().is_none_or(holds))
            .collect();
        let is_let_through = rails.iter().all(|rail| match &rail.effect {
            Effect::Rows(pred) if touches_table(rail, table) => holds(pred),
            _ => true,
        });
        if givers.is_empty() || !is_let_through {
            return None;
        }
        let cell = |(column, (_, data_type)): (&&Column, &(&str, Type))| {
            let raw = &row[table.position(column.name).unwrap()];
            let given = givers
                .iter()
                .filter(|grant| grant.columns.contains(&column.name));
            // `None` is the least: clear, then the masks in their order.
            match given.map(|grant| shown(grant, column)).min() {
                None => (Value::Null, true),
                Some(most) => match most.max(floor(rails, table, column)) {
                    None => (in_type(raw.clone(), *data_type), false),
                    Some(Mask::Nullify) => (Value::Null, true),
                    Some(mask) => (in_type(masked(raw, &mask, column.of), *data_type), false),
                },
            }
        };
        Some(self.columns.iter().zip(&self.shown).map(cell).collect())
    }
}

fn is_active(world: &World, table: &Table, grant: &Grant) -> bool {
    (grant.domain, grant.table) == (table.domain, table.name)
        && is_eve(grant.to)
        && !grant.expired
        && grant
            .purpose
            .is_none_or(|purpose| world.purpose == Some(purpose))
}

fn is_eve(grantee: &str) -> bool {
    [
        format!("user:{USER}"),
        format!("group:{GROUP}"),
        "everyone".to_owned(),
    ]
    .iter()
    .any(|it| it == grantee)
}

fn is_excepted(rail: &Guardrail) -> bool {
    rail.except.is_some_and(is_eve)
}

fn touches(rail: &Guardrail, table: &Table, column: &Column) -> bool {
    match rail.on {
        On::Tag(tag) => column.tags.contains(&tag),
        On::Column(name) => column.name == name,
        On::Table(domain, name) => (domain, name) == (table.domain, table.name),
        On::Domain(domain, name) => domain == table.domain && column.name == name,
    }
}

fn touches_table(rail: &Guardrail, table: &Table) -> bool {
    table
        .columns
        .iter()
        .any(|column| touches(rail, table, column))
}

fn takes_column(world: &World, rail: &Guardrail, table: &Table, column: &Column) -> bool {
    touches(rail, table, column)
        && match rail.effect {
            Effect::Deny => true,
            Effect::RequirePurpose => world.purpose.is_none(),
            Effect::Rows(_) | Effect::Mask(_) => false,
        }
}

fn shown(grant: &Grant, column: &Column) -> Shown {
    let masks = grant.masks.iter();
    masks
        .clone()
        .find(|(name, _)| *name == column.name)
        .map(|(_, mask)| mask.clone())
}

/// The least revealing of the guardrails' masks.
fn floor(rails: &[&Guardrail], table: &Table, column: &Column) -> Shown {
    let masks = rails.iter().filter(|rail| touches(rail, table, column));
    masks
        .filter_map(|rail| match &rail.effect {
            Effect::Mask(mask) if fits(mask, column.of) => Some(mask.clone()),
            Effect::Mask(_) => Some(Mask::Nullify),
            _ => None,
        })
        .max()
}

/// Text where the cells of a column would have several types. Grants count
/// whose predicate can be TRUE at all, as the session alone can tell.
fn shown_type(
    grants: &[&Grant],
    rails: &[&Guardrail],
    table: &Table,
    column: &Column,
    world: &World,
) -> Type {
    let givers: Vec<&&Grant> = grants
        .iter()
        .filter(|it| it.columns.contains(&column.name))
        .collect();
    let known = |grant: &Grant| grant.rows.as_ref().and_then(|rows| by_session(world, rows));
    let live: Vec<&&&Grant> = givers
        .iter()
        .filter(|it| it.rows.is_none() || known(it).is_none_or(|it| it == Some(true)))
        .collect();
    let counted: Vec<&&Grant> = if live.is_empty() {
        givers.clone()
    } else {
        live.into_iter().copied().collect()
    };
    // A grant that holds everywhere ends what is looked at: less revealing ones never show.
    let mut arms: Vec<(Shown, bool)> = counted
        .iter()
        .map(|grant| {
            let everywhere = grant.rows.is_none() || known(grant) == Some(Some(true));
            (
                shown(grant, column).max(floor(rails, table, column)),
                everywhere,
            )
        })
        .collect();
    arms.sort_by(|a, b| a.0.cmp(&b.0));
    let end = arms
        .iter()
        .find(|(_, everywhere)| *everywhere)
        .map(|(mask, _)| mask.clone());
    let mut types: Vec<Type> = Vec::new();
    for (mask, _) in arms
        .iter()
        .filter(|(mask, _)| end.as_ref().is_none_or(|end| mask <= end))
    {
        match mask {
            Some(Mask::Nullify) => {}
            Some(Mask::Hash | Mask::Token(_)) => types.push(Type::Text),
            _ => types.push(column.of),
        }
    }
    match types.first() {
        None => column.of,
        Some(first) if types.iter().all(|other| other == first) => *first,
        Some(_) => Type::Text,
    }
}

/// The truth of a predicate that the session alone decides; `None` where it
/// takes a row.
fn by_session(world: &World, pred: &Pred) -> Option<Option<bool>> {
    match pred {
        Pred::InGroup(group) => Some(Some(*group == GROUP)),
        Pred::Purpose(purpose) => Some(world.purpose.map(|stated| stated == *purpose)),
        Pred::Attr(_, name) if *name != "region" => Some(None),
        Pred::Not(inner) => by_session(world, inner).map(|it| it.map(|it| !it)),
        Pred::And(parts) => joined(parts.iter().map(|it| by_session(world, it)), false),
        Pred::Or(parts) => joined(parts.iter().map(|it| by_session(world, it)), true),
        _ => None,
    }
}

/// AND and OR where some parts are not known: what decides, decides; a part
/// that is NULL counts as FALSE for whether the whole can be TRUE.
fn joined(
    parts: impl Iterator<Item = Option<Option<bool>>>,
    decisive: bool,
) -> Option<Option<bool>> {
    let parts: Vec<_> = parts.collect();
    if decisive {
        if parts.contains(&Some(Some(true))) {
            return Some(Some(true));
        }
        parts.iter().all(Option::is_some).then(|| {
            if parts.contains(&Some(None)) {
                None
            } else {
                Some(false)
            }
        })
    } else {
        if parts
            .iter()
            .any(|it| matches!(it, Some(Some(false) | None)))
        {
            return Some(Some(false));
        }
        parts.iter().all(Option::is_some).then_some(Some(true))
    }
}

/// Kleene's three values.
fn truth(world: &World, table: &Table, row: &[Value], pred: &Pred) -> Option<bool> {
    let cell = |column: &str| &row[table.position(column).unwrap()];
    let is_broken = |column: &str| matches!(cell(column), Value::Broken(_));
    // What cannot be read is not known, and is not NULL either.
    let known = |column: &str| {
        Some(cell(column)).filter(|value| **value != Value::Null && !is_broken(column))
    };
    match pred {
        Pred::Compare(column, op, value) => known(column).map(|cell| match op {
            Op::Eq => cell == value,
            Op::NotEq => cell != value,
            Op::Lt => cell < value,
            Op::GtEq => cell >= value,
        }),
        Pred::In(column, values) => known(column).map(|cell| values.contains(cell)),
        Pred::IsNull(column, _) if is_broken(column) => None,
        Pred::IsNull(column, negated) => Some((*cell(column) == Value::Null) != *negated),
        Pred::Like(column, prefix) => known(column).map(|cell| cell.text().starts_with(prefix)),
        Pred::Attr(column, "region") => known(column).map(|cell| cell.text() == REGION),
        Pred::Attr(..) => None,
        Pred::InGroup(group) => Some(*group == GROUP),
        Pred::Purpose(purpose) => world.purpose.map(|stated| stated == *purpose),
        Pred::Member(column, domain) => {
            let members = world
                .tables
                .iter()
                .find(|it| (it.domain, it.name) == (domain, MEMBERS));
            let keys: BTreeSet<&Value> = members
                .into_iter()
                .flat_map(|it| &it.rows)
                .filter(|row| row[0] == Value::Text(USER.to_owned()))
                .map(|row| &row[1])
                .collect();
            known(column).map(|cell| keys.contains(cell))
        }
        Pred::Not(inner) => truth(world, table, row, inner).map(|value| !value),
        Pred::And(parts) => {
            let values: Vec<_> = parts
                .iter()
                .map(|it| truth(world, table, row, it))
                .collect();
            if values.contains(&Some(false)) {
                Some(false)
            } else if values.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Pred::Or(parts) => {
            let values: Vec<_> = parts
                .iter()
                .map(|it| truth(world, table, row, it))
                .collect();
            if values.contains(&Some(true)) {
                Some(true)
            } else if values.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
    }
}

/// Whether a mask fits a type.
pub(super) fn fits(mask: &Mask, of: Type) -> bool {
    match mask {
        Mask::Bucket(_) => matches!(of, Type::Int32 | Type::Int64 | Type::Decimal | Type::Float),
        Mask::TruncateMonth | Mask::TruncateYear => matches!(of, Type::Date | Type::Timestamp),
        Mask::ShowLast(_) | Mask::ShowFirst(_) | Mask::Alphanum => of == Type::Text,
        Mask::Token(_) | Mask::Hash => matches!(of, Type::Text | Type::Int32 | Type::Int64),
        Mask::Fixed(Value::Text(_)) => of == Type::Text,
        Mask::Fixed(Value::Int(_)) => {
            matches!(of, Type::Int32 | Type::Int64 | Type::Decimal | Type::Float)
        }
        Mask::Fixed(_) => false,
        Mask::Nullify => true,
    }
}

/// What a mask leaves of a value.
fn masked(raw: &Value, mask: &Mask, of: Type) -> Value {
    if matches!(raw, Value::Null | Value::Broken(_)) {
        return Value::Null;
    }
    let text = raw.text();
    let length = text.chars().count();
    let stars = |keep: &dyn Fn(usize) -> bool, count: usize| {
        let shown = |at| length > count && keep(at);
        Value::Text(
            text.chars()
                .enumerate()
                .map(|(at, c)| if shown(at) { c } else { '*' })
                .collect(),
        )
    };
    let first_of = |day: NaiveDate| match mask {
        Mask::TruncateYear => day.with_day(1).unwrap().with_month(1).unwrap(),
        _ => day.with_day(1).unwrap(),
    };
    match (mask, raw) {
        (Mask::Bucket(width), Value::Int(value)) => {
            let least = if of == Type::Int32 {
                i32::MIN.into()
            } else {
                i64::MIN
            };
            let bucket = value.checked_sub(value.rem_euclid(*width));
            Value::Int(bucket.unwrap_or(least).max(least))
        }
        (Mask::Bucket(width), Value::Decimal(value)) => {
            Value::Decimal(value - value.rem_euclid(i128::from(*width) * 100))
        }
        (Mask::Bucket(width), Value::Float(quarters)) => {
            Value::Float(quarters - quarters.rem_euclid(width * 4))
        }
        (Mask::TruncateMonth | Mask::TruncateYear, Value::Date(days)) => {
            let day = first_of(super::model::date(*days));
            Value::Date(i32::try_from((day - super::model::date(0)).num_days()).unwrap())
        }
        (Mask::TruncateMonth | Mask::TruncateYear, Value::Timestamp(micros)) => {
            let at = chrono::DateTime::from_timestamp_micros(*micros).unwrap();
            let day = first_of(at.date_naive());
            Value::Timestamp(
                day.and_hms_opt(0, 0, 0)
                    .unwrap()
                    .and_utc()
                    .timestamp_micros(),
            )
        }
        (Mask::ShowLast(count), _) => stars(&|at| at >= length - count.0, count.0),
        (Mask::ShowFirst(count), _) => stars(&|at| at < count.0, count.0),
        (Mask::Hash, _) => digest(&[b"weft mask hash"], &text),
        (Mask::Token(scope), _) => digest(&[b"weft mask token:", scope.as_bytes()], &text),
        (Mask::Alphanum, _) => Value::Text(
            text.chars()
                .map(|c| {
                    if c.is_alphabetic() {
                        'x'
                    } else if c.is_numeric() {
                        '9'
                    } else {
                        c
                    }
                })
                .collect(),
        ),
        (Mask::Fixed(Value::Int(value)), Value::Decimal(_)) => {
            Value::Decimal(i128::from(*value) * 100)
        }
        (Mask::Fixed(Value::Int(value)), Value::Float(_)) => Value::Float(value * 4),
        (Mask::Fixed(value), _) => value.clone(),
        (Mask::Nullify, _) => Value::Null,
        (mask, raw) => panic!("{mask} of {raw}"),
    }
}

/// The mesh's secret.
pub(super) const SECRET: &str = "the secret of the proof";

/// HMAC-SHA-256 under a key that is the HMAC of a label under the secret.
fn digest(label: &[&[u8]], text: &str) -> Value {
    let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).unwrap();
    let mut key = keyed(SECRET.as_bytes());
    label.iter().for_each(|part| key.update(part));
    let mut out = keyed(&key.finalize().into_bytes());
    out.update(text.as_bytes());
    Value::Text(
        out.finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// An integer is decimal text in a column that is shown as text.
fn in_type(value: Value, of: Type) -> Value {
    match (value, of) {
        (Value::Int(value), Type::Text) => Value::Text(value.to_string()),
        (value, _) => value,
    }
}
