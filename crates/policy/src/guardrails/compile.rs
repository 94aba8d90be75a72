//! The compiler from guardrails to what they take of each table.

use std::{collections::HashMap, sync::Arc};

use weft_mesh::{
    Column, Domain, Fault, GuardrailEffect, GuardrailManifest, GuardrailTarget, Spanned, Table,
    TableId, TablePattern,
};

use super::{Combination, Guardrails, MATCHES_NOTHING, Rule, TableGuardrail, Takes};
use crate::{ColumnMask, RowPredicate, predicate::Entitlements};

pub(super) struct Compiler<'a> {
    domains: &'a [&'a Domain],
    tables: HashMap<TableId, Vec<TableGuardrail>>,
    combinations: Vec<Combination>,
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// A table that a guardrail is on, and the columns of it.
struct Touched<'a> {
    id: TableId,
    table: &'a Table,
    columns: Vec<usize>,
}

/// Faults that say that a predicate does not fit the tables as they are now,
/// not that it is none: a domain that changes, or goes, cannot keep the mesh
/// from being served.
const UNFIT: [&str; 3] = ["unknown-column", "unknown-table", "predicate-type"];

fn is_unfit(fault: &Fault) -> bool {
    UNFIT.contains(&fault.rule)
}

impl<'a> Compiler<'a> {
    pub(super) fn new(domains: &'a [&'a Domain]) -> Self {
        Self {
            domains,
            tables: HashMap::new(),
            combinations: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Result<Guardrails, Vec<Fault>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok(Guardrails {
            tables: self.tables,
            combinations: self.combinations,
            warnings: self.warnings,
        })
    }

    pub(super) fn add(&mut self, manifest: &'a GuardrailManifest) {
        let rule = Rule {
            name: manifest.name.value.clone(),
            except: manifest.except.iter().map(|it| it.value.clone()).collect(),
        };
        match &manifest.effect {
            GuardrailEffect::Rows { on, rows } => self.rows(manifest, rule, on, rows),
            GuardrailEffect::Mask { on, mask } => self.masks(manifest, rule, on, mask),
            GuardrailEffect::Deny { on } => self.columns(manifest, rule, on, Takes::Columns),
            GuardrailEffect::RequirePurpose { on } => {
                self.columns(manifest, rule, on, Takes::ColumnsWithoutPurpose);
            }
            GuardrailEffect::ForbidCombine { sides } => {
                for side in sides {
                    self.warn_unmatched(manifest, side);
                }
                let sides = sides.iter().map(|side| side.value.clone()).collect();
                self.combinations.push(Combination {
                    rule,
                    span: manifest.name.span.clone(),
                    sides,
                });
            }
        }
    }

    fn columns(
        &mut self,
        manifest: &GuardrailManifest,
        rule: Rule,
        on: &GuardrailTarget,
        takes: fn(Vec<usize>) -> Takes,
    ) {
        let rule = Arc::new(rule);
        for touched in self.touched(manifest, on) {
            self.put(&rule, touched.id, takes(touched.columns));
        }
    }

    fn masks(
        &mut self,
        manifest: &GuardrailManifest,
        rule: Rule,
        on: &GuardrailTarget,
        mask: &Spanned<String>,
    ) {
        if let Err(message) = ColumnMask::check(&mask.value) {
            let fault = Fault::error(mask.span.clone(), "invalid-mask", message);
            self.errors.push(fault);
            return;
        }
        let rule = Arc::new(rule);
        for touched in self.touched(manifest, on) {
            let mut masks = Vec::new();
            for at in touched.columns {
                let Some(column) = touched.table.columns.get(at) else {
                    continue;
                };
                let fitted = ColumnMask::parse(&mask.value, column).unwrap_or_else(|_| {
                    let message = format!(
                        "mask `{}` does not fit column `{}` of `{}`, which is {}: there it is `nullify`",
                        mask.value, column.name, touched.id, column.data_type
                    );
                    let warning =
                        Fault::warning(mask.span.clone(), "mask-does-not-fit", message)
                            .with_help("name another guardrail for such columns, with a mask that fits");
                    self.warnings.push(warning);
                    ColumnMask::Nullify
                });
                masks.push((at, fitted));
            }
            self.put(&rule, touched.id, Takes::Masks(masks));
        }
    }

    fn rows(
        &mut self,
        manifest: &GuardrailManifest,
        rule: Rule,
        on: &GuardrailTarget,
        rows: &Spanned<String>,
    ) {
        if let Err(fault) = RowPredicate::check_syntax(&rows.value, &rows.span) {
            self.errors.push(fault);
            return;
        }
        // What is outside of the language is said now, and not when a domain
        // first has a table that the guardrail is on.
        let mut tables = self.domains.iter().flat_map(|domain| &domain.tables);
        if let Some(Err(mut faults)) = tables.next().map(|any| self.predicate(rows, any)) {
            faults.retain(|fault| !is_unfit(fault));
            if !faults.is_empty() {
                self.errors.extend(faults);
                return;
            }
        }
        let rule = Arc::new(rule);
        for touched in self.touched(manifest, on) {
            let predicate = match self.predicate(rows, touched.table) {
                Ok(predicate) => predicate,
                Err(faults) if faults.iter().all(is_unfit) => {
                    for fault in faults {
                        let message =
                            format!("no row of `{}` is shown: {}", touched.id, fault.message);
                        let warning = Fault::warning(fault.span, "guardrail-hides-all", message);
                        self.warnings.push(match fault.help {
                            Some(help) => warning.with_help(help),
                            None => warning,
                        });
                    }
                    RowPredicate::Literal(Some(false))
                }
                Err(faults) => {
                    self.errors.extend(faults);
                    return;
                }
            };
            self.put(&rule, touched.id, Takes::Rows(predicate));
        }
    }

    fn predicate(&self, rows: &Spanned<String>, table: &Table) -> Result<RowPredicate, Vec<Fault>> {
        let entitlements = Entitlements {
            reader: None,
            domains: self.domains,
        };
        RowPredicate::parse(&rows.value, &rows.span, table, entitlements)
    }

    fn put(&mut self, rule: &Arc<Rule>, id: TableId, takes: Takes) {
        self.tables.entry(id).or_default().push(TableGuardrail {
            rule: Arc::clone(rule),
            takes,
        });
    }

    /// The tables that a guardrail is on, with its columns of each. Where it
    /// names a table and a column that the table has not, the whole table is
    /// taken: a renamed column does not slip away.
    fn touched(&mut self, manifest: &GuardrailManifest, on: &GuardrailTarget) -> Vec<Touched<'a>> {
        let mut found = Vec::new();
        for domain in self.domains {
            for table in &domain.tables {
                let id = table.id(&domain.name);
                if !covers(on, &id) {
                    continue;
                }
                let columns = if self.lacks_column(on, &id, table) {
                    (0..table.columns.len()).collect()
                } else {
                    columns_of(on, table)
                };
                if !columns.is_empty() {
                    found.push(Touched { id, table, columns });
                }
            }
        }
        for pattern in &on.tables {
            self.warn_unmatched(manifest, pattern);
        }
        for name in &on.domains {
            if !self.domains.iter().any(|it| it.name.as_str() == name.value) {
                let message = format!(
                    "guardrail `{}` is on domain `{}`, which is not served",
                    manifest.name.value, name.value
                );
                let warning = Fault::warning(name.span.clone(), MATCHES_NOTHING, message);
                self.warnings.push(warning);
            }
        }
        if found.is_empty() {
            let message = format!("guardrail `{}` touches no column", manifest.name.value);
            self.warnings.push(
                Fault::warning(on.span.clone(), MATCHES_NOTHING, message)
                    .with_help("correct `on`: as it stands, the guardrail takes nothing away"),
            );
        }
        found
    }

    /// Whether the guardrail names this very table, and a column that it has
    /// not.
    fn lacks_column(&mut self, on: &GuardrailTarget, id: &TableId, table: &Table) -> bool {
        let patterns = on.tables.iter().map(|pattern| &pattern.value);
        if !patterns
            .filter(|pattern| pattern.table.is_some())
            .any(|pattern| pattern.matches(id))
        {
            return false;
        }
        let mut lacks = false;
        for name in &on.columns {
            if table.column(&name.value).is_none() {
                lacks = true;
                let message = format!(
                    "column `{}` is not in table `{id}`: the guardrail is on the whole table",
                    name.value
                );
                self.warnings.push(
                    Fault::warning(name.span.clone(), "unknown-column", message)
                        .with_help("correct the name, or take the table out of `tables`"),
                );
            }
        }
        lacks
    }

    fn warn_unmatched(&mut self, manifest: &GuardrailManifest, pattern: &Spanned<TablePattern>) {
        let matched = self.domains.iter().any(|domain| {
            let mut tables = domain.tables.iter();
            tables.any(|table| pattern.value.matches(&table.id(&domain.name)))
        });
        if !matched {
            let message = format!(
                "guardrail `{}` names `{}`, which matches no table",
                manifest.name.value, pattern.value
            );
            self.warnings.push(Fault::warning(
                pattern.span.clone(),
                MATCHES_NOTHING,
                message,
            ));
        }
    }
}

