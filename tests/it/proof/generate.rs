//! Random worlds, and other worlds that look the same to the one who looks.

use std::cmp::Reverse;

use super::interpreter::{fits, lens};
use super::model::{
    Column, Effect, Format, Grant, Guardrail, MEMBERS, Mask, On, Op, Pred, Table, Type, USER,
    Value, World,
};
use super::rng::Rng;

/// Every table has the first two; the others come and go.
const COLUMNS: [(&str, Type, &[&str]); 14] = [
    ("id", Type::Int64, &[]),
    ("region", Type::Text, &[]),
    ("y", Type::Int64, &[]),
    ("z", Type::Int32, &[]),
    ("note", Type::Text, &[]),
    ("ssn", Type::Text, &["pii"]),
    ("amt", Type::Decimal, &["money"]),
    ("day", Type::Date, &[]),
    ("at", Type::Timestamp, &[]),
    ("ok", Type::Bool, &[]),
    ("ref", Type::Int64, &["pii"]),
    ("ratio", Type::Float, &[]),
    ("doc", Type::Doc, &["pii"]),
    ("tags", Type::Tags, &[]),
];

const TABLES: [(&str, &str); 3] = [("d0", "a"), ("d0", "b"), ("d1", "c")];
const PURPOSES: [&str; 2] = ["audit", "care"];

pub(super) fn world(rng: &mut Rng) -> World {
    let tables = 1 + rng.below(TABLES.len());
    // Most worlds keep what makes expressions fail for what is hidden: there a
    // query that fails has looked where it must not.
    let taste = if rng.percent(65) {
        Taste::Clean
    } else {
        Taste::Wild
    };
    let mut world = World {
        tables: TABLES[..tables]
            .iter()
            .map(|(domain, name)| table(rng, domain, name, taste))
            .collect(),
        grants: Vec::new(),
        guardrails: Vec::new(),
        purpose: rng.percent(40).then(|| *rng.pick(&PURPOSES)),
        partitions: *rng.pick(&[1, 2, 8]),
        batch_size: *rng.pick(&[3, 8192]),
    };
    world.tables.push(members(rng));
    for table in world.tables.clone() {
        let grants = if table.name == MEMBERS {
            usize::from(rng.percent(20))
        } else if rng.percent(50) {
            world.grants.push(simple(rng, &table));
            0
        } else {
            rng.below(5)
        };
        for number in 0..grants {
            let name = format!("{}-{number}", table.name);
            world.grants.push(grant(rng, &table, name));
        }
    }
    // The first table is there in most cases.
    let table = world.tables[0].clone();
    let has_one = |it: &Grant| (it.domain, it.table) == (table.domain, table.name);
    if !world.grants.iter().any(has_one) && rng.percent(90) {
        let mut grant = grant(rng, &table, "sure".to_owned());
        grant.to = "user:eve";
        (grant.purpose, grant.expired) = (None, false);
        world.grants.push(grant);
    }
    for number in 0..[0, 0, 1, 2, 3][rng.below(5)] {
        let guardrail = guardrail(rng, &world, format!("rail-{number}"));
        world.guardrails.push(guardrail);
    }
    mend(&mut world);
    if taste == Taste::Clean || rng.percent(50) {
        world = disguised(rng, &world, Disguise::Traps);
    }
    world
}

/// A cell that does not parse and is shown in clear fails what reads it: such
/// worlds are for other tests.
fn mend(world: &mut World) {
    let before = world.clone();
    for (table, was) in world.tables.iter_mut().zip(&before.tables) {
        let lens = lens(&before, was);
        for row in &mut table.rows {
            let seen = lens.as_ref().and_then(|it| it.row(row));
            let is_broken = |(value, _): &(Value, bool)| matches!(value, Value::Broken(_));
            if seen.is_some_and(|cells| cells.iter().any(is_broken)) {
                for cell in row.iter_mut() {
                    if matches!(cell, Value::Broken(_)) {
                        *cell = Value::Null;
                    }
                }
            }
        }
    }
}

/// What values are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taste {
    /// Most expressions work on them.
    Clean,
    /// With a liking for what makes expressions fail.
    Wild,
}

