//! Grants, guardrails, an entitlement and a purpose on one table, against a small
//! interpreter of the access model over the raw rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use tonic::Code;

use super::{Stored, batch, ints, texts};
use crate::support::{MeshDir, TestClient, TestServer, cells};

const PEOPLE: &str = "
- {name: id, logicalType: integer, required: true}
- {name: owner, logicalType: string}
- {name: region, logicalType: string}
- {name: team, logicalType: string}
- {name: salary, logicalType: integer}
- {name: email, logicalType: string, tags: [pii]}
";
const GRANTS: &str = "
- name: team
  to: [group:staff]
  on: people
  columns: [id, owner, region, team, email]
  rows: \"team IN (SELECT team FROM sales.memberships WHERE member = session.user)\"
- name: payroll
  to: [group:staff]
  on: people
  columns: [id, salary]
  masks: {salary: bucket(1000)}
  rows: \"region = session.attr('region')\"
  purposes: [payroll]
- name: own
  to: [everyone]
  on: people
  columns: [id, salary, email]
  rows: owner = session.user
- name: visits
  to: [everyone]
  on: visits
  columns: '*'
";
const GUARDRAILS: &str = "
- name: veiled
  on: {tags: [pii]}
  except: [group:privacy-office]
  mask: show_first(2)
- name: nowhere
  on: {tables: [sales.people]}
  rows: region <> 'XX'
- name: regions-for-a-purpose
  on: {domains: [sales], column: region}
  requirePurpose: true
- name: apart
  forbidCombine: [sales.people, sales.visits]
";
const COLUMNS: [&str; 6] = ["id", "owner", "region", "team", "salary", "email"];
const MEMBERS: [(&str, &str); 3] = [("ana", "t1"), ("ana", "t2"), ("bo", "t2")];

struct Viewer {
    name: &'static str,
    region: &'static str,
    groups: &'static [&'static str],
}

const VIEWERS: [Viewer; 3] = [
    Viewer {
        name: "ana",
        region: "EU",
        groups: &["all", "staff"],
    },
    Viewer {
        name: "bo",
        region: "US",
        groups: &["all", "staff", "privacy-office"],
    },
    Viewer {
        name: "cy",
        region: "EU",
        groups: &["all"],
    },
];

type Row = [Option<String>; 6];

/// Every owner with every region and team, and NULL in each of them.
fn raw() -> Vec<Row> {
    let text = |value: &str| (value != "∅").then(|| value.to_owned());
    let mut rows: Vec<Row> = Vec::new();
    for owner in ["ana", "bo", "cy", "zed", "∅"] {
        for region in ["EU", "US", "XX", "∅"] {
            for team in ["t1", "t2", "t3", "∅"] {
                let id = rows.len();
                let salary = (!id.is_multiple_of(7)).then(|| (id * 137).to_string());
                let email = (!id.is_multiple_of(5)).then(|| format!("u{id}@x.y"));
                rows.push([
                    Some(id.to_string()),
                    text(owner),
                    text(region),
                    text(team),
                    salary,
                    email,
                ]);
            }
        }
    }
    rows
}

/// What a grant shows of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Clear,
    Bucket,
}

type Grant = (bool, &'static [(usize, Shown)], fn(&Viewer, &Row) -> bool);

/// The access model, read aloud: which columns there are, and of each visible row
/// its cells and which of them policy hides.
struct Interpreter<'a> {
    viewer: &'a Viewer,
    purpose: Option<&'a str>,
    grants: Vec<Grant>,
}

impl<'a> Interpreter<'a> {
    fn new(viewer: &'a Viewer, purpose: Option<&'a str>) -> Self {
        use Shown::{Bucket, Clear};
        let staff = viewer.groups.contains(&"staff");
        let team: Grant = (
            staff,
            &[(0, Clear), (1, Clear), (2, Clear), (3, Clear), (5, Clear)],
            |viewer, row| {
                let is_in = |team: &String| MEMBERS.contains(&(viewer.name, team.as_str()));
                row[3].as_ref().is_some_and(is_in)
            },
        );
        let payroll: Grant = (
            staff && purpose == Some("payroll"),
            &[(0, Clear), (4, Bucket)],
            |viewer, row| row[2].as_deref() == Some(viewer.region),
        );
        let own: Grant = (
            true,
            &[(0, Clear), (4, Clear), (5, Clear)],
            |viewer, row| row[1].as_deref() == Some(viewer.name),
        );
        let grants = [team, payroll, own].into_iter().filter(|grant| grant.0);
        Self {
            viewer,
            purpose,
            grants: grants.collect(),
        }
    }

    fn columns(&self) -> Vec<usize> {
        let given = |at: usize| {
            self.grants
                .iter()
                .any(|(_, columns, _)| columns.iter().any(|c| c.0 == at))
        };
        let denied = |at: usize| at == 2 && self.purpose.is_none();
        (0..COLUMNS.len())
            .filter(|&at| given(at) && !denied(at))
            .collect()
    }