fn columns_of(on: &GuardrailTarget, table: &Table) -> Vec<usize> {
    let named = |column: &Column| {
        on.columns.is_empty() || on.columns.iter().any(|name| name.value == column.name)
    };
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(_, column)| {
            named(column) && is_tagged(on, table, column) && is_classified(on, column)
        })
        .map(|(at, _)| at)
        .collect()
}

fn covers(on: &GuardrailTarget, id: &TableId) -> bool {
    let domain = on.domains.is_empty()
        || on
            .domains
            .iter()
            .any(|name| name.value == id.domain.as_str());
    let table = on.tables.is_empty() || on.tables.iter().any(|pattern| pattern.value.matches(id));
    domain && table
}

/// By a tag of its own, of a property inside, or of its table.
fn is_tagged(on: &GuardrailTarget, table: &Table, column: &Column) -> bool {
    let tags = [&column.tags, &column.inside.tags, &table.tags];
    is_any_of(&on.tags, tags.into_iter().flatten())
}

fn is_classified(on: &GuardrailTarget, column: &Column) -> bool {
    let inside = &column.inside.classifications;
    is_any_of(
        &on.classification,
        column.classification.iter().chain(inside),
    )
}

/// In any case of letters: a domain that writes `PII` is meant by `pii`.
fn is_any_of<'a>(wanted: &[Spanned<String>], marks: impl Iterator<Item = &'a String>) -> bool {
    let mut marks = marks.map(|mark| mark.to_lowercase());
    wanted.is_empty() || marks.any(|mark| wanted.iter().any(|it| it.value.to_lowercase() == mark))
}
