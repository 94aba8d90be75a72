//! Predicates that look membership up in another table.

use arrow_schema::DataType;
use weft_mesh::{Domain, DomainName, Table};

use super::{
    Narrow, ana, column, domain, grant, mesh, names, orders, orders_id, span, table, user, viewer,
};
use crate::{
    Access, DomainPolicy, Guardrails, Operand, PolicySnapshot, RowPredicate, TableAccess,
    predicate::Entitlements,
};

const OWN: &str = "region IN (SELECT area FROM sales.members WHERE who = session.user)";

/// `members(who, area, "Level", weight, since)`.
fn members() -> Table {
    table(
        "members",
        vec![
            column("who", DataType::Utf8),
            column("area", DataType::Utf8),
            column("Level", DataType::Int32),
            column("weight", DataType::Float64),
            column("since", DataType::Date32),
        ],
    )
}

fn sales() -> Domain {
    domain(vec![orders(), members()], Vec::new())
}

/// Domain `hr` with `people(who, area)` and `salaries(who, area)`; it lends the first.
fn hr(lent: &[&str]) -> Domain {
    let columns = || {
        vec![
            column("who", DataType::Utf8),
            column("area", DataType::Utf8),
        ]
    };
    let mut hr = domain(
        vec![table("people", columns()), table("salaries", columns())],
        Vec::new(),
    );
    hr.name = DomainName::parse("hr").unwrap();
    hr.entitlements = names(lent);
    hr
}

fn parse(text: &str) -> Result<RowPredicate, (&'static str, String)> {
    let (sales, hr) = (sales(), hr(&["people"]));
    let entitlements = Entitlements {
        reader: Some(&sales.name),
        domains: &[&sales, &hr],
    };
    RowPredicate::parse(text, &span(), &sales.tables[0], entitlements).map_err(|faults| {
        let fault = &faults[0];
        let help = fault.help.clone().unwrap_or_default();
        let message = fault.message.split(" (at ").next().unwrap();
        (fault.rule, format!("{message} / {help}"))
    })
}

#[test]
fn every_form() {
    for text in [
        OWN,
        "region IN (SELECT area FROM sales.members)",
        "region IN (SELECT area FROM hr.people WHERE who = session.user)",
        "region in (select area from sales.members where who = session.user)",
        "(region IN (SELECT area FROM sales.members))",
        "open AND (id < 3 OR region IN (SELECT area FROM sales.members))",
        "lower(region) IN (SELECT area FROM sales.members)",
        // The narrower side is widened.
        "id IN (SELECT \"Level\" FROM sales.members)",
        "\"Mixed\" IN (SELECT \"Level\" FROM sales.members)",
        // The inner condition is a row predicate of the other table.
        "region IN (SELECT area FROM sales.members WHERE NOT (who <> session.user) \
         AND since < '2026-01-01' AND session.in_group('analysts') \
         AND session.purpose IS NOT NULL AND session.attr('x') = area)",
    ] {
        parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    }
}

