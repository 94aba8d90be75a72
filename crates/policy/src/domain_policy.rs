//! A domain's grants, held against its contracts: names expanded to columns,
//! masks fitted to types, predicates typed, and an index by grantee.

mod compile;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    sync::Arc,
};

use arrow_schema::DataType;
use chrono::{DateTime, Utc};
use weft_mesh::{Domain, DomainName, Fault, Grantee, Purpose, Span, Table, TableId};

use self::compile::Compiler;
use crate::{ColumnMask, Principal, PrincipalKind, RowPredicate};

/// All grants of one domain in the form that decisions are made from. It
/// depends on the domain's manifests alone, not on the time.
pub struct DomainPolicy {
    name: DomainName,
    tables: HashMap<TableId, TablePolicy>,
    /// The tables that predicates of other domains may ask.
    lent: HashSet<TableId>,
    ends: Vec<GrantEnd>,
    /// When grants begin or end.
    changes: BTreeSet<DateTime<Utc>>,
    stewards: Vec<Grantee>,
    owner: Option<String>,
}

/// One table's columns, and the grants on it.
pub(crate) struct TablePolicy {
    pub(crate) columns: Vec<PolicyColumn>,
    pub(crate) grants: Vec<TableGrant>,
    index: GranteeIndex,
}

/// A column as its contract declares it.
pub(crate) struct PolicyColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// What one grant gives of one table.
pub(crate) struct TableGrant {
    pub(crate) name: Arc<str>,
    /// Whom it names.
    pub(crate) to: Arc<[Grantee]>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) until: Option<DateTime<Utc>>,
    /// The positions of the columns given, ascending; empty where the grant
    /// only lets the table be found.
    pub(crate) columns: Arc<[usize]>,
    /// The masks among them, ascending by position; all others are clear.
    pub(crate) masks: Box<[(usize, ColumnMask)]>,
    pub(crate) rows: Option<Arc<RowPredicate>>,
    /// Of which the session has to state one; empty asks for none.
    pub(crate) purposes: Arc<[Purpose]>,
}

/// Positions in [`TablePolicy::grants`] by grantee.
#[derive(Default)]
struct GranteeIndex {
    users: HashMap<String, Vec<usize>>,
    services: HashMap<String, Vec<usize>>,
    groups: HashMap<String, Vec<usize>>,
    everyone: Vec<usize>,
}

/// When a grant ends, for warnings.
struct GrantEnd {
    span: Span,
    grant: Arc<str>,
    until: DateTime<Utc>,
}

impl DomainPolicy {
    /// Holds the grants of a domain against its tables. Row predicates may look
    /// membership up in tables of `domains`, which are the mesh's: in those of
    /// this domain, and in what another lends.
    ///
    /// # Errors
    /// Every fault of every grant: tables, columns and tags that do not exist,
    /// masks that do not fit their column or are on one that is not given, and
    /// row predicates that are not sound.
    pub fn compile(domain: &Domain, domains: &[&Domain]) -> Result<Self, Vec<Fault>> {
        let mut compiler = Compiler::new(domain, domains);
        for grant in &domain.grants {
            compiler.add(grant);
        }
        let (tables, faults) = compiler.finish();
        if !faults.is_empty() {
            return Err(faults);
        }
        let ends = domain
            .grants
            .iter()
            .filter_map(|grant| {
                Some(GrantEnd {
                    span: grant.name.span.clone(),
                    grant: Arc::from(grant.name.value.as_str()),
                    until: grant.until?,
                })
            })
            .collect();
        let is_lent = |table: &&Table| {
            let mut names = domain.entitlements.iter();
            names.any(|name| table.is_called(&name.value))
        };
        let lent = domain.tables.iter().filter(is_lent);
        let lent = lent.map(|table| table.id(&domain.name)).collect();
        Ok(Self {
            name: domain.name.clone(),
            tables,
            lent,
            ends,
            changes: domain
                .grants
                .iter()
                .flat_map(|grant| [grant.from, grant.until])
                .flatten()
                .collect(),
            stewards: domain.stewards.clone(),
            owner: domain.owner.clone(),
        })
    }

    /// The domain.
    pub fn name(&self) -> &DomainName {
        &self.name
    }

    /// Who answers for the data: its stewards, by groups and names.
    pub fn stewards(&self) -> &[Grantee] {
        &self.stewards
    }

    /// The owner as the domain names it: whom to ask for access.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Whom to ask for access: the owner and the stewards, as far as they are
    /// named.
    pub fn whom_to_ask(&self) -> String {
        let owner = self.owner.iter().cloned();
        let all: Vec<_> = owner
            .chain(self.stewards.iter().map(ToString::to_string))
            .collect();
        if all.is_empty() {
            return format!("the owner of domain `{}`", self.name);
        }
        all.join(", ")
    }