fn table(rng: &mut Rng, domain: &'static str, name: &'static str, taste: Taste) -> Table {
    let format = *rng.pick(&[
        Format::Parquet,
        Format::Parquet,
        Format::Parquet,
        Format::Csv,
        Format::Json,
    ]);
    let mut columns: Vec<Column> = Vec::new();
    for (at, (name, of, tags)) in COLUMNS.into_iter().enumerate() {
        if at < 2 || rng.percent(65) && format.holds(of) {
            columns.push(Column { name, of, tags });
        }
    }
    let least = if rng.percent(10) { 0 } else { 8 };
    let rows = (0..least + rng.below(32))
        .map(|number| {
            let row = row(rng, &columns, number, taste);
            damaged(rng, &columns, row, format)
        })
        .collect();
    Table {
        domain,
        name,
        columns,
        rows,
        format,
        files: 1 + rng.below(3),
    }
}

/// With a few cells that do not parse, where that can be.
fn damaged(rng: &mut Rng, columns: &[Column], mut row: Vec<Value>, format: Format) -> Vec<Value> {
    if format.is_text() {
        for (cell, column) in row.iter_mut().zip(columns) {
            if !matches!(column.of, Type::Text | Type::Doc | Type::Tags) && rng.percent(4) {
                *cell = broken(rng);
            }
        }
    }
    row
}

fn broken(rng: &mut Rng) -> Value {
    Value::Broken(format!("secret-{}", 900_000 + rng.below(1000)))
}

fn members(rng: &mut Rng) -> Table {
    let columns = vec![
        Column {
            name: "u",
            of: Type::Text,
            tags: &[],
        },
        Column {
            name: "k",
            of: Type::Int64,
            tags: &[],
        },
    ];
    let rows = (0..rng.below(30))
        .map(|_| {
            let user = if rng.percent(50) { USER } else { "bob" };
            let key = if rng.percent(5) {
                Value::Null
            } else {
                Value::Int(rng.below(40) as i64)
            };
            vec![Value::Text(user.to_owned()), key]
        })
        .collect();
    Table {
        domain: "d0",
        name: MEMBERS,
        columns,
        rows,
        format: Format::Parquet,
        files: 1,
    }
}

fn row(rng: &mut Rng, columns: &[Column], number: usize, taste: Taste) -> Vec<Value> {
    columns
        .iter()
        .map(|column| match column.name {
            "id" => Value::Int(1 + number as i64),
            name => value(rng, name, column.of, taste),
        })
        .collect()
}

fn value(rng: &mut Rng, name: &str, of: Type, taste: Taste) -> Value {
    if rng.percent(10) {
        return Value::Null;
    }
    let text = |text: &str| Value::Text(text.to_owned());
    match of {
        Type::Int32 | Type::Int64 if taste == Taste::Clean => Value::Int(1 + rng.below(12) as i64),
        Type::Decimal | Type::Float if taste == Taste::Clean => {
            let value = 1 + rng.below(400) as i64;
            if of == Type::Float {
                Value::Float(value)
            } else {
                Value::Decimal(value.into())
            }
        }
        // One that reads as a date, and one that reads as a number, in hex as well.
        Type::Text if taste == Taste::Clean && name == "ssn" => {
            text(&format!("2021-03-{}", 10 + rng.below(20)))
        }
        Type::Text if taste == Taste::Clean && name != "region" => {
            text(&(10 + rng.below(80)).to_string())
        }
        Type::Bool => Value::Bool(rng.percent(50)),
        Type::Int32 => Value::Int(*rng.pick(&[1, 2, 3, 5, 40_000, 0, -1, i64::from(i32::MIN)])),
        Type::Int64 => match rng.below(12) {
            0 => Value::Int(0),
            1 => Value::Int(i64::MIN),
            2 => Value::Int(7),
            _ => Value::Int(rng.below(40) as i64),
        },
        Type::Decimal => match rng.below(8) {
            0 => Value::Decimal(999_999_999_999),
            1 => Value::Decimal(0),
            _ => Value::Decimal(rng.below(100_000) as i128 - 20_000),
        },
        Type::Date => Value::Date(19_000 + rng.below(900) as i32),
        Type::Timestamp => {
            Value::Timestamp(1_700_000_000_000_000 + rng.below(90_000_000) as i64 * 1_000_000)
        }
        Type::Float => match rng.below(8) {
            0 => Value::Float(0),
            1 => Value::Float(-10),
            _ => Value::Float(rng.below(400) as i64),
        },
        Type::Doc => {
            let a = rng.percent(80).then(|| rng.below(300).to_string());
            Value::Doc(a, rng.percent(80).then(|| rng.below(9) as i64))
        }
        Type::Tags => Value::Tags((0..rng.below(4)).map(|_| rng.below(5) as i64).collect()),
        Type::Text if name == "region" => {
            text(rng.pick::<&str>(&["EU", "US", "EU", "APAC", "EUROPE"]))
        }
        Type::Text => match rng.below(6) {
            0 => text(&format!("secret-{}", rng.below(1000))),
            1 => {
                text(rng.pick::<&str>(&["(", "a,b", "x\"y", "2024-13-45", "zz", "é中", "Ab1", "%"]))
            }
            _ => text(&rng.below(300).to_string()),
        },
    }
}

