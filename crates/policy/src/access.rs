//! The decision for one principal on one table, with its reasons.

use std::{collections::BTreeSet, sync::Arc};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use weft_mesh::{Grantee, Purpose, TableId};

use crate::{ColumnMask, Entitlement, RowPredicate, canonical::Canonical};

/// What a principal may do with a table.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "short-lived, and most decisions grant"
)]
pub enum Access {
    /// At least one grant is active: what can be seen.
    Granted(TableAccess),
    /// No grant is active: to the principal the table does not exist.
    Denied(Denial),
}

/// What one principal sees of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableAccess {
    /// The table.
    pub table: TableId,
    /// Which rows are visible, bound to the principal; `None` is every row. A
    /// row is visible where the predicate is TRUE, neither FALSE nor NULL.
    pub rows: Option<RowPredicate>,
    /// The visible columns in the order of the contract. A contract column
    /// that is not among them does not exist.
    pub columns: Vec<ColumnAccess>,
    /// The active grants that made the decision, by name.
    pub grants: Vec<GrantReason>,
    /// The guardrails that took something away, by name.
    pub guardrails: Vec<GuardrailReason>,
    /// When the decision next changes by the clock alone: the earliest `until`
    /// of an active grant or `from` of one to come.
    pub valid_until: Option<DateTime<Utc>>,
}

/// A visible column as the principal sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnAccess {
    /// The name in the contract.
    pub name: String,
    /// The position in the contract's columns.
    pub index: usize,
    /// The authorised type: what leaves the scan. `Utf8` where the cells of
    /// one column have different types, an integer in clear on some rows and
    /// hashed on others: then integers appear as decimal text.
    pub data_type: DataType,
    /// Whether a visible cell can be NULL.
    pub nullable: bool,
    /// What is shown of each cell.
    pub exposure: Exposure,
}

/// What is shown of the cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Exposure {
    /// The raw value on every visible row.
    Clear,
    /// The arms of a CASE in order, without ELSE: a visible row that no arm
    /// matches has NULL.
    Cells(Vec<CellRule>),
}

/// One arm of a column's CASE.
#[derive(Debug, Clone, PartialEq)]
pub struct CellRule {
    /// Where the arm applies, over the raw row; `None` is everywhere.
    pub when: Option<RowPredicate>,
    /// What it shows.
    pub reveal: Reveal,
}

/// What an arm shows of the raw value.
#[derive(Debug, Clone, PartialEq)]
pub enum Reveal {
    /// The value itself.
    Clear,
    /// What the mask leaves of it.
    Masked(ColumnMask),
}

/// A grant that took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantReason {
    /// The name of the grant in its domain.
    pub grant: String,
    /// Which of its grantees the principal is.
    pub to: Vec<Grantee>,
    /// When it ends.
    pub until: Option<DateTime<Utc>>,
}

/// A guardrail that bound a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuardrailReason {
    /// The name of the guardrail in the mesh.
    pub guardrail: String,
    /// What it took.
    pub taken: Taken,
}

/// What a guardrail took of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// Rows where its predicate is not TRUE.
    Rows,
    /// What its mask does not show of these columns, by name.
    Masked(Vec<String>),
    /// These columns, by name.
    Denied(Vec<String>),
    /// These columns, by name, because the session states no purpose.
    WithoutPurpose(Vec<String>),
}

/// Why a table does not exist for a principal. For audit and explanations, not
/// for the client: it reads the same as for a name that never existed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// At least one reason, in a stable order.
    pub reasons: Vec<DenialReason>,
    /// The grants by which the table can be found and asked for all the same,
    /// in a stable order. Empty: it does not exist.
    pub discovered_by: Vec<GrantReason>,
    /// When the denial next changes by the clock alone: the earliest `from` of
    /// a grant to come, or `until` of one by which the table is found.
    pub valid_until: Option<DateTime<Utc>>,
}

/// One reason for a denial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenialReason {
    /// No served domain has this table.
    UnknownTable,
    /// No grant on the table names the principal or one of its groups.
    NoGrant,
    /// A grant would have given access until it ended.
    Expired {
        /// The name of the grant.
        grant: String,
        /// When it ended.
        until: DateTime<Utc>,
    },
    /// A grant will give access.
    NotYet {
        /// The name of the grant.
        grant: String,
        /// When it begins.
        from: DateTime<Utc>,
    },
    /// A grant gives access to a session that states one of its purposes.
    OtherPurpose {
        /// The name of the grant.
        grant: String,
        /// What the session could state.
        purposes: Vec<Purpose>,
    },
    /// A guardrail took the columns that were granted.
    Guardrail(GuardrailReason),
}

impl TableAccess {
    /// The tables that the policy looks membership up in.
    pub fn lookups(&self) -> BTreeSet<TableId> {
        let mut tables = BTreeSet::new();
        let mut note = |_: &_, entitlement: &Entitlement| {
            tables.insert(entitlement.table.clone());
        };
        if let Some(rows) = &self.rows {
            rows.for_each_entitlement(&mut note);
        }
        for column in &self.columns {
            if let Exposure::Cells(rules) = &column.exposure {
                for when in rules.iter().filter_map(|rule| rule.when.as_ref()) {
                    when.for_each_entitlement(&mut note);
                }
            }
        }
        tables
    }

    /// The visible columns, as a query finds them.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields = self.columns.iter();
        let fields = fields.map(|it| Field::new(&it.name, it.data_type.clone(), it.nullable));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// SHA-256 over everything that decides what is visible: table, rows,
    /// columns, exposures and types. Neither the names of grants nor their
    /// order nor the time enters.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encoded().as_bytes()).into()
    }

    /// Bytes that it takes to write down what the digest is made of: what it
    /// takes in memory is a small multiple.
    pub fn written_size(&self) -> usize {
        self.encoded().as_bytes().len()
    }

    fn encoded(&self) -> Canonical {
        let mut out = Canonical::new("weft table access v1");
        out.text(&self.table.to_string());
        out.number(self.table.major);
        out.optional(self.rows.as_ref(), |out, rows| rows.encode(out));
        out.list(&self.columns, |out, column| column.encode(out));
        out
    }
}

impl ColumnAccess {
    fn encode(&self, out: &mut Canonical) {
        out.text(&self.name);
        out.number(self.index as u64);
        out.data_type(&self.data_type);
        out.boolean(self.nullable);
        match &self.exposure {
            Exposure::Clear => out.tag("clear"),
            Exposure::Cells(rules) => {
                out.tag("cells");
                out.list(rules, |out, rule| {
                    out.optional(rule.when.as_ref(), |out, when| when.encode(out));
                    match &rule.reveal {
                        Reveal::Clear => out.tag("clear"),
                        Reveal::Masked(mask) => {
                            out.tag("masked");
                            mask.encode(out);
                        }
                    }
                });
            }
        }
    }
}