#[test]
fn what_is_refused() {
    for (text, rule, message) in [
        // Membership only lets in.
        (
            "region NOT IN (SELECT area FROM sales.members)",
            "predicate-not-allowed",
            "not under NOT or IS",
        ),
        (
            "NOT region IN (SELECT area FROM sales.members)",
            "predicate-not-allowed",
            "not under NOT or IS",
        ),
        (
            "NOT (open AND (id < 3 OR region IN (SELECT area FROM sales.members)))",
            "predicate-not-allowed",
            "not under NOT or IS",
        ),
        (
            "(region IN (SELECT area FROM sales.members)) IS TRUE",
            "predicate-not-allowed",
            "not under NOT or IS",
        ),
        (
            "(open OR region IN (SELECT area FROM sales.members)) IS NOT FALSE",
            "predicate-not-allowed",
            "not under NOT or IS",
        ),
        (
            "(region IN (SELECT area FROM sales.members)) IS UNKNOWN",
            "predicate-not-allowed",
            "not under NOT or IS",
        ),
        (
            "(region IN (SELECT area FROM sales.members)) IS NULL",
            "predicate-not-allowed",
            "a condition as a value",
        ),
        (
            "(region IN (SELECT area FROM sales.members)) = open",
            "predicate-not-allowed",
            "a condition as a value",
        ),
        (
            "region IN (SELECT area FROM sales.members WHERE who IN (SELECT who FROM hr.people))",
            "predicate-not-allowed",
            "inside of another",
        ),
        (
            "region IN (SELECT area FROM sales.members WHERE NOT who IN (SELECT who FROM hr.people))",
            "predicate-not-allowed",
            "not under NOT",
        ),
        // Which tables.
        (
            "region IN (SELECT area FROM hr.salaries)",
            "entitlement-not-lent",
            "domain `hr` does not lend `hr.salaries` to predicates of others / its owner may add `entitlements: [salaries]`",
        ),
        (
            "region IN (SELECT area FROM hr.peopel)",
            "unknown-table",
            "there is no table `hr.peopel` / did you mean `people`?",
        ),
        (
            "region IN (SELECT area FROM crm.people)",
            "unknown-table",
            "there is no table `crm.people`",
        ),
        (
            "region IN (SELECT area FROM members)",
            "predicate-not-allowed",
            "is not `SELECT column FROM domain.table WHERE condition`",
        ),
        (
            "region IN (SELECT area FROM acme.sales.members)",
            "predicate-not-allowed",
            "is not `SELECT column FROM",
        ),
        // Types.
        (
            "amount IN (SELECT weight FROM sales.members)",
            "predicate-type",
            "not a float",
        ),
        (
            "id IN (SELECT area FROM sales.members)",
            "predicate-type",
            "column `id` is Int64, but column `area` is Utf8 of `sales.members`",
        ),
        (
            "ordered_at IN (SELECT since FROM sales.members)",
            "predicate-type",
            "look up a column of the same type",
        ),
        (
            "region IN (SELECT aera FROM sales.members)",
            "unknown-column",
            "column `aera` is not in table `members`",
        ),
        (
            "region IN (SELECT area FROM sales.members WHERE regoin = 'EU')",
            "unknown-column",
            "column `regoin` is not in table `members`",
        ),
        // The inner condition does not see the outer row.
        (
            "region IN (SELECT area FROM sales.members WHERE email = who)",
            "unknown-column",
            "column `email` is not in table `members`",
        ),
        // Both sides are columns.
        (
            "session.user IN (SELECT who FROM sales.members)",
            "predicate-not-allowed",
            "takes a column on both sides",
        ),
        (
            "session.attr('x') IN (SELECT who FROM sales.members)",
            "predicate-not-allowed",
            "takes a column on both sides",
        ),
        (
            "'EU' IN (SELECT area FROM sales.members)",
            "predicate-not-allowed",
            "takes a column on both sides",
        ),
        // Nothing but one column, one table and a condition.
        (
            "region IN (SELECT 'EU' FROM sales.members)",
            "predicate-not-allowed",
            "",
        ),
        (
            "region IN (SELECT * FROM sales.members)",
            "predicate-not-allowed",
            "",
        ),
        (
            "region IN (SELECT lower(area) FROM sales.members)",
            "predicate-not-allowed",
            "",
        ),
        (
            "region IN (SELECT members.area FROM sales.members)",
            "predicate-not-allowed",
            "",
        ),
    ] {
        let (found, text_of) = parse(text).expect_err(text);
        assert_eq!(found, rule, "{text}: {text_of}");
        assert!(text_of.contains(message), "{text}: {text_of}");
    }
    for query in [
        "SELECT area, who FROM sales.members",
        "SELECT area AS a FROM sales.members",
        "SELECT DISTINCT area FROM sales.members",
        "SELECT ALL area FROM sales.members",
        "SELECT area FROM sales.members AS m",
        "SELECT area FROM sales.members m",
        "SELECT area FROM sales.members, hr.people",
        "SELECT area FROM sales.members JOIN hr.people ON true",
        "SELECT area FROM sales.members ORDER BY area",
        "SELECT area FROM sales.members LIMIT 1",
        "SELECT area FROM sales.members OFFSET 1",
        "SELECT area FROM sales.members FETCH FIRST 1 ROWS ONLY",
        "SELECT area FROM sales.members GROUP BY area",
        "SELECT area FROM sales.members HAVING true",
        "SELECT area FROM sales.members QUALIFY true",
        "SELECT area FROM sales.members FOR UPDATE",
        "SELECT area FROM sales.members TABLESAMPLE BERNOULLI (50)",
        "SELECT area FROM sales.members WITH (NOLOCK)",
        "SELECT area FROM sales.members UNION SELECT area FROM sales.members",
        "SELECT area FROM (SELECT area FROM sales.members)",
        "SELECT area FROM sales.members('x')",
        "SELECT TOP 1 area FROM sales.members",
        "SELECT area INTO x FROM sales.members",
        "WITH m AS (SELECT 1) SELECT area FROM sales.members",
        "SELECT area",
        "VALUES ('EU')",
        "TABLE sales.members",
        "FROM sales.members SELECT area",
        "(SELECT area FROM sales.members)",
    ] {
        let text = format!("region IN ({query})");
        let (rule, message) = parse(&text).expect_err(&text);
        // What the parser does not know is no better than what we refuse.
        assert!(
            ["predicate-not-allowed", "predicate-syntax"].contains(&rule),
            "{text}: {rule}: {message}"
        );
    }
}

