//! `accessTests` of domains: who should see what, beside the grants.
//!
//! They are read apart from the mesh. A test with a mistake keeps no domain from
//! being served, and a server does not read tests at all.

mod expect;
mod rows;
mod viewer;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use self::expect::read_expectation;
use self::rows::{read_row, read_rows};
use self::viewer::read_viewer;
use super::domain::cannot_read;
use super::files::Files;
use super::grants::read_moment;
use super::{LoadReport, settle};
use crate::access_test::{
    AccessTest, AccessTestFile, Fixture, TestExpectation, TestRow, TestSubject, TestValue,
};
use crate::domain::Domain;
use crate::fault::{Fault, Span, Spanned};
use crate::name::{DomainName, TableId};
use crate::suggest::did_you_mean;
use crate::table::Table;
use crate::yaml::{Fields, Kind, Node, Source, SourceText, check_header, parse};

/// What came of reading the access tests of a mesh.
#[derive(Debug, Default)]
pub struct AccessTestsLoad {
    /// In the order of the mesh. A test with a fault is left out.
    pub files: Vec<AccessTestFile>,
    /// Sorted by place.
    pub faults: Vec<Fault>,
    texts: Vec<SourceText>,
}

impl AccessTestsLoad {
    /// Adds the source line to a fault that was found later, at a place of these files.
    pub fn annotate(&self, mut fault: Fault) -> Fault {
        super::annotate(&self.texts, &mut fault);
        fault
    }
}

/// Reads the access tests of every domain of a mesh that is sound itself.
pub fn load_access_tests(report: &LoadReport) -> AccessTestsLoad {
    let domains: Vec<(&Path, &Domain)> = report
        .domains
        .iter()
        .filter_map(|load| Some((load.manifest.as_path(), load.domain.as_deref()?)))
        .collect();
    let mesh = Known {
        report,
        domains: domains.iter().map(|(_, domain)| *domain).collect(),
    };
    let mut loaded = AccessTestsLoad::default();
    for (manifest, domain) in domains {
        let mut reader = Reader {
            mesh: &mesh,
            domain,
            files: Files::default(),
            seen: HashMap::new(),
            loaded: &mut loaded,
        };
        reader.read(manifest);
    }
    let AccessTestsLoad { faults, texts, .. } = &mut loaded;
    settle(texts, faults);
    for fault in faults {
        super::annotate(&report.texts, fault);
    }
    loaded
}

/// What tests may name.
struct Known<'a> {
    report: &'a LoadReport,
    domains: Vec<&'a Domain>,
}

struct Reader<'a> {
    mesh: &'a Known<'a>,
    domain: &'a Domain,
    files: Files,
    /// Where each test of the domain is named.
    seen: HashMap<String, Span>,
    loaded: &'a mut AccessTestsLoad,
}

