//! What is wrong with access tests before any of them runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use weft_engine::named_tables;
use weft_mesh::{
    AccessTest, AccessTestFile, AccessTestsLoad, Domain, Fault, Grantee, GuardrailEffect,
    LoadReport, Mesh, Table, TableId, TestExpectation, TestPrincipal, TestSubject,
    load_access_tests,
};

use super::shown;
use super::typed::{batch, check_shown};

/// Every fault of the access tests of a mesh, and of tables that lack one.
pub(crate) fn faults(report: &LoadReport) -> Vec<Fault> {
    let tests = load_access_tests(report);
    let domains: Vec<Arc<Domain>> = report
        .domains
        .iter()
        .filter_map(|load| load.domain.clone())
        .collect();
    let mut faults = tests.faults.clone();
    let mesh = report.mesh.as_ref();
    if let Some(mesh) = mesh {
        faults.extend(faults_of_values(&tests, &domains, mesh));
        let untested = untested(mesh, &domains, &tests.files);
        faults.extend(untested.into_iter().map(|it| report.annotate(it.fault)));
    }
    faults
}

/// Values that do not fit their columns, masks that are none, statements that
/// nobody may send, and groups that nothing names.
pub(crate) fn faults_of_values(
    tests: &AccessTestsLoad,
    domains: &[Arc<Domain>],
    mesh: &Mesh,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let groups = GroupsOf::of(mesh, domains);
    for file in &tests.files {
        for fixture in &file.fixtures {
            if let Some(table) = find(domains, &fixture.table.value) {
                faults.extend(batch(fixture, table).err().into_iter().flatten());
            }
        }
        for test in &file.tests {
            faults.extend(unanswerable(test, mesh.name.as_str()));
            faults.extend(groups.misspelt(test));
            if let TestSubject::Table { table, .. } = &test.subject
                && let TestExpectation::Shown(expected) = &test.expect
                && let Some(table) = find(domains, table)
            {
                faults.extend(shown::check(&expected.masked, table));
                let rows = expected.rows.iter().flat_map(|rows| &rows.value);
                for row in rows.chain(&expected.contains).chain(&expected.without) {
                    let typed = |(name, value): &(weft_mesh::Spanned<String>, _)| {
                        check_shown(value, &name.value, &table.column(&name.value)?.data_type)
                    };
                    faults.extend(row.cells.iter().filter_map(typed));
                }
            }
        }
    }
    faults
        .into_iter()
        .map(|fault| tests.annotate(fault))
        .collect()
}

/// The groups that anything in a mesh tells apart.
struct GroupsOf<'a> {
    named: BTreeSet<&'a str>,
    predicates: Vec<&'a str>,
}

impl<'a> GroupsOf<'a> {
    fn of(mesh: &'a Mesh, domains: &'a [Arc<Domain>]) -> Self {
        let mut grantees: Vec<&Grantee> = mesh.auditors.iter().collect();
        let mut predicates = Vec::new();
        for domain in domains {
            grantees.extend(&domain.stewards);
            for grant in &domain.grants {
                grantees.extend(grant.to.iter().map(|it| &it.value));
                predicates.extend(grant.rows.iter().map(|it| it.value.as_str()));
            }
        }
        for guardrail in &mesh.guardrails {
            grantees.extend(guardrail.except.iter().map(|it| &it.value));
            if let GuardrailEffect::Rows { rows, .. } = &guardrail.effect {
                predicates.push(rows.value.as_str());
            }
        }
        let of_grantees = grantees.into_iter().filter_map(|it| match it {
            Grantee::Group(name) => Some(name.as_str()),
            Grantee::User(_) | Grantee::Service(_) | Grantee::Everyone => None,
        });
        let users = mesh.identity.users.iter();
        let of_users = users.flat_map(|it| it.groups.iter().chain(&it.impersonates));
        Self {
            named: of_grantees.chain(of_users.map(String::as_str)).collect(),
            predicates,
        }
    }