/// Hides one share of the rows and little else: what is on top of a policy that
/// does not hold comes to light.
fn simple(rng: &mut Rng, table: &Table) -> Grant {
    let end = table.rows.len() as i64;
    let share = *rng.pick(&[0, 5, 50, 50, 85, 100]);
    let first = 1 + (end * share + 99) / 100;
    let rows = if rng.percent(60) {
        Pred::Compare("id", Op::GtEq, Value::Int(first))
    } else {
        region(rng)
    };
    let columns = table.columns.iter().map(|column| column.name);
    Grant {
        name: format!("{}-simple", table.name),
        to: rng.word(&["user:eve", "group:eu", "everyone"]),
        domain: table.domain,
        table: table.name,
        columns: columns
            .filter(|name| *name == "id" || rng.percent(92))
            .collect(),
        masks: vec![],
        rows: Some(rows),
        purpose: None,
        expired: false,
    }
}

fn grant(rng: &mut Rng, table: &Table, name: String) -> Grant {
    let mut columns: Vec<&'static str> = Vec::new();
    let wide = rng.percent(50);
    for column in &table.columns {
        if wide && rng.percent(90) || rng.percent(50) {
            columns.push(column.name);
        }
    }
    if columns.is_empty() {
        columns.push(table.columns[0].name);
    }
    let mut masks = Vec::new();
    for column in table.columns.iter().filter(|it| columns.contains(&it.name)) {
        if rng.percent(20) {
            masks.push((column.name, mask(rng, column.of)));
        }
    }
    Grant {
        name,
        to: rng.word(&[
            "user:eve", "group:eu", "everyone", "user:eve", "group:eu", "user:bob", "group:us",
        ]),
        domain: table.domain,
        table: table.name,
        columns,
        masks,
        rows: rng.percent(75).then(|| pred(rng, table, 2)),
        purpose: rng.percent(20).then(|| *rng.pick(&PURPOSES)),
        expired: rng.percent(8),
    }
}

/// One that fits the type.
fn mask(rng: &mut Rng, of: Type) -> Mask {
    let all = [
        Mask::Bucket(10),
        Mask::Bucket(25),
        Mask::TruncateMonth,
        Mask::TruncateYear,
        Mask::ShowLast(Reverse(2)),
        Mask::ShowLast(Reverse(1)),
        Mask::ShowFirst(Reverse(1)),
        Mask::Token("t"),
        Mask::Hash,
        Mask::Alphanum,
        Mask::Fixed(Value::Text("x".to_owned())),
        Mask::Fixed(Value::Int(7)),
        Mask::Nullify,
    ];
    let fitting: Vec<&Mask> = all.iter().filter(|mask| fits(mask, of)).collect();
    (*rng.pick(&fitting)).clone()
}

