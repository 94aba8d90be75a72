//! Tests of the crate as a whole, over a table of orders.

#![expect(
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it is about"
)]

mod allowance;
mod authentication;
mod cells;
mod columns;
mod compile;
mod diff;
mod discovery;
mod entitlements;
mod explaining;
mod guardrails;
mod interpreter;
mod laws;
mod masks;
mod meaning;
mod predicates;
mod purposes;
mod refusals;
mod scale;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use weft_mesh::{
    Column, ColumnSelection, Domain, DomainName, Fault, Format, GrantManifest, GrantTarget,
    Grantee, GuardrailEffect, GuardrailManifest, GuardrailTarget, InsideMarks, Location, Purpose,
    Span, Spanned, StorageName, Table, TableId, TableName, TablePattern, TableSource, TableStatus,
};

use crate::{
    Access, Authenticator, DomainPolicy, Guardrails, PolicySnapshot, Principal, PrincipalId,
    RowPredicate, TableAccess, Viewer, predicate::Entitlements,
};

pub(crate) fn span() -> Span {
    let mut span = Span::of_file("grants.yaml");
    (span.line, span.column) = (7, 11);
    span
}

pub(crate) fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, span())
}

pub(crate) fn names(names: &[&str]) -> Vec<Spanned<String>> {
    names
        .iter()
        .map(|name| spanned((*name).to_owned()))
        .collect()
}

pub(crate) fn column(name: &str, data_type: DataType) -> Column {
    Column {
        name: name.to_owned(),
        physical_name: name.to_owned(),
        data_type,
        required: false,
        partition: None,
        primary_key: None,
        description: None,
        tags: BTreeSet::new(),
        classification: None,
        inside: InsideMarks::default(),
        span: span(),
    }
}

pub(crate) fn table(name: &str, columns: Vec<Column>) -> Table {
    Table {
        name: TableName::parse(name).unwrap(),
        product: name.to_owned(),
        version: "1.0.0".to_owned(),
        major: 1,
        newest: true,
        status: TableStatus::Active,
        description: None,
        service_levels: BTreeSet::new(),
        tags: BTreeSet::new(),
        columns,
        source: TableSource {
            storage: StorageName::parse("lake").unwrap(),
            format: Format::Parquet,
            location: Location::parse(name).unwrap(),
            span: span(),
        },
        span: span(),
    }
}

/// `orders(id, region, email, amount, ordered_at, open, "Mixed")`.
pub(crate) fn orders() -> Table {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut id = column("id", DataType::Int64);
    id.required = true;
    let mut email = column("email", DataType::Utf8);
    email.tags.insert("pii".to_owned());
    let mut orders = table(
        "orders",
        vec![
            id,
            column("region", DataType::Utf8),
            email,
            column("amount", DataType::Decimal128(12, 2)),
            column("ordered_at", utc),
            column("open", DataType::Boolean),
            column("Mixed", DataType::Int32),
        ],
    );
    orders.tags.insert("public".to_owned());
    orders
}

pub(crate) fn domain(tables: Vec<Table>, grants: Vec<GrantManifest>) -> Domain {
    Domain {
        name: DomainName::parse("sales").unwrap(),
        span: Span::of_file("domain.yaml"),
        owner: None,
        stewards: Vec::new(),
        storages: Vec::new(),
        tables,
        grants,
        entitlements: Vec::new(),
        access_tests: Vec::new(),
    }
}

/// A grant of everything on `orders`, to be narrowed.
pub(crate) fn grant(name: &str, to: &[&str]) -> GrantManifest {
    GrantManifest {
        name: spanned(name.to_owned()),
        to: to
            .iter()
            .map(|to| spanned(Grantee::parse(to).unwrap()))
            .collect(),
        on: GrantTarget::Tables(names(&["orders"])),
        columns: ColumnSelection::All,
        masks: Vec::new(),
        rows: None,
        from: None,
        until: None,
        purposes: Vec::new(),
    }
}

pub(crate) trait Narrow: Sized {
    fn only(self, columns: &[&str]) -> Self;
    fn mask(self, column: &str, mask: &str) -> Self;
    fn rows(self, predicate: &str) -> Self;
    fn on(self, target: GrantTarget) -> Self;
    fn between(self, from: Option<&str>, until: Option<&str>) -> Self;
    fn purposes(self, purposes: &[&str]) -> Self;
}

impl Narrow for GrantManifest {
    fn only(mut self, columns: &[&str]) -> Self {
        self.columns = ColumnSelection::Only(names(columns));
        self
    }

    fn mask(mut self, column: &str, mask: &str) -> Self {
        self.masks
            .push((spanned(column.to_owned()), spanned(mask.to_owned())));
        self
    }

