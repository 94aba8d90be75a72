//! A decision with everything that led to it, for those who answer for data.

mod words;

use chrono::{DateTime, Utc};
use weft_mesh::{Grantee, Purpose, TableId};

use crate::{
    Access, CellRule, ColumnMask, DenialReason, Exposure, Reveal, RowPredicate, Taken, Viewer,
    domain_policy::{TableGrant, TablePolicy},
};

/// Why one viewer sees of one table what they see.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The table.
    pub table: TableId,
    /// The decision itself, as queries get it.
    pub access: Access,
    /// Every column of the contract, in its order.
    pub columns: Vec<ColumnFinding>,
    /// Every grant on the table, by name.
    pub grants: Vec<GrantFinding>,
    /// Every guardrail on the table, in the order of the file.
    pub guardrails: Vec<GuardrailFinding>,
    /// The owner of the domain: whom to ask.
    pub owner: Option<String>,
    /// The stewards of the domain: who answers for its grants.
    pub stewards: Vec<Grantee>,
}

/// What is shown of one column, and why not more.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnFinding {
    /// The name in the contract.
    pub name: String,
    /// What is shown.
    pub outcome: Outcome,
    /// The active grants that give the column, by name.
    pub given_by: Vec<String>,
    /// The binding guardrails that take of it, by name.
    pub taken_by: Vec<String>,
}

/// What is shown of the cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The value on every visible row.
    Clear,
    /// What the mask leaves of it, on every visible row.
    Masked(ColumnMask),
    /// One of these on each row, the first that holds; NULL where none does.
    Conditional(Vec<CellRule>),
    /// NULL on every row: what gives it holds on none.
    Hidden,
    /// A guardrail takes it: to the viewer it does not exist.
    Denied,
    /// No active grant gives it, and one lets it be found: it can be asked for.
    Found,
    /// No active grant gives it: to the viewer it does not exist.
    NotGranted,
}

/// One grant on the table, and whether it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantFinding {
    /// The name in the domain.
    pub name: String,
    /// Whom it names.
    pub to: Vec<Grantee>,
    /// Which of these the viewer is.
    pub matched: Vec<Grantee>,
    /// Whether it counts.
    pub standing: Standing,
    /// The columns that it gives, each with its mask; none where it only lets
    /// the table be found.
    pub gives: Vec<(String, Option<ColumnMask>)>,
    /// The rows that it is for, as SQL; `None` is every row.
    pub rows: Option<RowPredicate>,
    /// The same for this viewer, where the grant names them.
    pub bound_rows: Option<RowPredicate>,
    /// From when on.
    pub from: Option<DateTime<Utc>>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Of which the session has to state one; empty asks for none.
    pub purposes: Vec<Purpose>,
}

/// Whether a grant counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// It names neither the viewer nor a group of theirs.
    OtherGrantee,
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYet,
    /// The session states none of its purposes.
    OtherPurpose,
}

/// One guardrail on the table, and whether it binds.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardrailFinding {
    /// The name in the mesh.
    pub name: String,
    /// Whether it binds the viewer.
    pub stands: Stands,
    /// What it takes where it binds.
    pub takes: Taken,
    /// The rows that it leaves, of one that takes rows.
    pub rows: Option<RowPredicate>,
    /// The least mask, of one that masks; columns that it does not fit are
    /// nullified.
    pub mask: Option<ColumnMask>,
}

/// Whether a guardrail binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// It does.
    Binding,
    /// The viewer is one of its exceptions.
    Excepted(Vec<Grantee>),
    /// It asks for a purpose, and the session states one.
    PurposeStated,
}

impl GrantFinding {
    /// `failed` is why the grant would not hold for the viewer, if it named them.
    pub(crate) fn of(
        grant: &TableGrant,
        policy: &TablePolicy,
        viewer: &Viewer,
        failed: Option<&DenialReason>,
        may_ask: &impl Fn(&TableId) -> bool,
    ) -> Self {
        let matched: Vec<Grantee> = grant
            .to
            .iter()
            .filter(|grantee| viewer.principal.is(grantee))
            .cloned()
            .collect();
        let standing = match failed {
            _ if matched.is_empty() => Standing::OtherGrantee,
            Some(DenialReason::Expired { .. }) => Standing::Expired,
            Some(DenialReason::NotYet { .. }) => Standing::NotYet,
            Some(_) => Standing::OtherPurpose,
            None => Standing::Active,
        };
        let gives = grant.columns.iter().filter_map(|at| {
            let column = policy.columns.get(*at)?;
            Some((column.name.clone(), grant.mask(*at).cloned()))
        });
        let rows = grant.rows.as_deref();
        let bound = |rows: &RowPredicate| rows.bind(viewer).asking(may_ask).where_true();
        Self {
            name: grant.name.to_string(),
            to: grant.to.to_vec(),
            bound_rows: rows.filter(|_| !matched.is_empty()).map(bound),
            matched,
            standing,
            gives: gives.collect(),
            rows: rows.cloned(),
            from: grant.from,
            until: grant.until,
            purposes: grant.purposes.to_vec(),
        }
    }

    /// Whether it gives no data, and lets the table be found.
    pub fn only_discovers(&self) -> bool {
        self.gives.is_empty()
    }

    fn gives(&self, column: &str) -> bool {
        self.gives.iter().any(|(given, _)| given == column)
    }
}

impl GuardrailFinding {
    fn takes_of(&self, column: &str) -> bool {
        self.stands == Stands::Binding
            && match &self.takes {
                Taken::Rows => false,
                Taken::Masked(columns)
                | Taken::Denied(columns)
                | Taken::WithoutPurpose(columns) => columns.iter().any(|it| it == column),
            }
    }
}

impl ColumnFinding {
    pub(crate) fn of(
        name: &str,
        access: &Access,
        is_found: bool,
        grants: &[GrantFinding],
        guardrails: &[GuardrailFinding],
    ) -> Self {
        let given = grants
            .iter()
            .filter(|it| it.standing == Standing::Active && it.gives(name));
        let given_by: Vec<String> = given.map(|it| it.name.clone()).collect();
        let taken = guardrails.iter().filter(|it| it.takes_of(name));
        let taken_by = taken.map(|it| it.name.clone()).collect();
        let seen = match access {
            Access::Granted(access) => access.columns.iter().find(|it| it.name == name),
            Access::Denied(_) => None,
        };
        let outcome = match seen {
            Some(seen) => Outcome::of(&seen.exposure),
            None if is_found => Outcome::Found,
            None if given_by.is_empty() => Outcome::NotGranted,
            None => Outcome::Denied,
        };
        Self {
            name: name.to_owned(),
            outcome,
            given_by,
            taken_by,
        }
    }
}

impl Outcome {
    fn of(exposure: &Exposure) -> Self {
        let Exposure::Cells(rules) = exposure else {
            return Self::Clear;
        };
        match rules.as_slice() {
            [] => Self::Hidden,
            [
                CellRule {
                    when: None,
                    reveal: Reveal::Masked(mask),
                },
            ] => Self::Masked(mask.clone()),
            rules => Self::Conditional(rules.to_vec()),
        }
    }

    /// Whether the column is there for queries of the viewer.
    pub fn is_visible(&self) -> bool {
        !matches!(self, Self::Found | Self::Denied | Self::NotGranted)
    }
}
