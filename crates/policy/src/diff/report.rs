//! What is told of a difference.

use std::{
    collections::BTreeSet,
    fmt,
    ops::{BitOr, BitOrAssign},
};

use chrono::{DateTime, Utc};
use weft_mesh::{Purpose, TableId};

use crate::PrincipalId;

/// Whether something shows more, less, both or neither. What is not shown to
/// be neither counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Direction {
    /// Something may be seen that could not.
    pub gain: bool,
    /// Something may not be seen that could.
    pub loss: bool,
}

/// All that differs between two states of a mesh.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MeshDiff {
    /// What is not about one table: identities, who may act for whom,
    /// stewards and auditors, tables that are kept apart.
    pub rights: Vec<RightChange>,
    /// What contracts say otherwise; of itself it gives and takes nothing.
    pub contracts: Vec<ContractChange>,
    /// Who sees more or less of which tables.
    pub accesses: Vec<AccessChange>,
    /// How much was compared.
    pub compared: Compared,
    /// The purposes that either state names; any other is [`Stated::Other`].
    pub purposes: BTreeSet<Purpose>,
}

/// How much was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Tables of either state.
    pub tables: usize,
    /// Principals of either identity file, and those that grants name.
    pub principals: usize,
    /// Groups of either state; each is one member of that group alone.
    pub groups: usize,
}

/// Whose view is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Any authenticated principal, in no group.
    Everyone,
    /// A member of this group and of no other, whatever their name and
    /// attributes.
    Group(String),
    /// Somebody of the identity file, or whom a grant or guardrail names.
    Principal(PrincipalId),
}

/// What a session states that its data is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stated {
    /// No purpose.
    Nothing,
    /// One that a grant or a predicate names.
    Named(Purpose),
    /// Any purpose that nothing names.
    Other,
}

/// The same change of some tables for some subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// The tables.
    pub tables: BTreeSet<TableId>,
    /// Whose view changes so.
    pub subjects: BTreeSet<Subject>,
    /// For which purposes; empty for every one, and for none.
    pub purposes: BTreeSet<Stated>,
    /// From when on; `None` is at once.
    pub from: Option<DateTime<Utc>>,
    /// Until when; `None` is for good.
    pub until: Option<DateTime<Utc>>,
    /// What changes.
    pub change: TableChange,
    /// What of the manifests makes the change, as far as it has a name.
    pub because: BTreeSet<Cause>,
}

/// What of the manifests is otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// What it is.
    pub kind: CauseKind,
    /// Its name; a grant's with its domain.
    pub name: String,
    /// What has become of it, for whom it is about.
    pub fate: Fate,
}

/// What can be the cause of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CauseKind {
    /// A grant of a domain.
    Grant,
    /// A guardrail of the mesh.
    Guardrail,
    /// The contract of the table.
    Contract,
    /// Groups or attributes of the identity file.
    Identity,
}

/// What has become of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It is new, or applies now.
    Added,
    /// It is gone, or no longer applies.
    Removed,
    /// It says something else.
    Changed,
}

/// What changes of one table for one viewer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableChange {
    /// What the table was and is to them.
    pub presence: (Presence, Presence),
    /// The names of columns that can be found, and could not, or can be no
    /// more; without those that are seen.
    pub found: (BTreeSet<String>, BTreeSet<String>),
    /// Where the data was and is, where it is other data.
    pub moved: Option<(String, String)>,
    /// The rows, if they are not shown to be the same.
    pub rows: Option<RowsChange>,
    /// The columns of which something else is seen.
    pub columns: Vec<ColumnChange>,
}

/// What a table is to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// It does not exist.
    Hidden,
    /// It can be found and asked for.
    Found,
    /// It can be queried.
    Granted,
}

/// Which rows are seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowsChange {
    /// Both, where neither condition is shown to imply the other.
    pub direction: Direction,
    /// The condition before, `None` without a table.
    pub old: Option<String>,
    /// The condition after, `None` without a table.
    pub new: Option<String>,
}

