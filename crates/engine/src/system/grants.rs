//! `system.grants`: who is given what, for those who answer for it, and for
//! everybody what is given to them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use datafusion::arrow::{
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use futures::{StreamExt, stream, stream::BoxStream};
use weft_catalog::known_tables;
use weft_mesh::{Domain, DomainName, GrantManifest, Table};

use super::{
    Look, SystemColumn, SystemTable,
    arrays::{booleans, list_of_texts, moment, moments, text, text_or_null, texts},
    table::{batch_of, lazily},
};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Grants;

impl SystemTable for Grants {
    fn name(&self) -> &'static str {
        "grants"
    }

    fn description(&self) -> &'static str {
        "The grants that you have now; all grants of the domains that you answer for"
    }

    fn columns(&self) -> Vec<SystemColumn> {
        let text = |name, description| SystemColumn::new(name, DataType::Utf8, description);
        let moment = |name, description| SystemColumn::new(name, moment(), description).nullable();
        let texts = |name, description| SystemColumn::new(name, list_of_texts(), description);
        vec![
            text("domain", "the domain that gives, which is the SQL schema"),
            text("grant_name", "the name of the grant in its domain"),
            text("table_name", "the SQL name of a table that it is on"),
            texts(
                "grantees",
                "whom it is for; unless you answer for the domain, only you and your groups",
            ),
            texts(
                "columns",
                "the columns that it gives; of them those that you may know",
            ),
            texts("masks", "its masks, as `column: mask`"),
            text(
                "row_predicate",
                "the rows that it gives; NULL for all, and unless you answer for the domain",
            )
            .nullable(),
            moment("valid_from", "when it begins"),
            moment("valid_until", "when it ends"),
            texts(
                "purposes",
                "of which a session has to state one, if there are any",
            ),
            SystemColumn::new(
                "discover",
                DataType::Boolean,
                "whether it gives no data and lets the table be found",
            ),
        ]
    }

    fn rows(&self, look: Look) -> BoxStream<'static, Result<RecordBatch>> {
        let schema = SystemColumn::schema(&self.columns());
        let answered_for = AnsweredFor::of(&look);
        let theirs = {
            let (look, schema) = (look.clone(), Arc::clone(&schema));
            let answered_for = answered_for.clone();
            lazily(move || own_grants(&look, &answered_for, &schema))
        };
        let cursor = Cursor {
            look,
            schema,
            answered_for,
            domain: 0,
            grant: 0,
            made: Vec::new(),
        };
        let all = stream::try_unfold(cursor, |mut cursor| async move {
            Ok(cursor.next()?.map(|batch| (batch, cursor)))
        });
        theirs.chain(all).boxed()
    }
}

/// The domains all of whose grants a viewer may know.
#[derive(Clone)]
enum AnsweredFor {
    All,
    Domains(BTreeSet<DomainName>),
}

impl AnsweredFor {
    fn of(look: &Look) -> Self {
        let policy = look.snapshot.policy();
        let principal = &look.viewer.principal;
        if policy.is_auditor(principal) {
            Self::All
        } else {
            Self::Domains(policy.stewarded(principal))
        }
    }

    fn contains(&self, domain: &DomainName) -> bool {
        match self {
            Self::All => true,
            Self::Domains(domains) => domains.contains(domain),
        }
    }
}

/// A grant on one table.
struct Row<'a> {
    domain: &'a str,
    grant: &'a str,
    table: String,
    grantees: Vec<String>,
    columns: Vec<&'a str>,
    masks: Vec<String>,
    row_predicate: Option<&'a str>,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    purposes: Vec<&'a str>,
    discover: bool,
}

