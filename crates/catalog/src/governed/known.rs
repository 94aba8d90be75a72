//! The tables that a viewer may know of: those to query, and those to find and
//! ask for.
//!
//! What is built here holds nothing that the viewer may not know, so that
//! nothing made of it can tell more.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use weft_mesh::{Column, ColumnSelection, GrantTarget, Grantee, Table, TableStatus};
use weft_policy::{Access, ColumnAccess, Exposure, GrantReason, Reveal, TableAccess, Viewer};

use super::table::hides_nothing;
use crate::mesh_snapshot::MeshSnapshot;
use crate::product::ProductTable;

/// A table in the words of somebody who may know that it exists.
#[derive(Debug)]
pub struct KnownTable<'a> {
    /// The SQL schema.
    pub domain: &'a str,
    /// The SQL name: `orders`, or `orders@1` for an older major version.
    pub name: String,
    pub product: &'a str,
    /// The version of the contract.
    pub version: &'a str,
    pub status: TableStatus,
    pub description: Option<&'a str>,
    pub tags: &'a BTreeSet<String>,
    pub owner: Option<&'a str>,
    pub stewards: &'a [Grantee],
    pub whom_to_ask: String,
    /// In the order of the contract, those that may be known.
    pub columns: Vec<KnownColumn<'a>>,
    /// What can be read; `None` for a table that can only be found.
    pub reading: Option<Reading>,
    /// The grants that let the viewer read or find it, each once.
    pub grants: Vec<GrantReason>,
    /// The contract, for names of columns alone.
    contract: &'a Table,
}

/// How a viewer reads a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whether no row is hidden.
    pub all_rows: bool,
    /// Only where nothing of the table is hidden: when files change tells of
    /// hidden rows and columns too.
    pub freshness: Option<Freshness>,
}

/// How new the data of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When the youngest of its files was written.
    pub last_modified: Option<DateTime<Utc>>,
    /// Whether the last look for newer data failed.
    pub is_stale: bool,
}

/// A column of a [`KnownTable`].
#[derive(Debug)]
pub struct KnownColumn<'a> {
    pub name: &'a str,
    /// What a query sees; of a column that none may read, the contract's.
    pub data_type: DataType,
    pub nullable: bool,
    pub description: Option<&'a str>,
    pub tags: &'a BTreeSet<String>,
    pub classification: Option<&'a str>,
    /// Classifications of what lies inside of a nested column.
    pub classifications_inside: &'a BTreeSet<String>,
    /// The place in the primary key, from 1, where all of the key may be known
    /// and none of it is masked.
    pub key_position: Option<u32>,
    pub shown: Shown,
}

/// What a query shows of the cells of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The value in every visible row.
    Clear,
    /// What the mask leaves of it, in every visible row.
    Masked(String),
    /// It depends on the row: these masks in some, the value or NULL in others.
    Conditional(Vec<String>),
    /// Nothing: there is no such column for a query.
    Hidden,
}

/// Every table that `viewer` may know of, in the order of the mesh.
pub fn known_tables<'a>(
    snapshot: &'a MeshSnapshot,
    viewer: &'a Viewer,
) -> impl Iterator<Item = KnownTable<'a>> {
    let products = snapshot.products().iter();
    products.filter_map(move |product| KnownTable::of(product, snapshot, viewer))
}

