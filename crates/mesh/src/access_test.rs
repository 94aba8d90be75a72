//! Tests of access as a domain keeps them beside its grants: who looks at what,
//! and what they should see.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::fault::{Span, Spanned};
use crate::grant::Grantee;
use crate::name::{DomainName, Purpose, TableId};

/// One file of `accessTests`.
#[derive(Debug, Clone)]
pub struct AccessTestFile {
    /// Whose tests they are.
    pub domain: DomainName,
    /// Rows that stand in for the sources of tables, in every test of the file.
    pub fixtures: Vec<Fixture>,
    pub tests: Vec<AccessTest>,
}

/// Rows in place of what a table's source holds.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub table: Spanned<TableId>,
    /// Defaults are filled in; a column that a row does not name is NULL.
    pub rows: Vec<TestRow>,
}

/// One look at the mesh, and what should come of it.
#[derive(Debug, Clone)]
pub struct AccessTest {
    /// Unique among the tests of its domain.
    pub name: Spanned<String>,
    pub viewer: TestViewer,
    /// When; now, where it is not said.
    pub now: Option<DateTime<Utc>>,
    pub subject: TestSubject,
    pub expect: TestExpectation,
}

/// Who looks, and for what.
#[derive(Debug, Clone)]
pub struct TestViewer {
    pub principal: TestPrincipal,
    pub purpose: Option<Purpose>,
}

/// Somebody of the identity file, or somebody who is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestPrincipal {
    /// A user or a service that the mesh knows.
    Known(Grantee),
    Described {
        /// A user or a service; nobody in particular, where it is not said.
        name: Option<Grantee>,
        groups: BTreeSet<String>,
        attributes: BTreeMap<String, String>,
    },
}

/// What is looked at.
#[derive(Debug, Clone)]
pub enum TestSubject {
    /// A whole table.
    Table {
        table: TableId,
        /// What SQL calls it: `orders` or `orders@1`.
        sql_name: String,
    },
    /// A statement, with the domain before every table's name.
    Sql(Spanned<String>),
}

/// What should come of a look.
#[derive(Debug, Clone)]
pub enum TestExpectation {
    /// A refusal: that it does not exist for them, or one with these words.
    Denied(Option<Spanned<String>>),
    Shown(Box<TestShown>),
}

/// What should be seen; all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct TestShown {
    /// Exactly these columns in this order.
    pub columns: Option<Spanned<Vec<String>>>,
    pub count: Option<Spanned<u64>>,
    /// Exactly these rows; all name the same columns, and others are not looked at.
    pub rows: Option<Spanned<Vec<TestRow>>>,
    /// At least these rows, each by the columns that it names.
    pub contains: Vec<TestRow>,
    /// No row like any of these.
    pub without: Vec<TestRow>,
    /// How the cells of columns are shown: masks as grants write them, `clear`
    /// and `hidden`; several where it depends on the row, or `conditional`.
    pub masked: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
}

/// Cells by column, in the order of the file.
#[derive(Debug, Clone)]
pub struct TestRow {
    pub cells: Vec<(Spanned<String>, Spanned<TestValue>)>,
    pub span: Span,
}

impl TestRow {
    /// The value that the row gives a column.
    pub fn cell(&self, column: &str) -> Option<&Spanned<TestValue>> {
        let mut cells = self.cells.iter();
        cells
            .find(|(name, _)| name.value == column)
            .map(|(_, value)| value)
    }
}

/// A value as a manifest writes it; the column that it is held against has the
/// type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestValue {
    Null,
    /// A text, a number, a date, a boolean: as it is written.
    Scalar(String),
    List(Vec<TestValue>),
    /// Of a struct or a map.
    Mapping(Vec<(String, TestValue)>),
}

/// What the mesh asks of its domains.
#[derive(Debug, Clone, Default)]
pub struct Requirements {
    /// Tables with a column of one of these classifications, itself or inside,
    /// need an access test.
    pub access_tests: Vec<Spanned<String>>,
}
