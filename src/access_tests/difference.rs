//! Expected and found rows as one table for people.

use std::fmt::Write as _;

/// So many lines are shown of each kind.
const MOST: usize = 12;

/// Rows of which some were expected, some found, some both.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) names: Vec<String>,
    pub(crate) lines: Vec<Line>,
}

/// In an order that brings together what looks alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    cells: Vec<String>,
    sign: Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sign {
    Expected,
    Found,
    Both,
}

impl Line {
    pub(crate) fn new(sign: Sign, cells: impl Iterator<Item = String>) -> Self {
        Self {
            sign,
            cells: cells.collect(),
        }
    }
}

impl Difference {
    /// A line for each row, `-` where it is missing and `+` where it is too much.
    pub(crate) fn render(&self) -> String {
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        let mut left = [MOST, MOST, 3];
        let mut hidden = [0, 0, 0];
        lines.retain(|line| {
            let kind = line.sign as usize;
            let (Some(left), Some(hidden)) = (left.get_mut(kind), hidden.get_mut(kind)) else {
                return false;
            };
            if *left == 0 {
                *hidden += 1;
                return false;
            }
            *left -= 1;
            true
        });
        let width = |at: usize, name: &str| {
            let cells = lines.iter().filter_map(|line| line.cells.get(at));
            cells
                .map(|cell| cell.chars().count())
                .chain([name.chars().count()])
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = self
            .names
            .iter()
            .enumerate()
            .map(|(at, name)| width(at, name))
            .collect();
        let mut text = row(' ', &self.names, &widths);
        for line in lines {
            let sign = match line.sign {
                Sign::Expected => '-',
                Sign::Found => '+',
                Sign::Both => ' ',
            };
            text.push_str(&row(sign, &line.cells, &widths));
        }
        for (count, what) in hidden.iter().zip(["expected", "found", "in both"]) {
            if *count > 0 {
                let _ = writeln!(text, "… and {count} more {what}");
            }
        }
        text
    }
}

fn row(sign: char, cells: &[String], widths: &[usize]) -> String {
    let mut line = sign.to_string();
    for (cell, width) in cells.iter().zip(widths.iter().copied()) {
        let _ = write!(line, "  {cell:<width$}");
    }
    format!("{}\n", line.trim_end())
}