    fn is_visible(&self, row: &Row) -> bool {
        let granted = self
            .grants
            .iter()
            .any(|(_, _, holds)| holds(self.viewer, row));
        granted && row[2].as_deref().is_some_and(|region| region != "XX")
    }

    /// The cell, or that policy hides it.
    fn cell(&self, row: &Row, at: usize) -> Result<Option<String>, ()> {
        let holding = self
            .grants
            .iter()
            .filter(|(_, _, holds)| holds(self.viewer, row));
        let shown: Vec<Shown> = holding
            .flat_map(|(_, columns, _)| columns.iter().filter(|c| c.0 == at).map(|c| c.1))
            .collect();
        let value = row[at].clone();
        let value = if shown.contains(&Shown::Clear) {
            value
        } else if shown.contains(&Shown::Bucket) {
            value.map(|v| (v.parse::<i64>().unwrap() / 1000 * 1000).to_string())
        } else {
            return Err(());
        };
        let veiled = at == 5 && !self.viewer.groups.contains(&"privacy-office");
        Ok(value.map(|v| match veiled {
            true => format!("{}{}", &v[..2], "*".repeat(v.len() - 2)),
            false => v,
        }))
    }

    fn rows(&self, write: impl Fn(&Row, usize) -> String) -> Vec<String> {
        let rows = raw();
        let visible = rows.iter().filter(|row| self.is_visible(row));
        let line = |row: &Row| {
            self.columns()
                .iter()
                .map(|&at| write(row, at))
                .collect::<Vec<_>>()
                .join("|")
        };
        visible.map(line).collect()
    }
}

fn mesh(stored: Stored) -> MeshDir {
    let visits = "- {name: id, logicalType: integer}";
    let members = "- {name: member, logicalType: string}\n- {name: team, logicalType: string}";
    let mut mesh = MeshDir::new("acme").with_head("guardrails: guardrails.yaml");
    for viewer in &VIEWERS {
        mesh = mesh.user(
            viewer.name,
            "pw",
            viewer.groups,
            &[("region", viewer.region)],
        );
    }
    let mesh = mesh
        .service_for("bi", "token-of-bi", &["staff"], &[], &["all"])
        .domain(
            "sales",
            GRANTS,
            &[
                &stored.contract("people", PEOPLE),
                &stored.contract("memberships", members),
                &stored.contract("visits", visits),
            ],
        );
    mesh.guardrails(GUARDRAILS);
    let rows = raw();
    let text = |at: usize| -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|row| row[at].clone())
                .collect::<StringArray>(),
        )
    };
    let number = |at: usize| -> ArrayRef {
        let parse = |row: &Row| row[at].as_ref().map(|v| v.parse::<i64>().unwrap());
        Arc::new(rows.iter().map(parse).collect::<Int64Array>())
    };
    let people = batch([
        ("id", number(0)),
        ("owner", text(1)),
        ("region", text(2)),
        ("team", text(3)),
        ("salary", number(4)),
        ("email", text(5)),
    ]);
    // In two files, and with memberships of nobody and of nothing.
    stored.write(&mesh, "sales", "people", "one", &people.slice(0, 33));
    stored.write(
        &mesh,
        "sales",
        "people",
        "two",
        &people.slice(33, people.num_rows() - 33),
    );
    let members = batch([
        ("member", texts(["ana", "ana", "bo", "∅", "cy"])),
        ("team", texts(["t1", "t2", "t2", "t3", "∅"])),
    ]);
    stored.write(&mesh, "sales", "memberships", "all", &members);
    stored.write(
        &mesh,
        "sales",
        "visits",
        "all",
        &batch([("id", ints([1, 2]))]),
    );
    mesh
}

