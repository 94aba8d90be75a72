//! `EXPLAIN ACCESS`: for oneself what one may know, for others all of it, by
//! those who answer for the data.

use tonic::Code;

use crate::support::{MeshDir, TestServer, contract};

const ORDERS: &str = "
- {name: id, logicalType: integer}
- {name: region, logicalType: string}
- {name: amount, logicalType: integer}
- {name: email, logicalType: string, tags: [pii]}
- {name: margin, logicalType: integer, tags: [secret]}
- {name: note, logicalType: string}
";
const SALES: &str = "
- name: own
  to: [\"user:ana\"]
  on: orders
  columns: [id, region, amount, email, margin]
  masks: {amount: bucket(10)}
  rows: \"note <> 'Project Nightfall'\"
- name: small
  to: [group:staff]
  on: orders
  columns: [id, amount]
  rows: amount < 100
- name: fraud
  to: [\"user:ana\"]
  on: orders
  columns: '*'
  purposes: [fraud]
- name: others
  to: [\"user:bo\"]
  on: orders
  columns: '*'
";
const GUARDRAILS: &str = "
- name: pii
  on: {tags: [pii]}
  mask: hash
- name: secret
  on: {tags: [secret]}
  deny: true
- name: apart
  forbidCombine: [sales.*, hr.*]
";

fn mesh() -> MeshDir {
    let place = |table: &str| format!("data/{table}/*.csv");
    let people = "- {name: id, logicalType: integer}\n- {name: salary, logicalType: integer}";
    let mesh = MeshDir::new("acme")
        .with_head("guardrails: guardrails.yaml\nauditors: [\"user:aud\"]")
        .user("ana", "pw", &["staff"], &[])
        .user("bo", "pw", &[], &[])
        .user("sam", "pw", &[], &[])
        .user("aud", "pw", &[], &[])
        .domain(
            "sales",
            SALES,
            &[&contract("orders", "csv", &place("orders"), ORDERS)],
        )
        .domain(
            "hr",
            "- {name: all, to: [\"user:bo\"], on: people, columns: [id]}",
            &[&contract("people", "csv", &place("people"), people)],
        );
    mesh.change(
        "domains/sales/domain.yaml",
        "storage:",
        "stewards: [\"user:sam\"]\nstorage:",
    );
    mesh.guardrails(GUARDRAILS);
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn for_oneself() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let ana = server.client("ana", "pw").await;
    let told = ana
        .rows("EXPLAIN ACCESS SELECT * FROM sales.orders WHERE amount > 5")
        .await;
    assert_eq!(
        told,
        [
            "sales.orders|table|∅|granted|sees some rows|∅",
            "sales.orders|column|id|clear|clear|own, small",
            "sales.orders|column|region|conditional|clear or NULL|own",
            "sales.orders|column|amount|conditional|clear or bucket(10)|own, small",
            "sales.orders|column|email|conditional|hash or NULL|own; guardrail pii",
            "sales.orders|grant|own|yes, as user:ana|id, region, amount as bucket(10), email|∅",
            "sales.orders|grant|small|yes, as group:staff|id, amount|∅",
            "sales.orders|guardrail|pii|yes|email beyond hash|∅",
            "sales.orders|ask|∅|∅|the owner of the domain; stewards: user:sam|∅",
        ]
    );
    // Nothing of what is hidden from them: columns, conditions, other people, other purposes.
    let all = told.join("\n");
    for hidden in [
        "margin",
        "note",
        "Nightfall",
        "secret",
        "fraud",
        "bo",
        "where",
    ] {
        assert!(!all.contains(hidden), "{hidden}: {all}");
    }
    // What the query reads, and the other ways to ask.
    for sql in [
        "explain  access\n/* why */ select id from sales.orders",
        "EXPLAIN ACCESS WITH o AS (SELECT id FROM sales.orders) SELECT count(id) FROM o",
        "EXPLAIN ACCESS SELECT 1 WHERE EXISTS (SELECT 1 FROM sales.orders WHERE id = $1)",
    ] {
        let told = ana.rows(sql).await;
        assert_eq!(
            told[1], "sales.orders|column|id|clear|clear|own, small",
            "{sql}"
        );
        assert!(
            !told.iter().any(|line| line.contains("|column|region")),
            "{sql}"
        );
    }
    assert_eq!(ana.rows("EXPLAIN ACCESS SELECT 1").await, [""; 0]);
    assert_eq!(ana.rows("EXPLAIN ACCESS SHOW TABLES").await, [""; 0]);
    let purpose = ana.clone().with_header("x-weft-purpose", "fraud");
    let told = purpose
        .rows("EXPLAIN ACCESS SELECT note FROM sales.orders")
        .await;
    assert!(
        told.iter().any(|line| line.contains("|fraud|yes")),
        "{told:?}"
    );
    // A plain plan is still one.
    assert!(
        ana.rows("EXPLAIN SELECT id FROM sales.orders")
            .await
            .join("")
            .contains("plan")
    );

    // Hidden and missing are one answer, that of the query itself.
    for (hidden, missing) in [
        (
            "SELECT margin FROM sales.orders",
            "SELECT morgin FROM sales.orders",
        ),
        (
            "SELECT note FROM sales.orders",
            "SELECT nota FROM sales.orders",
        ),
        ("SELECT * FROM hr.people", "SELECT * FROM hr.nobody"),
    ] {
        let mut texts = Vec::new();
        for sql in [hidden, missing] {
            let plain = ana.fails(sql).await;
            let explained = ana.fails(&format!("EXPLAIN ACCESS {sql}")).await;
            // But for the place, which is another.
            let text = |status: &tonic::Status| {
                status.message().split(" (line").next().unwrap().to_owned()
            };
            assert_eq!(plain.code(), explained.code());
            assert_eq!(text(&plain), text(&explained));
            let name = sql.split([' ', '.']).collect::<Vec<_>>();
            texts.push(name.iter().fold(plain.message().to_owned(), |text, word| {
                text.replace(word, "")
            }));
        }
        assert_eq!(texts[0], texts[1]);
    }
    let bo = server.client("bo", "pw").await;
    let both = "EXPLAIN ACCESS SELECT 1 FROM sales.orders, hr.people";
    assert_eq!(bo.fails(both).await.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn for_others() {
    let mesh = mesh();
    let server = TestServer::start(&mesh).await;
    let as_user = async |name: &str| server.client(name, "pw").await;
    let (ana, sam, aud) = (
        as_user("ana").await,
        as_user("sam").await,
        as_user("aud").await,
    );
    let of_ana = "EXPLAIN ACCESS AS 'user:ana' SELECT id, margin FROM sales.orders";
    let told = sam.rows(of_ana).await;
    assert_eq!(
        told,
        [
            "∅|query|∅|refused|column `margin` does not exist; there are sales.orders.id, sales.orders.region, sales.orders.amount, sales.orders.email|∅",
            "sales.orders|table|∅|granted|sees 4 of 6 columns, rows where (amount < 100) OR (note <> 'Project Nightfall')|∅",
            "sales.orders|column|id|clear|clear|own, small",
            "sales.orders|column|margin|denied|does not exist: taken|own; guardrail secret",
            "sales.orders|grant|fraud|no: it is for the purpose fraud|id, region, amount, email, margin, note|∅",
            "sales.orders|grant|others|no: it is for user:bo|id, region, amount, email, margin, note|∅",
            "sales.orders|grant|own|yes, as user:ana|id, region, amount as bucket(10), email, margin; rows where note <> 'Project Nightfall'|∅",
            "sales.orders|grant|small|yes, as group:staff|id, amount; rows where amount < 100|∅",
            "sales.orders|guardrail|pii|yes|email beyond hash|∅",
            "sales.orders|guardrail|secret|yes|margin|∅",
            "sales.orders|ask|∅|∅|the owner of the domain; stewards: user:sam|∅",
        ]
    );
    assert_eq!(aud.rows(of_ana).await, told);
    let fraud = "EXPLAIN ACCESS AS 'user:ana' FOR 'fraud' SELECT note FROM sales.orders";
    let told = sam.rows(fraud).await;
    assert_eq!(told[1], "sales.orders|column|note|clear|clear|fraud");
    // It is for those who answer for the data, whoever is asked about.
    for whom in ["user:ana", "user:bo", "user:nobody"] {
        let sql = format!("EXPLAIN ACCESS AS '{whom}' SELECT id FROM sales.orders");
        let status = ana.fails(&sql).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{whom}");
        assert!(status.message().contains("only the stewards"), "{status:?}");
    }
    // A steward's own domains, and no others.
    let people = "EXPLAIN ACCESS AS 'user:bo' SELECT salary FROM hr.people";
    let hidden = sam.fails(people).await;
    let missing = sam.fails(&people.replace("people", "nobody")).await;
    assert_eq!(hidden.code(), Code::NotFound, "{hidden:?}");
    assert_eq!(
        hidden.message().replace("people", "nobody"),
        missing.message()
    );
    assert!(aud.rows(people).await[0].contains("refused"));
    let both = "EXPLAIN ACCESS AS 'user:bo' SELECT 1 FROM sales.orders, hr.people";
    assert!(aud.rows(both).await[0].contains("guardrail `apart`"));
    assert_eq!(sam.fails(both).await.code(), Code::NotFound);
    // What a query may not cost, its explanation may not either.
    let doubling = format!(
        "EXPLAIN ACCESS AS 'user:ana' SELECT {}id = 1{} FROM sales.orders",
        "(".repeat(40),
        ") BETWEEN false AND true".repeat(40)
    );
    let status = sam.fails(&doubling).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(
        status.message().contains("more than 20000 parts"),
        "{status:?}"
    );
    for (sql, text) in [
        ("EXPLAIN ACCESS AS user:ana SELECT 1", "AS 'user:NAME'"),
        (
            "EXPLAIN ACCESS AS 'group:staff' SELECT 1",
            "'user:NAME' or 'service:NAME'",
        ),
        ("EXPLAIN ACCESS AS 'user:nobody' SELECT 1", "no user:nobody"),
        (
            "EXPLAIN ACCESS FOR 'x' SELECT 1",
            "session option `purpose`",
        ),
        ("EXPLAIN ACCESS DESCRIBE sales.orders", "explains a query"),
    ] {
        let status = sam.fails(sql).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status:?}");
        assert!(status.message().contains(text), "{sql}: {status:?}");
    }
}