/// The grants by which the viewer reads or finds tables now, with nothing that
/// they may not know: other grantees, predicates, hidden columns.
fn own_grants(
    look: &Look,
    answered_for: &AnsweredFor,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>> {
    let domains: HashMap<&str, &Domain> = look
        .snapshot
        .domains()
        .filter(|domain| !answered_for.contains(&domain.name))
        .map(|domain| (domain.name.as_str(), domain))
        .collect();
    let mut by_name: HashMap<&str, HashMap<&str, &GrantManifest>> = HashMap::new();
    let mut rows = Vec::new();
    for table in known_tables(&look.snapshot, &look.viewer) {
        let Some(domain) = domains.get(table.domain) else {
            continue;
        };
        let grants = by_name.entry(table.domain).or_insert_with(|| {
            let grants = domain.grants.iter();
            grants.map(|it| (it.name.value.as_str(), it)).collect()
        });
        for reason in &table.grants {
            if let Some(grant) = grants.get(reason.grant.as_str()) {
                let to = reason.to.iter().map(ToString::to_string).collect();
                let columns = table.columns_of(&grant.columns);
                rows.push(row(table.domain, grant, table.name.clone(), to, columns));
            }
        }
    }
    let chunks = rows.chunks(look.batch_size);
    chunks.map(|chunk| batch(schema, chunk)).collect()
}

/// A grant on a table, without its predicate.
fn row<'a>(
    domain: &'a str,
    grant: &'a GrantManifest,
    table: String,
    grantees: Vec<String>,
    columns: Vec<&'a str>,
) -> Row<'a> {
    let masks = grant.masks.iter();
    let masks = masks.filter(|(column, _)| columns.contains(&column.value.as_str()));
    Row {
        domain,
        grant: &grant.name.value,
        table,
        grantees,
        masks: masks
            .map(|(column, mask)| format!("{}: {}", column.value, mask.value))
            .collect(),
        columns,
        row_predicate: None,
        from: grant.from,
        until: grant.until,
        purposes: grant.purposes.iter().map(|it| it.value.as_str()).collect(),
        discover: grant.only_discovers(),
    }
}

/// Goes through the grants of domains that the viewer answers for, a batch at a
/// time: a grant on many tables makes many rows.
struct Cursor {
    look: Look,
    schema: SchemaRef,
    answered_for: AnsweredFor,
    domain: usize,
    grant: usize,
    /// Made and not given yet, the next last.
    made: Vec<RecordBatch>,
}

impl Cursor {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.made.is_empty() {
            self.make()?;
        }
        Ok(self.made.pop())
    }

    /// Makes batches of the next grants; none when there are no more.
    fn make(&mut self) -> Result<()> {
        let snapshot = Arc::clone(&self.look.snapshot);
        let mut rows = Vec::new();
        while rows.len() < self.look.batch_size {
            let Some(domain) = snapshot.domains().nth(self.domain) else {
                break;
            };
            let grant = domain.grants.get(self.grant);
            match grant.filter(|_| self.answered_for.contains(&domain.name)) {
                Some(grant) => {
                    let covered = domain.tables.iter().filter(|table| grant.on.covers(table));
                    rows.extend(covered.filter_map(|table| full_row(domain, grant, table)));
                    self.grant += 1;
                }
                None => (self.domain, self.grant) = (self.domain + 1, 0),
            }
        }
        let chunks = rows.chunks(self.look.batch_size).rev();
        self.made = chunks
            .map(|chunk| batch(&self.schema, chunk))
            .collect::<Result<_>>()?;
        Ok(())
    }
}

/// All that a grant says of a table; none where it gives nothing of it.
fn full_row<'a>(domain: &'a Domain, grant: &'a GrantManifest, table: &'a Table) -> Option<Row<'a>> {
    let given = grant.columns.positions(table);
    if given.is_empty() && !grant.only_discovers() {
        return None;
    }
    let columns = given.into_iter().filter_map(|at| table.columns.get(at));
    let columns = columns.map(|column| column.name.as_str()).collect();
    let grantees = grant.to.iter().map(|to| to.value.to_string()).collect();
    let name = table.sql_names().into_iter().next()?;
    Some(Row {
        row_predicate: grant.rows.as_ref().map(|rows| rows.value.as_str()),
        ..row(domain.name.as_str(), grant, name, grantees, columns)
    })
}

fn batch(schema: &SchemaRef, rows: &[Row<'_>]) -> Result<RecordBatch> {
    let columns = vec![
        text(rows.iter().map(|it| it.domain)),
        text(rows.iter().map(|it| it.grant)),
        text(rows.iter().map(|it| &it.table)),
        texts(rows.iter().map(|it| &it.grantees)),
        texts(rows.iter().map(|it| &it.columns)),
        texts(rows.iter().map(|it| &it.masks)),
        text_or_null(rows.iter().map(|it| it.row_predicate)),
        moments(rows.iter().map(|it| it.from)),
        moments(rows.iter().map(|it| it.until)),
        texts(rows.iter().map(|it| &it.purposes)),
        booleans(rows.iter().map(|it| Some(it.discover))),
    ];
    batch_of(schema, columns)
}
