//! One table as two contracts declare it: which columns are the same, and
//! whether it is the same data.
//!
//! A column is where its values lie, whatever it is called: one that is renamed
//! over the same data is still itself, and one of the same name over other data
//! is another.

use std::path::Path;

use weft_mesh::{Column, Domain, Format, StorageUrl, Table};

/// A table of both sides, or of one.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    pub(super) old: Option<&'a Table>,
    pub(super) new: Option<&'a Table>,
    /// Every column of either, those of the new contract first.
    pub(super) columns: Vec<Pair>,
    /// Where the data was and is, where that is not one place.
    pub(super) moved: Option<(String, String)>,
    /// Whether nothing at all is different of what a decision or its meaning
    /// depends on, but marks.
    pub(super) is_same: bool,
    /// Whether what is looked up in it is the same: its rows, and the columns
    /// at the places where they were.
    pub(super) answers_the_same: bool,
    /// By position in each contract: the number of the column, in predicates.
    numbers: [Vec<usize>; 2],
}

/// The positions of one column in both contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) old: Option<usize>,
    pub(super) new: Option<usize>,
}

/// A table with the domain and mesh that it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) table: &'a Table,
    pub(super) domain: &'a Domain,
    /// The folder of the mesh, which the other mesh may have elsewhere.
    pub(super) folder: &'a Path,
}

impl<'a> Ground<'a> {
    pub(super) fn of(old: Option<Placed<'a>>, new: Option<Placed<'a>>) -> Self {
        let columns_of =
            |placed: Option<Placed<'a>>| placed.map_or(&[][..], |it| &it.table.columns);
        let (before, after) = (columns_of(old), columns_of(new));
        let keys = |placed: Option<Placed<'_>>| placed.map(|it| keys(it.table)).unwrap_or_default();
        let (old_keys, new_keys) = (keys(old), keys(new));
        let mut partners = partners(before, &old_keys, after, &new_keys);
        let mut columns: Vec<Pair> = Vec::new();
        for (at, partner) in partners.iter().enumerate() {
            columns.push(Pair {
                old: *partner,
                new: Some(at),
            });
        }
        for at in 0..before.len() {
            if !partners.contains(&Some(at)) {
                columns.push(Pair {
                    old: Some(at),
                    new: None,
                });
            }
        }
        // A column of another type is another one to a predicate: a comparison
        // with it need not mean the same.
        for (at, partner) in partners.iter_mut().enumerate() {
            let type_of = |columns: &[Column], at: usize| {
                columns.get(at).map(|column| column.data_type.clone())
            };
            if partner.is_some_and(|old| type_of(before, old) != type_of(after, at)) {
                *partner = None;
            }
        }
        let mut old_numbers: Vec<usize> = (after.len()..after.len() + before.len()).collect();
        for (at, partner) in partners.iter().enumerate() {
            if let Some(number) = partner.and_then(|old| old_numbers.get_mut(old)) {
                *number = at;
            }
        }
        let moved = match (old, new) {
            (Some(old), Some(new)) => {
                let (old, new) = (place(old), place(new));
                (old != new).then_some((old, new))
            }
            (None, _) | (_, None) => None,
        };
        let is_same = old.is_some()
            && new.is_some()
            && moved.is_none()
            && before.len() == after.len()
            && before
                .iter()
                .zip(after)
                .all(|(old, new)| is_equal(old, new))
            && old_keys == new_keys;
        let at_their_places = || {
            let columns = before
                .iter()
                .zip(&old_keys)
                .zip(after.iter().zip(&new_keys));
            let mut columns = columns.map(|((old, old_key), (new, new_key))| {
                old.data_type == new.data_type && old_key == new_key
            });
            columns.all(|same| same)
        };
        let answers_the_same =
            old.is_some() && new.is_some() && moved.is_none() && at_their_places();
        Self {
            answers_the_same,
            old: old.map(|it| it.table),
            new: new.map(|it| it.table),
            columns,
            moved,
            is_same,
            numbers: [old_numbers, (0..after.len()).collect()],
        }
    }

    /// The number of the column at a position of the old contract.
    pub(super) fn old_number(&self, at: usize) -> usize {
        let [old, _] = &self.numbers;
        old.get(at).copied().unwrap_or(usize::MAX)
    }

    /// The number of the column at a position of the new contract.
    pub(super) fn new_number(&self, at: usize) -> usize {
        let [_, new] = &self.numbers;
        new.get(at).copied().unwrap_or(usize::MAX)
    }
}

/// For each new column the old one over the same data: first of the same name,
/// then in declared order.
fn partners(
    before: &[Column],
    old_keys: &[String],
    after: &[Column],
    new_keys: &[String],
) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = vec![None; after.len()];
    for same_name in [true, false] {
        for (at, (column, key)) in after.iter().zip(new_keys).enumerate() {
            if found.get(at) != Some(&None) {
                continue;
            }
            let partner =
                before
                    .iter()
                    .zip(old_keys)
                    .enumerate()
                    .position(|(old, (candidate, old_key))| {
                        key == old_key
                            && (!same_name || candidate.name == column.name)
                            && !found.contains(&Some(old))
                    });
            if let Some(slot) = found.get_mut(at) {
                *slot = partner;
            }
        }
    }
    found
}

/// Where the values of each column lie in the files.
fn keys(table: &Table) -> Vec<String> {
    let by_position = matches!(&table.source.format, Format::Csv(csv) if !csv.header);
    let mut position = 0;
    let columns = table.columns.iter();
    columns
        .map(|column| match column.partition {
            Some(place) => format!("folder {} {place}", column.physical_name),
            None if by_position => {
                position += 1;
                format!("field {position}")
            }
            None => format!("column {}", column.physical_name),
        })
        .collect()
}

fn is_equal(old: &Column, new: &Column) -> bool {
    (&old.name, &old.data_type, old.required) == (&new.name, &new.data_type, new.required)
}

/// Where the files of a table are and how they are read. A folder inside of the
/// mesh is named from there: two checkouts of one mesh are at two places.
fn place(placed: Placed<'_>) -> String {
    let source = &placed.table.source;
    let root = match placed.domain.storage(&source.storage) {
        None => source.storage.to_string(),
        Some(storage) => {
            let url = match &storage.url {
                StorageUrl::Local { root } => match root.strip_prefix(placed.folder) {
                    Ok(inside) => format!("{}", inside.display()),
                    Err(_) => format!("{}", root.display()),
                },
                StorageUrl::S3 { bucket, prefix } => {
                    let segments: Vec<&str> = [bucket.as_str()]
                        .into_iter()
                        .chain(prefix.iter().map(String::as_str))
                        .collect();
                    format!("s3://{}", segments.join("/"))
                }
            };
            let options = storage.options.iter();
            let options: Vec<String> = options
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            if options.is_empty() {
                url
            } else {
                format!("{url} ({})", options.join(", "))
            }
        }
    };
    let format = match &source.format {
        Format::Parquet => "parquet".to_owned(),
        Format::Csv(csv) => format!(
            "csv, header {}, delimiter {:?}, quote {:?}, null {:?}, {:?}",
            csv.header,
            char::from(csv.delimiter),
            char::from(csv.quote),
            csv.null,
            csv.compression
        ),
        Format::Json(json) => format!("json, {:?}, {:?}", json.layout, json.compression),
    };
    format!("{} below {root} as {format}", source.location)
}