fn guardrail(rng: &mut Rng, world: &World, name: String) -> Guardrail {
    let of = rng.pick(&world.tables).clone();
    let (on, effect) = match rng.below(7) {
        6 => (
            On::Domain(of.domain, rng.pick(&of.columns).name),
            Effect::Mask(any_mask(rng)),
        ),
        // On columns whose tables all have them.
        0 => (On::Column("region"), Effect::Rows(region(rng))),
        1 => (
            On::Table(of.domain, of.name),
            Effect::Rows(pred(rng, &of, 1)),
        ),
        2 => (
            On::Tag(rng.word(&["pii", "money"])),
            Effect::Mask(any_mask(rng)),
        ),
        3 => (
            On::Column(rng.pick(&of.columns).name),
            Effect::Mask(any_mask(rng)),
        ),
        4 => (On::Column(rng.pick(&of.columns).name), Effect::Deny),
        _ => (On::Tag("pii"), Effect::RequirePurpose),
    };
    Guardrail {
        name,
        on,
        except: rng
            .percent(20)
            .then(|| *rng.pick(&["group:eu", "user:bob"])),
        effect,
    }
}

fn any_mask(rng: &mut Rng) -> Mask {
    let of = *rng.pick(&[Type::Text, Type::Int64, Type::Date]);
    mask(rng, of)
}

fn region(rng: &mut Rng) -> Pred {
    match rng.below(3) {
        0 => Pred::Attr("region", "region"),
        1 => Pred::Like("region", "EU".to_owned()),
        _ => Pred::Compare("region", Op::Eq, Value::Text("EU".to_owned())),
    }
}

fn pred(rng: &mut Rng, table: &Table, depth: usize) -> Pred {
    if depth > 0 && rng.percent(45) {
        let parts = (0..2 + rng.below(2))
            .map(|_| pred(rng, table, depth - 1))
            .collect();
        return if rng.percent(50) {
            Pred::And(parts)
        } else {
            Pred::Or(parts)
        };
    }
    let has = |name: &str| table.position(name).is_some();
    loop {
        let column = rng.pick(&table.columns);
        if !column.of.is_scalar() {
            continue;
        }
        let found = match rng.below(10) {
            0 | 1 if has("region") => region(rng),
            2 if has("id") => Pred::Member("id", "d0"),
            3 => Pred::InGroup(rng.word(&["eu", "us"])),
            4 => Pred::Purpose(rng.word(&PURPOSES)),
            5 if column.of == Type::Text => Pred::Attr(column.name, rng.word(&["region", "none"])),
            6 => Pred::IsNull(column.name, rng.percent(50)),
            7 => {
                let inner = comparison(rng, column);
                Pred::Not(Box::new(inner))
            }
            8 => {
                let values = (0..3).map(|_| known(rng, column)).collect();
                Pred::In(column.name, values)
            }
            _ => comparison(rng, column),
        };
        // TRUE and FALSE alone decide nothing worth a literal of their own.
        if !matches!(&found, Pred::Compare(_, _, Value::Bool(_)) | Pred::In(_, _) if column.of == Type::Bool)
        {
            return found;
        }
    }
}

fn comparison(rng: &mut Rng, column: &Column) -> Pred {
    let op = *rng.pick(&[Op::Eq, Op::NotEq, Op::Lt, Op::GtEq]);
    let value = known(rng, column);
    Pred::Compare(column.name, op, value)
}

fn known(rng: &mut Rng, column: &Column) -> Value {
    loop {
        // i64::MIN is no literal that every parser reads.
        match value(rng, column.name, column.of, Taste::Wild) {
            Value::Null | Value::Int(i64::MIN) => {}
            found => return found,
        }
    }
}

/// How another world that shows the same differs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disguise {
    /// Nothing is hidden in it: rows are gone, cells are NULL.
    Bare,
    /// What is hidden makes expressions fail, and is marked so that it is known
    /// where it turns up.
    Traps,
}