#[test]
fn the_mesh_reads_any_table_and_a_domain_its_own() {
    let (sales, hr) = (sales(), hr(&[]));
    for (reader, domain, allowed) in [
        (None, "hr", true),
        (None, "sales", true),
        (Some(&hr.name), "hr", true),
        (Some(&sales.name), "hr", false),
    ] {
        let entitlements = Entitlements {
            reader,
            domains: &[&sales, &hr],
        };
        let table = if domain == "hr" {
            "salaries"
        } else {
            "members"
        };
        let text = format!("region IN (SELECT area FROM {domain}.{table})");
        let parsed = RowPredicate::parse(&text, &span(), &sales.tables[0], entitlements);
        assert_eq!(parsed.is_ok(), allowed, "{text}");
    }
}

#[test]
fn a_lookup_is_bound_inside() {
    let bind =
        |text: &str, principal: &crate::Principal| parse(text).unwrap().bind(&viewer(principal));
    let RowPredicate::InEntitlement {
        operand,
        entitlement,
    } = bind(OWN, &ana())
    else {
        panic!("no lookup");
    };
    assert!(matches!(operand, Operand::Column { name, .. } if name == "region"));
    assert!(matches!(&entitlement.key, Operand::Column { name, .. } if name == "area"));
    assert_eq!(entitlement.table.to_string(), "sales.members");
    let mut leaves = Vec::new();
    entitlement
        .rows
        .for_each_leaf(&mut |leaf| leaves.push(leaf.to_string()));
    assert_eq!(leaves, ["who", "'ana'"]);

    // A condition that nobody can meet needs no lookup; one that all meet has one.
    let never = "region IN (SELECT area FROM sales.members WHERE who = session.attr('none'))";
    assert_eq!(
        bind(never, &ana()),
        RowPredicate::Literal(Some(false)),
        "NULL is not TRUE"
    );
    let group = "region IN (SELECT area FROM sales.members WHERE session.in_group('analysts'))";
    assert!(matches!(
        bind(group, &ana()),
        RowPredicate::InEntitlement { .. }
    ));
    assert_eq!(
        bind(group, &user("ben", &[], &[])),
        RowPredicate::Literal(Some(false))
    );
    // Widened to the type that both have.
    let RowPredicate::InEntitlement { entitlement, .. } =
        bind("id IN (SELECT \"Level\" FROM sales.members)", &ana())
    else {
        panic!("no lookup");
    };
    assert_eq!(entitlement.key.data_type(), DataType::Int64);
}

