//! How the cells of a column are shown: what `masked` expects, against a decision.

use std::fmt;

use weft_mesh::{Column, Fault, Spanned, Table};
use weft_policy::{Access, ColumnMask, Exposure, Reveal};

use super::problem::Problem;

/// One way in which a cell is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    Masked(ColumnMask),
    /// The column is not there, or its cell is NULL.
    Hidden,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear => f.write_str("clear"),
            Self::Masked(mask) => mask.fmt(f),
            Self::Hidden => f.write_str("hidden"),
        }
    }
}

/// What a test expects of a column.
enum Expected {
    /// More than one way, whichever.
    Conditional,
    Ways(Vec<Way>),
}

/// What is wrong with the masks that tests expect of a table.
pub(super) fn check(
    masked: &[(Spanned<String>, Vec<Spanned<String>>)],
    table: &Table,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, ways) in masked {
        if let Some(column) = table.column(&name.value) {
            faults.extend(parse(ways, column).err());
        }
    }
    faults
}

/// Columns that are not shown as expected.
pub(super) fn compare(
    masked: &[(Spanned<String>, Vec<Spanned<String>>)],
    table: &Table,
    access: &Access,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, ways) in masked {
        let Some(column) = table.column(&name.value) else {
            continue;
        };
        let expected = match parse(ways, column) {
            Ok(expected) => expected,
            Err(fault) => {
                problems.push(Problem::new(fault.message));
                continue;
            }
        };
        let found = ways_of(access, &column.name);
        let holds = match &expected {
            Expected::Conditional => found.len() > 1,
            Expected::Ways(ways) => {
                ways.len() == found.len() && ways.iter().all(|way| found.contains(way))
            }
        };
        if !holds {
            let expected = match expected {
                Expected::Conditional => "in different ways, depending on the row".to_owned(),
                Expected::Ways(ways) => describe(&ways),
            };
            problems.push(Problem::new(format!(
                "column `{}` is shown {}, and should be shown {expected}",
                column.name,
                describe(&found)
            )));
        }
    }
    problems
}

fn parse(ways: &[Spanned<String>], column: &Column) -> Result<Expected, Fault> {
    if let [only] = ways
        && only.value == "conditional"
    {
        return Ok(Expected::Conditional);
    }
    let parse = |way: &Spanned<String>| {
        match way.value.as_str() {
        "clear" => Ok(Way::Clear),
        "hidden" => Ok(Way::Hidden),
        mask => ColumnMask::parse(mask, column).map(Way::Masked).map_err(|message| {
            Fault::error(way.span.clone(), "invalid-mask", message).with_help(
                "write `clear`, `hidden`, a mask as grants do, a list of these where it depends on the row, or `conditional`",
            )
        }),
    }
    };
    ways.iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map(Expected::Ways)
}

/// Every way in which cells of a column are shown, most revealing first.
fn ways_of(access: &Access, column: &str) -> Vec<Way> {
    let Access::Granted(access) = access else {
        return vec![Way::Hidden];
    };
    let Some(column) = access.columns.iter().find(|it| it.name == column) else {
        return vec![Way::Hidden];
    };
    match &column.exposure {
        Exposure::Clear => vec![Way::Clear],
        Exposure::Cells(rules) => {
            let mut ways: Vec<Way> = rules
                .iter()
                .map(|rule| match &rule.reveal {
                    Reveal::Clear => Way::Clear,
                    Reveal::Masked(mask) => Way::Masked(mask.clone()),
                })
                .collect();
            if rules.last().is_none_or(|rule| rule.when.is_some()) {
                ways.push(Way::Hidden);
            }
            ways
        }
    }
}

fn describe(ways: &[Way]) -> String {
    let ways: Vec<String> = ways.iter().map(|way| format!("`{way}`")).collect();
    match ways.as_slice() {
        [only] => only.clone(),
        several => format!("{}, depending on the row", several.join(" or ")),
    }
}