    fn rows(mut self, predicate: &str) -> Self {
        self.rows = Some(spanned(predicate.to_owned()));
        self
    }

    fn on(mut self, target: GrantTarget) -> Self {
        self.on = target;
        self
    }

    fn between(mut self, from: Option<&str>, until: Option<&str>) -> Self {
        self.from = from.map(time);
        self.until = until.map(time);
        self
    }

    fn purposes(mut self, purposes: &[&str]) -> Self {
        self.purposes = purposes.iter().map(|it| spanned(purpose(it))).collect();
        self
    }
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    time("2026-06-01T00:00:00Z")
}

/// The user ana of the analysts, with `region: EU`.
pub(crate) fn ana() -> Principal {
    user("ana", &["analysts"], &[("region", "EU")])
}

pub(crate) fn user(name: &str, groups: &[&str], attributes: &[(&str, &str)]) -> Principal {
    Principal::new(
        PrincipalId::user(name),
        groups.iter().map(|group| (*group).to_owned()).collect(),
        attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    )
}

pub(crate) fn compile(domain: &Domain) -> Result<DomainPolicy, Vec<Fault>> {
    DomainPolicy::compile(domain, &[domain])
}

/// A predicate of a mesh without other tables.
pub(crate) fn parse(text: &str, span: &Span, table: &Table) -> Result<RowPredicate, Vec<Fault>> {
    let entitlements = Entitlements {
        reader: None,
        domains: &[],
    };
    RowPredicate::parse(text, span, table, entitlements)
}

/// A look of a principal now, without a purpose.
pub(crate) fn viewer(principal: &Principal) -> Viewer {
    Viewer::new(Arc::new(principal.clone()), now())
}

pub(crate) fn snapshot(domain: &Domain) -> PolicySnapshot {
    let policy = compile(domain).unwrap();
    let guardrails = Guardrails::default();
    PolicySnapshot::new(Authenticator::default(), [Arc::new(policy)], guardrails)
}

/// A mesh of these domains and limits, which must be sound.
pub(crate) fn mesh(domains: &[&Domain], guardrails: &[GuardrailManifest]) -> PolicySnapshot {
    let policies = domains
        .iter()
        .map(|domain| Arc::new(DomainPolicy::compile(domain, domains).unwrap()));
    let guardrails = Guardrails::compile(guardrails, domains).unwrap();
    PolicySnapshot::new(Authenticator::default(), policies, guardrails)
}

/// `on:` that names nothing yet.
pub(crate) fn on() -> GuardrailTarget {
    GuardrailTarget {
        tags: Vec::new(),
        classification: Vec::new(),
        domains: Vec::new(),
        tables: Vec::new(),
        columns: Vec::new(),
        span: span(),
    }
}

pub(crate) fn patterns(texts: &[&str]) -> Vec<Spanned<TablePattern>> {
    texts
        .iter()
        .map(|text| spanned(TablePattern::parse(text).unwrap()))
        .collect()
}

pub(crate) fn guardrail(name: &str, effect: GuardrailEffect) -> GuardrailManifest {
    GuardrailManifest {
        name: spanned(name.to_owned()),
        except: Vec::new(),
        effect,
    }
}

pub(crate) fn masked(on: GuardrailTarget, mask: &str) -> GuardrailEffect {
    GuardrailEffect::Mask {
        on,
        mask: spanned(mask.to_owned()),
    }
}

pub(crate) fn limited(on: GuardrailTarget, rows: &str) -> GuardrailEffect {
    GuardrailEffect::Rows {
        on,
        rows: spanned(rows.to_owned()),
    }
}

pub(crate) fn except(mut guardrail: GuardrailManifest, whom: &[&str]) -> GuardrailManifest {
    let grantee = |text: &&str| spanned(Grantee::parse(text).unwrap());
    guardrail.except.extend(whom.iter().map(grantee));
    guardrail
}

pub(crate) fn purpose(text: &str) -> Purpose {
    Purpose::parse(text).unwrap()
}

pub(crate) fn orders_id() -> TableId {
    orders().id(&DomainName::parse("sales").unwrap())
}

pub(crate) fn decide(grants: Vec<GrantManifest>, principal: &Principal) -> Access {
    snapshot(&domain(vec![orders()], grants)).decide(&viewer(principal), &orders_id())
}

pub(crate) fn granted(grants: Vec<GrantManifest>, principal: &Principal) -> TableAccess {
    match decide(grants, principal) {
        Access::Granted(access) => access,
        Access::Denied(denial) => panic!("denied: {denial:?}"),
    }
}