impl<'a> KnownTable<'a> {
    fn of(
        product: &'a Arc<ProductTable>,
        snapshot: &'a MeshSnapshot,
        viewer: &Viewer,
    ) -> Option<Self> {
        let (id, contract) = (product.id(), product.table());
        let policy = snapshot.policy();
        let domain = policy.domain(&id.domain)?;
        let found = policy.discover(viewer, id);
        let access = match policy.decide(viewer, id) {
            Access::Granted(access) => Some(access),
            Access::Denied(_) => None,
        };
        if found.is_none() && access.is_none() {
            return None;
        }
        let to_find = found.as_ref().map_or(&[][..], |found| &found.columns);
        let columns = known_columns(contract, access.as_ref(), to_find);
        let granted = access.iter().flat_map(|access| &access.grants);
        let finding = found.iter().flat_map(|found| &found.by);
        Some(Self {
            domain: id.domain.as_str(),
            name: contract.sql_names().into_iter().next()?,
            product: &contract.product,
            version: &contract.version,
            status: contract.status,
            description: contract.description.as_deref(),
            tags: &contract.tags,
            owner: domain.owner(),
            stewards: domain.stewards(),
            whom_to_ask: domain.whom_to_ask(),
            columns,
            reading: access.as_ref().map(|access| Reading {
                all_rows: access.rows.is_none(),
                freshness: hides_nothing(access, contract).then(|| Freshness {
                    last_modified: product.last_modified(),
                    is_stale: product.is_stale() || product.data().is_err(),
                }),
            }),
            grants: granted.chain(finding).cloned().collect(),
            contract,
        })
    }

    /// Whether a grant that is on tables of its domain is on this one.
    pub fn is_covered_by(&self, target: &GrantTarget) -> bool {
        target.covers(self.contract)
    }

    /// Of the columns that `selection` gives, those that may be known.
    pub fn columns_of(&self, selection: &ColumnSelection) -> Vec<&'a str> {
        let positions = selection.positions(self.contract).into_iter();
        let names = positions.filter_map(|at| self.contract.columns.get(at));
        names
            .filter_map(|given| self.columns.iter().find(|it| it.name == given.name))
            .map(|column| column.name)
            .collect()
    }
}

/// The columns of `contract` that can be read, and those at the positions
/// `to_find`.
fn known_columns<'a>(
    contract: &'a Table,
    access: Option<&TableAccess>,
    to_find: &[usize],
) -> Vec<KnownColumn<'a>> {
    let read = |at: usize| {
        let mut columns = access?.columns.iter();
        columns.find(|column| column.index == at)
    };
    let mut columns: Vec<KnownColumn<'a>> = Vec::new();
    for (at, column) in contract.columns.iter().enumerate() {
        match read(at) {
            Some(access) => columns.push(known_column(column, Some(access))),
            None if to_find.contains(&at) => columns.push(known_column(column, None)),
            None => {}
        }
    }
    // A key of which a part is hidden would tell that there is one.
    let key = contract.primary_key();
    let is_known = |part: &Column| {
        let mut known = columns.iter();
        known.any(|it| it.name == part.name && matches!(it.shown, Shown::Clear | Shown::Hidden))
    };
    if key.iter().all(|part| is_known(part)) {
        for (part, position) in key.iter().zip(1..) {
            if let Some(column) = columns.iter_mut().find(|it| it.name == part.name) {
                column.key_position = Some(position);
            }
        }
    }
    columns
}

fn known_column<'a>(column: &'a Column, access: Option<&ColumnAccess>) -> KnownColumn<'a> {
    let (data_type, nullable) = match access {
        Some(access) => (access.data_type.clone(), access.nullable),
        None => (column.data_type.clone(), !column.required),
    };
    KnownColumn {
        name: &column.name,
        data_type,
        nullable,
        description: column.description.as_deref(),
        tags: &column.tags,
        classification: column.classification.as_deref(),
        classifications_inside: &column.inside.classifications,
        key_position: None,
        shown: access.map_or(Shown::Hidden, shown),
    }
}

fn shown(access: &ColumnAccess) -> Shown {
    let Exposure::Cells(rules) = &access.exposure else {
        return Shown::Clear;
    };
    if let [only] = rules.as_slice()
        && only.when.is_none()
        && let Reveal::Masked(mask) = &only.reveal
    {
        return Shown::Masked(mask.to_string());
    }
    let masks = rules.iter().filter_map(|rule| match &rule.reveal {
        Reveal::Masked(mask) => Some(mask.to_string()),
        Reveal::Clear => None,
    });
    Shown::Conditional(masks.collect())
}
