//! What the mesh takes away from what domains give.

use std::collections::BTreeSet;

use arrow_schema::DataType;
use weft_mesh::{
    Domain, DomainName, Fault, GrantTarget, GuardrailEffect, GuardrailManifest, GuardrailTarget,
    Table, TableId,
};

use super::{
    Narrow, ana, column, domain, except, grant, guardrail, limited, masked, mesh, names, on,
    orders, orders_id, patterns, table, user, viewer,
};
use crate::{
    Access, ColumnMask, DenialReason, DomainPolicy, Exposure, GuardrailReason, Guardrails,
    Principal, PrincipalId, Reveal, RowPredicate, TableAccess, Taken,
};

fn deny(on: GuardrailTarget) -> GuardrailEffect {
    GuardrailEffect::Deny { on }
}

fn tags(tags: &[&str]) -> GuardrailTarget {
    GuardrailTarget {
        tags: names(tags),
        ..on()
    }
}

fn tables(texts: &[&str]) -> GuardrailTarget {
    GuardrailTarget {
        tables: patterns(texts),
        ..on()
    }
}

fn columns(texts: &[&str]) -> GuardrailTarget {
    GuardrailTarget {
        columns: names(texts),
        ..on()
    }
}

/// Orders given to everyone, whole.
fn sales() -> Domain {
    domain(vec![orders()], vec![grant("all", &["everyone"])])
}

fn decide(guardrails: &[GuardrailManifest], principal: &Principal) -> Access {
    mesh(&[&sales()], guardrails).decide(&viewer(principal), &orders_id())
}

fn granted(guardrails: &[GuardrailManifest], principal: &Principal) -> TableAccess {
    match decide(guardrails, principal) {
        Access::Granted(access) => access,
        Access::Denied(denial) => panic!("denied: {denial:?}"),
    }
}

/// Each visible column as text: `id`, `email: hash`.
fn shown(access: &TableAccess) -> Vec<String> {
    let show = |column: &crate::ColumnAccess| match &column.exposure {
        Exposure::Clear => column.name.clone(),
        Exposure::Cells(rules) => {
            let masks = rules.iter().map(|rule| match &rule.reveal {
                Reveal::Clear => "clear".to_owned(),
                Reveal::Masked(mask) => mask.to_string(),
            });
            format!("{}: {}", column.name, masks.collect::<Vec<_>>().join(", "))
        }
    };
    access.columns.iter().map(show).collect()
}

fn compile(
    guardrails: &[GuardrailManifest],
    domains: &[&Domain],
) -> Result<Guardrails, Vec<Fault>> {
    Guardrails::compile(guardrails, domains)
}

fn warnings(guardrails: &[GuardrailManifest], domains: &[&Domain]) -> Vec<(&'static str, String)> {
    let compiled = compile(guardrails, domains).unwrap();
    let warnings = compiled.warnings(true);
    warnings
        .inspect(|fault| assert!(!fault.is_error()))
        .map(|fault| (fault.rule, fault.message.clone()))
        .collect()
}

const ALL: [&str; 7] = [
    "id",
    "region",
    "email",
    "amount",
    "ordered_at",
    "open",
    "Mixed",
];

