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
    fmt,
    sync::Arc,
};

use weft_mesh::{Domain, Fault, Grantee, GuardrailManifest, Span, TableId, TablePattern};

use self::compile::Compiler;
use crate::{
    ColumnMask, DomainPolicy, GuardrailFinding, GuardrailReason, RowPredicate, Stands, Taken,
    Viewer, canonical::Canonical,
};

const MATCHES_NOTHING: &str = "guardrail-matches-nothing";

/// All guardrails of a mesh in the form that decisions are made from. They
/// depend on the manifests alone.
#[derive(Default)]
pub struct Guardrails {
    tables: HashMap<TableId, Vec<TableGuardrail>>,
    combinations: Vec<Combination>,
    warnings: Vec<Fault>,
}

/// A guardrail's name, and whom it does not bind.
pub(crate) struct Rule {
    pub(crate) name: String,
    except: Vec<Grantee>,
}

/// What one guardrail takes of one table.
pub(crate) struct TableGuardrail {
    pub(crate) rule: Arc<Rule>,
    pub(crate) takes: Takes,
}

pub(crate) enum Takes {
    Rows(RowPredicate),
    /// The floor of each column, ascending by position.
    Masks(Vec<(usize, ColumnMask)>),
    Columns(Vec<usize>),
    ColumnsWithoutPurpose(Vec<usize>),
}

/// Sides of which a query may read one.
struct Combination {
    rule: Rule,
    span: Span,
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
    /// A table of the query on one side, or whose policy looks membership up
    /// there.
    pub one: TableId,
    /// One on another side. The same where a table's policy looks up what the
    /// table is kept apart from.
    pub other: TableId,
}

impl fmt::Display for ForbiddenCombination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            guardrail,
            one,
            other,
        } = self;
        if one == other {
            return write!(
                f,
                "guardrail `{guardrail}` forbids to read `{one}` by its own policy, which looks up \
                 what is kept apart from it"
            );
        }
        write!(
            f,
            "guardrail `{guardrail}` forbids to read `{one}` and `{other}` in one query"
        )
    }
}

/// A table that a query reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    pub(crate) table: TableId,
    /// The table that the query names: the same, or one whose policy looks
    /// membership up in it.
    pub(crate) named: TableId,
}

impl Read {
    /// A query that reads these tables and looks nothing up.
    pub(crate) fn each<'a>(tables: impl IntoIterator<Item = &'a TableId>) -> BTreeSet<Self> {
        let tables = tables.into_iter();
        tables
            .map(|table| Self {
                table: table.clone(),
                named: table.clone(),
            })
            .collect()
    }
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

    /// Where guardrails do not fit, and, if the domains are `all_there`, where
    /// they touch nothing.
    pub fn warnings(&self, all_there: bool) -> impl Iterator<Item = &Fault> {
        let warnings = self.warnings.iter();
        warnings.filter(move |fault| all_there || fault.rule != MATCHES_NOTHING)
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

    /// Every guardrail on a table, whether it binds `viewer` or not.
    pub(crate) fn findings(
        &self,
        table: &TableId,
        viewer: &Viewer,
        column: impl Fn(usize) -> String,
    ) -> Vec<GuardrailFinding> {
        let on_table = self.tables.get(table).into_iter().flatten();
        on_table
            .map(|guardrail| {
                let names = |at: &[usize]| at.iter().map(|at| column(*at)).collect();
                let except: Vec<Grantee> = guardrail.rule.exceptions(viewer).cloned().collect();
                let (takes, rows, mask) = match &guardrail.takes {
                    Takes::Rows(rows) => (Taken::Rows, Some(rows.clone()), None),
                    Takes::Masks(masks) => (
                        Taken::Masked(masks.iter().map(|(at, _)| column(*at)).collect()),
                        None,
                        masks.first().map(|(_, mask)| mask.clone()),
                    ),
                    Takes::Columns(columns) => (Taken::Denied(names(columns)), None, None),
                    Takes::ColumnsWithoutPurpose(columns) => {
                        (Taken::WithoutPurpose(names(columns)), None, None)
                    }
                };
                let stated = matches!(takes, Taken::WithoutPurpose(_)) && viewer.purpose.is_some();
                GuardrailFinding {
                    name: guardrail.rule.name.clone(),
                    stands: match (except.is_empty(), stated) {
                        (false, _) => Stands::Excepted(except),
                        (true, true) => Stands::PurposeStated,
                        (true, false) => Stands::Binding,
                    },
                    takes,
                    rows,
                    mask,
                }
            })
            .collect()
    }

    /// What is on a table, for comparing: with what it takes
    /// written down, but for its predicate.
    pub(crate) fn on(&self, table: &TableId) -> impl Iterator<Item = OnTable<'_>> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(OnTable::of)
    }

    /// What is taken of a table from everybody, by guardrails that except nobody.
    pub(crate) fn binding_everybody(
        &self,
        table: &TableId,
    ) -> impl Iterator<Item = &TableGuardrail> {
        let on_table = self.tables.get(table).into_iter().flatten();
        on_table.filter(|guardrail| guardrail.rule.except.is_empty())
    }

    /// The sides that each guardrail keeps apart, with its name and whom it
    /// does not bind.
    pub(crate) fn combinations(&self) -> impl Iterator<Item = (&str, &[Grantee], &[TablePattern])> {
        let combinations = self.combinations.iter();
        combinations.map(|it| {
            (
                it.rule.name.as_str(),
                it.rule.except.as_slice(),
                it.sides.as_slice(),
            )
        })
    }

    /// Whether any guardrail keeps tables apart for the viewer.
    pub(crate) fn keeps_apart(&self, viewer: &Viewer) -> bool {
        self.combinations_for(viewer).next().is_some()
    }

    fn combinations_for(&self, viewer: &Viewer) -> impl Iterator<Item = &Combination> {
        let combinations = self.combinations.iter();
        combinations.filter(|combination| !combination.rule.excepts(viewer))
    }

    /// Whether a guardrail keeps some of what one query reads apart. Of
    /// several, the first in the order of the file.
    pub(crate) fn forbidden_combination(
        &self,
        viewer: &Viewer,
        reads: &BTreeSet<Read>,
    ) -> Option<ForbiddenCombination> {
        self.combinations_for(viewer).find_map(|combination| {
            let (one, other) = combination.two_sides(reads)?;
            Some(ForbiddenCombination {
                guardrail: combination.rule.name.clone(),
                one: one.named.clone(),
                other: other.named.clone(),
            })
        })
    }

    /// Where a table's policy looks membership up in what the table is kept
    /// apart from, which nobody reads then whom the guardrail binds. Warnings,
    /// where the guardrail stands.
    pub fn contradictions<'a>(
        &self,
        domains: impl IntoIterator<Item = &'a DomainPolicy>,
    ) -> Vec<Fault> {
        if self.combinations.is_empty() {
            return Vec::new();
        }
        let tables = domains.into_iter().flat_map(DomainPolicy::tables);
        let mut faults = Vec::new();
        for (id, policy) in tables {
            let of_grants = policy.grants.iter().filter_map(|grant| {
                let rows = grant.rows.as_deref()?;
                Some(("grant", grant.name.as_ref(), rows))
            });
            let limits = self.tables.get(id).into_iter().flatten();
            let of_guardrails = limits.filter_map(|guardrail| match &guardrail.takes {
                Takes::Rows(rows) => Some(("guardrail", guardrail.rule.name.as_str(), rows)),
                Takes::Masks(_) | Takes::Columns(_) | Takes::ColumnsWithoutPurpose(_) => None,
            });
            for (kind, name, rows) in of_grants.chain(of_guardrails) {
                rows.for_each_entitlement(&mut |_, looked_up| {
                    let reads = Read::each([id, &looked_up.table]);
                    let apart = self.combinations.iter();
                    for apart in apart.filter(|it| it.two_sides(&reads).is_some()) {
                        let message = format!(
                            "guardrail `{}` keeps `{id}` apart from `{}`, which {kind} `{name}` looks up: \
                             nobody whom the guardrail binds reads `{id}` by it",
                            apart.rule.name, looked_up.table
                        );
                        faults.push(
                            Fault::warning(apart.span.clone(), "guardrail-hides-all", message)
                                .with_help("look up a table that is on no side"),
                        );
                    }
                });
            }
        }
        faults
    }
}