/// Everything that a client can ask about the table, against the interpreter.
async fn check(client: &TestClient, model: &Interpreter<'_>, who: &str) {
    let names: Vec<&str> = model.columns().into_iter().map(|at| COLUMNS[at]).collect();
    let columns = names.join(", ");
    let text = |row: &Row, at| {
        model
            .cell(row, at)
            .ok()
            .flatten()
            .unwrap_or_else(|| "∅".to_owned())
    };
    let expected = model.rows(text);
    for sql in [
        format!("SELECT {columns} FROM sales.people ORDER BY id"),
        "SELECT * FROM sales.people ORDER BY id".to_owned(),
        "WITH p AS (SELECT * FROM sales.people) SELECT * FROM p ORDER BY id".to_owned(),
    ] {
        assert_eq!(client.rows(&sql).await, expected, "{who}: {sql}");
    }

    let flags: Vec<_> = names
        .iter()
        .map(|name| format!("cell_hidden({name})"))
        .collect();
    let sql = format!("SELECT {} FROM sales.people ORDER BY id", flags.join(", "));
    let hidden = model.rows(|row, at| model.cell(row, at).is_err().to_string());
    assert_eq!(client.rows(&sql).await, hidden, "{who}: {sql}");
    // A predicate sees the same cells as the answer shows.
    let last = names.last().unwrap();
    let sql = format!(
        "SELECT count(*) FROM sales.people WHERE {last} IS NULL AND NOT cell_hidden({last})"
    );
    let at = *model.columns().last().unwrap();
    let nulls = model.rows(|row, _| (model.cell(row, at) == Ok(None)).to_string());
    let nulls = nulls.iter().filter(|row| row.starts_with("true")).count();
    assert_eq!(client.value(&sql).await, nulls.to_string(), "{who}: {sql}");

    let sql = "SELECT column_name FROM information_schema.columns WHERE table_name = 'people' ORDER BY ordinal_position";
    assert_eq!(client.rows(sql).await, names, "{who}");
    for name in COLUMNS.iter().filter(|name| !names.contains(name)) {
        let sql = format!("SELECT {name} FROM sales.people");
        assert_eq!(
            client.fails(&sql).await.code(),
            Code::InvalidArgument,
            "{who}: {sql}"
        );
    }

    let sql = "SELECT * FROM sales.people WHERE id >= $1 ORDER BY id";
    let handle = client.prepared_handle(sql).await.unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let row = RecordBatch::try_from_iter([("1", ids)]).unwrap();
    let bound = client.bind(&handle, row).await.unwrap();
    let command = arrow_flight::sql::CommandPreparedStatementQuery {
        prepared_statement_handle: bound,
    };
    assert_eq!(
        cells(&client.metadata(&command).await.unwrap()),
        expected,
        "{who}: {sql}"
    );
}

/// Neither side knows of the other, in whatever a query puts between them.
async fn refuses_both(client: &TestClient) {
    for sql in [
        "SELECT count(*) FROM sales.people p JOIN sales.visits v ON p.id = v.id",
        "SELECT id FROM sales.people WHERE id IN (SELECT id FROM sales.visits)",
        "SELECT id FROM sales.people WHERE EXISTS (SELECT 1 FROM sales.visits WHERE false)",
        "SELECT (SELECT max(id) FROM sales.visits) FROM sales.people",
        "WITH v AS (SELECT id FROM sales.visits) SELECT p.id FROM sales.people p, v",
        "SELECT id FROM sales.people UNION ALL SELECT id FROM sales.visits",
        "SELECT id FROM sales.people WHERE false UNION SELECT id FROM sales.visits LIMIT 0",
        "EXPLAIN SELECT count(*) FROM sales.people p JOIN sales.visits v ON p.id = v.id",
        "EXPLAIN SELECT id FROM sales.people WHERE id IN (SELECT id FROM sales.visits)",
    ] {
        for status in [
            client.fails(sql).await,
            client.prepared_handle(sql).await.unwrap_err(),
        ] {
            assert_eq!(status.code(), Code::PermissionDenied, "{sql}: {status:?}");
            assert!(
                status.message().contains("guardrail `apart`"),
                "{sql}: {status:?}"
            );
        }
    }
    assert_eq!(client.value("SELECT count(*) FROM sales.visits").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_grants_a_guardrail_an_entitlement_and_a_purpose_on_one_table() {
    for stored in [Stored::Parquet, Stored::Csv] {
        let mesh = mesh(stored);
        let server = TestServer::start(&mesh).await;
        for viewer in &VIEWERS {
            let person = server.client(viewer.name, "pw").await;
            let service = server.service("token-of-bi").await;
            let user = format!("user:{}", viewer.name);
            let service = service.with_header("x-weft-on-behalf-of", &user);
            for purpose in [None, Some("payroll"), Some("else")] {
                let model = Interpreter::new(viewer, purpose);
                for client in [&person, &service] {
                    let client = match purpose {
                        Some(purpose) => client.clone().with_header("x-weft-purpose", purpose),
                        None => client.clone(),
                    };
                    let who = format!("{stored:?} {} {purpose:?}", viewer.name);
                    check(&client, &model, &who).await;
                }
            }
            refuses_both(&person).await;
            refuses_both(&service).await;
        }
        // What the policy of `people` looks up is read with it.
        mesh.guardrails(&GUARDRAILS.replace("[sales.people,", "[sales.memberships,"));
        let report = server.live.reload().await;
        assert!(report.applied && report.faults.is_empty(), "{report:?}");
        let staff = VIEWERS.iter().filter(|it| it.groups.contains(&"staff"));
        for viewer in staff {
            let person = server.client(viewer.name, "pw").await;
            let both = "SELECT count(*) FROM sales.people p JOIN sales.visits v ON p.id = v.id";
            let status = person.fails(both).await;
            assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
            assert!(status.message().contains("guardrail `apart`"), "{status:?}");
            assert!(!status.message().contains("memberships"), "{status:?}");
            person.rows("SELECT id FROM sales.people").await;
        }
    }
}