/// Another world that shows the same: its hidden cells, rows, columns and
/// tables are others, and so are its files.
pub(super) fn disguised(rng: &mut Rng, world: &World, disguise: Disguise) -> World {
    let mut other = world.clone();
    for (table, was) in other.tables.iter_mut().zip(&world.tables) {
        table.files = 1 + rng.below(3);
        let lens = lens(world, was);
        let see = |row: &[Value]| lens.as_ref().and_then(|it| it.row(row));
        table.rows.clear();
        for row in &was.rows {
            match disguise {
                Disguise::Traps if rng.percent(15) => table.rows.extend(hidden(rng, was, &see)),
                Disguise::Traps | Disguise::Bare => {}
            }
            let seen = see(row);
            // Who is entitled to what stays, though nobody sees it.
            if was.name == MEMBERS && row[0] == Value::Text(USER.to_owned()) {
                if let (Disguise::Traps, None, true) = (disguise, &seen, rng.percent(30)) {
                    table.rows.push(row.clone());
                }
                table.rows.push(row.clone());
                continue;
            }
            match (disguise, seen) {
                (Disguise::Bare, None) => {}
                (Disguise::Traps, None) => {
                    if rng.percent(80) {
                        table
                            .rows
                            .push(hidden(rng, was, &see).unwrap_or_else(|| row.clone()));
                    }
                }
                (_, Some(seen)) => {
                    let mut row = row.clone();
                    for (at, column) in was.columns.iter().enumerate() {
                        let new = match disguise {
                            Disguise::Bare => Value::Null,
                            Disguise::Traps => trap(rng, column, was.format),
                        };
                        let kept = std::mem::replace(&mut row[at], new);
                        if see(&row).as_ref() != Some(&seen) {
                            row[at] = kept;
                        }
                    }
                    table.rows.push(row);
                }
            }
        }
    }
    other
}

/// A row that is not seen, if one is found.
fn hidden(
    rng: &mut Rng,
    table: &Table,
    see: &impl Fn(&[Value]) -> Option<Vec<(Value, bool)>>,
) -> Option<Vec<Value>> {
    for attempt in 0..12 {
        let row: Vec<Value> = table
            .columns
            .iter()
            .map(|column| {
                // The more traps, the less likely that a predicate is TRUE; but one may be on any.
                if rng.percent(if attempt < 6 { 85 } else { 40 }) {
                    trap(rng, column, table.format)
                } else {
                    value(rng, column.name, column.of, Taste::Clean)
                }
            })
            .collect();
        let is_member = table.name == MEMBERS && row[0] == Value::Text(USER.to_owned());
        if !is_member && see(&row).is_none() {
            return Some(row);
        }
    }
    None
}

/// Integers from here on are nowhere but in what is hidden.
pub(super) const MARKED: i64 = 7_000_000;

/// What would be noticed most.
fn trap(rng: &mut Rng, column: &Column, format: Format) -> Value {
    if format.is_text() && column.of != Type::Text && column.of.is_scalar() && rng.percent(12) {
        return broken(rng);
    }
    let marked = MARKED + rng.below(1000) as i64;
    match column.of {
        Type::Bool => Value::Bool(rng.percent(50)),
        Type::Int32 => Value::Int(*rng.pick(&[0, i32::MIN.into(), -1, marked, marked])),
        Type::Int64 => Value::Int(*rng.pick(&[0, i64::MIN, 77, marked, marked])),
        Type::Decimal => {
            Value::Decimal(*rng.pick(&[0, -999_999_999_999, 100 * i128::from(marked)]))
        }
        Type::Date => Value::Date(*rng.pick(&[-700_000, 2_900_000])),
        Type::Timestamp => Value::Timestamp(*rng.pick(&[-1, 253_402_300_000_000_000])),
        Type::Float => Value::Float(*rng.pick(&[0, 4 * marked])),
        Type::Text => {
            let secret = format!("secret-{}", 900_000 + rng.below(1000));
            Value::Text(
                rng.pick(&["(".to_owned(), "zz".to_owned(), secret.clone(), secret])
                    .clone(),
            )
        }
        Type::Doc => Value::Doc(Some(format!("secret-{marked}")), Some(marked)),
        Type::Tags => Value::Tags(vec![0, marked]),
    }
}
