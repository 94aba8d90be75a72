//! Random worlds, and other worlds that look the same to the one who looks.

use std::cmp::Reverse;

use super::interpreter::{authorised, fits};
use super::model::{
    Column, Effect, Format, Grant, Guardrail, MEMBERS, Mask, On, Op, Pred, Table, Type, USER,
    Value, World,
};
use super::rng::Rng;

/// Every table has the first two; the others come and go.
const COLUMNS: [(&str, Type, &[&str]); 11] = [
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
];

const TABLES: [(&str, &str); 3] = [("d0", "a"), ("d0", "b"), ("d1", "c")];
const PURPOSES: [&str; 2] = ["audit", "care"];

pub(super) fn world(rng: &mut Rng) -> World {
    let tables = 1 + rng.below(TABLES.len());
    let mut world = World {
        tables: TABLES[..tables]
            .iter()
            .map(|(domain, name)| table(rng, domain, name))
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
        } else {
            rng.below(5)
        };
        for number in 0..grants {
            let name = format!("{}-{number}", table.name);
            world.grants.push(grant(rng, &table, name));
        }
    }
    // The first table is there in most cases.
    if rng.percent(90) {
        let table = world.tables[0].clone();
        let mut grant = grant(rng, &table, "sure".to_owned());
        grant.to = "user:eve";
        (grant.purpose, grant.expired) = (None, false);
        world.grants.push(grant);
    }
    for number in 0..[0, 0, 1, 2, 3][rng.below(5)] {
        let guardrail = guardrail(rng, &world, format!("rail-{number}"));
        world.guardrails.push(guardrail);
    }
    world
}

fn table(rng: &mut Rng, domain: &'static str, name: &'static str) -> Table {
    let mut columns: Vec<Column> = Vec::new();
    for (at, (name, of, tags)) in COLUMNS.into_iter().enumerate() {
        if at < 2 || rng.percent(70) {
            columns.push(Column { name, of, tags });
        }
    }
    let rows = (0..rng.below(40))
        .map(|number| row(rng, &columns, number))
        .collect();
    Table {
        domain,
        name,
        columns,
        rows,
        format: if rng.percent(70) {
            Format::Parquet
        } else {
            Format::Csv
        },
        files: 1 + rng.below(3),
    }
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

fn row(rng: &mut Rng, columns: &[Column], number: usize) -> Vec<Value> {
    columns
        .iter()
        .map(|column| match column.name {
            "id" => Value::Int(number as i64),
            name => value(rng, name, column.of),
        })
        .collect()
}

/// With a liking for what makes expressions fail.
fn value(rng: &mut Rng, name: &str, of: Type) -> Value {
    if rng.percent(10) {
        return Value::Null;
    }
    let text = |text: &str| Value::Text(text.to_owned());
    match of {
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
    let (on, effect) = match rng.below(6) {
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
        match value(rng, column.name, column.of) {
            Value::Null | Value::Int(i64::MIN) => {}
            found => return found,
        }
    }
}

/// Another world that shows the same: its hidden cells, rows and columns are
/// others. Whatever leaves what is seen as it was is taken.
pub(super) fn other(rng: &mut Rng, world: &World) -> World {
    let before: Vec<_> = world
        .tables
        .iter()
        .map(|table| authorised(world, table))
        .collect();
    let mut other = world.clone();
    for _ in 0..60 {
        let at = rng.below(other.tables.len());
        let kept = other.tables[at].rows.clone();
        let columns = other.tables[at].columns.clone();
        let rows = &mut other.tables[at].rows;
        match rng.below(4) {
            0 => rows.insert(rng.below(rows.len() + 1), row(rng, &columns, 1000)),
            _ if rows.is_empty() => continue,
            1 => drop(rows.remove(rng.below(rows.len()))),
            _ => {
                let number = rng.below(rows.len());
                let column = rng.below(columns.len());
                rows[number][column] = value(rng, columns[column].name, columns[column].of);
            }
        }
        let same = other
            .tables
            .iter()
            .zip(&before)
            .all(|(table, seen)| authorised(&other, table) == *seen);
        if !same {
            other.tables[at].rows = kept;
        }
    }
    other
}