/// What is seen of a column, on rows that are seen before and after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnChange {
    /// Both, where neither is shown to tell all that the other does.
    pub direction: Direction,
    /// Before; `None` where the column was not there.
    pub old: Option<ColumnView>,
    /// After; `None` where the column is not there.
    pub new: Option<ColumnView>,
}

/// A column as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: String,
    /// Whether a visible cell can be NULL.
    pub nullable: bool,
    /// What is shown, in words: `clear`, `hash`, `clear where …; hash where …`.
    pub shown: String,
}

/// A change of a right that is not about one table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RightChange {
    /// Whether somebody may do more or less.
    pub direction: Direction,
    /// What it is about.
    pub kind: RightKind,
    /// Whose right it is.
    pub subjects: BTreeSet<Subject>,
    /// The right, in words that follow the subjects.
    pub what: String,
}

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RightKind {
    /// Who there is, their groups and attributes.
    Identity,
    /// Who may act for whom.
    Impersonation,
    /// Who answers for a domain.
    Steward,
    /// Who answers for the mesh.
    Auditor,
    /// Which tables one query may read.
    Combination,
    /// Which tables the predicates of other domains may ask.
    Entitlement,
    /// What concerns the mesh as a whole.
    Mesh,
}

/// What a contract says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractChange {
    /// The table.
    pub table: TableId,
    /// What is otherwise, in words.
    pub what: String,
}

impl MeshDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.rights.is_empty() && self.contracts.is_empty() && self.accesses.is_empty()
    }

    /// Whether anybody may see more or less, now or later.
    pub fn direction(&self) -> Direction {
        let rights = self.rights.iter().map(|it| it.direction);
        let accesses = self.accesses.iter().map(|it| it.change.direction());
        rights
            .chain(accesses)
            .fold(Direction::default(), BitOr::bitor)
    }

    /// What changes of a table for one subject, who states this.
    pub fn changes_for<'a>(
        &'a self,
        subject: &'a Subject,
        stated: &'a Stated,
        table: &'a TableId,
    ) -> impl Iterator<Item = &'a AccessChange> {
        let stated = match stated {
            Stated::Named(purpose) if !self.purposes.contains(purpose) => &Stated::Other,
            Stated::Named(_) | Stated::Other | Stated::Nothing => stated,
        };
        self.accesses.iter().filter(move |change| {
            change.tables.contains(table)
                && change.subjects.contains(subject)
                && (change.purposes.is_empty() || change.purposes.contains(stated))
        })
    }
}

impl TableChange {
    /// Whether anything shows more or less.
    pub fn direction(&self) -> Direction {
        let (before, after) = self.presence;
        let (found, no_longer) = &self.found;
        let mut direction = Direction {
            gain: after > before || !found.is_empty(),
            loss: after < before || !no_longer.is_empty(),
        };
        if self.moved.is_some() {
            direction |= Direction::BOTH;
        }
        if let Some(rows) = &self.rows {
            direction |= rows.direction;
        }
        for column in &self.columns {
            direction |= column.direction;
        }
        direction
    }
}

impl Direction {
    /// More in one way and less in another, or not known.
    pub const BOTH: Self = Self {
        gain: true,
        loss: true,
    };
    /// More.
    pub const GAIN: Self = Self {
        gain: true,
        loss: false,
    };
    /// Less.
    pub const LOSS: Self = Self {
        gain: false,
        loss: true,
    };
    /// Neither.
    pub const NEITHER: Self = Self {
        gain: false,
        loss: false,
    };
}

impl BitOr for Direction {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            gain: self.gain || other.gain,
            loss: self.loss || other.loss,
        }
    }
}

impl BitOrAssign for Direction {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Principal(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no purpose"),
            Self::Named(purpose) => purpose.fmt(f),
            Self::Other => f.write_str("any other purpose"),
        }
    }
}
