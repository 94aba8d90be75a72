//! Expected rows against those that were found.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weft_mesh::{Spanned, TestRow, TestShown};

use super::difference::{Difference, Line, Sign};
use super::problem::Problem;
use super::typed::{Unnamed, show, typed};

/// What a statement gave.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    /// Whether the statement asks for an order.
    pub(super) ordered: bool,
    /// Whether it is all of a table, whose columns are known.
    pub(super) of_table: bool,
}

/// What is wrong with the rows; nothing where all is as expected.
pub(super) fn rows(expected: &TestShown, found: &Found) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(rows) = &expected.rows {
        exactly(rows, found, &mut problems);
    }
    for row in &expected.contains {
        contained(row, found, &mut problems);
    }
    for row in &expected.without {
        absent(row, found, &mut problems);
    }
    problems
}

/// The columns that rows name, and where they are in what was found.
struct Projection<'a> {
    names: Vec<&'a str>,
    positions: Vec<usize>,
}

impl<'a> Projection<'a> {
    fn of(row: &'a TestRow, found: &Found, problems: &mut Vec<Problem>) -> Option<Self> {
        let (mut names, mut positions) = (Vec::new(), Vec::new());
        for (name, _) in &row.cells {
            match found.schema.index_of(&name.value) {
                Ok(position) => {
                    names.push(name.value.as_str());
                    positions.push(position);
                }
                Err(_) => {
                    let shown: Vec<String> = found
                        .schema
                        .fields()
                        .iter()
                        .map(|field| format!("`{}`", field.name()))
                        .collect();
                    problems.push(Problem::new(format!(
                        "a row is expected with column `{}`, which is not shown; what is shown is {}",
                        name.value,
                        shown.join(", ")
                    )));
                    return None;
                }
            }
        }
        Some(Self { names, positions })
    }

    /// The cells of an expected row, in the types of what was found.
    fn expected(
        &self,
        row: &TestRow,
        found: &Found,
        problems: &mut Vec<Problem>,
    ) -> Option<Vec<Cell>> {
        let mut cells = Vec::new();
        for (name, position) in self.names.iter().zip(&self.positions) {
            let (field, value) = (found.schema.fields().get(*position)?, row.cell(name)?);
            match typed(&value.value, field.data_type(), Unnamed::IsRefused) {
                Ok(array) => cells.push(Cell::of(&array, 0).ok()?),
                Err(reason) => {
                    let value = show(&value.value);
                    problems.push(Problem::new(format!(
                        "{value} as a value of `{name}` {reason}"
                    )));
                    return None;
                }
            }
        }
        Some(cells)
    }

    /// The cells of all rows that were found.
    fn found(&self, found: &Found) -> Result<Vec<Vec<Cell>>, ArrowError> {
        let mut rows = Vec::new();
        for batch in &found.batches {
            for row in 0..batch.num_rows() {
                let columns = self.positions.iter().map(|at| batch.columns().get(*at));
                rows.push(
                    columns
                        .flatten()
                        .map(|column| Cell::of(column, row))
                        .collect::<Result<_, _>>()?,
                );
            }
        }
        Ok(rows)
    }

    fn difference(&self, lines: Vec<Line>) -> Difference {
        let names = self.names.iter().map(|name| (*name).to_owned());
        Difference {
            names: names.collect(),
            lines,
        }
    }
}

fn exactly(expected: &Spanned<Vec<TestRow>>, found: &Found, problems: &mut Vec<Problem>) {
    let Some(first) = expected.value.first() else {
        nothing(found, problems);
        return;
    };
    let Some(projection) = Projection::of(first, found, problems) else {
        return;
    };
    let mut wanted = Vec::new();
    for row in &expected.value {
        match projection.expected(row, found, problems) {
            Some(cells) => wanted.push(cells),
            None => return,
        }
    }
    let Some(rows) = readable(projection.found(found), problems) else {
        return;
    };
    // Rows that are there as often as they should be are only context.
    let mut open: HashMap<String, usize> = HashMap::new();
    for row in &wanted {
        *open.entry(key(row)).or_default() += 1;
    }
    let mut lines = Vec::new();
    let mut surplus = false;
    for row in &rows {
        let sign = match open.get_mut(&key(row)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                Sign::Both
            }
            _ => {
                surplus = true;
                Sign::Found
            }
        };
        lines.push(Line::new(sign, row.iter().map(|cell| cell.shown.clone())));
    }
    let mut missing = false;
    for row in wanted.iter().rev() {
        if let Some(count) = open.get_mut(&key(row)).filter(|count| **count > 0) {
            *count -= 1;
            missing = true;
            lines.push(Line::new(
                Sign::Expected,
                row.iter().map(|cell| cell.shown.clone()),
            ));
        }
    }
    if surplus || missing {
        let message = format!(
            "the rows differ: {} expected (-), {} found (+)",
            wanted.len(),
            rows.len()
        );
        lines.sort();
        problems.push(Problem::new(message).with(projection.difference(lines)));
    } else if found.ordered {
        let apart = wanted
            .iter()
            .zip(&rows)
            .position(|(one, other)| key(one) != key(other));
        if let Some(at) = apart {
            problems.push(Problem::new(format!(
                "the rows are the expected ones in another order, from row {} on",
                at + 1
            )));
        }
    }
}

/// No row was expected.
fn nothing(found: &Found, problems: &mut Vec<Problem>) {
    let count: usize = found.batches.iter().map(RecordBatch::num_rows).sum();
    if count == 0 {
        return;
    }
    let positions = (0..found.schema.fields().len()).collect();
    let names = found
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str());
    let projection = Projection {
        names: names.collect(),
        positions,
    };
    let Some(rows) = readable(projection.found(found), problems) else {
        return;
    };
    let lines = rows
        .iter()
        .map(|row| Line::new(Sign::Found, row.iter().map(|cell| cell.shown.clone())));
    let message = format!("the rows differ: none expected, {count} found");
    problems.push(Problem::new(message).with(projection.difference(lines.collect())));
}