fn all_but(gone: &[&str]) -> Vec<String> {
    let kept = ALL.iter().filter(|name| !gone.contains(name));
    kept.map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_effect() {
    let effects = [
        (
            masked(tags(&["pii"]), "hash"),
            [
                "id",
                "region",
                "email: hash",
                "amount",
                "ordered_at",
                "open",
                "Mixed",
            ]
            .map(str::to_owned)
            .to_vec(),
            Taken::Masked(vec!["email".to_owned()]),
        ),
        (
            deny(tags(&["pii"])),
            all_but(&["email"]),
            Taken::Denied(vec!["email".to_owned()]),
        ),
        (
            GuardrailEffect::RequirePurpose { on: tags(&["pii"]) },
            all_but(&["email"]),
            Taken::WithoutPurpose(vec!["email".to_owned()]),
        ),
        (
            limited(tags(&["pii"]), "region = 'EU'"),
            all_but(&[]),
            Taken::Rows,
        ),
    ];
    for (effect, visible, taken) in effects {
        let access = granted(&[guardrail("limit", effect)], &ana());
        assert_eq!(shown(&access), visible);
        assert_eq!(access.rows.is_some(), taken == Taken::Rows);
        assert_eq!(
            access.guardrails,
            [GuardrailReason {
                guardrail: "limit".to_owned(),
                taken,
            }]
        );
    }
}

#[test]
fn each_key_of_on_and_all_of_them_together() {
    let mut sales = sales();
    let mut nested = column(
        "doc",
        DataType::Struct(vec![arrow_schema::Field::new("ssn", DataType::Utf8, true)].into()),
    );
    nested.inside.tags.insert("ssn".to_owned());
    nested.inside.classifications.insert("secret".to_owned());
    sales.tables[0].columns.push(nested);
    sales.tables[0].columns[3].classification = Some("restricted".to_owned());
    let class = |class: &str| GuardrailTarget {
        classification: names(&[class]),
        ..on()
    };
    let domains = |texts: &[&str]| GuardrailTarget {
        domains: names(texts),
        ..on()
    };
    let every: Vec<&str> = ALL.into_iter().chain(["doc"]).collect();
    for (on, gone) in [
        (tags(&["pii"]), vec!["email"]),
        // As any domain writes it.
        (tags(&["PII"]), vec!["email"]),
        (tags(&["none", "pii"]), vec!["email"]),
        (tags(&["none"]), vec![]),
        // A table's tag is on all of its columns.
        (tags(&["public"]), every.clone()),
        // A mark inside of a column is on the whole of it.
        (tags(&["ssn"]), vec!["doc"]),
        (class("secret"), vec!["doc"]),
        (class("restricted"), vec!["amount"]),
        (class("Restricted"), vec!["amount"]),
        (columns(&["region", "nowhere"]), vec!["region"]),
        (columns(&["Region"]), vec![]),
        (domains(&["sales"]), every.clone()),
        (domains(&["hr"]), vec![]),
        (tables(&["sales.*"]), every.clone()),
        (tables(&["sales.orders"]), every.clone()),
        (tables(&["sales.orders@1"]), every.clone()),
        (tables(&["sales.orders@2"]), vec![]),
        (tables(&["sales.order", "hr.*"]), vec![]),
        // All keys have to match, on the same column.
        (
            GuardrailTarget {
                tags: names(&["pii"]),
                columns: names(&["email"]),
                domains: names(&["sales"]),
                tables: patterns(&["sales.orders"]),
                ..on()
            },
            vec!["email"],
        ),
        (
            GuardrailTarget {
                tags: names(&["pii"]),
                columns: names(&["amount"]),
                ..on()
            },
            vec![],
        ),
        (
            GuardrailTarget {
                tags: names(&["pii"]),
                classification: names(&["restricted"]),
                ..on()
            },
            vec![],
        ),
        (
            GuardrailTarget {
                tags: names(&["pii"]),
                domains: names(&["hr"]),
                ..on()
            },
            vec![],
        ),
        (
            GuardrailTarget {
                tables: patterns(&["sales.*"]),
                domains: names(&["hr"]),
                ..on()
            },
            vec![],
        ),
    ] {
        let target = format!("{on:?}");
        let limits = [guardrail("limit", deny(on))];
        let decision = mesh(&[&sales], &limits).decide(&viewer(&ana()), &orders_id());
        let seen: Vec<_> = match &decision {
            Access::Granted(access) => access.columns.iter().map(|it| it.name.as_str()).collect(),
            Access::Denied(_) => Vec::new(),
        };
        let expected: Vec<&str> = every
            .iter()
            .copied()
            .filter(|name| !gone.contains(name))
            .collect();
        assert_eq!(seen, expected, "{target}");
    }
}

#[test]
fn a_grant_by_tag_does_not_read_marks_inside() {
    let mut sales = sales();
    sales.tables[0].columns[1]
        .inside
        .tags
        .insert("pii".to_owned());
    sales.grants[0].columns = weft_mesh::ColumnSelection::Tags(names(&["pii"]));
    let access = mesh(&[&sales], &[]).decide(&viewer(&ana()), &orders_id());
    let Access::Granted(access) = access else {
        panic!("denied");
    };
    assert_eq!(shown(&access), ["email"]);
}

#[test]
fn whom_it_does_not_bind() {
    let service = Principal::new(
        PrincipalId::service("bi"),
        BTreeSet::new(),
        std::collections::BTreeMap::new(),
    );
    let ben = user("ben", &[], &[]);
    let bi_user = user("bi", &[], &[]);
    for (whom, principal, bound) in [
        (vec!["user:ana"], ana(), false),
        (vec!["group:analysts"], ana(), false),
        (vec!["group:privacy", "user:ana"], ana(), false),
        (vec!["service:ana"], ana(), true),
        (vec!["group:ana"], ana(), true),
        (vec!["user:ana"], ben.clone(), true),
        (vec!["group:analysts"], ben, true),
        (vec!["service:bi"], service.clone(), false),
        (vec!["user:bi"], service, true),
        (vec!["service:bi"], bi_user, true),
    ] {
        let limit = except(guardrail("limit", deny(tags(&["pii"]))), &whom);
        let access = granted(&[limit], &principal);
        assert_eq!(access.columns.len() == ALL.len(), !bound, "{whom:?}");
        assert_eq!(access.guardrails.is_empty(), !bound, "{whom:?}");
    }
}

#[test]
fn owners_and_stewards_are_bound() {
    let mut sales = sales();
    sales.owner = Some("ana".to_owned());
    sales.stewards = vec![weft_mesh::Grantee::parse("user:ana").unwrap()];
    let limits = [guardrail("limit", deny(tags(&["pii"])))];
    let decision = mesh(&[&sales], &limits).decide(&viewer(&ana()), &orders_id());
    let Access::Granted(access) = decision else {
        panic!("denied");
    };
    assert_eq!(shown(&access), all_but(&["email"]));
}

#[test]
fn of_a_grants_mask_and_the_floors_the_least_revealing_holds() {
    for (given, floors, expected) in [
        (None, vec!["hash"], "hash"),
        (Some("hash"), vec!["show_last(2)"], "hash"),
        (Some("show_last(2)"), vec!["hash"], "hash"),
        (Some("show_last(4)"), vec!["show_last(2)"], "show_last(2)"),
        (Some("show_last(2)"), vec!["show_last(4)"], "show_last(2)"),
        (None, vec!["show_last(4)", "alphanum", "hash"], "alphanum"),
        (Some("nullify"), vec!["show_last(4)"], "nullify"),
        (Some("show_first(3)"), vec!["nullify"], "nullify"),
    ] {
        let mut sales = sales();
        if let Some(given) = given {
            sales.grants = vec![grant("g", &["everyone"]).mask("email", given)];
        }
        let mut limits: Vec<_> = floors
            .iter()
            .enumerate()
            .map(|(at, mask)| guardrail(&format!("g{at}"), masked(tags(&["pii"]), mask)))
            .collect();
        for _ in 0..limits.len() {
            limits.rotate_left(1);
            let decision = mesh(&[&sales], &limits).decide(&viewer(&ana()), &orders_id());
            let Access::Granted(access) = decision else {
                panic!("denied");
            };
            assert_eq!(shown(&access)[2], format!("email: {expected}"));
        }
    }
}

#[test]
fn a_floor_is_on_every_arm_of_a_cell() {
    let mut sales = sales();
    sales.grants = vec![
        grant("clear", &["everyone"])
            .only(&["id", "email"])
            .rows("open"),
        grant("masked", &["everyone"])
            .only(&["id", "email"])
            .mask("email", "alphanum")
            .rows("id < 3"),
        grant("other", &["everyone"]).only(&["id"]),
    ];
    let limits = [guardrail("floor", masked(tags(&["pii"]), "hash"))];
    let decision = mesh(&[&sales], &limits).decide(&viewer(&ana()), &orders_id());
    let Access::Granted(access) = decision else {
        panic!("denied");
    };
    assert_eq!(shown(&access), ["id", "email: hash, alphanum"]);
    assert!(access.columns[1].nullable);
}

#[test]
fn a_mask_that_does_not_fit_is_nullify_with_a_warning() {
    let limits = [guardrail(
        "limit",
        masked(columns(&["email", "open"]), "show_last(2)"),
    )];
    let access = granted(&limits, &ana());
    assert_eq!(shown(&access)[2], "email: show_last(2)");
    assert_eq!(shown(&access)[5], "open: nullify");
    assert_eq!(
        warnings(&limits, &[&sales()]),
        [(
            "mask-does-not-fit",
            "mask `show_last(2)` does not fit column `open` of `sales.orders`, which is Boolean: \
             there it is `nullify`"
                .to_owned()
        )]
    );
    let sales = sales();
    let fixed = [guardrail(
        "limit",
        masked(columns(&["amount", "Mixed"]), "fixed('x')"),
    )];
    let compiled = compile(&fixed, &[&sales]).unwrap();
    assert_eq!(compiled.warnings(true).count(), 2);
    let access = granted(&fixed, &ana());
    for at in [3, 6] {
        let Exposure::Cells(rules) = &access.columns[at].exposure else {
            panic!("clear");
        };
        assert_eq!(rules[0].reveal, Reveal::Masked(ColumnMask::Nullify));
    }
}

#[test]
fn a_predicate_that_does_not_fit_shows_no_row_with_a_warning() {
    for (rows, message) in [
        (
            "regoin = 'EU'",
            "no row of `sales.orders` is shown: column `regoin` is not in table `orders`",
        ),
        (
            "region = 7",
            "no row of `sales.orders` is shown: column `region`: ",
        ),
        (
            "region IN (SELECT area FROM hr.members)",
            "no row of `sales.orders` is shown: there is no table `hr.members`",
        ),
        (
            "region IN (SELECT regoin FROM sales.orders)",
            "no row of `sales.orders` is shown: column `regoin` is not in table",
        ),
    ] {
        let limits = [guardrail("limit", limited(tables(&["sales.orders"]), rows))];
        let access = granted(&limits, &ana());
        assert_eq!(
            access.rows,
            Some(RowPredicate::Literal(Some(false))),
            "{rows}"
        );
        let found = warnings(&limits, &[&sales()]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "guardrail-hides-all");
        assert!(found[0].1.starts_with(message), "{found:?}");
        // Those whom it does not bind see the rows.
        let [limit] = limits;
        let access = granted(&[except(limit, &["user:ana"])], &ana());
        assert_eq!(access.rows, None);
    }
}

#[test]
fn a_predicate_that_fits_one_table_and_not_another_hides_the_other() {
    let mut sales = sales();
    let mut second = table("returns", vec![column("id", DataType::Int64)]);
    second.tags.insert("public".to_owned());
    let id = second.id(&sales.name);
    sales.tables.push(second);
    sales.grants[0].on = GrantTarget::All;
    let limits = [guardrail(
        "limit",
        limited(tags(&["public"]), "region = 'EU'"),
    )];
    let snapshot = mesh(&[&sales], &limits);
    let rows = |id: &TableId| match snapshot.decide(&viewer(&ana()), id) {
        Access::Granted(access) => access.rows.unwrap(),
        Access::Denied(denial) => panic!("{denial:?}"),
    };
    assert!(matches!(rows(&orders_id()), RowPredicate::Compare { .. }));
    assert_eq!(rows(&id), RowPredicate::Literal(Some(false)));
}

#[test]
fn what_is_no_limit_at_all_is_an_error() {
    let empty = domain(Vec::new(), Vec::new());
    let sales = sales();
    let everywhere = || tables(&["sales.*"]);
    for (effect, rule) in [
        (limited(everywhere(), "region ="), "predicate-syntax"),
        (limited(everywhere(), ""), "predicate-syntax"),
        (
            limited(everywhere(), "id > 1 -- AND region = 'EU'"),
            "predicate-comment",
        ),
        (
            limited(everywhere(), "100 / id > 1"),
            "predicate-not-allowed",
        ),
        (
            limited(everywhere(), "CAST(id AS INT) > 1"),
            "predicate-not-allowed",
        ),
        (
            limited(everywhere(), "now() > '2020-01-01'"),
            "predicate-not-allowed",
        ),
        (
            limited(everywhere(), "regoin NOT IN (SELECT id FROM sales.orders)"),
            "predicate-not-allowed",
        ),
        // Also where it is on no table yet: it is wrong wherever it will be.
        (
            limited(tables(&["crm.*"]), "100 / id > 1"),
            "predicate-not-allowed",
        ),
        (masked(everywhere(), "hsah"), "invalid-mask"),
        (masked(everywhere(), "show_last(x)"), "invalid-mask"),
        (masked(everywhere(), "null"), "invalid-mask"),
        (masked(tables(&["crm.*"]), "hsah"), "invalid-mask"),
    ] {
        let what = format!("{effect:?}");
        let faults = compile(&[guardrail("limit", effect)], &[&sales]).unwrap_err();
        assert!(faults.iter().all(Fault::is_error), "{what}");
        assert!(
            faults.iter().any(|fault| fault.rule == rule),
            "{what}: {faults:?}"
        );
    }
    // A mesh without tables is enough for these.
    for effect in [
        limited(everywhere(), "region ="),
        masked(everywhere(), "hsah"),
    ] {
        compile(&[guardrail("limit", effect)], &[&empty]).unwrap_err();
    }
}

#[test]
fn a_named_column_that_a_named_table_lacks_is_the_whole_table() {
    let named = |table: &str, column: &str| GuardrailTarget {
        tables: patterns(&[table]),
        columns: names(&[column]),
        ..on()
    };
    for (effect, expected) in [
        (deny(named("sales.orders", "e_mail")), None),
        (deny(named("sales.orders@1", "e_mail")), None),
        (
            masked(named("sales.orders", "e_mail"), "nullify"),
            Some("id: nullify"),
        ),
        // Of all tables of a domain those are meant that have the column.
        (deny(named("sales.*", "e_mail")), Some("id")),
    ] {
        let what = format!("{effect:?}");
        let limits = [guardrail("limit", effect)];
        match (decide(&limits, &ana()), expected) {
            (Access::Granted(access), Some(first)) => assert_eq!(shown(&access)[0], first),
            (Access::Denied(denial), None) => {
                assert_eq!(
                    denial.reasons,
                    [DenialReason::Guardrail(GuardrailReason {
                        guardrail: "limit".to_owned(),
                        taken: Taken::Denied(all_but(&[])),
                    })]
                );
            }
            (access, _) => panic!("{what}: {access:?}"),
        }
    }
    // One of two columns is enough; the warning says which.
    let target = GuardrailTarget {
        columns: names(&["email", "phone"]),
        ..tables(&["sales.orders"])
    };
    let limits = [guardrail("limit", masked(target, "hash"))];
    assert!(shown(&granted(&limits, &ana())).contains(&"region: hash".to_owned()));
    assert!(
        warnings(&limits, &[&sales()]).contains(&(
            "unknown-column",
            "column `phone` is not in table `sales.orders`: the guardrail is on the whole table"
                .to_owned()
        ))
    );
    // So is a predicate: it holds for the table whatever column is named.
    let target = GuardrailTarget {
        columns: names(&["regoin"]),
        ..tables(&["sales.orders"])
    };
    let access = granted(
        &[guardrail("limit", limited(target, "region = 'EU'"))],
        &ana(),
    );
    assert!(access.rows.is_some());
}

#[test]
fn what_matches_nothing_is_a_warning() {
    let sales = sales();
    for (effect, message) in [
        (deny(tags(&["none"])), "guardrail `limit` touches no column"),
        (
            deny(tables(&["sales.orders", "hr.people"])),
            "guardrail `limit` names `hr.people`, which matches no table",
        ),
        (
            deny(GuardrailTarget {
                domains: names(&["hr", "sales"]),
                ..on()
            }),
            "guardrail `limit` is on domain `hr`, which is not served",
        ),
        (
            GuardrailEffect::ForbidCombine {
                sides: patterns(&["sales.*", "health.*"]),
            },
            "guardrail `limit` names `health.*`, which matches no table",
        ),
    ] {
        let found = warnings(&[guardrail("limit", effect)], &[&sales]);
        assert_eq!(found, [("guardrail-matches-nothing", message.to_owned())]);
    }
}

#[test]
fn rows_are_limited_by_every_guardrail_and_any_grant() {
    let mut sales = sales();
    sales.grants = vec![
        grant("a", &["everyone"]).rows("open"),
        grant("b", &["everyone"]).rows("id < 3"),
    ];
    let limits = [
        guardrail(
            "one",
            limited(tags(&["pii"]), "region = session.attr('region')"),
        ),
        guardrail("two", limited(tables(&["sales.*"]), "amount < 5")),
        // The same again changes nothing but the reasons.
        guardrail("three", limited(tables(&["sales.*"]), "amount < 5")),
        except(
            guardrail("four", limited(tables(&["sales.*"]), "false")),
            &["user:ana"],
        ),
    ];
    let decision = mesh(&[&sales], &limits).decide(&viewer(&ana()), &orders_id());
    let Access::Granted(access) = decision else {
        panic!("denied");
    };
    let RowPredicate::And(parts) = access.rows.unwrap() else {
        panic!("no AND");
    };
    assert_eq!(parts.len(), 3);
    let kinds = |wanted: fn(&RowPredicate) -> bool| parts.iter().filter(|it| wanted(it)).count();
    assert_eq!(kinds(|it| matches!(it, RowPredicate::Or(_))), 1);
    assert_eq!(kinds(|it| matches!(it, RowPredicate::Compare { .. })), 2);
    let by: Vec<_> = access
        .guardrails
        .iter()
        .map(|it| it.guardrail.as_str())
        .collect();
    assert_eq!(by, ["one", "three", "two"]);
    // A missing attribute is NULL, and NULL shows nothing.
    let decision = mesh(&[&sales], &limits).decide(&viewer(&user("ben", &[], &[])), &orders_id());
    let Access::Granted(access) = decision else {
        panic!("denied");
    };
    assert_eq!(access.rows, Some(RowPredicate::Literal(Some(false))));
}

#[test]
fn denials_say_which_guardrails_took_what_was_given() {
    let mut sales = sales();
    sales.grants = vec![
        grant("email", &["everyone"]).only(&["email"]),
        grant("late", &["everyone"]).between(Some("2027-01-01T00:00:00Z"), None),
    ];
    let limits = [
        guardrail("secrets", deny(tags(&["pii"]))),
        guardrail("small", limited(tags(&["pii"]), "open")),
        guardrail("elsewhere", deny(columns(&["amount"]))),
    ];
    let decision = mesh(&[&sales], &limits).decide(&viewer(&ana()), &orders_id());
    let Access::Denied(denial) = decision else {
        panic!("granted");
    };
    let named: Vec<String> = denial
        .reasons
        .iter()
        .map(|reason| match reason {
            DenialReason::Guardrail(reason) => reason.guardrail.clone(),
            DenialReason::NotYet { grant, .. } => format!("not yet {grant}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(named, ["not yet late", "elsewhere", "secrets", "small"]);
    assert!(denial.valid_until.is_some());
    // Without any grant the guardrails are not the reason.
    let nobody = domain(vec![orders()], Vec::new());
    let decision = mesh(&[&nobody], &limits).decide(&viewer(&ana()), &orders_id());
    let Access::Denied(denial) = decision else {
        panic!("granted");
    };
    assert_eq!(denial.reasons, [DenialReason::NoGrant]);
}

fn named(domain: &str, tables: Vec<Table>) -> Domain {
    let mut built = super::domain(tables, Vec::new());
    built.name = DomainName::parse(domain).unwrap();
    built
}

fn id(text: &str) -> TableId {
    let (domain, table) = text.split_once('.').unwrap();
    let (table, major) = table.split_once('@').unwrap_or((table, "1"));
    TableId {
        domain: DomainName::parse(domain).unwrap(),
        table: weft_mesh::TableName::parse(table).unwrap(),
        major: major.parse().unwrap(),
    }
}

#[test]
fn combinations() {
    let plain = |name: &str| table(name, vec![column("id", DataType::Int64)]);
    let hr = named("hr", vec![plain("people"), plain("salaries")]);
    let health = named("health", vec![plain("visits")]);
    let apart = |sides: &[&str]| {
        guardrail(
            "apart",
            GuardrailEffect::ForbidCombine {
                sides: patterns(sides),
            },
        )
    };
    let forbids = |limit: GuardrailManifest, tables: &[&str]| {
        let tables: BTreeSet<TableId> = tables.iter().map(|text| id(text)).collect();
        let found = mesh(&[&hr, &health], &[limit]).forbidden_combination(&viewer(&ana()), &tables);
        found.map(|it| (it.one.to_string(), it.other.to_string()))
    };
    let domains = ["hr.*", "health.*"];
    for (sides, read, forbidden) in [
        (&domains[..], &["hr.people", "health.visits"][..], true),
        (&domains, &["hr.people"], false),
        (&domains, &["hr.people", "hr.salaries"], false),
        (&domains, &["hr.people", "sales.orders"], false),
        (
            &domains,
            &["hr.people", "sales.orders", "health.visits"],
            true,
        ),
        (&domains, &[], false),
        // Three sides: any two of them.
        (
            &["hr.*", "crm.*", "health.*"],
            &["hr.people", "health.visits"],
            true,
        ),
        (
            &["hr.*", "crm.*", "health.*"],
            &["hr.people", "sales.orders"],
            false,
        ),
        // Sides that overlap: the table on both may be read, alone.
        (&["hr.*", "hr.salaries"], &["hr.salaries"], false),
        (&["hr.*", "hr.salaries"], &["hr.people"], false),
        (
            &["hr.*", "hr.salaries"],
            &["hr.people", "hr.salaries"],
            true,
        ),
        (
            &["hr.salaries", "hr.*"],
            &["hr.people", "hr.salaries"],
            true,
        ),
        (
            &["hr.*", "hr.salaries"],
            &["hr.people", "hr.contracts"],
            false,
        ),
        // Every version is meant, and versions of one table are one product.
        (
            &["hr.people", "health.visits"],
            &["hr.people@2", "health.visits@7"],
            true,
        ),
        (
            &["hr.people@1", "health.visits"],
            &["hr.people@2", "health.visits"],
            false,
        ),
        (
            &["hr.*", "hr.people"],
            &["hr.people@1", "hr.people@2"],
            false,
        ),
        // Unless the versions themselves are kept apart.
        (
            &["hr.people@1", "hr.people@2"],
            &["hr.people@1", "hr.people@2"],
            true,
        ),
        (
            &["hr.people@1", "hr.people@2"],
            &["hr.people@1", "hr.people@3"],
            false,
        ),
        (
            &["hr.*", "hr.people@2"],
            &["hr.people@1", "hr.people@2"],
            true,
        ),
    ] {
        let found = forbids(apart(sides), read);
        assert_eq!(found.is_some(), forbidden, "{sides:?} {read:?}: {found:?}");
        if let Some((one, other)) = found {
            let plain = |it: &&str| it.split('@').next() == Some(one.as_str());
            assert!(read.iter().any(plain) && !other.is_empty());
        }
    }
    let both = &["hr.people", "health.visits"];
    let excepted = except(apart(&domains), &["group:analysts"]);
    assert_eq!(forbids(excepted, both), None);
    let others = except(apart(&domains), &["group:others", "user:ben"]);
    assert_eq!(
        forbids(others, both),
        Some(("hr.people".to_owned(), "health.visits".to_owned()))
    );
    // It takes no column away.
    let access = granted(&[apart(&["sales.*", "hr.*"])], &ana());
    assert_eq!(shown(&access), all_but(&[]));
    assert!(access.guardrails.is_empty());
}

/// What a table's policy looks up is read by whoever reads the table.
#[test]
fn combinations_count_lookups() {
    let columns = || vec![column("id", DataType::Int64)];
    let mut hr = named(
        "hr",
        vec![table("people", columns()), table("leave", columns())],
    );
    hr.grants = vec![
        grant("those", &["everyone"])
            .on(GrantTarget::Tables(names(&["people"])))
            .rows("id IN (SELECT id FROM hr.leave)"),
    ];
    let mut health = named("health", vec![table("visits", columns())]);
    health.grants = vec![grant("all", &["everyone"]).on(GrantTarget::All)];
    let apart = |sides: &[&str]| {
        guardrail(
            "apart",
            GuardrailEffect::ForbidCombine {
                sides: patterns(sides),
            },
        )
    };
    let told = |sides: &[&str], read: &[&str]| {
        let tables: BTreeSet<_> = read.iter().map(|text| id(text)).collect();
        mesh(&[&hr, &health], &[apart(sides)])
            .forbidden_combination(&viewer(&ana()), &tables)
            .map(|found| found.to_string())
    };
    let sides = ["hr.leave", "health.visits"];
    assert_eq!(
        told(&sides, &["hr.people", "health.visits"]).as_deref(),
        Some("guardrail `apart` forbids to read `hr.people` and `health.visits` in one query")
    );
    assert_eq!(told(&sides, &["hr.people"]), None);
    assert_eq!(told(&sides, &["health.visits"]), None);
    // A table that its own policy combines is read by nobody, and `check` says so.
    let itself = ["hr.people", "hr.leave"];
    assert_eq!(
        told(&itself, &["hr.people"]).as_deref(),
        Some(
            "guardrail `apart` forbids to read `hr.people` by its own policy, which looks up what \
             is kept apart from it"
        )
    );
    let warnings = |sides: &[&str], limits: &[GuardrailManifest]| {
        let domains = [&hr, &health];
        let mut manifests = vec![apart(sides)];
        manifests.extend(limits.iter().cloned());
        let guardrails = Guardrails::compile(&manifests, &domains).unwrap();
        let policies = domains.map(|it| DomainPolicy::compile(it, &domains).unwrap());
        let faults = guardrails.contradictions(&policies);
        assert!(faults.iter().all(|fault| !fault.is_error()));
        faults
            .into_iter()
            .map(|fault| fault.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(warnings(&sides, &[]), [""; 0]);
    assert_eq!(
        warnings(&itself, &[]),
        [
            "guardrail `apart` keeps `hr.people` apart from `hr.leave`, which grant `those` looks up: \
             nobody whom the guardrail binds reads `hr.people` by it"
        ]
    );
    let limit = guardrail(
        "limit",
        limited(
            tables(&["health.visits"]),
            "id IN (SELECT id FROM hr.leave)",
        ),
    );
    assert_eq!(
        warnings(&sides, std::slice::from_ref(&limit)),
        [
            "guardrail `apart` keeps `health.visits` apart from `hr.leave`, which guardrail `limit` \
             looks up: nobody whom the guardrail binds reads `health.visits` by it"
        ]
    );
}
