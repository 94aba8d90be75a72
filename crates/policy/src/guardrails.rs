//! The mesh's guardrails, held against the contracts of its domains: which
//! columns of which tables they are on, masks fitted to types, predicates
//! typed.
//!
//! They only take away. Where one cannot be held against a table it is on, it
//! takes more, never less: a mask that does not fit is `nullify`, a predicate
//! that does not is FALSE.

mod compile;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use weft_mesh::{Domain, Fault, Grantee, GuardrailManifest, TableId, TablePattern};

use self::compile::Compiler;
use crate::{ColumnMask, GuardrailReason, RowPredicate, Taken, Viewer};

/// All guardrails of a mesh in the form that decisions are made from. They
/// depend on the manifests alone.
#[derive(Default)]
pub struct Guardrails {
    tables: HashMap<TableId, Vec<TableGuardrail>>,
    combinations: Vec<Combination>,
    warnings: Vec<Fault>,
}

/// A guardrail's name, and whom it does not bind.
struct Rule {
    name: String,
    except: Vec<Grantee>,
}

/// What one guardrail takes of one table.
struct TableGuardrail {
    rule: Arc<Rule>,
    takes: Takes,
}

enum Takes {
    Rows(RowPredicate),
    /// The floor of each column, ascending by position.
    Masks(Vec<(usize, ColumnMask)>),
    Columns(Vec<usize>),
    ColumnsWithoutPurpose(Vec<usize>),
}

/// Sides of which a query may read one.
struct Combination {
    rule: Rule,
    sides: Vec<TablePattern>,
}

/// What the guardrails leave of a table to one viewer.
#[derive(Default)]
pub(crate) struct Limits {
    /// What has to be TRUE of a row, bound to the viewer.
    pub(crate) rows: Vec<RowPredicate>,
    floors: HashMap<usize, ColumnMask>,
    denied: BTreeSet<usize>,
    /// In no order.
    pub(crate) reasons: Vec<GuardrailReason>,
}

/// A query that reads from two sides that a guardrail keeps apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForbiddenCombination {
    /// The name of the guardrail.
    pub guardrail: String,
    /// A table of one side.
    pub one: TableId,
    /// A table of another.
    pub other: TableId,
}

impl Guardrails {
    /// Holds the guardrails of a mesh against the tables of its domains.
    ///
    /// # Errors
    /// Masks that do not exist and predicates that are no sound text. What
    /// only does not fit some table is a warning, and takes more there.
    pub fn compile(
        manifests: &[GuardrailManifest],
        domains: &[&Domain],
    ) -> Result<Self, Vec<Fault>> {
        let mut compiler = Compiler::new(domains);
        for manifest in manifests {
            compiler.add(manifest);
        }
        compiler.finish()
    }

    /// Where guardrails touch nothing, or do not fit.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// What is left of a table to `viewer`; `column` names a position.
    pub(crate) fn limits(
        &self,
        table: &TableId,
        viewer: &Viewer,
        column: impl Fn(usize) -> String,
    ) -> Limits {
        let mut limits = Limits::default();
        for guardrail in self.tables.get(table).into_iter().flatten() {
            if guardrail.rule.excepts(viewer) {
                continue;
            }
            let names = |positions: &[usize]| positions.iter().map(|at| column(*at)).collect();
            let taken = match &guardrail.takes {
                Takes::Rows(rows) => {
                    limits.rows.push(rows.bind(viewer).where_true());
                    Taken::Rows
                }
                Takes::Masks(masks) => {
                    for (at, mask) in masks {
                        limits.lower(*at, mask);
                    }
                    Taken::Masked(masks.iter().map(|(at, _)| column(*at)).collect())
                }
                Takes::Columns(columns) => {
                    limits.denied.extend(columns);
                    Taken::Denied(names(columns))
                }
                Takes::ColumnsWithoutPurpose(columns) if viewer.purpose.is_none() => {
                    limits.denied.extend(columns);
                    Taken::WithoutPurpose(names(columns))
                }
                Takes::ColumnsWithoutPurpose(_) => continue,
            };
            limits.reasons.push(GuardrailReason {
                guardrail: guardrail.rule.name.clone(),
                taken,
            });
        }
        limits
    }

    /// Whether a guardrail keeps some of these tables, read by one query,
    /// apart. Of several, the first in the order of the file.
    pub(crate) fn forbidden_combination(
        &self,
        viewer: &Viewer,
        tables: &BTreeSet<TableId>,
    ) -> Option<ForbiddenCombination> {
        let mut binding = self
            .combinations
            .iter()
            .filter(|combination| !combination.rule.excepts(viewer));
        binding.find_map(|combination| {
            let (one, other) = combination.two_sides(tables)?;
            Some(ForbiddenCombination {
                guardrail: combination.rule.name.clone(),
                one,
                other,
            })
        })
    }
}

impl Combination {
    /// Two different tables of two different sides. A product that is on both
    /// sides in all its versions may still be read alone.
    fn two_sides(&self, tables: &BTreeSet<TableId>) -> Option<(TableId, TableId)> {
        for (at, side) in self.sides.iter().enumerate() {
            for opposite in self.sides.iter().skip(at + 1) {
                let on_both = |it: &TableId| side.matches(it) && opposite.matches(it);
                for one in tables.iter().filter(|it| side.matches(it)) {
                    let alone = |other: &TableId| {
                        (&one.domain, &one.table) == (&other.domain, &other.table)
                            && on_both(one)
                            && on_both(other)
                    };
                    let mut others = tables.iter().filter(|it| opposite.matches(it));
                    if let Some(other) = others.find(|other| *other != one && !alone(other)) {
                        return Some((one.clone(), other.clone()));
                    }
                }
            }
        }
        None
    }
}

impl Rule {
    fn excepts(&self, viewer: &Viewer) -> bool {
        self.except
            .iter()
            .any(|grantee| viewer.principal.is(grantee))
    }
}

impl Limits {
    /// Of two floors on a column the less revealing holds.
    fn lower(&mut self, column: usize, mask: &ColumnMask) {
        let floor = self.floors.entry(column).or_insert_with(|| mask.clone());
        if mask.cmp_revealing(floor).is_gt() {
            *floor = mask.clone();
        }
    }

    /// The most that is shown of a column; `None` is all.
    pub(crate) fn floor(&self, column: usize) -> Option<&ColumnMask> {
        self.floors.get(&column)
    }

    pub(crate) fn is_denied(&self, column: usize) -> bool {
        self.denied.contains(&column)
    }
}

/// Shows how much there is, not what it says.
impl std::fmt::Debug for Guardrails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guardrails")
            .field("tables", &self.tables.len())
            .field("combinations", &self.combinations.len())
            .finish_non_exhaustive()
    }
}