fn access(snapshot: &PolicySnapshot, principal: &crate::Principal) -> TableAccess {
    match snapshot.decide(&viewer(principal), &orders_id()) {
        Access::Granted(access) => access,
        Access::Denied(denial) => panic!("{denial:?}"),
    }
}

#[test]
fn each_part_of_a_lookup_is_in_the_digest() {
    let digest = |rows: &str, principal: &crate::Principal| {
        let mut sales = sales();
        sales.grants = vec![grant("g", &["everyone"]).rows(rows)];
        access(&mesh(&[&sales, &hr(&["people"])], &[]), principal).digest()
    };
    let base = digest(OWN, &ana());
    assert_eq!(base, digest(OWN, &ana()));
    assert_ne!(base, digest(OWN, &user("ben", &[], &[])));
    for other in [
        "region IN (SELECT area FROM hr.people WHERE who = session.user)",
        "region IN (SELECT who FROM sales.members WHERE who = session.user)",
        "email IN (SELECT area FROM sales.members WHERE who = session.user)",
        "region IN (SELECT area FROM sales.members)",
        "region IN (SELECT area FROM sales.members WHERE area = session.user)",
    ] {
        assert_ne!(base, digest(other, &ana()), "{other}");
    }
    // And in that of the lookup itself, which names it in the plan.
    let lookup = |text: &str| match parse(text).unwrap().bind(&viewer(&ana())) {
        RowPredicate::InEntitlement {
            operand,
            entitlement,
        } => entitlement.digest(&operand),
        other => panic!("{other:?}"),
    };
    let all = [
        OWN,
        "email IN (SELECT area FROM sales.members WHERE who = session.user)",
        "region IN (SELECT who FROM sales.members WHERE who = session.user)",
        "region IN (SELECT area FROM hr.people WHERE who = session.user)",
        "region IN (SELECT area FROM sales.members WHERE who = 'ben')",
    ]
    .map(lookup);
    assert_eq!(
        all.iter().collect::<std::collections::HashSet<_>>().len(),
        5
    );
}

#[test]
fn what_is_no_longer_lent_has_no_members() {
    let rows = "region IN (SELECT area FROM hr.people WHERE who = session.user) OR open";
    let mut sales = sales();
    sales.grants = vec![grant("g", &["everyone"]).rows(rows)];
    let (lends, withdraws) = (hr(&["people"]), hr(&[]));
    let policy = DomainPolicy::compile(&sales, &[&sales, &lends]).unwrap();
    let policy = std::sync::Arc::new(policy);
    let with = |other: Option<&Domain>| {
        let other = other.map(|other| DomainPolicy::compile(other, &[other]).unwrap());
        let policies = [std::sync::Arc::clone(&policy)]
            .into_iter()
            .chain(other.map(std::sync::Arc::new));
        let snapshot = PolicySnapshot::new(
            crate::Authenticator::default(),
            policies,
            Guardrails::default(),
        );
        access(&snapshot, &ana()).rows.unwrap()
    };
    assert!(matches!(with(Some(&lends)), RowPredicate::Or(_)));
    // Sales, which has a fault now and stays as it was, keeps no right of it.
    assert!(matches!(with(Some(&withdraws)), RowPredicate::Bool(_)));
    assert!(matches!(with(None), RowPredicate::Bool(_)));
}

#[test]
fn a_domain_cannot_be_compiled_against_what_is_not_lent() {
    let mut sales = sales();
    sales.grants = vec![grant("g", &["everyone"]).rows("region IN (SELECT area FROM hr.people)")];
    let hr = hr(&["salaries"]);
    let faults = DomainPolicy::compile(&sales, &[&sales, &hr]).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].rule, "entitlement-not-lent");
    assert_eq!(
        faults[0].help.as_deref(),
        Some("its owner may add `entitlements: [people]` to its domain.yaml")
    );
}