impl Reader<'_> {
    fn read(&mut self, manifest: &Path) {
        let folder = manifest.parent().unwrap_or(manifest);
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut read: BTreeSet<PathBuf> = BTreeSet::new();
        for pattern in &self.domain.access_tests {
            let name = &pattern.value;
            let globbed = match self.files.glob(&folder, name) {
                Ok(globbed) => globbed,
                Err(reason) => {
                    self.report(cannot_read(&pattern.span, name, &reason));
                    continue;
                }
            };
            if globbed.found.is_empty() && globbed.refused.is_empty() {
                let message = format!("`{name}` matches no access test");
                // Tests that are not run pass.
                let fault = Fault::error(pattern.span.clone(), "no-files", message);
                self.report(fault.with_help("add a file with tests, or remove the pattern"));
            }
            for (path, reason) in &globbed.refused {
                let name = path.display().to_string();
                self.report(cannot_read(&pattern.span, &name, reason));
            }
            for path in globbed.found {
                if read.insert(path.clone()) {
                    self.file(&folder, &path, &pattern.span);
                }
            }
        }
    }

    fn report(&mut self, fault: Fault) {
        self.loaded.faults.push(fault);
    }

    fn file(&mut self, folder: &Path, path: &Path, named_at: &Span) {
        let text = match self.files.read(&folder.join(path)) {
            Ok(text) => text,
            Err(reason) => {
                let name = path.display().to_string();
                self.report(cannot_read(named_at, &name, &reason));
                return;
            }
        };
        let shown = named_at.file.parent().unwrap_or_else(|| Path::new(""));
        let source = Source::new(Arc::from(shown.join(path)), folder.to_owned(), text, false);
        if let Some(root) = parse(&source)
            && let Some(file) = self.tests(&source, &root)
        {
            self.loaded.files.push(file);
        }
        let (text, faults) = source.finish();
        self.loaded.texts.push(text);
        self.loaded.faults.extend(faults);
    }

    fn tests(&mut self, source: &Source, root: &Rc<Node>) -> Option<AccessTestFile> {
        let fields = Fields::open(source, root, "a file of access tests")?;
        check_header(&fields, "AccessTests");
        if let Some((node, text)) = fields.required_text("domain")
            && self.domain.name.as_str() != text
        {
            let message = format!(
                "these tests are of domain `{text}`, and this is `{}`",
                self.domain.name
            );
            source
                .error(node, "wrong-domain", message)
                .help("write the name of the domain that names this file")
                .report();
        }
        let fixtures = fields
            .get("fixtures")
            .map(|node| self.fixtures(source, node))
            .unwrap_or_default();
        let items = fields
            .required("tests")
            .and_then(|node| source.read_list(node, "tests"))
            .unwrap_or_default();
        let tests = items.iter().filter_map(|item| self.test(source, item));
        let tests = tests.collect();
        fields.finish();
        Some(AccessTestFile {
            domain: self.domain.name.clone(),
            fixtures,
            tests,
        })
    }

    fn fixtures(&self, source: &Source, node: &Node) -> Vec<Fixture> {
        let mut fixtures: Vec<Fixture> = Vec::new();
        for (key, value) in source.read_mapping(node, "fixtures").unwrap_or_default() {
            let Some((id, table)) = key
                .key_text()
                .and_then(|text| self.table(source, key, text))
            else {
                continue;
            };
            if fixtures.iter().any(|other| other.table.value == id) {
                source
                    .error(key, "duplicate-fixture", format!("`{id}` has two fixtures"))
                    .help("put all rows of a table under one of its names")
                    .report();
                continue;
            }
            fixtures.push(Fixture {
                rows: read_fixture(source, value, table),
                table: Spanned::new(id, source.span(key)),
            });
        }
        fixtures
    }

    fn test(&mut self, source: &Source, node: &Node) -> Option<AccessTest> {
        let fields = Fields::open(source, node, "a test")?;
        let name = fields
            .required_text("name")
            .map(|(node, text)| source.spanned(node, text));
        if let Some(name) = &name
            && let Some(first) = self.seen.insert(name.value.clone(), name.span.clone())
        {
            let message = format!("test `{}` is named twice, first in {first}", name.value);
            source.report(
                Fault::error(name.span.clone(), "duplicate-test", message)
                    .with_help("rename one of the two: the name says in reports which test it was"),
            );
        }
        let viewer = fields
            .required("as")
            .and_then(|node| read_viewer(source, node, self.mesh.report.mesh.as_ref()));
        let now = read_moment(&fields, "now");
        let subject = self.subject(&fields);
        let table = subject.as_ref().and_then(|(_, table)| *table);
        let expect = fields
            .required("expect")
            .and_then(|node| read_expectation(source, node, table));
        if let Some((TestSubject::Sql(_), _)) = &subject
            && let Some(TestExpectation::Shown(shown)) = &expect
            && let Some((column, _)) = shown.masked.first()
        {
            let message = "`masked` is of a table, and this test is on `sql`";
            source.report(
                Fault::error(column.span.clone(), "wrong-value", message)
                    .with_help("test it with `table`; here, expect the values in `rows`"),
            );
        }
        fields.finish();
        Some(AccessTest {
            name: name?,
            viewer: viewer?,
            now: now.map(|moment| moment.value),
            subject: subject?.0,
            expect: expect?,
        })
    }

    /// What is looked at, with the table where it is one.
    fn subject(&self, fields: &Fields<'_>) -> Option<(TestSubject, Option<&Table>)> {
        let source = fields.source;
        match (fields.get("table"), fields.get("sql")) {
            (Some(node), None) => {
                let text = source.read_text(node, "table")?;
                let (id, table) = self.table(source, node, text)?;
                let sql_name = text.rsplit('.').next().unwrap_or(text).to_owned();
                let subject = TestSubject::Table {
                    table: id,
                    sql_name,
                };
                Some((subject, Some(table)))
            }
            (None, Some(node)) => {
                let text = source.read_text(node, "sql")?;
                Some((TestSubject::Sql(source.spanned(node, text)), None))
            }
            (Some(_), Some(node)) => {
                source
                    .error(node, "wrong-value", "a test has `table` or `sql`, not both")
                    .help("make two tests of it")
                    .report();
                None
            }
            (None, None) => {
                source
                    .error(
                        fields.node,
                        "missing-key",
                        "a test needs the key `table` or `sql`",
                    )
                    .help("add `table: …` with the name of a table, or `sql: SELECT …`")
                    .report();
                None
            }
        }
    }

    /// A table by its SQL name: of this domain, or of another with its name before it.
    fn table(&self, source: &Source, node: &Node, text: &str) -> Option<(TableId, &Table)> {
        let (domain, name) = match text.split_once('.') {
            None => (self.domain, text),
            Some((schema, name)) => {
                let mut domains = self.mesh.domains.iter();
                let Some(domain) = domains.find(|it| it.name.as_str() == schema) else {
                    self.no_domain(source, node, schema);
                    return None;
                };
                (*domain, name)
            }
        };
        let found = domain.table(name);
        if found.is_none() {
            let names: Vec<String> = domain.tables.iter().flat_map(Table::sql_names).collect();
            let near = did_you_mean(name, names.iter().map(String::as_str));
            source
                .error(
                    node,
                    "unknown-table",
                    format!("table `{name}` is not in domain `{}`", domain.name),
                )
                .help(near.map_or_else(
                    || "name a table of this domain, or `domain.table`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ))
                .report();
        }
        found.map(|table| (table.id(&domain.name), table))
    }

    fn no_domain(&self, source: &Source, node: &Node, schema: &str) {
        let faulty = |name: &Option<DomainName>| {
            let name = name.as_ref();
            name.is_some_and(|name| name.as_str() == schema)
        };
        let is_faulty = self.mesh.report.domains.iter().any(|it| faulty(&it.name));
        let message = if is_faulty {
            format!("domain `{schema}` has faults of its own, so its tables are not known")
        } else {
            format!("the mesh has no domain `{schema}`")
        };
        let names = self.mesh.domains.iter().map(|it| it.name.as_str());
        let near = did_you_mean(schema, names).filter(|_| !is_faulty);
        source
            .error(node, "unknown-table", message)
            .help_if(near.map(|near| format!("did you mean `{near}`?")))
            .report();
    }
}

/// A list of rows, or a mapping with `rows` and the `defaults` of each.
fn read_fixture(source: &Source, node: &Node, table: &Table) -> Vec<TestRow> {
    let what = "a fixture";
    let (rows, defaults) = if node.kind() == Kind::Mapping {
        let Some(fields) = Fields::open(source, node, what) else {
            return Vec::new();
        };
        let defaults = fields
            .get("defaults")
            .and_then(|node| read_row(source, node, Some(table)));
        let rows = fields.required("rows");
        let rows = rows.map(|node| read_rows(source, node, "rows", Some(table)));
        fields.finish();
        (rows.unwrap_or_default(), defaults)
    } else {
        (read_rows(source, node, what, Some(table)), None)
    };
    let mut rows = rows;
    for row in &mut rows {
        for (name, value) in defaults.iter().flat_map(|defaults| &defaults.cells) {
            if row.cell(&name.value).is_none() {
                row.cells.push((name.clone(), value.clone()));
            }
        }
        refuse_missing(source, row, table);
    }
    rows
}

/// A source without a required value is one that cannot be read.
fn refuse_missing(source: &Source, row: &TestRow, table: &Table) {
    let is_null = |name: &str| {
        row.cell(name)
            .is_none_or(|cell| cell.value == TestValue::Null)
    };
    let missing: Vec<String> = table
        .columns
        .iter()
        .filter(|column| column.required && is_null(&column.name))
        .map(|column| format!("`{}`", column.name))
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "the contract of `{}` requires a value of {}",
            table.name,
            missing.join(", ")
        );
        let fault = Fault::error(row.span.clone(), "missing-value", message);
        source.report(fault.with_help(
            "give it one in the row, or for all rows: `defaults` beside `rows` under the table's name",
        ));
    }
}