fn contained(row: &TestRow, found: &Found, problems: &mut Vec<Problem>) {
    let Some((projection, wanted, rows)) = looked_for(row, found, problems) else {
        return;
    };
    let alike = |other: &[Cell]| {
        let pairs = wanted.iter().zip(other);
        pairs.filter(|(one, other)| one.key == other.key).count()
    };
    if rows.iter().any(|other| alike(other) == wanted.len()) {
        return;
    }
    let mut lines = vec![Line::new(
        Sign::Expected,
        wanted.iter().map(|cell| cell.shown.clone()),
    )];
    // The first of the nearest, if anything of it is right.
    let nearest = rows
        .iter()
        .rev()
        .max_by_key(|other| alike(other))
        .filter(|other| alike(other) > 0);
    if let Some(nearest) = nearest {
        lines.push(Line::new(
            Sign::Found,
            nearest.iter().map(|cell| cell.shown.clone()),
        ));
    }
    let message = format!("an expected row is not among the {} found", rows.len());
    problems.push(Problem::new(message).with(projection.difference(lines)));
}

fn absent(row: &TestRow, found: &Found, problems: &mut Vec<Problem>) {
    // What is not shown cannot be in a row. Of a statement it may be misspelt.
    let is_shown = |name: &str| found.schema.index_of(name).is_ok();
    if found.of_table && !row.cells.iter().all(|(name, _)| is_shown(&name.value)) {
        return;
    }
    let Some((projection, wanted, rows)) = looked_for(row, found, problems) else {
        return;
    };
    let same = rows.iter().filter(|other| key(other) == key(&wanted));
    let lines: Vec<Line> = same
        .map(|row| Line::new(Sign::Found, row.iter().map(|cell| cell.shown.clone())))
        .collect();
    if !lines.is_empty() {
        let message = format!(
            "{} found of a kind that should not be shown",
            count_of(lines.len())
        );
        problems.push(Problem::new(message).with(projection.difference(lines)));
    }
}

type LookedFor<'a> = (Projection<'a>, Vec<Cell>, Vec<Vec<Cell>>);

fn looked_for<'a>(
    row: &'a TestRow,
    found: &Found,
    problems: &mut Vec<Problem>,
) -> Option<LookedFor<'a>> {
    let projection = Projection::of(row, found, problems)?;
    let wanted = projection.expected(row, found, problems)?;
    let rows = readable(projection.found(found), problems)?;
    Some((projection, wanted, rows))
}

fn readable<T>(rows: Result<T, ArrowError>, problems: &mut Vec<Problem>) -> Option<T> {
    rows.map_err(|error| {
        problems.push(Problem::new(format!(
            "the rows cannot be compared: {error}"
        )))
    })
    .ok()
}

pub(super) fn count_of(rows: usize) -> String {
    format!("{rows} {}", if rows == 1 { "row" } else { "rows" })
}

fn key(row: &[Cell]) -> String {
    row.iter()
        .map(|cell| cell.key.as_str())
        .collect::<Vec<_>>()
        .join("\u{1}")
}

/// A value, twice: for comparing and for people.
struct Cell {
    /// Equal for equal values of one type, and for no others.
    key: String,
    shown: String,
}

impl Cell {
    fn of(array: &ArrayRef, row: usize) -> Result<Self, ArrowError> {
        let key = key_of(array, row)?;
        let options = FormatOptions::new().with_null("NULL");
        let plain = ArrayFormatter::try_new(array, &options)?
            .value(row)
            .try_to_string()?;
        // Text that could be taken for something else stands in quotes.
        let doubtful = is_text(array.data_type())
            && !array.is_null(row)
            && (plain == "NULL"
                || plain.trim() != plain
                || plain.is_empty()
                || plain.contains(char::is_control));
        let shown = if doubtful {
            format!("{plain:?}")
        } else {
            plain
        };
        Ok(Self {
            key,
            shown: shown.replace(char::is_control, " "),
        })
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow has many types, and most are alike here"
)]
fn key_of(array: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    if array.is_null(row) {
        return Ok("null".to_owned());
    }
    let all = |items: &ArrayRef| -> Result<Vec<String>, ArrowError> {
        (0..items.len()).map(|at| key_of(items, at)).collect()
    };
    Ok(match array.data_type() {
        DataType::List(_) => format!("[{}]", all(&array.as_list::<i32>().value(row))?.join(",")),
        DataType::LargeList(_) => {
            format!("[{}]", all(&array.as_list::<i64>().value(row))?.join(","))
        }
        DataType::FixedSizeList(..) => format!(
            "[{}]",
            all(&array.as_fixed_size_list().value(row))?.join(",")
        ),
        DataType::Struct(_) => {
            let parts = array.as_struct().columns().iter();
            let parts: Vec<String> = parts
                .map(|part| key_of(part, row))
                .collect::<Result<_, _>>()?;
            format!("{{{}}}", parts.join(","))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut pairs = Vec::new();
            for at in 0..entries.len() {
                let pair: Vec<String> = entries
                    .columns()
                    .iter()
                    .map(|part| key_of(part, at))
                    .collect::<Result<_, _>>()?;
                pairs.push(pair.join(":"));
            }
            // A map has no order.
            pairs.sort();
            format!("{{{}}}", pairs.join(","))
        }
        _ => {
            let text = ArrayFormatter::try_new(array, &FormatOptions::new())?
                .value(row)
                .try_to_string()?;
            format!("{text:?}")
        }
    })
}