/// One guardrail on a table.
pub(crate) struct OnTable<'a> {
    pub(crate) name: &'a str,
    pub(crate) except: &'a [Grantee],
    pub(crate) takes: Canonical,
    pub(crate) rows: Option<&'a RowPredicate>,
    /// Whether what it takes depends on a purpose being stated.
    pub(crate) asks_purpose: bool,
}

impl<'a> OnTable<'a> {
    fn of(guardrail: &'a TableGuardrail) -> Self {
        let mut out = Canonical::new("guardrail");
        let positions = |out: &mut Canonical, columns: &[usize]| {
            out.list(columns, |out, at| out.number(*at as u64));
        };
        let mut rows = None;
        match &guardrail.takes {
            Takes::Rows(predicate) => {
                out.tag("rows");
                rows = Some(predicate);
            }
            Takes::Masks(masks) => {
                out.tag("masks");
                out.list(masks, |out, (at, mask)| {
                    out.number(*at as u64);
                    mask.encode(out);
                });
            }
            Takes::Columns(columns) => {
                out.tag("columns");
                positions(&mut out, columns);
            }
            Takes::ColumnsWithoutPurpose(columns) => {
                out.tag("columns without a purpose");
                positions(&mut out, columns);
            }
        }
        Self {
            name: &guardrail.rule.name,
            except: &guardrail.rule.except,
            takes: out,
            rows,
            asks_purpose: matches!(guardrail.takes, Takes::ColumnsWithoutPurpose(_)),
        }
    }
}

impl Combination {
    /// Two different tables of two different sides. A product that is on both
    /// sides in all its versions may still be read alone.
    fn two_sides<'a>(&self, reads: &'a BTreeSet<Read>) -> Option<(&'a Read, &'a Read)> {
        for (at, side) in self.sides.iter().enumerate() {
            for opposite in self.sides.iter().skip(at + 1) {
                let on_both = |it: &TableId| side.matches(it) && opposite.matches(it);
                for one in reads.iter().filter(|it| side.matches(&it.table)) {
                    let alone = |other: &TableId| {
                        (&one.table.domain, &one.table.table) == (&other.domain, &other.table)
                            && on_both(&one.table)
                            && on_both(other)
                    };
                    let mut others = reads.iter().filter(|it| opposite.matches(&it.table));
                    if let Some(other) =
                        others.find(|it| it.table != one.table && !alone(&it.table))
                    {
                        return Some((one, other));
                    }
                }
            }
        }
        None
    }
}

impl Rule {
    fn excepts(&self, viewer: &Viewer) -> bool {
        self.exceptions(viewer).next().is_some()
    }

    /// The exceptions that the viewer is.
    fn exceptions(&self, viewer: &Viewer) -> impl Iterator<Item = &Grantee> {
        let principal = Arc::clone(&viewer.principal);
        self.except.iter().filter(move |it| principal.is(it))
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
impl fmt::Debug for Guardrails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guardrails")
            .field("tables", &self.tables.len())
            .field("combinations", &self.combinations.len())
            .finish_non_exhaustive()
    }
}