    /// Whoever is in a group that is misspelt sees nothing by it, which proves nothing.
    fn misspelt(&self, test: &AccessTest) -> Option<Fault> {
        let TestPrincipal::Described { groups, .. } = &test.viewer.principal else {
            return None;
        };
        let is_known = |group: &&String| {
            let quoted = format!("'{group}'");
            self.named.contains(group.as_str())
                || self.predicates.iter().any(|it| it.contains(&quoted))
        };
        let unknown = groups.iter().find(|group| !is_known(group))?;
        let message = format!("nothing in the mesh names group `{unknown}`");
        let help = weft_mesh::did_you_mean(unknown, self.named.iter().copied());
        let help = help.map_or_else(
            || "write `everyone` for somebody in no group".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let place = test.name.span.clone();
        Some(Fault::error(place, "unknown-group", message).with_help(help))
    }
}

/// A statement that is refused to everybody, where that is not what is tested:
/// that it is refused to one proves nothing.
fn unanswerable(test: &AccessTest, mesh: &str) -> Option<Fault> {
    let TestSubject::Sql(sql) = &test.subject else {
        return None;
    };
    if matches!(test.expect, TestExpectation::Denied(Some(_))) {
        return None;
    }
    let reason = named_tables(&sql.value, mesh).err()?;
    let message = format!("nobody is answered this statement: {reason}");
    Some(
        Fault::error(sql.span.clone(), "wrong-sql", message).with_help(
            "write one query; where the refusal itself is tested, its words: `denied: words`",
        ),
    )
}

/// The tables that a test looks at: one by its name, or those in its statement.
pub(super) fn tables_of(
    subject: &TestSubject,
    domains: &[Arc<Domain>],
    mesh: &str,
) -> Vec<TableId> {
    match subject {
        TestSubject::Table { table, .. } => vec![table.clone()],
        TestSubject::Sql(sql) => {
            let named = named_tables(&sql.value, mesh).unwrap_or_default();
            let found = |(schema, name): (Option<String>, String)| {
                let schema = schema?;
                let domain = domains.iter().find(|it| it.name.as_str() == schema)?;
                Some(domain.table(&name)?.id(&domain.name))
            };
            named.into_iter().filter_map(found).collect()
        }
    }
}

pub(super) fn find<'a>(domains: &'a [Arc<Domain>], id: &TableId) -> Option<&'a Table> {
    let domain = domains.iter().find(|domain| domain.name == id.domain)?;
    domain
        .tables
        .iter()
        .find(|table| table.id(&domain.name) == *id)
}

/// A table that `require` asks a test of, and that has none.
#[derive(Debug)]
pub(crate) struct Untested {
    pub(crate) table: TableId,
    pub(crate) fault: Fault,
}

/// The tables of a classification that lack a test of their own domain.
pub(crate) fn untested(
    mesh: &Mesh,
    domains: &[Arc<Domain>],
    files: &[AccessTestFile],
) -> Vec<Untested> {
    let mut tested = BTreeSet::new();
    for file in files {
        let subjects = file.tests.iter().map(|test| &test.subject);
        let tables = subjects.flat_map(|it| tables_of(it, domains, mesh.name.as_str()));
        tested.extend(tables.filter(|table| table.domain == file.domain));
    }
    let mut untested = Vec::new();
    for domain in domains {
        for table in &domain.tables {
            let id = table.id(&domain.name);
            let Some((column, classification)) = classified(mesh, table) else {
                continue;
            };
            if tested.contains(&id) {
                continue;
            }
            let message = format!(
                "`{id}` has no access test: its column `{column}` is {classification}, and mesh.yaml requires one of such tables"
            );
            let fault =
                Fault::error(table.span.clone(), "untested-table", message).with_help(format!(
                    "write one with `table: {}`, in a file that `accessTests` of the domain names",
                    table.name
                ));
            untested.push(Untested { table: id, fault });
        }
    }
    untested
}

/// The first column that has one of the classifications, in any case of letters.
fn classified<'a>(mesh: &Mesh, table: &'a Table) -> Option<(&'a str, &'a str)> {
    let wanted = |mark: &&String| {
        let mut asked = mesh.require.access_tests.iter();
        asked.any(|asked| asked.value.to_lowercase() == mark.to_lowercase())
    };
    table.columns.iter().find_map(|column| {
        let inside = &column.inside.classifications;
        let mark = column.classification.iter().chain(inside).find(wanted)?;
        Some((column.name.as_str(), mark.as_str()))
    })
}
