//! The compiler from a domain's grants to its policy. It goes on after a
//! fault, so that one run reports them all.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use weft_mesh::{
    ColumnSelection, Domain, Fault, GrantManifest, GrantTarget, Grantee, Purpose, Spanned, Table,
    TableId,
};

use super::{PolicyColumn, TableGrant, TablePolicy};
use crate::{ColumnMask, RowPredicate, predicate::Entitlements, suggest::did_you_mean};

pub(super) struct Compiler<'a> {
    domain: &'a Domain,
    domains: &'a [&'a Domain],
    /// Positions in the domain's tables by every SQL name.
    by_name: HashMap<String, usize>,
    policies: Vec<TablePolicy>,
    faults: Vec<Fault>,
    /// Grants repeat each other: the same columns, the same predicate.
    column_sets: HashMap<Vec<usize>, Arc<[usize]>>,
    predicates: HashMap<(usize, &'a str), Arc<RowPredicate>>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(domain: &'a Domain, domains: &'a [&'a Domain]) -> Self {
        let by_name = domain
            .tables
            .iter()
            .enumerate()
            .flat_map(|(at, table)| table.sql_names().into_iter().map(move |name| (name, at)))
            .collect();
        let policies = domain
            .tables
            .iter()
            .map(|table| {
                let column = |column: &weft_mesh::Column| PolicyColumn {
                    name: column.name.clone(),
                    data_type: column.data_type.clone(),
                    nullable: !column.required,
                };
                TablePolicy::new(table.columns.iter().map(column).collect())
            })
            .collect();
        Self {
            domain,
            domains,
            by_name,
            policies,
            faults: Vec::new(),
            column_sets: HashMap::new(),
            predicates: HashMap::new(),
        }
    }

    pub(super) fn finish(self) -> (HashMap<TableId, TablePolicy>, Vec<Fault>) {
        let ids = self
            .domain
            .tables
            .iter()
            .map(|table| table.id(&self.domain.name));
        (ids.zip(self.policies).collect(), self.faults)
    }

    pub(super) fn add(&mut self, grant: &'a GrantManifest) {
        let targets = self.targets(grant);
        self.check_columns(grant, &targets);
        let to: BTreeSet<Grantee> = grant
            .to
            .iter()
            .map(|grantee| grantee.value.clone())
            .collect();
        let to: Arc<[Grantee]> = to.into_iter().collect();
        let name: Arc<str> = Arc::from(grant.name.value.as_str());
        let purposes: Arc<[Purpose]> = grant
            .purposes
            .iter()
            .map(|purpose| purpose.value.clone())
            .collect();
        let mut faulty_masks = BTreeSet::new();
        let mut gives_any = false;
        for (at, table) in &targets {
            let given = grant.columns.positions(table);
            let masks = self.masks(grant, table, &given, &mut faulty_masks);
            if given.is_empty() && !grant.only_discovers() {
                continue;
            }
            gives_any = true;
            let rows = match self.rows(grant, *at, table) {
                Ok(rows) => rows,
                // The other tables would only repeat it.
                Err(faults) => {
                    self.faults.extend(faults);
                    return;
                }
            };
            let columns = Arc::clone(
                self.column_sets
                    .entry(given)
                    .or_insert_with_key(|given| Arc::from(given.as_slice())),
            );
            let (from, until, name) = (grant.from, grant.until, Arc::clone(&name));
            if let Some(policy) = self.policies.get_mut(*at) {
                policy.add(TableGrant {
                    name,
                    to: Arc::clone(&to),
                    from,
                    until,
                    columns,
                    masks,
                    rows,
                    purposes: Arc::clone(&purposes),
                });
            }
        }
        if !gives_any && !targets.is_empty() && self.faults.is_empty() {
            let message = format!("grant `{}` gives no column of any table", grant.name.value);
            self.faults.push(
                Fault::error(grant.name.span.clone(), "empty-grant", message)
                    .with_help("name at least one column under `columns`"),
            );
        }
    }

    /// The tables that a grant is on, each once, with their positions.
    fn targets(&mut self, grant: &GrantManifest) -> Vec<(usize, &'a Table)> {
        let domain = self.domain;
        let all = domain.tables.iter().enumerate();
        match &grant.on {
            GrantTarget::All => all.collect(),
            GrantTarget::Tables(names) => {
                let mut found = BTreeSet::new();
                for name in names {
                    match self.by_name.get(&name.value) {
                        Some(at) => {
                            found.insert(*at);
                        }
                        None => {
                            let message = format!(
                                "table `{}` is not in domain `{}`",
                                name.value, domain.name
                            );
                            let names = self.by_name.keys().map(String::as_str);
                            let help = did_you_mean(&name.value, sorted(names));
                            self.fault(name, "unknown-table", message, help);
                        }
                    }
                }
                all.filter(|(at, _)| found.contains(at)).collect()
            }
            GrantTarget::Tags(tags) => {
                for tag in tags {
                    if !domain
                        .tables
                        .iter()
                        .any(|table| table.tags.contains(&tag.value))
                    {
                        let message = format!(
                            "no table of domain `{}` has tag `{}`",
                            domain.name, tag.value
                        );
                        let known = domain.tables.iter().flat_map(|table| &table.tags);
                        let help = did_you_mean(&tag.value, sorted(known.map(String::as_str)));
                        self.fault(tag, "unknown-tag", message, help);
                    }
                }
                all.filter(|(_, table)| tags.iter().any(|tag| table.tags.contains(&tag.value)))
                    .collect()
            }
        }
    }

    /// Every column and tag that the grant names has to exist: in each of the
    /// tables that it names, in one at least of those that it covers by `"*"`
    /// or by tag.
    fn check_columns(&mut self, grant: &GrantManifest, targets: &[(usize, &Table)]) {
        if targets.is_empty() {
            return;
        }
        let named = match &grant.columns {
            ColumnSelection::All | ColumnSelection::Nothing => &[],
            ColumnSelection::Only(names) | ColumnSelection::Except(names) => names.as_slice(),
            ColumnSelection::Tags(tags) => {
                for tag in tags {
                    let mut columns = targets.iter().flat_map(|(_, table)| &table.columns);
                    if !columns.any(|column| column.tags.contains(&tag.value)) {
                        let message = format!(
                            "no column of the tables of grant `{}` has tag `{}`",
                            grant.name.value, tag.value
                        );
                        let known = targets
                            .iter()
                            .flat_map(|(_, table)| &table.columns)
                            .flat_map(|column| &column.tags)
                            .map(String::as_str);
                        let help = did_you_mean(&tag.value, sorted(known));
                        self.fault(tag, "unknown-tag", message, help);
                    }
                }
                &[]
            }
        };
        let strict = matches!(grant.on, GrantTarget::Tables(_));
        let masked = grant.masks.iter().map(|(column, _)| column);
        for name in named.iter().chain(masked) {
            let mut lacking = targets
                .iter()
                .map(|(_, table)| *table)
                .filter(|it| it.column(&name.value).is_none());
            let Some(first) = lacking.next() else {
                continue;
            };
            if strict || lacking.count() + 1 == targets.len() {
                let message = format!(
                    "column `{}` is not in table `{}.{}`",
                    name.value, self.domain.name, first.name
                );
                let known = first.columns.iter().map(|column| column.name.as_str());
                let help = did_you_mean(&name.value, known);
                self.fault(name, "unknown-column", message, help);
            }
        }
    }

    /// The masks on the given columns of one table, ascending by position.
    /// A mask that is at fault on one table is not looked at on the next.
    fn masks(
        &mut self,
        grant: &GrantManifest,
        table: &Table,
        given: &[usize],
        faulty: &mut BTreeSet<usize>,
    ) -> Box<[(usize, ColumnMask)]> {
        let mut masks: Vec<(usize, ColumnMask)> = Vec::new();
        for (entry, (name, mask)) in grant.masks.iter().enumerate() {
            let position = table
                .columns
                .iter()
                .position(|column| column.name == name.value);
            let found = position.and_then(|at| Some((at, table.columns.get(at)?)));
            let Some((at, column)) = found else { continue };
            if faulty.contains(&entry) {
                continue;
            }
            if !given.contains(&at) {
                let message = format!(
                    "grant `{}` masks column `{}`, which it does not give",
                    grant.name.value, name.value
                );
                let help = "add it to `columns`, or remove the mask".to_owned();
                self.fault(name, "mask-without-column", message, Some(help));
                faulty.insert(entry);
                continue;
            }
            if masks.iter().any(|(taken, _)| *taken == at) {
                let message = format!("column `{}` has two masks", name.value);
                self.fault(name, "duplicate-mask", message, None);
                faulty.insert(entry);
                continue;
            }
            match ColumnMask::parse(&mask.value, column) {
                Ok(mask) => masks.push((at, mask)),
                Err(message) => {
                    self.fault(mask, "invalid-mask", message, None);
                    faulty.insert(entry);
                }
            }
        }
        masks.sort_by_key(|(at, _)| *at);
        masks.into_boxed_slice()
    }

    fn rows(
        &mut self,
        grant: &'a GrantManifest,
        at: usize,
        table: &Table,
    ) -> Result<Option<Arc<RowPredicate>>, Vec<Fault>> {
        let Some(rows) = &grant.rows else {
            return Ok(None);
        };
        let key = (at, rows.value.as_str());
        if let Some(known) = self.predicates.get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let entitlements = Entitlements {
            reader: Some(&self.domain.name),
            domains: self.domains,
        };
        let parsed = RowPredicate::parse(&rows.value, &rows.span, table, entitlements)?;
        let parsed = Arc::new(parsed);
        self.predicates.insert(key, Arc::clone(&parsed));
        Ok(Some(parsed))
    }

    fn fault(
        &mut self,
        at: &Spanned<String>,
        rule: &'static str,
        message: String,
        help: Option<String>,
    ) {
        let fault = Fault::error(at.span.clone(), rule, message);
        self.faults.push(match help {
            Some(help) => fault.with_help(help),
            None => fault,
        });
    }
}

/// Each name once, so that help does not depend on a hash's order.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.collect()
}