    /// Whether a grant begins or ends after `earlier`, and by `later`.
    pub(crate) fn changes(&self, earlier: DateTime<Utc>, later: DateTime<Utc>) -> bool {
        later < earlier || {
            let mut between = self
                .changes
                .range((Bound::Excluded(earlier), Bound::Included(later)));
            later > earlier && between.next().is_some()
        }
    }

    /// What its owner should look at again: grants that have ended.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<Fault> {
        self.ends
            .iter()
            .filter(|end| end.until <= now)
            .map(|end| {
                let message = format!("grant `{}` ended at {}", end.grant, end.until.to_rfc3339());
                Fault::warning(end.span.clone(), "expired-grant", message)
                    .with_help("remove it, or move `until` on")
            })
            .collect()
    }

    /// Whether predicates of other domains may look membership up in a table.
    pub(crate) fn lends(&self, table: &TableId) -> bool {
        self.lent.contains(table)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = (&TableId, &TablePolicy)> {
        self.tables.iter()
    }

    pub(crate) fn table(&self, table: &TableId) -> Option<&TablePolicy> {
        self.tables.get(table)
    }
}

/// Shows how much there is, not what it says.
impl std::fmt::Debug for DomainPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DomainPolicy")
            .field("name", &self.name)
            .field("tables", &self.tables.len())
            .finish_non_exhaustive()
    }
}

impl TablePolicy {
    fn new(columns: Vec<PolicyColumn>) -> Self {
        Self {
            columns,
            grants: Vec::new(),
            index: GranteeIndex::default(),
        }
    }

    fn add(&mut self, grant: TableGrant) {
        let position = self.grants.len();
        for grantee in grant.to.iter() {
            let positions = match grantee {
                Grantee::User(name) => self.index.users.entry(name.clone()).or_default(),
                Grantee::Service(name) => self.index.services.entry(name.clone()).or_default(),
                Grantee::Group(name) => self.index.groups.entry(name.clone()).or_default(),
                Grantee::Everyone => &mut self.index.everyone,
            };
            positions.push(position);
        }
        self.grants.push(grant);
    }

    /// Every grantee with the positions of the grants to it, in no order.
    pub(crate) fn grantees(&self) -> impl Iterator<Item = (Grantee, &[usize])> {
        let index = &self.index;
        let users = index
            .users
            .iter()
            .map(|(name, at)| (Grantee::User(name.clone()), at));
        let services = index.services.iter();
        let services = services.map(|(name, at)| (Grantee::Service(name.clone()), at));
        let groups = index.groups.iter();
        let groups = groups.map(|(name, at)| (Grantee::Group(name.clone()), at));
        users
            .chain(services)
            .chain(groups)
            .chain([(Grantee::Everyone, &index.everyone)])
            .map(|(grantee, at)| (grantee, at.as_slice()))
    }

    /// The positions of the grants to a principal, ascending.
    pub(crate) fn positions_to(&self, principal: &Principal) -> BTreeSet<usize> {
        let named = match principal.id().kind {
            PrincipalKind::User => &self.index.users,
            PrincipalKind::Service => &self.index.services,
        };
        let groups = principal.groups().iter();
        let lists = groups
            .filter_map(|group| self.index.groups.get(group))
            .chain(named.get(principal.name()))
            .chain([&self.index.everyone]);
        lists.flatten().copied().collect()
    }

    /// The grants to a principal, each with the grantees that the principal is.
    pub(crate) fn grants_to(
        &self,
        principal: &Principal,
    ) -> impl Iterator<Item = (&TableGrant, Vec<Grantee>)> {
        let mut found: BTreeMap<usize, Vec<Grantee>> = BTreeMap::new();
        let mut note = |positions: Option<&Vec<usize>>, grantee: &dyn Fn() -> Grantee| {
            for position in positions.into_iter().flatten() {
                found.entry(*position).or_default().push(grantee());
            }
        };
        let name = principal.name();
        match principal.id().kind {
            PrincipalKind::User => {
                note(self.index.users.get(name), &|| {
                    Grantee::User(name.to_owned())
                });
            }
            PrincipalKind::Service => {
                note(self.index.services.get(name), &|| {
                    Grantee::Service(name.to_owned())
                });
            }
        }
        for group in principal.groups() {
            note(self.index.groups.get(group), &|| {
                Grantee::Group(group.clone())
            });
        }
        note(Some(&self.index.everyone), &|| Grantee::Everyone);
        found
            .into_iter()
            .filter_map(|(position, to)| Some((self.grants.get(position)?, to)))
    }
}

impl TableGrant {
    /// Whether the grant gives no data, and lets the table be found.
    pub(crate) fn only_discovers(&self) -> bool {
        self.columns.is_empty()
    }

    /// The grant's mask on a column that it gives.
    pub(crate) fn mask(&self, column: usize) -> Option<&ColumnMask> {
        self.masks
            .iter()
            .find(|(at, _)| *at == column)
            .map(|(_, mask)| mask)
    }
}
